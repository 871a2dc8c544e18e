// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces of regions: files, a file system with DAX, regions and pools of hmem.ko; whose memory they
 * are then, what is left of them, and that a child has nothing of it.
 *
 * The module is played by an ioctl() of our own, on files in a sysroot.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../sanitized.h"
#include "module_played.h"
#include "space_files.h"
#include "space_user.h"

int ioctl(int fd, unsigned long number, ...)
{
	void *argument;
	va_list ap;

	va_start(ap, number);
	argument = va_arg(ap, void *);
	va_end(ap);
	errno = module_play(fd, number, argument);
	return errno ? -1 : 0;
}

/* A node, the module with a pool and a region, and a file system with DAX. */
static void machine(void)
{
	char mounts[3 * PATH_MAX];

	module_there();
	scratch_make_way(scratch_path("dax/file"));
	snprintf(mounts, sizeof(mounts),
		 "/dev/pmem0 %s xfs rw,dax=always 0 0\n"
		 "/dev/pmem1 /not/there xfs rw,dax=always 0 0\n"
		 "/dev/pmem2 /%0235d xfs rw,dax=always 0 0\n",
		 scratch_path("dax"), 0);
	scratch_write("proc/self/mounts", mounts);
}

/* --- files --------------------------------------------------------------------------- */

static void test_file(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	const char *path = file_of("file", 4 * MIB + 4096);
	struct hmem_interface *interface;
	struct hmem_space_info info;
	struct hmem_space *space;
	char name[PATH_MAX + 8];
	struct stat st;
	char *all;

	snprintf(name, sizeof(name), "file:%s", path);
	options.layer = name;
	space = space_of(&options);
	info = info_of(space);
	TAP_OK(info.bytes == 4 * MIB + 4096 && info.granule == 4096 && info.limit == info.bytes,
	       "a whole file is a space");
	interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	all = all_of(interface);
	TAP_OK(all[0] == 0x5a && !memcmp(all, all + 1, info.bytes - 1), "it is not cleared");
	memset(all, 0x11, info.bytes);
	TAP_OK(byte_of(path, 0) == 0x11 && byte_of(path, 4 * MIB + 4095) == 0x11,
	       "what is stored is in the file");
	TAP_EQ(hmem_free(interface, all), 0, "it is given back");
	TAP_EQ(hmem_space_set_limit(space, MIB), 0, "it has a limit");
	TAP_OK(!hmem_malloc(interface, 2 * MIB) && errno == EDQUOT, "which counts");
	hmem_space_unref(space);
	TAP_OK(is_mapped(path) && hmem_malloc(interface, MIB), "its interface keeps it");
	hmem_interface_unref(interface);
	TAP_OK(!is_mapped(path), "then it is not mapped");
	TAP_OK(!stat(path, &st) && st.st_size == 4 * MIB + 4096, "and is what it was");

	options.layer = path;
	options.limit = 2 * MIB;
	space = space_of(&options);
	info = info_of(space);
	TAP_OK(info.bytes == 4 * MIB + 4096 && info.limit == 2 * MIB,
	       "its name may be a path, and it has the bytes that it has");
	hmem_space_unref(space);
	options.limit = 8 * MIB;
	TAP_EQ(refused(&options, "a limit is"), -EINVAL, "which a limit must not exceed");
	options.limit = 0;
	path = file_of("file", 8 * MIB + 4096);
	space = space_of(&options);
	info = info_of(space);
	TAP_OK(info.bytes == 8 * MIB && info.granule == 8 * KIB, "what is no granule is not used");
	hmem_space_unref(space);
	path = file_of("file", 8192);
	space = space_of(&options);
	interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	TAP_OK(info_of(space).bytes == 8192 && hmem_malloc(interface, 100), "two granules are a space");
	TAP_OK(!hmem_aligned_alloc(interface, 4 * MIB, 1) && errno == EINVAL, "of small blocks");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	path = file_of("file", 100);
	TAP_EQ(refused(&options, "less than a granule"), -EINVAL, "100 bytes are none");
	path = file_of("file", 0);
	TAP_OK(refused(&options, "") < 0, "nor is an empty file");
	options.bytes = 4 * MIB;
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 4 * MIB, "unless it is to have more");
	hmem_space_unref(space);
	unlink(path);
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 4 * MIB, "or is not there, and to be made");
	hmem_space_unref(space);
	TAP_OK(!stat(path, &st) && st.st_size == 4 * MIB, "as it is");
}

