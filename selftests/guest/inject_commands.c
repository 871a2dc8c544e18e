// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever the kernel refuses to hmem.ko while it does a command, the command says so with
 * a documented error, or does without; nothing is left over; what was there is still
 * there; and the same command works when it is given again.
 *
 * Each function that hmem.ko calls and that can fail is made to fail, in each command, on
 * its first call, its second, and so on to the last.
 *
 * hmem-test: topology=mixed kernels=newest long=lts timeout=400
 */
#include "inject.h"
#include "near.h"
#include "poison.h"

#include <glob.h>
#include <sys/sysmacros.h>

#define POOL		"shelf"
#define RAM_BYTES	(2 * EXTENT)
#define MAX_CACHES	512

/*
 * The module's own, which fails only when the pool's table is full: what takes no more room
 * in the table relies on that.
 */
#define RECORD	"hm_store_write"

/* -ENOMEM as the kernel's arrays have it */
#define XA_ENOMEM	(-ENOMEM * 4 + 2)

/* Where it stands twice, one kernel has it under the one name, one under the other. */
static const struct import {
	const char *function;
	int failure;
} imports[] = {
	{ "__folio_alloc_noprof", 0 },
	{ "__kmalloc_cache_noprof", 0 },
	{ "__kmem_cache_create_args", 0 },
	{ "__kvmalloc_node_noprof", 0 },
	{ "__list_lru_init", -ENOMEM },
	{ "__request_region", 0 },
	{ "__symbol_get", 0 },
	{ "_copy_from_user", 1 },
	{ "_mutex_lock_killable", -EINTR },
	{ "alloc_anon_inode", -ENOMEM },
	{ "alloc_chrdev_region", -EBUSY },
	{ "alloc_workqueue", 0 },
	{ "alloc_workqueue_noprof", 0 },
	{ "bitmap_zalloc", 0 },
	{ "bus_find_device", 0 },
	{ "bus_register_notifier", -ENOMEM },
	{ "cdev_device_add", -ENOMEM },
	{ "class_register", -ENOMEM },
	{ "dev_set_name", -ENOMEM },
	{ "device_add", -ENOMEM },
	{ RECORD, -EMFILE },
	{ "get_free_pages_noprof", 0 },
	{ "get_zeroed_page_noprof", 0 },
	{ "ida_alloc_range", -ENOMEM },
	{ "init_pseudo", 0 },
	{ "kern_mount", -ENOMEM },
	{ "kmem_cache_alloc_lru_noprof", 0 },
	{ "kstrtoull", -EINVAL },
	{ "memremap", 0 },
	{ "memremap_pages", -ENOMEM },
	{ "misc_register", -EBUSY },
	{ "mutex_lock_interruptible", -EINTR },
	{ "mutex_lock_interruptible_nested", -EINTR },
	{ "mutex_lock_killable", -EINTR },
	{ "mutex_lock_killable_nested", -EINTR },
	{ "shrinker_alloc", 0 },
	{ "tracepoint_probe_register", -ENOMEM },
	{ "vmalloc_noprof", 0 },
	{ "vzalloc_noprof", 0 },
	{ "xa_store", XA_ENOMEM },
};

