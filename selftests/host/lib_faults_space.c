// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call that spaces make of the system fails once: of system RAM, of files, of what a provider
 * makes, kept, and of several parts (faults_space.h). Those of several processes, and interfaces,
 * have tests of their own.
 */
#include "space_maker.h"

static struct hmem_space_part parts[3];

static void begin_parts(uint32_t n, uint64_t bytes, uint32_t flags)
{
	begin(NULL, bytes, flags);
	options.parts = parts;
	options.nr_parts = n;
}

/* It is never given back. */
static int make_kept(void)
{
	int err = make();

	if (!err)
		pages_kept += (long)(options.bytes / 4096);
	return err;
}

static int make_on_layer(void)
{
	struct hmem_layer_info mine = HMEM_LAYER_INFO_INIT;
	struct hmem_space *made = UNTOUCHED;

	snprintf(mine.name, sizeof(mine.name), "mine");
	mine.nid = 0;
	return used(hmem_space_create_on_layer(ctx, &mine, NULL, "new", &options, &made), &made);
}

static struct hmem_execution *host;

static int make_near(void)
{
	struct hmem_space *made = UNTOUCHED;

	return used(hmem_execution_space(host, "new", &options, &made), &made);
}

/* --- of system RAM ----------------------------------------------------------------------- */

static void of_ram(void)
{
	begin(NULL, 8 * MIB, 0);
	each("a space", make, "alloc", ENOMEM, 0);
	each("a space", make, "reallocarray", ENOMEM, 0);
	each("a space", make, "scandir", EMFILE, 0);
	each("a space", make, "open", EMFILE, SOME_HARMLESS);
	each("a space", make, "read", EIO, SOME_HARMLESS);
	each("a space", make, "setmntent", EMFILE, 0);
	each("a space", make, "setmntent", ENOENT, HARMLESS);
	/* Its memory, its table, and the page that it is shown by. */
	TAP_EQ(inject("a space", make, "mmap", ENOMEM, SOME_HARMLESS), 3, "which is asked for thrice");
	each("a space", make, "mmap", ENOMEM, SOME_HARMLESS);
	each("a space", make, "mbind", ENOMEM, 0);
	each("a space", make, "mbind", EINVAL, -EPERM);
	each("a space", make, "mbind", ENOSYS, HARMLESS);
	begin(NULL, 8 * MIB, HMEM_SPACE_PREFER);
	each("a preferred one", make, "mbind", EPERM, 0);
	begin(NULL, 8 * MIB, HMEM_SPACE_POPULATE);
	each("a populated one", make, "madvise", ENOMEM, -ENOSPC);
	each("a populated one", make, "madvise", EFAULT, -ENOSPC);
	each("a populated one", make, "madvise", EINVAL, 0);
	begin(NULL, 2 * MIB, HMEM_SPACE_KEPT);
	each("a kept one", make_kept, "alloc", ENOMEM, 0);
	each("a kept one", make_kept, "mmap", ENOMEM, SOME_HARMLESS);
	each("a kept one", make_kept, "mbind", EPERM, 0);
	begin(NULL, 8 * MIB, 0);
	each("a space on a layer", make_on_layer, "alloc", ENOMEM, 0);
	each("a space on a layer", make_on_layer, "mmap", ENOMEM, SOME_HARMLESS);
	if (hmem_execution_host(ctx, &host))
		tap_bail("%s", hmem_last_error(ctx));
	each("a near space", make_near, "alloc", ENOMEM, 0);
	memset(parts, 0, sizeof(parts));
	begin_parts(2, 8 * MIB, 0);
	each("one of near parts", make_near, "alloc", ENOMEM, 0);
	each("one of near parts", make_near, "reallocarray", ENOMEM, 0);
	hmem_execution_unref(host);
}

/* A limit is looked at when all is there that has to go again. */
static void beyond(const char *what)
{
	long had = pages(), had_blocks;
	int fds = count_lines("/proc/self/fd");

	make();
	had = pages();
	had_blocks = blocks;
	options.limit = 1ull << 40;
	TAP_EQ(make(), -EINVAL, "%s with a limit that is more than it has", what);
	TAP_OK(strstr(hmem_last_error(ctx), "a limit is"), "is told so: %s", hmem_last_error(ctx));
	TAP_OK((pages() == had || SANITIZER) && blocks == had_blocks &&
		       count_lines("/proc/self/fd") == fds && as_before(),
	       "nothing of it is left");
}

/* --- of regions -------------------------------------------------------------------------- */

static char file[PATH_MAX + 16], fsdax[PATH_MAX + 16];

