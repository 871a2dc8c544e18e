// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions come, change their size and go; whose they are, and that what they took is
 * given back to the last byte.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "fixture.h"

#define POOL		"rl"
#define EXTENTS		32

static int control;

static int64_t free_extents(void)
{
	return pool_free(POOL) / (int64_t)EXTENT;
}

static void sizes(void)
{
	static const uint64_t too_many[] = { (EXTENTS + 1) * EXTENT, EXTENTS * EXTENT + 1,
					     1ULL << 40, 1ULL << 62 };
	static const uint64_t absurd[] = { 1ULL << 63, (1ULL << 63) - 1, UINT64_MAX,
					   UINT64_MAX - EXTENT + 1, UINT64_MAX - EXTENT };
	struct hmem_region_create c = { .size = sizeof(c), .mode = 0600, .name = "a",
					.pool = POOL };
	struct hmem_region_resize r = { .size = sizeof(r), .name = "a" };
	unsigned int i;
	int rc;

	TAP_EQ(region_create(control, "a", POOL, 0), -EINVAL, "create 0 bytes");
	for (i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++)
		TAP_EQ(region_create(control, "a", POOL, too_many[i]), -ENOSPC,
		       "create %#llx bytes", (unsigned long long)too_many[i]);
	for (i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
		rc = region_create(control, "a", POOL, absurd[i]);
		TAP_OK(rc == -ENOSPC || rc == -EINVAL, "create %#llx bytes (%d)",
		       (unsigned long long)absurd[i], rc);
	}
	TAP_EQ(free_extents(), EXTENTS, "none of these took anything");

	c.bytes = EXTENT + 1;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, &c), 0, "create an extent and a byte");
	TAP_EQ(c.bytes, 2 * EXTENT, "gives two extents");
	TAP_EQ(free_extents(), EXTENTS - 2, "which the pool has no more");
	TAP_EQ(region_create(control, "b", POOL, (EXTENTS - 1) * EXTENT), -ENOSPC,
	       "one more than is left");
	TAP_EQ(region_create(control, "b", POOL, (EXTENTS - 2) * EXTENT), 0, "all that is left");
	TAP_EQ(region_create(control, "c", POOL, 1), -ENOSPC, "a byte from a full pool");
	TAP_EQ(region_create(control, "c", "", 1), -ENOSPC, "a byte from any pool, all full");
	TAP_EQ(region_resize(control, "a", 2 * EXTENT + 1), -ENOSPC, "grow in a full pool");
	TAP_EQ(region_destroy(control, "b"), 0, "destroy");

	TAP_EQ(region_resize(control, "a", 0), -EINVAL, "resize to 0");
	for (i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++)
		TAP_EQ(region_resize(control, "a", too_many[i]), -ENOSPC, "resize to %#llx",
		       (unsigned long long)too_many[i]);
	for (i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++) {
		rc = region_resize(control, "a", absurd[i]);
		TAP_OK(rc == -ENOSPC || rc == -EINVAL, "resize to %#llx (%d)",
		       (unsigned long long)absurd[i], rc);
	}
	TAP_EQ(sysfs_number("hmem", "a", "size"), 2 * EXTENT, "the size is as it was");
	r.bytes = 3 * EXTENT - 1;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_RESIZE, &r), 0, "grow");
	TAP_EQ(r.bytes, 3 * EXTENT, "says what was obtained");
	TAP_EQ(sysfs_number("hmem", "a", "size"), 3 * EXTENT, "the size in sysfs follows");
	TAP_EQ(free_extents(), EXTENTS - 3, "an extent more is taken");
	TAP_EQ(region_resize(control, "a", EXTENTS * EXTENT), 0, "grow to the whole pool");
	TAP_EQ(free_extents(), 0, "which is full then");
	TAP_EQ(region_resize(control, "a", 1), 0, "shrink to a byte");
	TAP_EQ(free_extents(), EXTENTS - 1, "leaves an extent");
	TAP_EQ(region_destroy(control, "a"), 0, "destroy");
	TAP_EQ(free_extents(), EXTENTS, "everything is back");
}

