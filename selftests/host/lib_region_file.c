// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file provider: what it makes, what it opens, what it refuses, and what becomes of
 * files that are read-only, truncated, full or not files at all.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <hmem/hmem.h>

#include "sysroot.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

/* The name of a file below the scratch directory. */
static const char *at(const char *file)
{
	static char names[4][PATH_MAX + 64];
	static unsigned int next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "file:%s/%s", scratch(), file);
	return name;
}

static struct hmem_region *create(const char *name, uint64_t bytes)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;

	options.bytes = bytes;
	if (hmem_region_create(ctx, name, &options, &region))
		tap_bail("%s", hmem_last_error(ctx));
	return region;
}

static int try_create(const char *name, uint64_t bytes, unsigned int flags)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	options.bytes = bytes;
	options.flags = flags;
	return hmem_region_create(ctx, name, &options, NULL);
}

static uint64_t size_of(const char *name)
{
	struct hmem_region_info info = { .size = sizeof(info) };

	if (hmem_region_get_info_by_name(ctx, name, &info))
		return 0;
	return info.bytes;
}

static void message(const char *sentence)
{
	if (!TAP_OK(strstr(hmem_last_error(ctx), sentence), "the message says \"%s\"", sentence))
		tap_diag("%s", hmem_last_error(ctx));
}

static void life(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region, *reader;
	unsigned char *data, *view;
	struct statfs fs;
	size_t length;
	struct stat st;
	bool zero = true;
	void *address;

	umask(077);
	options.bytes = 4 * MI + 1;
	options.mode = 0644;
	options.flags = HMEM_CREATE_EXCLUSIVE;
	TAP_EQ(hmem_region_create(ctx, at("life"), &options, &region), 0, "a file is made");
	TAP_EQ(stat(scratch_path("life"), &st), 0, "and is there");
	TAP_EQ(st.st_size, 4 * MI + 4096, "its size is rounded up to pages");
	TAP_OK((uint64_t)st.st_blocks * 512 >= 4 * MI, "every byte is allocated");
	TAP_EQ(st.st_mode & 07777, 0644, "its mode is as asked, whatever the umask");
	TAP_EQ(hmem_region_create(ctx, at("life"), &options, &region), -EEXIST,
	       "making it again is refused");
	message("exists");

	TAP_EQ(hmem_region_get_info(region, &info), 0, "it tells what it is");
	TAP_EQ(info.bytes, 4 * MI + 4096, "its size");
	TAP_EQ(info.granularity, 4096, "its granularity");
	TAP_EQ(info.uid, geteuid(), "its owner");
	TAP_EQ(info.gid, getegid(), "its group");
	TAP_EQ(info.mode, 0644, "its mode");
	TAP_EQ(info.nid, -1, "no NUMA node");
	TAP_STR_EQ(info.name, at("life"), "its full name");
	TAP_STR_EQ(info.pool, "", "no pool");
	TAP_OK((info.caps & HMEM_CAP_RESIZE) && (info.caps & HMEM_CAP_SHARED), "what it can");
	statfs(scratch(), &fs);
	TAP_EQ(!!(info.caps & HMEM_CAP_PERSISTENT), fs.f_type != TMPFS_MAGIC,
	       "persistent unless on tmpfs");
	TAP_EQ(hmem_region_get_info_by_name(ctx, at("life"), &info), 0, "and without opening");
	TAP_EQ(info.mode, 0644, "the same mode");

	TAP_EQ(hmem_region_map(region, 0, 0, &address, &length), 0, "it is mapped");
	TAP_EQ(length, 4 * MI + 4096, "to its end");
	TAP_EQ((uintptr_t)address & (2 * MI - 1), 0, "at a 2 MiB boundary");
	data = address;
	for (size_t i = 0; i < length; i++)
		zero = zero && !data[i];
	TAP_OK(zero, "it reads as zeroes");
	memset(data, 0xa5, length);
	TAP_EQ(hmem_region_persist(region, data + 1, length - 1), 0, "it is made durable");
	TAP_EQ(hmem_region_persist(region, data, 0), 0, "nothing is made durable");

	TAP_EQ(hmem_region_open(ctx, at("life"), HMEM_OPEN_READ_ONLY, &reader), 0, "a reader");
	TAP_EQ(hmem_region_map(reader, 2 * MI, 4096, &address, NULL), 0, "maps a part");
	view = address;
	TAP_EQ(view[4095], 0xa5, "and sees the same bytes");
	data[2 * MI] = 7;
	TAP_EQ(view[0], 7, "and later stores");
	TAP_ERR(mprotect(view, 4096, PROT_READ | PROT_WRITE), EACCES, "and cannot write");
	TAP_EQ(hmem_region_persist(reader, view, 4096), 0, "persisting through it is legal");
	TAP_EQ(hmem_region_resize(reader, 8 * MI), -EPERM, "a reader cannot resize");
	message("read-only");
	TAP_EQ(hmem_region_unmap(reader, view, 4096), 0, "the part is unmapped");
	TAP_OK(hmem_region_ref(reader) == reader, "a reference is the region");
	hmem_region_close(reader);
	TAP_EQ(hmem_region_get_info(reader, &info), 0, "the second reference holds it");
	hmem_region_close(reader);

	hmem_region_close(region);
	data[0] = 9;
	TAP_EQ(hmem_region_unmap(NULL, data, length), 0, "a mapping outlives the handle");
	hmem_region_close(NULL);

	TAP_EQ(hmem_region_destroy(ctx, at("life")), 0, "it is destroyed");
	TAP_EQ(access(scratch_path("life"), F_OK), -1, "and gone");
	TAP_EQ(hmem_region_destroy(ctx, at("life")), -ENOENT, "it cannot be destroyed twice");
	TAP_EQ(hmem_region_get_info_by_name(ctx, at("life"), &info), -ENOENT, "nor asked");
	umask(022);
}

