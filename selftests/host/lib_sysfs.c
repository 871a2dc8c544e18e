// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking at pools and regions through sysfs, on a captured tree: what is there, what
 * is half there, and what vanishes while one looks.
 */
#include <hmem/hmem.h>

#include "sysroot.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

static void pool(const char *name, const char *file, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/class/hmem_pool/%s/%s", name, file);
	scratch_write(path, value);
}

static void region(const char *name, const char *file, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/class/hmem/%s/%s", name, file);
	scratch_write(path, value);
}

static void make_pool(const char *name)
{
	pool(name, "provider", "cxl\n");
	pool(name, "source", "region0\n");
	pool(name, "size", "268435456\n");
	pool(name, "free", "134217728\n");
	pool(name, "regions", "2\n");
	pool(name, "persistent", "1\n");
	pool(name, "uuid", "00112233-4455-6677-8899-AABBCCDDEEFF\n");
	pool(name, "numa_node", "-1\n");
	pool(name, "extent_size", "2097152\n");
}

static void make_region(const char *name)
{
	region(name, "size", "8388608\n");
	region(name, "pool", "fast\n");
	region(name, "persistent", "0\n");
	region(name, "uid", "1000\n");
	region(name, "gid", "4294967294\n");
	region(name, "mode", "0640\n");
	region(name, "uuid", "00112233-4455-6677-8899-aabbccddeeff\n");
	region(name, "numa_node", "1\n");
	region(name, "extent_size", "2097152\n");
	region(name, "faults", "12\n");
	region(name, "extents_used", "3\n");
}

static const uint8_t uuid[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
				  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };

/* The names that were seen, in their order. */
static char seen[512];

static int see_pool(void *arg, const struct hmem_pool_info *info)
{
	(void)arg;
	sprintf(seen + strlen(seen), "%s ", info->name);
	return 0;
}