/* Names that sound as if they could fail, and why they are not above. */
static const char *const others[] = {
	"__list_add_valid_or_report", "device_match_name", "kmalloc_caches",
	"__request_module",	/* what counts is whether the symbol is there then */
	"perf_trace_buf_alloc",	/* its caller is a part of tracing */
	"list_lru_add_obj",	/* only says whether it was on the list already */
	"shrinker_register",	/* returns nothing */
	/* Of KASAN and lockdep. */
	"__asan_register_globals", "__raw_spin_lock_init", "mutex_lock_nested", "rcu_lock_map",
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static bool absent[COUNT(imports)];
static int control;
static char pmem[HMEM_NAME_LEN], volatile_cxl[HMEM_NAME_LEN];

static void append(char **text, const char *more)
{
	size_t length = *text ? strlen(*text) : 0;

	*text = realloc(*text, length + strlen(more) + 1);
	if (!*text)
		tap_bail("no memory");
	strcpy(*text + length, more);
}

static void append_file(char **text, const char *path)
{
	static char content[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, content, sizeof(content) - 1);

	if (fd >= 0)
		close(fd);
	content[n < 0 ? 0 : n] = 0;
	append(text, path);
	append(text, ": ");
	append(text, content);
}

/* Those that the module has, or that map memory for it. */
static int vmalloc_areas(void)
{
	FILE *f = fopen("/proc/vmallocinfo", "re");
	char line[256];
	int count = 0;

	if (!f)
		tap_bail("/proc/vmallocinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		count += strstr(line, "[hmem]") || strstr(line, " memremap+");
	fclose(f);
	return count;
}

/* Everything that a command could leave behind, as text. */
static char *state(void)
{
	static const char *const files[] = {
		"/proc/iomem", "/proc/devices", "/proc/misc", "/sys/module/hmem/refcnt",
		"/sys/class/hmem_pool/*/free", "/sys/class/hmem_pool/*/regions",
		"/sys/class/hmem/*/size", "/sys/class/hmem/*/uid", "/sys/class/hmem/*/mode",
	}, *const names[] = { "/dev/*", "/dev/hmem/*", "/sys/class/hmem*/*" };
	char *text = NULL, line[64];
	unsigned int minors = 0;
	struct stat st;
	glob_t found;

	for (unsigned int i = 0; i < COUNT(files); i++) {
		if (glob(files[i], 0, NULL, &found))
			continue;
		for (size_t n = 0; n < found.gl_pathc; n++)
			append_file(&text, found.gl_pathv[n]);
		globfree(&found);
	}
	for (unsigned int i = 0; i < COUNT(names); i++) {
		if (glob(names[i], 0, NULL, &found))
			continue;
		for (size_t n = 0; n < found.gl_pathc; n++) {
			if (lstat(found.gl_pathv[n], &st))
				memset(&st, 0, sizeof(st));
			snprintf(line, sizeof(line), " %o %u\n", st.st_mode, st.st_uid);
			append(&text, found.gl_pathv[n]);
			append(&text, line);
			if (!strncmp(found.gl_pathv[n], "/dev/hmem/", 10))
				minors += minor(st.st_rdev);
		}
		globfree(&found);
	}
	snprintf(line, sizeof(line), "vmalloc %d\n", vmalloc_areas());
	append(&text, line);
	/* Which region has which depends on their order, but none is used up. */
	snprintf(line, sizeof(line), "minors %u\n", minors);
	append(&text, line);
	return text;
}

static bool as_before(const char *before)
{
	char *now = state();
	bool same = !strcmp(now, before);

	if (!same)
		tap_diag("before:\n%s\nnow:\n%s", before, now);
	free(now);
	return same;
}

/* The data of region a, or nothing when there is no region a. */
static bool data_is_there(void)
{
	char word[8] = "";
	int fd = region_open("a", O_RDONLY);
	bool good;

	if (fd == -ENOENT)
		return true;
	good = fd >= 0 && pread(fd, word, sizeof(word), EXTENT) == sizeof(word) &&
	       !strcmp(word, "my data");
	if (fd >= 0)
		close(fd);
	return good;
}

static void make_data(void)
{
	int fd = must_open("a", O_RDWR);

	if (pwrite(fd, "my data", 8, EXTENT) != 8)
		tap_bail("write: %s", strerror(errno));
	close(fd);
}

/* The commands. Each begins and ends in the same state, when it is done and undone. */

static int attach_pmem(unsigned int flags)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .provider = HMEM_PROVIDER_CXL,
				      .flags = flags, .nid = -1, .host = "this host" };

	set_name(a.source, pmem);
	set_name(a.name, POOL);
	return hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
}

static int do_format(void) { return attach_pmem(HMEM_ATTACH_FORMAT); }
static int do_attach(void) { return attach_pmem(0); }
static int do_check(void) { return attach_pmem(HMEM_ATTACH_CHECK); }
static int do_attach_cxl(void) { return pool_attach_cxl(control, volatile_cxl, 0, NULL); }
static int do_attach_ram(void) { return pool_attach_ram(control, "r", RAM_BYTES); }
static int do_detach(void) { return pool_detach(control, POOL); }
static int do_create(void) { return region_create(control, "new", POOL, 3 * EXTENT); }
static int do_grow(void) { return region_resize(control, "a", 5 * EXTENT); }
static int do_shrink(void) { return region_resize(control, "a", 2 * EXTENT); }
static int do_destroy(void) { return region_destroy(control, "b"); }