static void existing(void)
{
	struct hmem_region *region;
	unsigned char *data;
	void *address;
	struct stat st;

	scratch_write("old", "content");
	chmod(scratch_path("old"), 0604);
	region = create(at("old"), 8192);
	TAP_EQ(stat(scratch_path("old"), &st), 0, "a file that exists is opened by create");
	TAP_EQ(st.st_size, 8192, "and grown");
	TAP_EQ(st.st_mode & 07777, 0604, "its mode stays");
	if (hmem_region_map(region, 0, 0, &address, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	data = address;
	TAP_OK(!memcmp(data, "content", 8), "its content too");
	hmem_region_unmap(region, data, 8192);
	hmem_region_close(region);
	hmem_region_close(create(at("old"), 4096));
	TAP_EQ(size_of(at("old")), 8192, "it is never shrunk");
	TAP_EQ(try_create(at("old"), 4096, HMEM_CREATE_EXCLUSIVE), -EEXIST, "exclusive refuses");

	/* Sparse: the size is there, the space is not. */
	scratch_write("sparse", "");
	if (truncate(scratch_path("sparse"), 1 * MI))
		tap_bail("truncate: %s", strerror(errno));
	TAP_EQ(try_create(at("sparse"), 1 * MI, 0), 0, "a sparse file is taken");
	stat(scratch_path("sparse"), &st);
	TAP_OK((uint64_t)st.st_blocks * 512 >= 1 * MI, "and filled with space");
}

static void bad_sizes(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;
	int err;

	TAP_EQ(try_create(at("size"), 0, 0), -EINVAL, "0 bytes");
	message("at least one byte");
	TAP_EQ(try_create(at("size"), (uint64_t)1 << 63, 0), -EINVAL, "2^63 bytes");
	TAP_EQ(try_create(at("size"), UINT64_MAX, 0), -EINVAL, "2^64 - 1 bytes");
	TAP_EQ(try_create(at("size"), INT64_MAX, 0), -EINVAL, "2^63 - 1 bytes, rounded up");
	err = try_create(at("size"), INT64_MAX - 4095, 0);
	TAP_OK(err == -EFBIG || err == -ENOSPC, "2^63 - 4096 bytes, as the file system says");
	TAP_EQ(try_create(at("size"), 1, 0x40), -EINVAL, "an unknown flag");
	message("0x40");
	TAP_EQ(hmem_region_create(ctx, at("size"), NULL, &region), -EINVAL, "no options");
	TAP_EQ(hmem_region_create(NULL, at("size"), &options, &region), -EINVAL, "no context");
	options.bytes = 1;
	options.mode = 04755;
	TAP_EQ(hmem_region_create(ctx, at("size"), &options, &region), -EINVAL, "a setuid mode");
	message("04755");
	TAP_EQ(access(scratch_path("size"), F_OK), -1, "none of them leaves a file");
	TAP_EQ(try_create(at("size"), 1, 0), 0, "1 byte");
	TAP_EQ(size_of(at("size")), 4096, "is a page");
}

static void option_structs(void)
{
	struct {
		struct hmem_region_options options;
		char more[16];
	} newer = { .options = HMEM_REGION_OPTIONS_INIT };
	struct {
		struct hmem_region_info info;
		unsigned char more[16];
	} out = { .info.size = sizeof(out) };
	struct hmem_region_info info = { 0 };

	newer.options.bytes = 4096;
	newer.options.size = sizeof(newer);
	TAP_EQ(hmem_region_create(ctx, at("sized"), &newer.options, NULL), 0,
	       "options of a newer header, with nothing new in them");
	newer.more[15] = 1;
	TAP_EQ(hmem_region_create(ctx, at("sized"), &newer.options, NULL), -E2BIG,
	       "options of a newer header with something new");
	message("update");
	newer.options.size = offsetof(struct hmem_region_options, pools) - 1;
	TAP_EQ(hmem_region_create(ctx, at("sized"), &newer.options, NULL), -EINVAL,
	       "options smaller than any");
	newer.options.size = 0;
	TAP_EQ(hmem_region_create(ctx, at("sized"), &newer.options, NULL), -EINVAL,
	       "options without their size");
	message("sizeof(struct hmem_region_options)");
	newer.options.size = (size_t)1 << 40;
	TAP_EQ(hmem_region_create(ctx, at("sized"), &newer.options, NULL), -EINVAL,
	       "options whose size is nonsense");

	TAP_EQ(hmem_region_get_info_by_name(ctx, at("sized"), &info), -EINVAL,
	       "an info without its size");
	TAP_EQ(hmem_region_get_info_by_name(ctx, at("sized"), NULL), -EINVAL, "no info");
	memset(out.more, 0xff, sizeof(out.more));
	TAP_EQ(hmem_region_get_info_by_name(ctx, at("sized"), &out.info), 0,
	       "an info of a newer header");
	TAP_EQ(out.info.size, sizeof(out), "keeps its size");
	TAP_OK(!out.more[0] && !out.more[15], "and what is not known is zero");
}

static void bad_ranges(void)
{
	struct hmem_region *region = create(at("range"), 3 * 4096);
	char here = 0;
	void *mark = &here, *address = mark;
	size_t mapped = 4711;
	int err;

	static const struct {
		uint64_t offset;
		size_t length;
		const char *what;
	} bad[] = {
		{ 3 * 4096, 0, "from the end to the end" },
		{ 3 * 4096, 4096, "from the end" },
		{ 4 * 4096, 4096, "beyond the end" },
		{ 0, 4 * 4096, "more than there is" },
		{ 4096, 3 * 4096, "past the end" },
		{ 1, 4096, "an offset of 1" },
		{ 4095, 1, "an offset of 4095" },
		{ 0, 1, "a length of 1" },
		{ 4096, 4097, "a length of 4097" },
		{ (uint64_t)1 << 63, 4096, "an offset of 2^63" },
		{ -(uint64_t)4096, 4096, "an offset that wraps" },
		{ -(uint64_t)4096, 8192, "an end that wraps" },
		{ 4096, SIZE_MAX, "a length of 2^64 - 1" },
		{ 4096, SIZE_MAX - 4095, "an end of 2^64" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		TAP_EQ(hmem_region_map(region, bad[i].offset, bad[i].length, &address, &mapped),
		       -EINVAL, "mapping %s", bad[i].what);
	hmem_region_map(region, 3 * 4096, 0, &address, &mapped);
	message("past its end");
	TAP_OK(address == mark && mapped == 4711, "nothing is written");
	TAP_EQ(hmem_region_map(NULL, 0, 0, &address, NULL), -EINVAL, "mapping no region");
	TAP_EQ(hmem_region_map(region, 0, 0, NULL, NULL), -EINVAL, "mapping to nowhere");
	TAP_EQ(hmem_region_unmap(region, (void *)1, 4096), -EINVAL, "unmapping at 1");
	message("unmapping");
	TAP_EQ(hmem_region_unmap(NULL, (void *)4096, 0), -EINVAL, "unmapping nothing");
	TAP_EQ(hmem_region_persist(NULL, &here, 1), -EINVAL, "persisting no region");
	TAP_EQ(hmem_region_persist(region, (void *)-64, 128), -EINVAL,
	       "persisting a range that wraps");
	message("wrap");
	TAP_EQ(hmem_region_resize(NULL, 1), -EINVAL, "resizing no region");
	TAP_EQ(hmem_region_resize(region, 0), -EINVAL, "resizing to nothing");
	TAP_EQ(hmem_region_resize(region, (uint64_t)1 << 63), -EINVAL, "resizing to 2^63");
	TAP_EQ(hmem_region_resize(region, INT64_MAX), -EINVAL, "resizing to 2^63 - 1");
	err = hmem_region_resize(region, INT64_MAX - 4095);
	TAP_OK(err == -EFBIG || err == -ENOSPC, "resizing to 2^63 - 4096");
	TAP_EQ(size_of(at("range")), 3 * 4096, "its size is as before");
	TAP_EQ(hmem_region_get_info(NULL, NULL), -EINVAL, "asking no region");
	TAP_EQ(hmem_region_get_info(region, NULL), -EINVAL, "answering nowhere");
	TAP_EQ(hmem_region_open(ctx, at("range"), 0, NULL), -EINVAL, "opening to nowhere");
	TAP_EQ(hmem_region_open(ctx, at("range"), 0x80, &region), -EINVAL, "an unknown flag");
	TAP_EQ(hmem_region_open(NULL, at("range"), 0, &region), -EINVAL,
	       "opening without a context");
	TAP_EQ(hmem_region_destroy(NULL, at("range")), -EINVAL, "destroying without a context");
	TAP_EQ(hmem_region_get_info_by_name(NULL, at("range"), NULL), -EINVAL,
	       "asking without a context");
	hmem_region_close(region);
}

static void resizing(void)
{
	struct hmem_region *region = create(at("resize"), 4096);
	unsigned char *data;
	void *address;
	struct stat st;

	if (hmem_region_map(region, 0, 0, &address, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	data = address;
	data[0] = 42;
	TAP_EQ(hmem_region_resize(region, 3 * MI + 5), 0, "it grows");
	stat(scratch_path("resize"), &st);
	TAP_EQ(st.st_size, 3 * MI + 4096, "to whole pages");
	TAP_OK((uint64_t)st.st_blocks * 512 >= 3 * MI, "that are allocated");
	hmem_region_unmap(region, data, 4096);
	TAP_EQ(hmem_region_map(region, 2 * MI, 4096, &address, NULL), 0,
	       "what was added is mapped");
	hmem_region_unmap(region, address, 4096);
	TAP_EQ(hmem_region_resize(region, 1), 0, "it shrinks");
	TAP_EQ(size_of(at("resize")), 4096, "to a page");
	TAP_EQ(hmem_region_map(region, 2 * MI, 4096, &address, NULL), -EINVAL,
	       "what was taken is not mapped");
	message("past its end");
	TAP_EQ(hmem_region_resize(region, 2 * 4096), 0, "it grows again");
	TAP_EQ(hmem_region_map(region, 0, 0, &address, NULL), 0, "it is mapped");
	data = address;
	TAP_OK(data[0] == 42 && data[4096] == 0, "what stayed is there, what was added is zero");
	hmem_region_unmap(region, data, 8192);
	hmem_region_close(region);
}

static struct hmem_region *shared;

static void *resize_often(void *arg)
{
	uint64_t bytes = (uintptr_t)arg;
	int failed = 0;

	for (int i = 0; i < 50; i++)
		failed += !!hmem_region_resize(shared, bytes);
	return (void *)(uintptr_t)failed;
}

static void threads(void)
{
	pthread_t grow, shrink;
	void *failed[2];
	uint64_t size;

	shared = create(at("threads"), 4096);
	if (pthread_create(&grow, NULL, resize_often, (void *)(64 * 4096)) ||
	    pthread_create(&shrink, NULL, resize_often, (void *)(2 * 4096)))
		tap_bail("no thread");
	pthread_join(grow, &failed[0]);
	pthread_join(shrink, &failed[1]);
	TAP_OK(!failed[0] && !failed[1], "two threads resize one region");
	size = size_of(at("threads"));
	TAP_OK(size == 64 * 4096 || size == 2 * 4096, "and one of them was last");
	hmem_region_close(shared);
}

static void not_files(void)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;

	scratch_write("directory/file", "");
	TAP_EQ(hmem_region_open(ctx, at("directory"), 0, &region), -EISDIR, "opening a directory");
	message("is a directory");
	TAP_EQ(hmem_region_open(ctx, at("directory"), HMEM_OPEN_READ_ONLY, &region), -EISDIR,
	       "reading a directory");
	TAP_EQ(try_create(at("directory"), 4096, 0), -EISDIR, "creating a directory");
	TAP_EQ(hmem_region_destroy(ctx, at("directory")), -EISDIR, "destroying a directory");
	TAP_EQ(hmem_region_get_info_by_name(ctx, at("directory"), &info), -EISDIR,
	       "asking about a directory");
	TAP_EQ(access(scratch_path("directory/file"), F_OK), 0, "it is still there");

	TAP_EQ(try_create(at("nowhere/file"), 4096, 0), -ENOENT, "a directory that is not there");
	message("no such file or directory");
	TAP_EQ(try_create(at("directory/file/file"), 4096, 0), -ENOTDIR, "a file for a directory");
	message("not a directory");
	TAP_EQ(hmem_region_destroy(ctx, at("directory/file/file")), -ENOTDIR,
	       "destroying below it");

	if (mkfifo(scratch_path("fifo"), 0600))
		tap_bail("no FIFO: %s", strerror(errno));
	TAP_EQ(hmem_region_open(ctx, at("fifo"), HMEM_OPEN_READ_ONLY, &region), -EINVAL,
	       "a FIFO is not waited for");
	message("no regular file");
	TAP_EQ(hmem_region_destroy(ctx, at("fifo")), -EINVAL, "nor destroyed");
	TAP_EQ(hmem_region_open(ctx, "file:/dev/null", 0, &region), -EINVAL, "a device");
	message("dax:PATH");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "file:/dev/null", &info), -EINVAL,
	       "asking about a device");

	scratch_write("target", "");
	scratch_link("link", "target");
	TAP_EQ(try_create(at("link"), 4096, HMEM_CREATE_EXCLUSIVE), -EEXIST,
	       "a link is in the way of a new file");
	TAP_EQ(try_create(at("link"), 4096, 0), 0, "a link leads to a file");
	TAP_EQ(size_of(at("target")), 4096, "which grows");
	TAP_EQ(hmem_region_destroy(ctx, at("link")), 0, "destroying a link");
	TAP_EQ(access(scratch_path("target"), F_OK), 0, "leaves its target");
	scratch_link("dangling", "nothing");
	TAP_EQ(try_create(at("dangling"), 4096, 0), -ENOENT, "a link to nothing");
	message("symbolic link");
	TAP_EQ(access(scratch_path("nothing"), F_OK), -1, "makes nothing at its far end");
	scratch_link("loop", "loop");
	TAP_EQ(hmem_region_open(ctx, at("loop"), 0, &region), -ELOOP, "a link to itself");
	message("loop");
	TAP_EQ(try_create(at("loop"), 4096, 0), -ELOOP, "creating at a link to itself");
}

static void truncated(void)
{
	struct hmem_region *region = create(at("cut"), 4 * 4096), *empty;
	void *address;
	size_t length;

	if (truncate(scratch_path("cut"), 4096 + 100))
		tap_bail("truncate: %s", strerror(errno));
	TAP_EQ(hmem_region_map(region, 0, 4 * 4096, &address, NULL), -EINVAL,
	       "a truncated file is not mapped beyond its end");
	message("4196 bytes");
	TAP_EQ(hmem_region_map(region, 8192, 4096, &address, NULL), -EINVAL, "nor behind it");
	TAP_EQ(hmem_region_map(region, 0, 0, &address, &length), 0, "what is left is mapped");
	TAP_EQ(length, 4196, "to the byte");
	TAP_EQ(hmem_region_unmap(region, address, length), 0, "and unmapped");
	TAP_EQ(hmem_region_map(region, 4096, 100, &address, &length), 0, "the odd rest as well");
	hmem_region_unmap(region, address, length);
	hmem_region_close(region);

	scratch_write("empty", "");
	TAP_EQ(hmem_region_open(ctx, at("empty"), 0, &empty), 0, "an empty file is opened");
	TAP_EQ(hmem_region_map(empty, 0, 0, &address, NULL), -EINVAL, "and not mapped");
	message("0 bytes");
	hmem_region_close(empty);
}

/* Run @fn as an ordinary user; it reports with what it returns, a failed check is not 0. */
static void as_user(int (*fn)(void), const char *what)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		if (setgid(65534) || setuid(65534))
			_exit(99);
		_exit(fn());
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		tap_bail("no child");
	TAP_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0, "%s", what);
}

static int user_without_rights(void)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;

	if (hmem_region_open(ctx, at("private"), 0, &region) != -EACCES)
		return 1;
	if (!strstr(hmem_last_error(ctx), "permissions"))
		return 2;
	if (hmem_region_open(ctx, at("public"), 0, &region) != -EACCES)
		return 3;
	if (hmem_region_open(ctx, at("public"), HMEM_OPEN_READ_ONLY, &region))
		return 4;
	hmem_region_close(region);
	if (try_create(at("public"), 8192, 0) != -EACCES)
		return 5;
	if (try_create(at("new"), 8192, 0) != -EACCES)
		return 6;
	if (hmem_region_destroy(ctx, at("public")) != -EACCES)
		return 7;
	if (hmem_region_get_info_by_name(ctx, at("private"), &info) || info.mode != 0600)
		return 8;
	/* A directory that may be entered and written, but not read, cannot be synced. */
	if (try_create(at("drop/mine"), 8192, 0))
		return 9;
	if (hmem_region_destroy(ctx, at("drop/mine")))
		return 10;
	return 0;
}