static int see_region(void *arg, const struct hmem_region_info *info)
{
	sprintf(seen + strlen(seen), "%s ", info->name);
	/* Destroyed by somebody else between two visits. */
	if (arg)
		nftw(arg, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static int stop(void *arg, const struct hmem_pool_info *info)
{
	(void)info;
	++*(int *)arg;
	return -ECANCELED;
}

static void nothing(void)
{
	TAP_EQ(hmem_pool_iterate(ctx, see_pool, NULL), 0, "no module, no pools");
	TAP_EQ(hmem_region_iterate(ctx, see_region, NULL), 0, "and no regions");
	TAP_STR_EQ(seen, "", "nothing is seen");
	TAP_EQ(hmem_pool_iterate(NULL, see_pool, NULL), -EINVAL, "no context");
	TAP_EQ(hmem_pool_iterate(ctx, NULL, NULL), -EINVAL, "no visitor");
	scratch_write("sys/class/hmem", "");
	TAP_EQ(hmem_region_iterate(ctx, see_region, NULL), 0, "a file where a directory should be");
	unlink(scratch_path("sys/class/hmem"));
}

static void pools(void)
{
	struct {
		struct hmem_pool_info info;
		unsigned char more[8];
	} newer = { .info.size = sizeof(newer), .more = { 1, 1, 1, 1, 1, 1, 1, 1 } };
	struct hmem_pool_info info = { .size = sizeof(info) };
	char long_name[65];
	int count = 0;

	memset(long_name, 'x', 64);
	long_name[64] = '\0';
	make_pool("pool10");
	make_pool("pool9");
	pool("pool9", "provider", "ram\n");
	pool("pool9", "source", "\n");
	pool("pool9", "numa_node", "3\n");
	pool("pool9", "persistent", "0\n");
	pool("pool9", "uuid", "00000000-0000-0000-0000-000000000000\n");

	TAP_EQ(hmem_pool_get_info(ctx, "pool10", &info), 0, "a pool is known");
	TAP_STR_EQ(info.name, "pool10", "its name");
	TAP_STR_EQ(info.provider, "cxl", "its provider");
	TAP_STR_EQ(info.source, "region0", "its source");
	TAP_OK(info.bytes == 256 * MI && info.free_bytes == 128 * MI && info.regions == 2,
	       "how much there is");
	TAP_OK(info.persistent && info.nid == -1, "what it is");
	TAP_OK(!memcmp(info.uuid, uuid, 16), "its identity");
	TAP_EQ(hmem_pool_get_info(ctx, "pool9", &info), 0, "another pool");
	TAP_OK(!info.persistent && info.nid == 3 && !*info.source, "is of another kind");
	TAP_EQ(hmem_pool_get_info(ctx, "pool9", &newer.info), 0, "an info of a newer header");
	TAP_OK(!newer.more[0] && !newer.more[7], "is zero where we know nothing");

	info.size = 0;
	TAP_EQ(hmem_pool_get_info(ctx, "pool9", &info), -EINVAL, "an info without its size");
	info.size = sizeof(info);
	TAP_EQ(hmem_pool_get_info(ctx, "pool9", NULL), -EINVAL, "no info");
	TAP_EQ(hmem_pool_get_info(NULL, "pool9", &info), -EINVAL, "no context");
	TAP_EQ(hmem_pool_get_info(ctx, NULL, &info), -EINVAL, "no name");
	TAP_EQ(hmem_pool_get_info(ctx, "..", &info), -EINVAL, "a bad name");
	TAP_EQ(hmem_pool_get_info(ctx, long_name, &info), -ENAMETOOLONG, "a long name");
	scratch_write("dev/hmem/control", "");
	TAP_EQ(hmem_pool_get_info(ctx, "pool1", &info), -ENOENT, "a pool that is not there");
	TAP_OK(strstr(hmem_last_error(ctx), "no pool pool1"), "and the message says so");

	TAP_EQ(hmem_pool_iterate(ctx, see_pool, NULL), 0, "pools are visited");
	TAP_STR_EQ(seen, "pool9 pool10 ", "in the order of their numbers");
	TAP_EQ(hmem_pool_iterate(ctx, stop, &count), -ECANCELED, "a visitor stops it");
	TAP_EQ(count, 1, "at once");
}

/* Every attribute in turn is missing, empty, nonsense, too long. */
static void broken_pools(void)
{
	static const char *const numbers[] = {
		"size", "free", "regions", "persistent", "numa_node", "uuid",
	};
	static const char *const nonsense[] = {
		"", "\n", "x\n", "12x\n", " 1\n", "--1\n", "0x\n", "99999999999999999999999\n",
	};
	struct hmem_pool_info info = { .size = sizeof(info), .bytes = 4711 };
	char text[200];

	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		for (size_t j = 0; j < sizeof(nonsense) / sizeof(nonsense[0]); j++) {
			make_pool("bad");
			pool("bad", numbers[i], nonsense[j]);
			TAP_EQ(hmem_pool_get_info(ctx, "bad", &info), -EIO, "%s, nonsense %zu",
			       numbers[i], j);
		}
		pool("bad", numbers[i], text);
		TAP_EQ(hmem_pool_get_info(ctx, "bad", &info), -EIO, "%s is too long", numbers[i]);
		TAP_OK(strstr(hmem_last_error(ctx), "hmem_pool/bad"), "%s is where", numbers[i]);
		unlink(scratch_path("sys/class/hmem_pool/bad/%s", numbers[i]));
		TAP_EQ(hmem_pool_get_info(ctx, "bad", &info), -EIO, "%s is missing", numbers[i]);
	}
	make_pool("bad");
	pool("bad", "provider", text);
	TAP_EQ(hmem_pool_get_info(ctx, "bad", &info), -EIO, "provider is too long");
	TAP_EQ(info.bytes, 4711, "nothing is written");
	TAP_EQ(hmem_pool_iterate(ctx, see_pool, NULL), -EIO, "visiting says so too");
}

static void regions(void)
{
	struct hmem_region_info info = { .size = sizeof(info) };

	make_region("db10");
	make_region("db9");
	make_region("db11");
	region("db9", "persistent", "1\n");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "db10", &info), 0, "a region is known");
	TAP_STR_EQ(info.name, "hmem:db10", "its full name");
	TAP_STR_EQ(info.pool, "fast", "its pool");
	TAP_OK(info.bytes == 8 * MI && info.granularity == 2 * MI && info.faults == 12,
	       "its sizes");
	TAP_OK(info.uid == 1000 && info.gid == 4294967294 && info.mode == 0640, "whose it is");
	TAP_EQ(info.nid, 1, "its node");
	TAP_EQ(info.caps, HMEM_CAP_RESIZE | HMEM_CAP_SHARED, "what it can");
	TAP_OK(!memcmp(info.uuid, uuid, 16), "its identity");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "hmem:db9", &info), 0, "another region");
	TAP_OK(info.caps & HMEM_CAP_PERSISTENT, "is persistent");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "db1", &info), -ENOENT, "one that is not there");
	TAP_OK(strstr(hmem_last_error(ctx), "no region db1"), "and the message says so");

	*seen = '\0';
	TAP_EQ(hmem_region_iterate(ctx, see_region, NULL), 0, "regions are visited");
	TAP_STR_EQ(seen, "hmem:db9 hmem:db10 hmem:db11 ", "in the order of their numbers");
	region("...", "size", "1\n");
	region("-bad", "size", "1\n");
	*seen = '\0';
	TAP_EQ(hmem_region_iterate(ctx, see_region, NULL), 0, "entries that are no regions");
	TAP_STR_EQ(seen, "hmem:db9 hmem:db10 hmem:db11 ", "are passed over");
	*seen = '\0';
	TAP_EQ(hmem_region_iterate(ctx, see_region, (void *)scratch_path("sys/class/hmem/db11")), 0,
	       "a region vanishes meanwhile");
	TAP_STR_EQ(seen, "hmem:db9 hmem:db10 ", "and is not seen");
}

