// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel contract for shell tests: one ioctl, or one use of a region, per call. A
 * refusal is printed as its errno's name on stdout, exit status 1.
 *
 *	kmodctl load | unload
 *	kmodctl ram POOL BYTES
 *	kmodctl attach SOURCE [format|check|take-over|host=TEXT|name=POOL]...
 *	kmodctl detach POOL
 *	kmodctl create REGION POOL BYTES [UID GID MODE]
 *	kmodctl resize REGION BYTES
 *	kmodctl destroy REGION
 *	kmodctl info REGION
 *	kmodctl fill REGION SEED [OFFSET LENGTH]	stores a pattern, through a mapping
 *	kmodctl verify REGION SEED [OFFSET LENGTH]	the pattern is there; SEED 0: zeroes
 *	kmodctl move REGION near|home			all of it that was touched; says how many pages
 *	kmodctl near REGION				says how many MiB of it are near
 *	kmodctl events REGION TYPE			those of the type that it keeps: offset and bytes
 *	kmodctl hold REGION open|map|pin [OFFSET]	until SIGTERM; says whether what it pinned
 *						is still what it was
 *	kmodctl use REGION store|read|info	without end; says what stopped it
 *	kmodctl churn POOL			creates and destroys; says what stopped it
 *	kmodctl media SOURCE OFFSET LENGTH [BYTE]	what is on an unclaimed CXL region: prints
 *						a hash of it, or overwrites it
 *
 * hmem-test: helper
 */
#include "near.h"

#include <sys/uio.h>

/* Between two uses: many users at once must leave an emulated machine time for the rest. */
#define PAUSE_US	1000

static int control;

static int answer(int rc)
{
	if (rc >= 0)
		return 0;
	printf("%s\n", strerrorname_np(-rc));
	return 1;
}

static int attach(char **words)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .nid = -1 };
	int rc;

	set_name(a.source, *words++);
	for (; *words; words++) {
		if (!strcmp(*words, "format"))
			a.flags |= HMEM_ATTACH_FORMAT;
		else if (!strcmp(*words, "check"))
			a.flags |= HMEM_ATTACH_CHECK;
		else if (!strcmp(*words, "take-over"))
			a.flags |= HMEM_ATTACH_TAKE_OVER;
		else if (!strncmp(*words, "name=", 5))
			set_name(a.name, *words + 5);
		else if (!strncmp(*words, "host=", 5))
			memcpy(a.host, *words + 5, strnlen(*words + 5, sizeof(a.host)));
		else
			return 129;
	}
	rc = hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
	if (rc)
		return answer(rc);
	printf("%s bytes=%llu regions=%u%s%s%s\n", a.name, (unsigned long long)a.bytes, a.regions,
	       a.state & HMEM_POOL_PERSISTENT ? " persistent" : "",
	       a.state & HMEM_POOL_FORMATTED ? " formatted" : "",
	       a.state & HMEM_POOL_REPAIRED ? " repaired" : "");
	return 0;
}

static int info(const char *region)
{
	struct hmem_region_query i;
	int fd = region_open(region, O_RDONLY);
	int rc = fd < 0 ? fd : region_info(fd, &i);

	if (rc)
		return answer(rc);
	printf("%s pool=%s bytes=%llu owner=%u:%u mode=%04o%s uuid=", i.name, i.pool,
	       (unsigned long long)i.bytes, i.uid, i.gid, i.mode,
	       i.state & HMEM_REGION_PERSISTENT ? " persistent" : "");
	for (int n = 0; n < 16; n++)
		printf("%02x", i.uuid[n]);
	printf("\n");
	return 0;
}

static uint64_t pattern(uint64_t at, uint64_t seed)
{
	return seed ? (at + 1) * 0x9e3779b97f4a7c15ULL ^ seed : 0;
}