static void of_a_file(void)
{
	begin(file, 8 * MIB, 0);
	each("a space of a file", make, "alloc", ENOMEM, 0);
	each("a space of a file", make, "open", EMFILE, 0);
	each("a space of a file", make, "fstat", EIO, SOME_HARMLESS);
	each("a space of a file", make, "fstatfs", EIO, 0);
	each("a space of a file", make, "posix_fallocate", ENOSPC, 0);
	each("a space of a file", make, "posix_fallocate", EINTR, HARMLESS);
	each("a space of a file", make, "mmap", ENOMEM, SOME_HARMLESS);
	each("a space of a file", make, "madvise", EINVAL, 0);
}

/* One that has none of its memory yet, which is found where it is mapped. */
static int make_sparse(void)
{
	const char *whose = pause_faults();

	scratch_write("sparse", "");
	if (truncate(scratch_path("sparse"), 8 * MIB))
		tap_bail("truncate: %s", strerror(errno));
	victim = whose;
	return make();
}

static void of_a_sparse_file(void)
{
	static char sparse[PATH_MAX + 16];

	snprintf(sparse, sizeof(sparse), "file:%s/sparse", scratch());
	begin(sparse, 0, 0);
	each("a file without memory", make_sparse, "posix_fallocate", ENOSPC, 0);
	each("a file without memory", make_sparse, "fsync", EIO, SOME_HARMLESS);
	TAP_EQ(inject("a file without memory", make_sparse, "fstat", EIO, SOME_HARMLESS) > 4, 1,
	       "it is asked what it is");
}

/* What is made in a file system is gone with the space, and when there is none. */
static int make_in_file_system(void)
{
	int err = make();
	const char *whose = pause_faults();
	DIR *dir = opendir(scratch_path("p"));
	int files = 0;

	while (readdir(dir))
		files++;
	closedir(dir);
	victim = whose;
	return files == 2 ? err : 4714;
}

static void of_a_file_system(void)
{
	char mounts[PATH_MAX + 64];

	snprintf(mounts, sizeof(mounts), "/dev/none %s ext4 rw,dax=always 0 0\n", scratch_path("p"));
	scratch_write("mounts", mounts);
	scratch_write("p/x", "");
	unlink(scratch_path("p/x"));
	play_mounts = true;
	begin(fsdax, 8 * MIB, 0);
	each("a file system", make_in_file_system, "setmntent", EMFILE, 0);
	each("a file system", make_in_file_system, "alloc", ENOMEM, 0);
	each("a file system", make_in_file_system, "reallocarray", ENOMEM, 0);
	each("a file system", make_in_file_system, "open", EMFILE, SOME_HARMLESS);
	each("a file system", make_in_file_system, "fstatfs", EIO, 0);
	each("a file system", make_in_file_system, "fsync", EIO, SOME_HARMLESS);
	each("a file system", make_in_file_system, "lstat", EIO, SOME_HARMLESS);
	each("a file system", make_in_file_system, "unlink", EIO, 0);
	each("a file system", make_in_file_system, "posix_fallocate", ENOSPC, 0);
	each("a file system", make_in_file_system, "mmap", ENOMEM, SOME_HARMLESS);
	each("a file system", make_in_file_system, "madvise", EINVAL, 0);
	play_mounts = false;
}

/* --- of a provider ----------------------------------------------------------------------- */

static int toys;
static bool toys_stay;

static int toy_create(struct hmem_ctx *c, const char *name, const struct hmem_region_options *of,
		      void **state)
{
	int fd;

	if (fails("toy_create"))
		return hmem_set_error(c, -injected, "toy:%s cannot be made", name);
	fd = (int)syscall(SYS_memfd_create, "toy", MFD_CLOEXEC);
	if (fd < 0 || syscall(SYS_ftruncate, fd, of->bytes))
		tap_bail("no toy");
	toys++;
	*state = (void *)(intptr_t)fd;
	return 0;
}

static int toy_open(struct hmem_ctx *c, const char *name, unsigned int flags, void **state)
{
	(void)flags;
	(void)state;
	return hmem_set_error(c, -ENOENT, "toy:%s is made, and not opened", name);
}

static void toy_close(struct hmem_ctx *c, void *state)
{
	(void)c;
	close((int)(intptr_t)state);
}

static int toy_map(struct hmem_ctx *c, void *state, uint64_t offset, size_t length, void **address)
{
	void *at = MAP_FAILED;

	if (!fails("toy_map"))
		at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, (int)(intptr_t)state,
			  (off_t)offset);
	if (at == MAP_FAILED)
		return hmem_set_error(c, -errno, "a toy cannot be mapped");
	*address = at;
	return 0;
}

static int toy_map_at(struct hmem_ctx *c, void *state, uint64_t offset, size_t length,
		      void *address)
{
	if (fails("toy_map_at") ||
	    mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 (int)(intptr_t)state, (off_t)offset) == MAP_FAILED)
		return hmem_set_error(c, -errno, "a toy cannot be mapped there");
	return 0;
}