static void broken_regions(void)
{
	static const char *const all[] = {
		"size", "pool", "persistent", "uid",	     "gid",
		"mode", "uuid", "numa_node",  "extent_size", "faults",
	};
	struct hmem_region_info info = { .size = sizeof(info), .bytes = 4711 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		make_region("db10");
		unlink(scratch_path("sys/class/hmem/db10/%s", all[i]));
		TAP_EQ(hmem_region_get_info_by_name(ctx, "db10", &info), -EIO, "%s is missing",
		       all[i]);
	}
	make_region("db10");
	region("db10", "mode", "0689\n");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "db10", &info), -EIO, "a mode that is not octal");
	TAP_EQ(info.bytes, 4711, "nothing is written");
	TAP_EQ(hmem_region_iterate(ctx, see_region, NULL), -EIO, "visiting says so too");
	make_region("db10");
}

static void long_sysroot(void)
{
	struct hmem_pool_info info = { .size = sizeof(info) };
	struct hmem_region *region_handle;
	char root[PATH_MAX + 10];

	memset(root, '/', sizeof(root) - 1);
	root[sizeof(root) - 1] = '\0';
	hmem_ctx_set_sysroot(ctx, root);
	TAP_EQ(hmem_pool_iterate(ctx, see_pool, NULL), -ENAMETOOLONG, "a sysroot that is too long");
	TAP_EQ(hmem_pool_get_info(ctx, "fast", &info), -ENAMETOOLONG, "for pools");
	TAP_EQ(hmem_region_open(ctx, "hmem:db", 0, &region_handle), -ENAMETOOLONG, "for regions");
	TAP_EQ(hmem_region_destroy(ctx, "hmem:db"), -ENAMETOOLONG, "for the control device");
	root[PATH_MAX - 10] = '\0';
	hmem_ctx_set_sysroot(ctx, root);
	TAP_EQ(hmem_pool_iterate(ctx, see_pool, NULL), -ENAMETOOLONG, "one that leaves no room");
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	nothing();
	pools();
	broken_pools();
	regions();
	broken_regions();
	long_sysroot();
	hmem_ctx_unref(ctx);
	return tap_done();
}