static void test_no_region(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	options.bytes = 4 * MIB;
	options.layer = "file:/not/there";
	TAP_EQ(refused(&options, "/not/there"), -ENOENT, "a file that does not exist");
	options.layer = "/not/there";
	TAP_EQ(refused(&options, "/not/there"), -ENOENT, "or that is a path");
	options.layer = scratch();
	TAP_EQ(refused(&options, "directory"), -EISDIR, "a directory");
	options.layer = "nothing:/of/the/kind";
	TAP_EQ(refused(&options, "no provider"), -EINVAL, "a scheme that there is not");
	options.layer = "hmem:not-there";
	TAP_EQ(refused(&options, "no layer \"hmem:not-there\""), -ENOENT, "no region of hmem.ko");
	options.layer = "dax:/dev/dax9.9";
	TAP_EQ(refused(&options, "dax9.9"), -ENOENT, "no dax device");
	options.layer = "anon:";
	TAP_EQ(refused(&options, "no layer \"anon:\""), -ENOENT, "memory of the process is no layer");
	options.layer = "anon:/label";
	options.bytes = 0;
	TAP_EQ(refused(&options, ""), -EOPNOTSUPP, "and no region that can be opened");
}

/* A layer and a space on it in one call; @info is that of card:2, which is there. */
static void test_at_once(struct hmem_layer_info *info, struct hmem_space_options *options)
{
	struct hmem_space_part part = { .layer = "dram" };
	struct hmem_space *space = NULL;

	TAP_EQ(hmem_space_create_on_layer(ctx, info, NULL, "s", options, &space), 0,
	       "a space on a layer that was registered before, the same in all");
	hmem_space_unref(space);
	info->read_latency = (struct hmem_figure){ 3000, HMEM_ORIGIN_CALLER, 0 };
	TAP_EQ(hmem_space_create_on_layer(ctx, info, NULL, "s", options, &space), -EEXIST,
	       "but not on another one of its name");
	info->read_latency = (struct hmem_figure)HMEM_FIGURE_INIT;
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "anon", "s", options, &space), -EEXIST,
	       "or of another provider");
	strcpy(info->name, "card:3");
	options->bytes = 1;
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "anon", "s", options, &space), -EINVAL,
	       "a space that cannot be");
	options->bytes = 4 * MIB;
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "anon", "s", options, &space), 0,
	       "does not keep the next one from its layer");
	TAP_OK(is_mapped("hmem:space-"), "whose provider gives the memory");
	hmem_space_unref(space);
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "none", "s", options, &space), -EINVAL,
	       "no such provider");
	TAP_EQ(hmem_space_create_on_layer(ctx, NULL, NULL, "s", options, &space), -EINVAL,
	       "nothing known of the layer");
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "anon", "s", NULL, &space), -EINVAL,
	       "no options");
	TAP_EQ(hmem_space_create_on_layer(NULL, info, "anon", "s", options, &space), -EINVAL,
	       "no context");
	options->layer = "dram";
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "anon", "s", options, &space), -EINVAL,
	       "another layer in the options");
	options->layer = NULL;
	options->parts = &part;
	options->nr_parts = 1;
	TAP_EQ(hmem_space_create_on_layer(ctx, info, "anon", "s", options, &space), -EINVAL,
	       "or parts");
	options->parts = NULL;
	options->nr_parts = 0;
}