static int do_query(void)
{
	struct hmem_region_query info;
	int fd = region_open("a", O_RDWR), rc;

	if (fd < 0)
		return fd;
	rc = region_info(fd, &info);
	close(fd);
	return rc;
}

/* What cannot get DRAM is no error, but here it shall have been one. */
static int do_near(void)
{
	int fd = region_open("a", O_RDWR), rc;
	struct hmem_migrate m;

	if (fd < 0)
		return fd;
	rc = near_max_set(fd, EXTENT);
	if (!rc)
		rc = migrate(fd, 0, 0, HMEM_NEAR, &m);
	if (!rc && (m.pages[HMEM_MOVED_NO_MEMORY] || m.pages[HMEM_MOVED_POISONED]))
		rc = -ENOMEM;
	close(fd);
	return rc;
}

/* A page of what make_data() has touched, and not what it has stored. */
#define BAD_PAGE	(EXTENT + 3 * PAGE)

static int do_report(void)
{
	int fd = region_open("a", O_RDWR), rc;

	if (fd < 0)
		return fd;
	rc = poison(fd, HMEM_POISON_REPORT, BAD_PAGE, PAGE, NULL);
	close(fd);
	return rc;
}

static void clear_bad(void)
{
	int fd = must_open("a", O_RDWR);

	must(poison(fd, HMEM_POISON_CLEAR, BAD_PAGE, PAGE, NULL), "clear");
	close(fd);
}

static void begin_near_bad(void)
{
	must(do_report(), "report");
}

static int do_auto(void)
{
	int fd = region_open("a", O_RDWR), rc;

	if (fd < 0)
		return fd;
	rc = policy_mode_set(fd, HMEM_POLICY_AUTO);
	close(fd);
	return rc;
}

/* Without the module before and after: what is done once for each insmod is in here. */
static int do_first(void)
{
	int rc = module_load();

	if (rc)
		return rc;
	control = control_open();
	rc = control < 0 ? control : do_attach_cxl();
	if (rc) {
		close(control);
		must(module_unload(), "unload");
	}
	return rc;
}

/* Two pools of system RAM, and a region on the first. */
static void begin_two(void)
{
	int fd;

	must(pool_attach_ram(control, "r", RAM_BYTES), "attach");
	must(pool_attach_ram(control, "q", RAM_BYTES), "attach");
	must(region_create(control, "t", "r", EXTENT), "create");
	fd = must_open("t", O_RDWR);
	if (pwrite(fd, "t's data", 8, 0) != 8)
		tap_bail("write: %s", strerror(errno));
	close(fd);
}

static void end_two(void)
{
	char data[8] = "";
	int fd = must_open("t", O_RDONLY);

	if (pread(fd, data, 8, 0) != 8 || memcmp(data, "t's data", 8))
		tap_bail("the data is not there");
	close(fd);
	must(region_destroy(control, "t"), "destroy");
	must(pool_detach(control, "q"), "detach");
	must(pool_detach(control, "r"), "detach");
}

static int do_drain(void) { return pool_drain(control, "r", 0, NULL); }

static int do_spread(void)
{
	static const char *const names[] = { "r", "q" };

	return region_create_over(control, "new", HMEM_CREATE_SPREAD, names, 2, 3 * EXTENT);
}

static void undo_attach(void) { must(pool_detach(control, POOL), "detach"); }
static void undo_attach_cxl(void) { must(pool_detach(control, volatile_cxl), "detach"); }
static void undo_attach_ram(void) { must(pool_detach(control, "r"), "detach"); }
static void undo_detach(void) { must(do_attach(), "attach"); }
static void undo_create(void) { must(region_destroy(control, "new"), "destroy"); }
static void undo_grow(void) { must(region_resize(control, "a", 3 * EXTENT), "shrink"); }
static void undo_shrink(void) { must(region_resize(control, "a", 3 * EXTENT), "grow"); }
static void undo_destroy(void) { must(region_create(control, "b", POOL, 2 * EXTENT), "create"); }
static void undo_nothing(void) { }

/* Also what was done of it before it failed. */
static void end_tier(void)
{
	int fd = must_open("a", O_RDWR);

	must(policy_mode_set(fd, HMEM_POLICY_OFF), "off");
	must(near_max_set(fd, 0), "near_max");
	close(fd);
}