static void permissions(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct stat st;

	if (geteuid()) {
		tap_skip("permissions", "needs root, to become somebody else");
		return;
	}
	options.bytes = 4096;
	options.uid = 65534;
	options.gid = 12345;
	options.mode = 0640;
	TAP_EQ(hmem_region_create(ctx, at("owned"), &options, NULL), 0, "for somebody else");
	stat(scratch_path("owned"), &st);
	TAP_OK(st.st_uid == 65534 && st.st_gid == 12345 && (st.st_mode & 07777) == 0640,
	       "who owns it");

	hmem_region_close(create(at("private"), 4096));
	hmem_region_close(create(at("public"), 4096));
	chmod(scratch_path("public"), 0644);
	scratch_write("drop/file", "");
	chmod(scratch_path("drop"), 0333);
	as_user(user_without_rights, "a user without rights");
	chmod(scratch_path("drop"), 0755);
}

static int limited(void)
{
	struct rlimit limit = { 8192, 8192 };

	/* The default action of SIGXFSZ ends the process: it must not come. */
	setrlimit(RLIMIT_FSIZE, &limit);
	if (try_create(at("limited/file"), 12288, 0) != -EFBIG)
		return 1;
	if (!strstr(hmem_last_error(ctx), "ulimit"))
		return 2;
	if (!access(scratch_path("limited/file"), F_OK))
		return 3;
	return try_create(at("limited/file"), 8192, 0) ? 4 : 0;
}