static void names(void)
{
	struct hmem_region_query first, second;
	int fd;

	TAP_EQ(region_create(control, "a", "nopool", EXTENT), -ENOENT, "create in no such pool");
	TAP_EQ(region_destroy(control, "a"), -ENOENT, "destroy no such region");
	TAP_EQ(region_resize(control, "a", EXTENT), -ENOENT, "resize no such region");
	TAP_EQ(pool_detach(control, "nopool"), -ENOENT, "detach no such pool");
	TAP_EQ(region_open("a", O_RDWR), -ENOENT, "open no such region");

	must(region_create(control, "a", POOL, EXTENT), "create");
	TAP_EQ(region_create(control, "a", POOL, EXTENT), -EEXIST, "create twice");
	TAP_EQ(region_create(control, "A", POOL, EXTENT), 0, "case matters");
	TAP_EQ(region_destroy(control, "A"), 0, "destroy");
	must(pool_attach_ram(control, "rl2", EXTENT), "attach a second pool");
	TAP_EQ(region_create(control, "a", "rl2", EXTENT), -EEXIST,
	       "names are one space over all pools");
	TAP_EQ(pool_free("rl2"), EXTENT, "the second pool lost nothing by it");
	TAP_EQ(pool_detach(control, "rl2"), 0, "detach the second pool");

	fd = must_open("a", O_RDWR);
	must(region_info(fd, &first), "info");
	TAP_OK(!strcmp(first.name, "a") && !strcmp(first.pool, POOL) && first.bytes == EXTENT &&
	       first.extent_size == EXTENT && !first.state && first.mode == 0600,
	       "INFO says what it is");
	close(fd);
	must(region_destroy(control, "a"), "destroy");
	TAP_OK(access("/dev/hmem/a", F_OK), "its device node is gone");
	TAP_OK(access("/sys/class/hmem/a", F_OK), "and so is its sysfs directory");
	must(region_create(control, "a", POOL, EXTENT), "create");
	fd = must_open("a", O_RDWR);
	must(region_info(fd, &second), "info");
	close(fd);
	TAP_OK(memcmp(first.uuid, second.uuid, 16), "a new region of the old name is another one");
	TAP_OK(!all_bytes((char *)second.uuid, 15, 0), "and has an identity");
	must(region_destroy(control, "a"), "destroy");
}

struct access_case {
	const char *name;
	int flags, want;
};

static int try_open(void *argument)
{
	const struct access_case *c = argument;
	int fd = region_open(c->name, c->flags);

	if (fd >= 0)
		close(fd);
	return (fd >= 0 ? 0 : fd) != c->want;
}

static void may_open(uid_t uid, const char *name, int flags, int want, const char *what)
{
	struct access_case c = { name, flags, want };

	TAP_EQ(run_as(uid, try_open, &c), 0, "%s", what);
}

static void owners(void)
{
	static const unsigned int modes[] = { 0, 0400, 0444, 0600, 0640, 0666, 0750, 0777 };
	struct hmem_region_query info;
	struct stat st;
	char text[32];
	int fd;

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		must(region_create_as(control, "o", POOL, EXTENT, USER_UID, OTHER_UID, modes[i]),
		     "create");
		TAP_OK(!stat("/dev/hmem/o", &st) && st.st_uid == USER_UID &&
		       st.st_gid == OTHER_UID && S_ISCHR(st.st_mode) &&
		       (st.st_mode & 07777) == modes[i], "mode %04o, owner and group (%o %u:%u)",
		       modes[i], st.st_mode, st.st_uid, st.st_gid);
		must(region_destroy(control, "o"), "destroy");
	}
	must(region_create_as(control, "o", POOL, EXTENT, USER_UID, OTHER_UID, 0640), "create");
	TAP_EQ(sysfs_number("hmem", "o", "uid"), USER_UID, "uid in sysfs");
	TAP_EQ(sysfs_number("hmem", "o", "gid"), OTHER_UID, "gid in sysfs");
	FILE *f = fopen("/sys/class/hmem/o/mode", "re");

	TAP_OK(f && fgets(text, sizeof(text), f) && !strcmp(text, "0640\n"), "mode in sysfs");
	if (f)
		fclose(f);
	fd = must_open("o", O_RDONLY);
	must(region_info(fd, &info), "info");
	TAP_OK(info.uid == USER_UID && info.gid == OTHER_UID && info.mode == 0640,
	       "INFO says whose it is");
	close(fd);
	may_open(USER_UID, "o", O_RDWR, 0, "the owner opens it for writing");
	may_open(OTHER_UID, "o", O_RDONLY, 0, "its group opens it for reading");
	may_open(OTHER_UID, "o", O_RDWR, -EACCES, "but not for writing");
	must(region_create_as(control, "p", POOL, EXTENT, USER_UID, USER_UID, 0600), "create");
	may_open(OTHER_UID, "p", O_RDONLY, -EACCES, "another user's region cannot be read");
	may_open(OTHER_UID, "p", O_RDWR, -EACCES, "nor written");
	TAP_EQ(chmod("/dev/hmem/p", 0666), 0, "root may open it up");
	may_open(OTHER_UID, "p", O_RDWR, 0, "as with every file");
	must(region_create_as(control, "q", POOL, EXTENT, USER_UID, USER_UID, 0), "create");
	may_open(USER_UID, "q", O_RDONLY, -EACCES, "mode 0 keeps even its owner out");
	must(region_destroy(control, "o"), "destroy");
	must(region_destroy(control, "p"), "destroy");
	must(region_destroy(control, "q"), "destroy");
}