/* One word in every 64 bytes: each cache line is its own, and emulation stays quick. */
static int walk(const char *region, uint64_t seed, uint64_t offset, uint64_t length, bool store)
{
	int fd = region_open(region, store ? O_RDWR : O_RDONLY);
	uint64_t end;
	char *p;

	if (fd < 0)
		return answer(fd);
	end = lseek(fd, 0, SEEK_END);
	if (!length)
		length = end - offset;
	p = mmap(NULL, length, store ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, offset);
	if (p == MAP_FAILED)
		return answer(-errno);
	for (uint64_t i = 0; i < length; i += 64) {
		volatile uint64_t *word = (uint64_t *)(p + i);

		if (store) {
			*word = pattern(offset + i, seed);
		} else if (*word != pattern(offset + i, seed)) {
			printf("at %#llx: %#llx, not %#llx\n", (unsigned long long)(offset + i),
			       (unsigned long long)*word,
			       (unsigned long long)pattern(offset + i, seed));
			return 1;
		}
	}
	return 0;
}

static int hold(const char *region, const char *how, uint64_t offset)
{
	int fd = region_open(region, O_RDWR), fds[2], signal;
	char page[4096] = "";
	struct iovec iov;
	sigset_t end;
	char *p;

	if (fd < 0)
		return answer(fd);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (strcmp(how, "open")) {
		p = mmap(NULL, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
		if (p == MAP_FAILED)
			return answer(-errno);
		p[0] = 1;
		if (!strcmp(how, "pin")) {
			memset(p, 0x5a, 4096);
			iov = (struct iovec){ p, 4096 };
			if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != 4096)
				return answer(-errno);
			munmap(p, EXTENT);
		}
		close(fd);
	}
	printf("held\n");
	sigwait(&end, &signal);
	if (!strcmp(how, "pin"))
		printf("%s\n", read(fds[0], page, sizeof(page)) == sizeof(page) &&
		       all_bytes(page, sizeof(page), 0x5a) ? "intact" : "lost");
	return 0;
}

static int use_store(int fd)
{
	uint64_t length = lseek(fd, 0, SEEK_END);
	char *p;

	if (length > 4 * EXTENT)
		length = 4 * EXTENT;
	p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return answer(-errno);
	touch_catch();
	for (uint64_t i = 0;; i++) {
		int signal = touch_write(p + i * 4096 % length, i);

		if (i == 2 * length / 4096)
			printf("running\n");
		if (i % 1024 == 0)
			usleep(PAUSE_US);
		if (signal) {
			printf("SIG%s\n", sigabbrev_np(signal));
			return 0;
		}
	}
}

static int use(const char *region, const char *how)
{
	struct hmem_region_query i;
	static char buffer[65536];
	int fd = region_open(region, O_RDWR);

	if (fd < 0)
		return answer(fd);
	if (!strcmp(how, "store"))
		return use_store(fd);
	printf("running\n");
	for (uint64_t round = 0;; round++) {
		int rc = 0;

		if (!strcmp(how, "info"))
			rc = region_info(fd, &i);
		else if ((round & 1 ? pread(fd, buffer, sizeof(buffer), 0) :
				      pwrite(fd, buffer, sizeof(buffer), EXTENT)) < 0)
			rc = -errno;
		if (rc) {
			printf("%s\n", strerrorname_np(-rc));
			return 0;
		}
		usleep(PAUSE_US);
	}
}

static int churn(const char *pool)
{
	char name[32];

	snprintf(name, sizeof(name), "churn-%d", getpid());
	printf("running\n");
	for (;;) {
		int rc = region_create(control, name, pool, EXTENT);

		if (!rc)
			rc = region_resize(control, name, 2 * EXTENT);
		if (!rc)
			rc = region_destroy(control, name);
		if (rc) {
			printf("%s\n", strerrorname_np(-rc));
			return 0;
		}
		usleep(PAUSE_US);
	}
}

/* Through /dev/mem, which shows what nobody has claimed. */
static int media(const char *source, uint64_t offset, uint64_t length, const char *byte)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	char path[PATH_MAX];
	unsigned long start;
	uint64_t *p;
	FILE *f;
	int fd, found;

	snprintf(path, sizeof(path), "/sys/bus/cxl/devices/%s/resource", source);
	f = fopen(path, "re");
	if (!f)
		return answer(-errno);
	found = fscanf(f, "%lx", &start);
	fclose(f);
	if (found != 1)
		return answer(-EIO);
	fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return answer(-errno);
	p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start + offset);
	close(fd);
	if (p == MAP_FAILED)
		return answer(-errno);
	if (byte) {
		memset(p, strtoul(byte, NULL, 0), length);
		return 0;
	}
	for (uint64_t i = 0; i < length / 8; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ULL;
	printf("%016llx\n", (unsigned long long)hash);
	return 0;
}