static void file_size_limit(void)
{
	pid_t child;
	int status;

	scratch_write("limited/other", "");
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(limited());
	if (child < 0 || waitpid(child, &status, 0) != child)
		tap_bail("no child");
	TAP_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0,
	       "the limit of file sizes is an error and no signal");
}

static void full(void)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;
	unsigned char *data;
	void *address;

	scratch_write("full/mountpoint", "");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("hmem-test", scratch_path("full"), "tmpfs", 0, "size=4m")) {
		tap_skip("a full file system", "no right to mount one");
		return;
	}
	TAP_EQ(try_create(at("full/large"), 64 * MI, 0), -ENOSPC, "more than there is");
	message("full");
	TAP_EQ(access(scratch_path("full/large"), F_OK), -1, "leaves nothing behind");
	region = create(at("full/region"), 2 * MI);
	TAP_EQ(hmem_region_get_info(region, &info), 0, "the file system works");
	TAP_OK(!(info.caps & (HMEM_CAP_PERSISTENT | HMEM_CAP_FLUSH_CPU)),
	       "tmpfs is not persistent");
	TAP_EQ(hmem_region_get_info_by_name(ctx, at("full/region"), &info), 0, "and by name");
	TAP_OK(!(info.caps & (HMEM_CAP_PERSISTENT | HMEM_CAP_FLUSH_CPU)), "it says the same");
	if (hmem_region_map(region, 0, 0, &address, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	data = address;
	memset(data, 1, 2 * MI);
	TAP_EQ(hmem_region_persist(region, data, 2 * MI), 0, "persisting does nothing, and works");
	TAP_EQ(hmem_region_resize(region, 64 * MI), -ENOSPC, "growing into a full file system");
	message("full");
	TAP_EQ(size_of(at("full/region")), 2 * MI, "changes nothing");
	TAP_EQ(hmem_region_resize(region, 4 * MI), 0, "the last byte can be had");
	TAP_EQ(data[2 * MI - 1], 1, "the data is there");
	TAP_EQ(try_create(at("full/one-more"), 1, 0), -ENOSPC, "and nothing more");
	hmem_region_unmap(region, data, 2 * MI);
	hmem_region_close(region);

	if (mount(NULL, scratch_path("full"), NULL, MS_REMOUNT | MS_RDONLY, NULL))
		tap_bail("remount: %s", strerror(errno));
	TAP_EQ(hmem_region_open(ctx, at("full/region"), 0, &region), -EROFS, "mounted read-only");
	message("read-only");
	TAP_EQ(hmem_region_open(ctx, at("full/region"), HMEM_OPEN_READ_ONLY, &region), 0,
	       "it can be read");
	hmem_region_close(region);
	TAP_EQ(try_create(at("full/new"), 4096, 0), -EROFS, "not written");
	TAP_EQ(hmem_region_destroy(ctx, at("full/region")), -EROFS, "nor destroyed");
	umount(scratch_path("full"));
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	life();
	existing();
	bad_sizes();
	option_structs();
	bad_ranges();
	resizing();
	threads();
	not_files();
	truncated();
	permissions();
	file_size_limit();
	full();
	hmem_ctx_unref(ctx);
	return tap_done();
}