/* Layers that somebody registered: with a provider, with a node, with nothing. */
static void test_registered(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_layer_info info = HMEM_LAYER_INFO_INIT;
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *all;

	strcpy(info.name, "card:0");
	if (hmem_layer_register(ctx, &info, "anon"))
		tap_bail("%s", hmem_last_error(ctx));
	strcpy(info.name, "card:1");
	if (hmem_layer_register(ctx, &info, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	strcpy(info.name, "card:2");
	info.nid = 0;
	if (hmem_layer_register(ctx, &info, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	options.bytes = 4 * MIB;
	options.layer = "card:0";
	space = space_of(&options);
	interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	all = all_of(interface);
	memset(all, 1, info_of(space).bytes);
	TAP_OK(is_mapped("hmem:space-"), "a provider gives the memory of a layer");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	TAP_OK(!is_mapped("hmem:space-"), "and has it back");
	options.layer = "card:1";
	TAP_EQ(refused(&options, "registered without memory"), -EOPNOTSUPP, "one has none");
	options.layer = "card:2";
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 4 * MIB, "one is of a node");
	hmem_space_unref(space);
	options.layer = NULL;
	test_at_once(&info, &options);
	options.layer = scratch_path("ram");
	options.flags = HMEM_SPACE_POPULATE;
	TAP_EQ(refused(&options, "is no system RAM"), -EINVAL, "what is not is not populated");
	options.flags = HMEM_SPACE_PREFER;
	TAP_EQ(refused(&options, "is no system RAM"), -EINVAL, "or taken from other nodes");
	options.flags = HMEM_SPACE_KEPT;
	TAP_EQ(refused(&options, "is no system RAM"), -EINVAL, "or kept");
	options.layer = "pool";
	TAP_EQ(refused(&options, "is no system RAM"), -EINVAL, "nor is a pool");
	options.flags = HMEM_SPACE_SHARED;
	TAP_EQ(refused(&options, "make a region of it"), -EINVAL, "which is not shared either");
}

/* --- DAX ----------------------------------------------------------------------------- */

static void test_fsdax(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_part part = { 0 };
	struct hmem_interface *binned, *bump, *slab;
	struct rlimit limit, before;
	struct hmem_space *space;
	char name[PATH_MAX + 8], deep[260];
	char *a, *b;

	snprintf(name, sizeof(name), "fsdax:%s", scratch_path("dax"));
	options.layer = name;
	options.bytes = 4 * MIB;
	space = space_of(&options);
	TAP_EQ(files_in(scratch_path("dax")), 0, "a file system has memory, by no name");
	TAP_OK(is_mapped("/dax/.hmem-space-"), "which is mapped");
	TAP_EQ(info_of(space).bytes, 4 * MIB, "so much of it");
	binned = interface_on(space, HMEM_STRATEGY_BINNED);
	bump = interface_on(space, HMEM_STRATEGY_BUMP);
	slab = NULL;
	a = hmem_malloc(binned, MIB);
	b = hmem_malloc(bump, MIB);
	TAP_OK(a && b && a != b && memset(a, 1, MIB) && memset(b, 2, MIB) && a[MIB - 1] == 1,
	       "for several interfaces");
	TAP_EQ(info_of(space).interfaces, 2, "which are counted");
	hmem_interface_unref(binned);
	hmem_interface_unref(slab);
	TAP_EQ(info_of(space).used, MIB, "each has its own");
	hmem_space_unref(space);
	TAP_OK(is_mapped("/dax/.hmem-space-"), "and keeps all");
	hmem_interface_unref(bump);
	TAP_OK(!is_mapped("/dax/.hmem-space-"), "to the last");

	part.layer = name;
	options.layer = NULL;
	options.parts = &part;
	options.nr_parts = 1;
	space = space_of(&options);
	TAP_OK(is_mapped("/dax/.hmem-space-"), "it may be the only part");
	hmem_space_unref(space);
	options.parts = NULL;
	options.nr_parts = 0;
	options.layer = name;
	options.bytes = 0;
	TAP_EQ(refused(&options, "at least 65536 bytes"), -EINVAL, "no bytes of it are no space");
	options.bytes = 4 * MIB;
	options.layer = "fsdax:/not/there";
	TAP_EQ(refused(&options, "/not/there"), -ENOENT, "where there is none any more");
	snprintf(deep, sizeof(deep), "fsdax:/%0235d", 0);
	options.layer = deep;
	TAP_EQ(refused(&options, "has more than 255 bytes"), -ENAMETOOLONG, "or too deep a one");
	options.layer = name;
	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_FSIZE, &before))
		tap_bail("no limit");
	limit = before;
	limit.rlim_cur = 2 * MIB;
	setrlimit(RLIMIT_FSIZE, &limit);
	TAP_EQ(refused(&options, ""), -EFBIG, "or files must not be so large");
	setrlimit(RLIMIT_FSIZE, &before);
	TAP_EQ(files_in(scratch_path("dax")), 0, "nothing is left there");
}

/* --- regions and pools of hmem.ko ---------------------------------------------------- */

static void test_hmem(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *space;
	char name[64];
	int last;

	options.layer = "hmem:there";
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 8 * MIB, "a region of hmem.ko is all of a space");
	TAP_OK(is_mapped("/dev/hmem/there"), "and mapped");
	hmem_space_unref(space);
	TAP_OK(!is_mapped("/dev/hmem/there") && !destroyed && files_in(scratch_path("dev/hmem")) == 2,
	       "until that is gone; the region stays");
	unlink(scratch_path("dev/hmem/there"));
	TAP_EQ(refused(&options, "there"), -ENOENT, "or not, when it was destroyed meanwhile");

	options.layer = "pool:fast";
	TAP_EQ(refused(&options, "at least 65536 bytes"), -EINVAL, "no bytes of a pool are no space");
	options.bytes = 3 * MIB;
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 4 * MIB, "of a pool a region is made");
	TAP_OK(!strncmp(made, "space-", 6) && !strcmp(made_of, "fast") && is_mapped(made),
	       "of this one, and mapped");
	hmem_space_unref(space);
	TAP_OK(destroyed == 1 && !is_mapped("/dev/hmem/space-") &&
		       files_in(scratch_path("dev/hmem")) == 1,
	       "which is destroyed with the space");
	options.layer = "pool";
	hmem_space_unref(space_of(&options));
	TAP_EQ(destroyed, 2, "also one of the nearest pool");
	last = atoi(strrchr(made, '-') + 1);
	snprintf(name, sizeof(name), "dev/hmem/space-%d-%d", getpid(), last + 1);
	scratch_write(name, "");
	hmem_space_unref(space_of(&options));
	TAP_EQ(destroyed, 3, "what one is called that a process left is passed over");
	unlink(scratch_path("%s", name));
	options.bytes = 2 * GIB;
	TAP_EQ(refused(&options, "space-"), -ENOSPC, "where there is no room there is no space");
	TAP_EQ(destroyed, 3, "and nothing to destroy");
	options.bytes = 4 * MIB;
	cannot_map = true;
	TAP_OK(refused(&options, "") < 0, "nor when it cannot be mapped");
	TAP_OK(destroyed == 4 && files_in(scratch_path("dev/hmem")) == 1, "then it is destroyed");
	cannot_map = false;
}