static void end_near_bad(void)
{
	end_tier();
	clear_bad();
}

static void undo_first(void)
{
	undo_attach_cxl();
	close(control);
	must(module_unload(), "unload");
}

/* First touches: of an extent that region t did not have before. */

static int touched;

static void begin_touch(void)
{
	must(region_create(control, "t", POOL, EXTENT), "create");
	touched = must_open("t", O_RDWR);
}

static void end_touch(void)
{
	close(touched);
	must(region_destroy(control, "t"), "destroy");
}

static int do_touch_read(void)
{
	char byte = 1;
	ssize_t n = read(touched, &byte, 1);

	return n < 0 ? -errno : n == 1 && !byte ? 0 : 1;
}

static int do_touch_write(void)
{
	return write(touched, "", 1) == 1 ? 0 : -errno;
}

static int do_touch_fault(void)
{
	char *p = must_map(touched, EXTENT);
	int signal;

	signal = touch_read(p + 5000);
	if (!signal && p[5000])
		signal = SIGSEGV;
	munmap(p, EXTENT);
	/* Memory that was missing: the kernel tries again, or ends the process. */
	return signal == SIGBUS ? -EIO : -signal;
}

static int do_touch_pages(void)
{
	char *p = must_map(touched, EXTENT);
	struct iovec iov = { p, 4096 };
	int fds[2], rc;

	if (pipe(fds))
		tap_bail("pipe: %s", strerror(errno));
	rc = vmsplice(fds[1], &iov, 1, 0) < 0 ? -errno : 0;
	close(fds[0]);
	close(fds[1]);
	munmap(p, EXTENT);
	return rc;
}

static const struct command {
	const char *name;
	int (*run)(void);
	void (*undo)(void);		/* when it was done */
	void (*begin)(void);		/* in any case, before it, */
	void (*end)(void);		/* and after */
	bool again;			/* until it has succeeded */
	bool records;			/* something that takes room in the pool's table */
	int rounds;			/* how often it fails to see a leak, if that is quick */
} first = {
	"insmod and attach", do_first, undo_first, NULL, NULL, false, false, 0
}, format = {
	"format and attach", do_format, undo_attach, NULL, NULL, false, false, 0
}, detached[] = {
	{ "attach with three regions", do_attach, undo_attach, NULL, NULL, false, false, 0 },
	{ "a look", do_check, undo_nothing, NULL, NULL, false, false, 0 },
	{ "attach, volatile", do_attach_cxl, undo_attach_cxl, NULL, NULL, false, false, 0 },
	{ "attach, ram", do_attach_ram, undo_attach_ram, NULL, NULL, false, false, 200 },
}, attached[] = {
	{ "create", do_create, undo_create, NULL, NULL, false, true, 200 },
	{ "grow", do_grow, undo_grow, NULL, NULL, false, true, 200 },
	{ "shrink", do_shrink, undo_shrink, NULL, NULL, false, false, 200 },
	{ "destroy", do_destroy, undo_destroy, NULL, NULL, false, false, 0 },
	{ "query", do_query, undo_nothing, NULL, NULL, false, false, 0 },
	{ "near", do_near, undo_nothing, NULL, end_tier, false, false, 200 },
	{ "report", do_report, undo_nothing, NULL, clear_bad, false, false, 200 },
	{ "near, but for a page", do_near, undo_nothing, begin_near_bad, end_near_bad, false, false,
	  0 },
	{ "policy", do_auto, undo_nothing, NULL, end_tier, false, false, 200 },
	{ "first read(2)", do_touch_read, undo_nothing, begin_touch, end_touch, false, false, 0 },
	{ "first write(2)", do_touch_write, undo_nothing, begin_touch, end_touch, false, false, 0 },
	{ "first fault", do_touch_fault, undo_nothing, begin_touch, end_touch, true, false, 0 },
	{ "first vmsplice", do_touch_pages, undo_nothing, begin_touch, end_touch, false, false, 0 },
	{ "drain", do_drain, undo_nothing, begin_two, end_two, false, false, 0 },
	{ "spread", do_spread, undo_create, begin_two, end_two, false, false, 0 },
	{ "detach", do_detach, undo_detach, NULL, NULL, false, false, 0 },
};

