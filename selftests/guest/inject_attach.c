// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region that could be seen is taken back: attach fails after it has published some, or
 * create after the device number answers. Whoever opened and mapped it meanwhile, as udev
 * would, gets SIGBUS; nothing is left; and on the media the pool is detached.
 *
 * hmem-test: topology=pmem1 kernels=lts,newest
 */
#include "inject.h"

#include <sys/sysmacros.h>
#include <time.h>

#define POOL		"shelf"
#define REGIONS		3
#define NODE		"/tmp/hmem-inject-node"

/* What the opener tells. */
struct opener {
	volatile int opened;	/* it has the region mapped, and has stored to it */
	volatile int signal;	/* what touching it raised in the end */
	volatile int synced;	/* what fsync(2) answered then */
};

static int control;
static char source[HMEM_NAME_LEN];
static struct opener *opener;

static int attach(const char *host)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .provider = HMEM_PROVIDER_CXL,
				      .nid = -1 };

	set_name(a.source, source);
	set_name(a.name, POOL);
	memcpy(a.host, host, strlen(host));
	return hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
}

/*
 * A process that opens @path as soon as it can, and uses it for as long as it can. When it has, what is
 * delayed goes on.
 */
static pid_t open_and_use(const char *path)
{
	pid_t pid;

	memset(opener, 0, sizeof(*opener));
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		char *p;
		int fd;

		while ((fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
			;
		p = mmap(NULL, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED || touch_write(p + 100, 'x'))
			_exit(1);
		opener->opened = 1;
		inject_go();
		while (!opener->signal) {
			opener->signal = touch_write(p + 100, 'x');
			usleep(1000);
		}
		opener->synced = fsync(fd) ? -errno : 1;
		_exit(0);
	}
	return pid;
}

/* Whether it ended by itself, at the latest in a few seconds. */
static bool ended(pid_t pid)
{
	for (int tries = 0; tries < 200; tries++) {
		int status, rc = waitpid(pid, &status, WNOHANG);

		if (rc == pid)
			return WIFEXITED(status) && !WEXITSTATUS(status);
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return false;
}

static bool claimed(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/iomem", "re");

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, ": hmem");
	if (f)
		fclose(f);
	return found;
}

static bool nothing_left(void)
{
	char names[8][HMEM_NAME_LEN];

	return !class_names("hmem", names, 8) && !class_names("hmem_pool", names, 8) &&
	       access("/dev/hmem/r0", F_OK) && !claimed();
}

static bool regions_are_back(void)
{
	char name[8], data[8];

	for (int i = 0; i < REGIONS; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		int fd = region_open(name, O_RDONLY);
		bool good = fd >= 0 && pread(fd, data, sizeof(data), 0) == sizeof(data) &&
			    !strcmp(data, name);

		if (fd >= 0)
			close(fd);
		if (!good) {
			tap_diag("%s is not as it was", name);
			return false;
		}
	}
	return true;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The @nth addition of a device fails: those of the pool and of its regions, in this order. */
static void attach_fails(const char *function, const char *whose, int nth, int seen)
{
	pid_t pid = 0;
	int64_t took;
	int rc;

	if (seen)
		pid = open_and_use("/dev/hmem/r0");
	inject("arch_wb_cache_pmem pass 1 0 hmem 0");
	inject("%s %d %d 1 %s %d", function, -ENOMEM, nth, whose, seen ? INJECT_MOMENT_MS : 0);
	took = now_ms();
	rc = attach("this host");
	took = now_ms() - took;
	int written_back = inject_look("arch_wb_cache_pmem");

	TAP_EQ(inject_end(function), 1, "%s: call %d fails", function, nth);
	TAP_EQ(rc, -ENOMEM, "%s %d: so attach fails", function, nth);
	TAP_OK(nothing_left(), "%s %d: and leaves nothing", function, nth);
	if (seen) {
		bool end = ended(pid);

		if (!TAP_OK(end && opener->opened && opener->signal == SIGBUS,
			    "%s %d: who had a region mapped gets SIGBUS", function, nth))
			tap_diag("ended %d, opened %d, signal %d; attach took %lld ms", end,
				 opener->opened, opener->signal, (long long)took);
		TAP_EQ(opener->synced, -ENODEV, "%s %d: and an error", function, nth);
		TAP_OK(written_back > 0, "%s %d: what it had stored was written back", function,
		       nth);
	}
	TAP_EQ(attach("other host"), 0, "%s %d: another host may attach: it was detached",
	       function, nth);
	TAP_OK(regions_are_back(), "%s %d: and has all regions", function, nth);
	must(pool_detach(control, POOL), "detach");
}

/* The number that the next region gets. */
static dev_t next_number(void)
{
	struct stat st;

	must(region_create(control, "probe", POOL, EXTENT), "create");
	if (stat("/dev/hmem/probe", &st))
		tap_bail("/dev/hmem/probe: %s", strerror(errno));
	must(region_destroy(control, "probe"), "destroy");
	return st.st_rdev;
}

static void create_fails(void)
{
	int64_t before;
	pid_t pid;
	char *p;
	int fd;

	must(attach("this host"), "attach");
	before = pool_free(POOL);
	unlink(NODE);
	if (mknod(NODE, S_IFCHR | 0600, next_number()))
		tap_bail(NODE ": %s", strerror(errno));
	pid = open_and_use(NODE);
	inject("device_add %d 1 1 self %d", -ENOMEM, INJECT_MOMENT_MS);
	TAP_EQ(region_create(control, "late", POOL, EXTENT), -ENOMEM, "create fails at last");
	TAP_EQ(inject_end("device_add"), 1, "when the device is added");
	TAP_OK(ended(pid) && opener->opened && opener->signal == SIGBUS,
	       "who had opened it by its number gets SIGBUS");
	TAP_EQ(pool_free(POOL), before, "everything is free");
	must(region_create(control, "late", POOL, EXTENT), "create");
	fd = must_open("late", O_RDWR);
	p = must_map(fd, EXTENT);
	TAP_OK(pages_hold(p, EXTENT, 0) && !p[100], "the next owner finds zeroes");
	munmap(p, EXTENT);
	close(fd);
	must(region_destroy(control, "late"), "destroy");
	must(pool_detach(control, POOL), "detach");
	unlink(NODE);
}

int main(void)
{
	char name[8];

	control = must_begin_inject();
	touch_catch();
	opener = mmap(NULL, sizeof(*opener), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	must_cxl("pmem", source);
	must(pool_attach_cxl(control, source, HMEM_ATTACH_FORMAT, NULL), "attach");
	for (int i = 0; i < REGIONS; i++) {
		memset(name, 0, sizeof(name));
		snprintf(name, sizeof(name), "r%d", i);
		must(region_create(control, name, source, 2 * EXTENT), "create");
		int fd = must_open(name, O_RDWR);

		if (pwrite(fd, name, sizeof(name), 0) != sizeof(name))
			tap_bail("write: %s", strerror(errno));
		close(fd);
	}
	must(pool_detach(control, source), "detach");

	attach_fails("cdev_device_add", "hmem", 1, false);
	attach_fails("cdev_device_add", "hmem", 2, true);
	attach_fails("cdev_device_add", "hmem", 3, true);
	attach_fails("device_add", "self", 1, false);
	attach_fails("device_add", "self", 2, false);
	attach_fails("device_add", "self", 3, true);
	create_fails();
	cxl_end(source);
	return tap_done();
}