static uint64_t number(const char *word)
{
	return word ? strtoull(word, NULL, 0) : 0;
}

static int move(const char *region, const char *place)
{
	struct hmem_region_query i;
	struct hmem_migrate m;
	int fd = region_open(region, O_RDWR);
	int rc = fd < 0 ? fd : region_info(fd, &i);
	bool near = !strcmp(place, "near");

	if (!rc && near)
		rc = near_max_set(fd, i.bytes);
	if (!rc)
		rc = migrate(fd, 0, 0, near ? HMEM_NEAR : HMEM_HOME, &m);
	if (rc)
		return answer(rc);
	printf("%llu\n", (unsigned long long)m.pages[HMEM_MOVED]);
	return 0;
}

static int near(const char *region)
{
	int fd = region_open(region, O_RDONLY);

	if (fd < 0)
		return answer(fd);
	printf("%llu\n", (unsigned long long)near_stats(fd).near / MIB);
	return 0;
}

static int events(const char *region, unsigned int type)
{
	struct hmem_event e[64] = {};
	struct hmem_wait w = { .size = sizeof(w), .events = (uintptr_t)e, .nr_events = 64 };
	int fd = region_open(region, O_RDONLY), rc;

	rc = fd < 0 ? fd : hmem_ioctl(fd, HMEM_REGION_WAIT, &w);
	if (rc)
		return answer(rc);
	for (unsigned int i = 0; i < w.nr_events; i++)
		if (e[i].type == type)
			printf("%llu %llu\n", e[i].offset, e[i].bytes);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argv[1] ? argv[1] : "";
	char **w = argv + 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(verb, "load"))
		return answer(module_load());
	if (argc == 2 && !strcmp(verb, "unload"))
		return answer(module_unload());
	if (argc < 3)
		return 129;
	if (!strcmp(verb, "info"))
		return info(w[0]);
	if (!strcmp(verb, "hold") && (argc == 4 || argc == 5))
		return hold(w[0], w[1], number(w[2]));
	if (!strcmp(verb, "use") && argc == 4)
		return use(w[0], w[1]);
	if (!strcmp(verb, "near"))
		return near(w[0]);
	if (!strcmp(verb, "events") && argc == 4)
		return events(w[0], number(w[1]));
	if (!strcmp(verb, "move") && argc == 4)
		return move(w[0], w[1]);
	if (!strcmp(verb, "media") && argc >= 5)
		return media(w[0], number(w[1]), number(w[2]), w[3]);
	if (!strcmp(verb, "fill") || !strcmp(verb, "verify"))
		return walk(w[0], number(w[1]), number(argc > 4 ? w[2] : NULL),
			    number(argc > 4 ? w[3] : NULL), verb[0] == 'f');

	control = control_open();
	if (control < 0)
		return answer(control);
	if (!strcmp(verb, "ram") && argc == 4)
		return answer(pool_attach_ram(control, w[0], number(w[1])));
	if (!strcmp(verb, "attach"))
		return attach(w);
	if (!strcmp(verb, "detach"))
		return answer(pool_detach(control, w[0]));
	if (!strcmp(verb, "create") && argc == 5)
		return answer(region_create(control, w[0], w[1], number(w[2])));
	if (!strcmp(verb, "create") && argc == 8)
		return answer(region_create_as(control, w[0], w[1], number(w[2]), number(w[3]),
					       number(w[4]), number(w[5])));
	if (!strcmp(verb, "resize") && argc == 4)
		return answer(region_resize(control, w[0], number(w[1])));
	if (!strcmp(verb, "destroy"))
		return answer(region_destroy(control, w[0]));
	if (!strcmp(verb, "churn"))
		return churn(w[0]);
	return 129;
}