/* Errors that include/uapi/linux/hmem.h names for something that a machine lacks or refuses. */
static bool documented(int rc)
{
	switch (rc) {
	case 0: case -ENOMEM: case -EBUSY: case -EINTR: case -EFAULT: case -ENXIO: case -ENOENT:
	case -EOPNOTSUPP: case -EMFILE:
		return true;
	}
	return false;
}

/* Once, with @count calls of a function failing from the k-th on; or with none. */
static int run(const struct command *c, const struct import *import, int k, int count,
	       int *concerned)
{
	int rc;

	if (c->begin)
		c->begin();
	if (import)
		inject("%s %d %d %d hmem 0", import->function, import->failure, k, count);
	rc = c->run();
	*concerned = import ? inject_end(import->function) : 0;
	return rc;
}

/* Back to the state before it. */
static void unrun(const struct command *c, int rc, int *wrong)
{
	if (!rc && !data_is_there()) {
		tap_diag("%s: the data is not there", c->name);
		++*wrong;
	}
	if (!rc)
		c->undo();
	if (c->end)
		c->end();
}

/* Returns whether something was wrong. */
static bool fail(const struct command *c, const struct import *import, int k, int count,
		 const char *before)
{
	int concerned, bad = 0, rc = run(c, import, k, count, &concerned);

	unrun(c, rc, &bad);
	bad += !documented(rc) || !concerned || !as_before(before) || !data_is_there();
	if (bad)
		tap_diag("%s: call %d%s of %s fails: %s", c->name, k, count ? "" : " and later",
			 import->function, strerrorname_np(-rc));
	return bad;
}

/* Objects in the caches that the module's own come from, none of them free. */
static long objects(char worst[64], const long *before, long *now)
{
	long most = 0;
	glob_t found;
	FILE *f;

	/* What CPUs and partial slabs keep for the next one is counted otherwise. */
	if (glob("/sys/kernel/slab/kmalloc-*/shrink", 0, NULL, &found))
		tap_bail("no /sys/kernel/slab");
	for (size_t n = 0; n < found.gl_pathc; n++) {
		f = fopen(found.gl_pathv[n], "we");
		if (f)
			fprintf(f, "1\n");
		if (f)
			fclose(f);
	}
	globfree(&found);
	f = fopen("/proc/slabinfo", "re");
	for (int i = 0; f && i < MAX_CACHES;) {
		char line[512], name[64];
		long active;

		if (!fgets(line, sizeof(line), f))
			break;
		if (sscanf(line, "%63s %ld", name, &active) != 2)
			continue;
		now[i] = active;
		if (before && !strncmp(name, "kmalloc-", 8) && active - before[i] > most) {
			most = active - before[i];
			strcpy(worst, name);
		}
		i++;
	}
	if (f)
		fclose(f);
	return most;
}

/* How many more objects there are after as many failures of each kind as there are rounds. */
static long left_behind(const struct command *c, const int *calls, char worst[64])
{
	static long before[MAX_CACHES], after[MAX_CACHES];
	int concerned, wrong = 0, rc;
	long most;

	objects(worst, NULL, before);
	for (unsigned int i = 0; i < COUNT(imports); i++) {
		for (int round = 0; round < c->rounds && calls[i]; round++) {
			rc = run(c, &imports[i], calls[i], 1, &concerned);
			unrun(c, rc, &wrong);
		}
	}
	/* A CPU may have taken a slab just now, which counts as a whole; that passes. */
	for (int tries = 0; (most = objects(worst, before, after)) >= c->rounds / 2 && tries < 20;
	     tries++)
		usleep(100000);
	tap_diag("%s: %ld more in %s", c->name, most, worst);
	return most;
}

/*
 * Many failures of each kind: an object that each leaves behind would be seen, and seen again
 * every time. What the rest of the system takes from the same caches meanwhile is not.
 */
static void leaks(const struct command *c, const int *calls)
{
	char worst[64] = "";
	bool lost = true;

	for (int batch = 0; lost && batch < 4; batch++)
		lost = left_behind(c, calls, worst) >= c->rounds / 2;
	TAP_OK(!lost, "%s: nothing is lost by failing %d times in each way", c->name, c->rounds);
}

static bool may_fail(const struct command *c, int i)
{
	return strcmp(imports[i].function, RECORD) ? !absent[i] : c->records;
}