/* Both reasons hold for a volatile pool; the contract does not say which comes first. */
static void refuses_to_detach(const char *what)
{
	int rc = pool_detach(control, POOL);

	TAP_OK(rc == -EBUSY || rc == -ENOTEMPTY, "%s (%d)", what, rc);
}

static void in_use(void)
{
	int fd, ready[2], go[2];
	char *p, byte;
	pid_t pid;

	must(region_create(control, "u", POOL, 2 * EXTENT), "create");
	TAP_EQ(pool_detach(control, POOL), -ENOTEMPTY, "detach a volatile pool with a region");
	fd = must_open("u", O_RDWR);
	TAP_EQ(region_destroy(control, "u"), -EBUSY, "destroy an open region");
	refuses_to_detach("detach a pool with an open region");
	p = must_map(fd, 2 * EXTENT);
	close(fd);
	TAP_EQ(region_destroy(control, "u"), -EBUSY, "destroy a mapped region, never touched");
	p[0] = 1;
	TAP_EQ(region_destroy(control, "u"), -EBUSY, "destroy a mapped region");
	refuses_to_detach("detach a pool with a mapped region");
	munmap(p, EXTENT);
	TAP_EQ(region_destroy(control, "u"), -EBUSY, "destroy it while its second half is mapped");
	if (pipe(ready) || pipe(go))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		byte = 0;
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		close(go[1]);
		_exit(read(go[0], &byte, 1) < 0);
	}
	close(go[0]);
	if (read(ready[0], &byte, 1) != 1)
		tap_bail("the child does not answer");
	munmap(p + EXTENT, EXTENT);
	TAP_EQ(region_destroy(control, "u"), -EBUSY, "destroy it while a forked child maps it");
	close(go[1]);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	TAP_EQ(region_destroy(control, "u"), 0, "destroy it when nobody does");
	TAP_EQ(pool_detach(control, POOL), 0, "detach an empty pool");
	TAP_EQ(pool_detach(control, POOL), -ENOENT, "detach it twice");
	int rc = region_create(control, "u", "", EXTENT);

	TAP_OK(rc == -ENOENT || rc == -ENOSPC, "create with no pool at all (%d)", rc);
	must(pool_attach_ram(control, POOL, EXTENTS * EXTENT), "attach again");
}

/* A region is made of extents wherever they are free. */
static void fragments(void)
{
	char name[16];
	char *p;
	int fd;

	for (int i = 0; i < EXTENTS; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		must(region_create(control, name, POOL, EXTENT), "create");
	}
	for (int i = 0; i < EXTENTS; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		must(region_destroy(control, name), "destroy");
	}
	if (!TAP_EQ(region_create(control, "whole", POOL, EXTENTS / 2 * EXTENT), 0,
		    "a region from extents that are nowhere adjacent"))
		return;
	fd = must_open("whole", O_RDWR);
	p = must_map(fd, EXTENTS / 2 * EXTENT);
	for (int i = 0; i < EXTENTS / 2; i++)
		p[i * EXTENT] = p[(i + 1) * EXTENT - 1] = i + 1;
	bool good = true;

	for (int i = 0; i < EXTENTS / 2; i++)
		if (p[i * EXTENT] != i + 1 || p[(i + 1) * EXTENT - 1] != i + 1)
			good = false;
	TAP_OK(good, "each of them is a place of its own");
	munmap(p, EXTENTS / 2 * EXTENT);
	close(fd);
	fd = must_open("f1", O_RDWR);
	p = must_map(fd, EXTENT);
	TAP_OK(pages_hold(p, EXTENT, 0), "and nobody else's");
	munmap(p, EXTENT);
	close(fd);
	sweep(control);
	must(pool_attach_ram(control, POOL, EXTENTS * EXTENT), "attach again");
}

int main(void)
{
	control = must_begin();
	must(pool_attach_ram(control, POOL, EXTENTS * EXTENT), "attach a pool");
	TAP_EQ(sysfs_number("hmem_pool", POOL, "size"), EXTENTS * EXTENT, "the pool has its size");
	TAP_EQ(free_extents(), EXTENTS, "all of it is free");
	sizes();
	names();
	owners();
	in_use();
	fragments();
	TAP_EQ(free_extents(), EXTENTS, "at the end all of it is free");
	TAP_EQ(sysfs_number("hmem_pool", POOL, "regions"), 0, "and has no regions");
	return tap_done();
}