/* --- children ------------------------------------------------------------------------ */

struct inherited {
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *block;
};

static int touches(void *arg)
{
	struct inherited *inherited = arg;

	/* A sanitizer has a handler. */
	signal(SIGSEGV, SIG_DFL);
	return *(volatile char *)inherited->block;
}

static void give_up(const struct inherited *inherited)
{
	hmem_interface_unref(inherited->interface);
	hmem_space_unref(inherited->space);
}

/* Where the space was something else may be by now. */
static int gives_up(void *arg)
{
	struct inherited *inherited = arg;
	char *at = mmap(inherited->block, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	signal(SIGSEGV, SIG_DFL);
	if (at != inherited->block)
		return 1;
	*(volatile char *)at = 1;
	give_up(inherited);
	return *(volatile char *)at - 1;
}

static void test_child(const char *layer, uint32_t flags, const char *what)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct inherited inherited;

	options.layer = layer;
	options.flags = flags;
	options.bytes = 4 * MIB;
	inherited.space = space_of(&options);
	inherited.interface = interface_on(inherited.space, flags ? HMEM_STRATEGY_SHARED :
								  HMEM_STRATEGY_GENERAL);
	inherited.block = hmem_malloc(inherited.interface, 100);
	*inherited.block = 7;
	if (SANITIZER == 2) {
		tap_skip("what a child has", "the sanitizer of races maps something else there");
	} else {
		TAP_EQ(in_child(touches, &inherited), 1000 + SIGSEGV, "%s: a child has nothing of it",
		       what);
		TAP_EQ(in_child(gives_up, &inherited), 0, "%s: it may give it up", what);
	}
	*inherited.block = 8;
	TAP_OK(hmem_malloc(inherited.interface, MIB) &&
		       !hmem_free(inherited.interface, inherited.block),
	       "%s: its parent goes on", what);
	give_up(&inherited);
}

static void test_children(void)
{
	char name[PATH_MAX + 8];

	snprintf(name, sizeof(name), "fsdax:%s", scratch_path("dax"));
	test_child(name, 0, "fsdax");
	test_child(file_of("file", 4 * MIB), 0, "file");
	test_child(scratch_path("shared"), HMEM_SPACE_SHARED, "shared");
	destroyed = 0;
	test_child("pool", 0, "pool");
	TAP_OK(destroyed == 1 && files_in(scratch_path("dev/hmem")) == 1,
	       "the region that was made is destroyed in the end");
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	machine();
	test_file();
	test_no_region();
	test_registered();
	test_fsdax();
	test_hmem();
	test_children();
	hmem_ctx_unref(ctx);
	return tap_done();
}