/* One command, with every call of every function failing in turn. */
static void check(const struct command *c)
{
	int wrong = 0, failures = 0, calls[COUNT(imports)], rc, concerned;
	char *before = state();

	if (c->begin)
		c->begin();
	for (unsigned int i = 0; i < COUNT(imports); i++)
		if (may_fail(c, i))
			inject("%s pass 1 0 hmem 0", imports[i].function);
	must(c->run(), c->name);
	for (unsigned int i = 0; i < COUNT(imports); i++)
		calls[i] = may_fail(c, i) ? inject_look(imports[i].function) : 0;
	inject("\n");
	unrun(c, 0, &wrong);

	for (unsigned int i = 0; i < COUNT(imports); i++) {
		for (int k = 1; k <= calls[i]; k++) {
			wrong += fail(c, &imports[i], k, 1, before);
			/* And all that follow: the way back must not need what was missing. */
			if (!c->again)
				wrong += fail(c, &imports[i], k, 0, before);
			failures++;
		}
	}
	TAP_OK(failures > 0, "%s: there are calls that can fail", c->name);
	TAP_EQ(wrong, 0, "%s: %d failures are reported, or got over, and leave nothing", c->name,
	       failures);
	rc = run(c, NULL, 0, 0, &concerned);
	TAP_EQ(rc, 0, "%s: works after that", c->name);
	unrun(c, rc, &wrong);
	TAP_OK(!wrong && as_before(before), "%s: and everything is as it was", c->name);
	free(before);
	if (c->rounds)
		leaks(c, calls);
}

/* Every import whose name says that it can fail is in one of the lists. */
static void check_imports(void)
{
	FILE *f = popen("nm -u /root/hmem.ko", "re");
	char line[256], name[200];
	int unknown = 0, seen = 0;

	for (unsigned int i = 0; i < COUNT(imports); i++)
		absent[i] = true;
	while (f && fgets(line, sizeof(line), f)) {
		static const char *const sounds[] = {
			"alloc", "add", "register", "get_free", "get_zeroed", "mount", "remap",
			"request", "find_device", "_lock_", "_copy_from_user", "symbol_get", "_name",
			"init_pseudo", "kstrto",
		};
		bool doubtful = false, listed = false;

		if (sscanf(line, " U %199s", name) != 1)
			continue;
		for (unsigned int i = 0; i < COUNT(imports); i++)
			if (!strcmp(imports[i].function, name))
				listed = true, absent[i] = false;
		for (unsigned int i = 0; i < COUNT(others); i++)
			listed |= !strcmp(others[i], name);
		for (unsigned int i = 0; i < COUNT(sounds); i++)
			doubtful |= !!strstr(name, sounds[i]);
		seen += listed;
		if (doubtful && !listed && !strstr(name, "unregister") &&
		    !strstr(name, "deregister") && !strstr(name, "unmount")) {
			tap_diag("%s can fail, it seems", name);
			unknown++;
		}
	}
	if (f)
		pclose(f);
	TAP_OK(seen > 20, "the module's imports are known");
	TAP_EQ(unknown, 0, "each that can fail is made to");
}

int main(void)
{
	control = must_begin_inject();
	touch_catch();
	check_imports();
	must_cxl("ram", volatile_cxl);
	must_cxl("pmem", pmem);

	close(control);
	must(module_unload(), "unload");
	check(&first);
	must(module_load(), "load");
	control = control_open();
	must(control, CONTROL);

	/* The first attach after insmod does more than the next. */
	must(do_format(), "format");
	undo_attach();
	check(&format);
	must(do_attach(), "attach");
	must(region_create_as(control, "a", POOL, 3 * EXTENT, USER_UID, 0, 0640), "create");
	must(region_create(control, "b", POOL, 2 * EXTENT), "create");
	must(region_create(control, "c", POOL, EXTENT), "create");
	make_data();
	must(pool_detach(control, POOL), "detach");
	for (unsigned int i = 0; i < COUNT(detached); i++)
		check(&detached[i]);
	must(do_attach(), "attach");
	for (unsigned int i = 0; i < COUNT(attached); i++)
		check(&attached[i]);

	sweep(control);
	cxl_end(pmem);
	cxl_end(volatile_cxl);
	return tap_done();
}