static int toy_get_info(struct hmem_ctx *c, void *state, struct hmem_region_info *info)
{
	struct stat st;

	if (fails("toy_get_info"))
		return hmem_set_error(c, -injected, "a toy does not say what it is");
	if (syscall(SYS_fstat, (int)(intptr_t)state, &st))
		tap_bail("no toy");
	info->bytes = (uint64_t)st.st_size;
	info->granularity = 4096;
	return 0;
}

static int toy_destroy(struct hmem_ctx *c, const char *name)
{
	if (toys_stay)
		return hmem_set_error(c, -EBUSY, "toy:%s stays", name);
	toys--;
	return 0;
}

static int make_toys(void)
{
	int err = make();

	return toys ? 4715 : err;
}

static void of_a_provider(void)
{
	static const struct hmem_provider_ops toy = {
		.size = sizeof(toy),
		.scheme = "toy",
		.create = toy_create,
		.open = toy_open,
		.close = toy_close,
		.map = toy_map,
		.map_at = toy_map_at,
		.get_info = toy_get_info,
		.destroy = toy_destroy,
	};
	struct hmem_layer_info card = HMEM_LAYER_INFO_INIT;

	snprintf(card.name, sizeof(card.name), "card");
	if (hmem_provider_register(ctx, &toy) || hmem_layer_register(ctx, &card, "toy"))
		tap_bail("%s", hmem_last_error(ctx));
	begin("card", 8 * MIB, 0);
	each("what a provider makes", make_toys, "alloc", ENOMEM, 0);
	each("what a provider makes", make_toys, "toy_create", ENOSPC, 0);
	each("what a provider makes", make_toys, "toy_map", ENOMEM, 0);
	each("what a provider makes", make_toys, "toy_get_info", EIO, 0);
	each("what a provider makes", make_toys, "mmap", ENOMEM, SOME_HARMLESS);
	each("what a provider makes", make_toys, "madvise", ENOMEM, 0);

	victim = "toy_map";
	countdown = 1;
	injected = ENOMEM;
	toys_stay = true;
	TAP_EQ(make(), -ENOMEM, "what cannot be mapped, and not be destroyed either");
	victim = NULL;
	toys_stay = false;
	TAP_OK(strstr(hmem_last_error(ctx), "cannot be mapped"), "is told what came first: %s",
	       hmem_last_error(ctx));
	TAP_EQ(toys, 1, "which its provider keeps");
	toys = 0;
}

/* --- of several parts -------------------------------------------------------------------- */

static void of_parts(void)
{
	static const char *const calls[] = {
		"alloc", "reallocarray", "toy_create", "toy_map_at",
		"mbind", "madvise",	 "fstatfs",    "posix_fallocate",
	};

	memset(parts, 0, sizeof(parts));
	parts[1].layer = file;
	parts[2].layer = "card";
	parts[0].bytes = parts[1].bytes = parts[2].bytes = 8 * MIB;
	begin_parts(3, 0, 0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		each("parts", make_toys, calls[i], ENOMEM, 0);
	each("parts", make_toys, "open", EMFILE, SOME_HARMLESS);
	each("parts", make_toys, "fstat", EIO, SOME_HARMLESS);
	each("parts", make_toys, "mmap", ENOMEM, SOME_HARMLESS);
	for (int i = 0; i < 3; i++) {
		parts[i].bytes = 0;
		parts[i].weight = (uint32_t)i + 1;
	}
	begin_parts(3, 24 * MIB, HMEM_SPACE_INTERLEAVE);
	each("parts by turns", make_toys, "alloc", ENOMEM, 0);
	each("parts by turns", make_toys, "toy_map_at", ENOMEM, 0);
	each("parts by turns", make_toys, "mbind", EPERM, 0);
	each("parts by turns", make_toys, "mmap", ENOMEM, SOME_HARMLESS);

	/* What a region has is all that there shall be, and nothing is said of a part of RAM. */
	begin_parts(2, 8 * MIB, 0);
	memset(parts, 0, sizeof(parts));
	parts[1].layer = file;
	TAP_EQ(make(), -EINVAL, "a part that nothing is left for");
	TAP_OK(strstr(hmem_last_error(ctx), "nothing is left"), "is told so: %s", hmem_last_error(ctx));
	TAP_OK(as_before(), "and nothing has changed");
}

static void beyond_limits(void)
{
	begin(NULL, 8 * MIB, 0);
	beyond("a space");
	begin(NULL, 8 * MIB, HMEM_SPACE_KEPT);
	beyond("a kept one");
	begin(file, 8 * MIB, 0);
	beyond("one of a file");
	begin("card", 8 * MIB, 0);
	beyond("what a provider makes");
	TAP_EQ(toys, 0, "nor that");
}

int main(void)
{
	old_space();
	snprintf(file, sizeof(file), "file:%s/region", scratch());
	snprintf(fsdax, sizeof(fsdax), "fsdax:%s/p", scratch());
	of_ram();
	of_a_file();
	of_a_sparse_file();
	of_a_file_system();
	of_a_provider();
	of_parts();
	beyond_limits();
	return all_done();
}
