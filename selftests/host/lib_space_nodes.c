// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces of system RAM: to which nodes which part of their memory is bound, and whether it is there.
 *
 * Where a machine with several nodes is needed one is constructed. The kernel here binds memory to
 * its first node then, and what it was asked for is looked at.
 */
#include <dlfcn.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "../sanitized.h"
#include "played_nodes.h"
#include "space_user.h"

/* A sanitizer's own start calls these as well. */
#define OVERRIDE __attribute__((no_sanitize("address", "thread")))

#define MASK 16	/* words of a mask of nodes */

/* --- what the kernel is asked for ---------------------------------------------------- */

static struct bound {
	char *from;
	uint64_t bytes;
	int mode;
	int nid;
} bounds[2048];
static size_t nr_bounds;

/* All memory comes from node @here, whatever node it is to be bound to. */
static bool pretend;
static int here;

/* What populating memory fails with; what the policies are then. */
static int populate_fails;
static int populated_as = -1;
static const char *populate_takes;	/* and what becomes of the node's meminfo */

/* How many looks find pages on other nodes; of those that were moved, the last call's flags. */
static int elsewhere;
static unsigned long last_flags;

static long (*real_syscall)(long number, ...);

OVERRIDE static void find_real(void)
{
	if (!real_syscall)
		real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

OVERRIDE long syscall(long number, ...)
{
	unsigned long first[MASK] = { 0 };
	long arg[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	find_real();
	if (number == SYS_mbind && nr_bounds < 2048) {
		const unsigned long *mask = (unsigned long *)arg[3];
		struct bound *bound = &bounds[nr_bounds++];

		*bound = (struct bound){ (char *)arg[0], (uint64_t)arg[1], (int)arg[2], -1 };
		for (int i = MASK * 64 - 1; i >= 0; i--)
			if (mask[i / 64] >> i % 64 & 1)
				bound->nid = i;
		first[here / 64] = 1ul << here % 64;
		if (pretend)
			arg[3] = (long)first;
		last_flags = (unsigned long)arg[5];
		if (last_flags && elsewhere && elsewhere--) {
			errno = EIO;
			return -1;
		}
	}
	return real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

OVERRIDE int madvise(void *at, size_t bytes, int advice)
{
	find_real();
	if (advice == MADV_POPULATE_WRITE)
		populated_as = nr_bounds ? bounds[nr_bounds - 1].mode : -1;
	if (advice == MADV_POPULATE_WRITE && populate_takes)
		scratch_write("sys/devices/system/node/node0/meminfo", populate_takes);
	if (advice == MADV_POPULATE_WRITE && populate_fails) {
		errno = populate_fails;
		return -1;
	}
	return (int)real_syscall(SYS_madvise, at, bytes, advice);
}

/* "4@0 2@2": MiB and node of what was bound since @from, which is one behind the other. */
static const char *asked_for(void)
{
	static char text[256];
	const char *end = bounds[0].from;

	*text = '\0';
	for (size_t i = 0; i < nr_bounds && strlen(text) < 200; i++) {
		if (bounds[i].from != end || bounds[i].mode != MPOL_BIND)
			return "not bound, or not one behind the other";
		end += bounds[i].bytes;
		snprintf(text + strlen(text), 40, "%s%g@%d", i ? " " : "",
			 (double)bounds[i].bytes / MIB, bounds[i].nid);
	}
	return text;
}

/* --- a machine with more nodes than this one ----------------------------------------- */

static void node(int n, unsigned int bandwidth)
{
	play_node(n, 4096, 4096);
	play_figures(n, 0, 0, bandwidth);
}

/*
 * DRAM 0, HBM 1, CXL memory 2; of node 1000, which no machine has, no bandwidth is known, and 2000
 * is more than the kernel has nodes.
 */
static void machine(void)
{
	scratch_write("sys/devices/system/node/online", "0-2,1000,2000\n");
	scratch_write("sys/devices/system/node/has_cpu", "0\n");
	scratch_write("sys/devices/system/node/node0/distance", "10 12 20 30 40\n");
	node(0, 300000);
	node(1, 900000);
	node(2, 100000);
	node(1000, 0);
	node(2000, 0);
	play_cxl_and_pmem();
}

static void on(const char *root)
{
	if (hmem_ctx_set_sysroot(ctx, root))
		tap_bail("%s", hmem_last_error(ctx));
}

/* --- memory -------------------------------------------------------------------------- */

/* Pages of @memory that have this policy, of this node alone; all, if it is as it should be. */
static uint64_t with_policy(const char *memory, uint64_t bytes, int wanted)
{
	uint64_t n = 0;

	for (uint64_t at = 0; at < bytes; at += PAGE) {
		unsigned long mask[MASK] = { 0 }, want[MASK] = { 0 };
		int mode = -1;

		want[here / 64] = 1ul << here % 64;
		if (syscall(SYS_get_mempolicy, &mode, mask, MASK * 64ul, memory + at, MPOL_F_ADDR))
			tap_bail("get_mempolicy: %s", strerror(errno));
		n += mode == wanted && !memcmp(mask, want, sizeof(mask));
	}
	return n;
}

/* Pages that are there, and on this node. */
static uint64_t on_node(char *memory, uint64_t bytes)
{
	uint64_t n = 0;

	for (uint64_t at = 0; at < bytes; at += PAGE) {
		void *page = memory + at;
		int status = -1;

		if (syscall(SYS_move_pages, 0, 1ul, &page, (void *)NULL, &status, 0))
			tap_bail("move_pages: %s", strerror(errno));
		n += status == here;
	}
	return n;
}

/* All of the memory of a space of these options is bound as it should be. */
static bool bound_whole(const struct hmem_space_options *options, int mode)
{
	struct hmem_space *space = space_of(options);
	struct hmem_interface *interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	uint64_t bytes = info_of(space).bytes;
	char *all = all_of(interface);
	bool good = with_policy(all, bytes, mode) == bytes / PAGE;

	memset(all, 1, bytes);
	good = good && on_node(all, bytes) == bytes / PAGE;
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	return good;
}

static void test_bound(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	char name[32];

	snprintf(name, sizeof(name), "dram:%d", here);
	options.bytes = 8 * MIB;
	options.layer = name;
	nr_bounds = 0;
	TAP_OK(bound_whole(&options, MPOL_BIND), "all of a space is bound to its node");
	TAP_EQ(nr_bounds, 1, "at once");
	options.layer = "dram";
	TAP_OK(bound_whole(&options, MPOL_BIND), "the nearest of a kind will do");
	options.layer = NULL;
	TAP_OK(bound_whole(&options, MPOL_BIND), "and is system RAM when nothing is said");
	options.flags = HMEM_SPACE_PREFER;
	TAP_OK(bound_whole(&options, MPOL_PREFERRED), "or preferred");
}

static void test_parts(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_part parts[4] = { { .layer = "dram" }, { .layer = "dram" } };
	struct hmem_space *space;

	options.bytes = 8 * MIB;
	options.parts = parts;
	options.nr_parts = 1;
	TAP_OK(bound_whole(&options, MPOL_BIND), "a part alone is bound");
	options.nr_parts = 2;
	parts[1].bytes = 2 * MIB;
	nr_bounds = 0;
	TAP_OK(bound_whole(&options, MPOL_BIND), "two parts, both on this node, are");
	TAP_OK(nr_bounds == 2 && bounds[0].bytes == 6 * MIB, "one has what the other leaves");
	options.flags = HMEM_SPACE_INTERLEAVE;
	parts[0].weight = 2;
	parts[1].weight = 1;
	parts[1].bytes = 0;
	nr_bounds = 0;
	TAP_OK(bound_whole(&options, MPOL_BIND), "and interleaved");
	TAP_EQ(nr_bounds, 3, "in pieces");

	on(scratch());
	pretend = true;
	options.flags = 0;
	options.bytes = 12 * MIB - 1;
	options.nr_parts = 4;
	parts[0] = (struct hmem_space_part){ .layer = "dram:0", .bytes = 2 * MIB };
	parts[1] = (struct hmem_space_part){ .layer = "hbm" };
	parts[2] = (struct hmem_space_part){ .layer = "cxl:2", .bytes = 2 * MIB + 1 };
	parts[3] = (struct hmem_space_part){ .layer = "dram:1000" };
	nr_bounds = 0;
	space = space_of(&options);
	TAP_STR_EQ(asked_for(), "2@0 2@1 4@2 4@1000",
		   "parts come in their order; those without bytes share what is left");
	TAP_OK(info_of(space).bytes == 12 * MIB && info_of(space).nr_parts == 4, "it has four");
	hmem_space_unref(space);
	on("");
	pretend = false;
}

static void test_interleaved(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_part parts[] = { { .layer = "dram:0", .weight = 2 },
					   { .layer = "cxl", .weight = 1 } };
	struct hmem_space *space;
	uint64_t all = 0;
	int err;

	on(scratch());
	pretend = true;
	options.flags = HMEM_SPACE_INTERLEAVE;
	options.bytes = 16 * MIB;
	options.parts = parts;
	options.nr_parts = 2;
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_STR_EQ(asked_for(), "4@0 2@2 4@0 2@2 4@0", "by weight, in pieces of 2 MiB");
	parts[0].weight = 0;
	TAP_EQ(refused(&options, "all of its parts have a weight, or none"), -EINVAL,
	       "all have a weight, or none has");
	parts[1] = (struct hmem_space_part){ .layer = "hbm" };
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_STR_EQ(asked_for(), "2@0 6@1 2@0 6@1", "by bandwidth");
	parts[1].layer = "dram:1000";
	TAP_EQ(refused(&options, "bandwidth of dram:1000 is not known"), -ENODATA,
	       "of which all have to be known");
	parts[0].weight = parts[1].weight = 1;
	options.bytes = 4 * GIB;
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_OK(nr_bounds == 1024 && bounds[0].bytes == 4 * MIB, "in no more than 1024 pieces");
	for (size_t i = 0; i < nr_bounds; i++)
		all += bounds[i].bytes;
	TAP_EQ(all, 4 * GIB, "which are all of it");
	parts[0].weight = parts[1].weight = 1u << 31;
	options.bytes = 16 * TIB;
	nr_bounds = 0;
	err = hmem_space_create(ctx, "test", &options, &space);
	if (err == -ENOMEM) {
		tap_skip("a weight beyond all", "16 TiB of addresses are too many here");
	} else {
		TAP_OK(!err && nr_bounds == 1, "a weight beyond all is all");
		hmem_space_unref(space);
	}
	on("");
	pretend = false;
}

/* --- memory that is there ------------------------------------------------------------ */

static void test_populate(void)
{
	static const struct {
		int says, is;
	} errors[] = { { ENOMEM, -ENOSPC }, { EFAULT, -ENOSPC }, { EHWPOISON, -EHWPOISON } };
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	options.bytes = 8 * MIB;
	for (int populated = 0; populated < 2; populated++) {
		struct hmem_interface *interface;
		struct hmem_space *space;
		char *all;

		options.flags = populated ? HMEM_SPACE_POPULATE : 0;
		space = space_of(&options);
		interface = interface_on(space, HMEM_STRATEGY_GENERAL);
		all = all_of(interface);
		TAP_EQ(resident(all, 8 * MIB), populated ? 2048 : 0,
		       populated ? "all pages of a populated space are there" :
				   "no page is there that was not touched");
		TAP_EQ(on_node(all, 8 * MIB), populated ? 2048 : 0, "on its node");
		TAP_EQ(info_of(space).flags, options.flags, "as its flags say");
		TAP_EQ(with_policy(all, 8 * MIB, MPOL_BIND), 2048, "and bound to it");
		hmem_interface_unref(interface);
		hmem_space_unref(space);
	}
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		populate_fails = errors[i].says;
		TAP_EQ(refused(&options, "there are no 8388608 bytes"), errors[i].is,
		       "where it cannot be populated it is not made");
	}
	populate_fails = 0;
}

/*
 * What is bound while it is populated makes the kernel end somebody where the node, after all,
 * does not give its last pages.
 */
static void test_populated_elsewhere(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	options.bytes = 8 * MIB;
	options.flags = HMEM_SPACE_POPULATE;
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_EQ(populated_as, MPOL_PREFERRED, "what is populated is not bound before it is there");
	TAP_OK(nr_bounds == 2 && bounds[1].mode == MPOL_BIND && last_flags == MPOL_MF_STRICT,
	       "then it is, and looked at");
	elsewhere = 1;
	hmem_space_unref(space_of(&options));
	TAP_EQ(last_flags, MPOL_MF_STRICT | MPOL_MF_MOVE, "what is on other nodes is moved");
	elsewhere = 2;
	TAP_EQ(refused(&options, "cannot give all of its part"), -ENOSPC,
	       "where it cannot be the node is too full");
	TAP_EQ(last_flags, MPOL_MF_STRICT | MPOL_MF_MOVE, "after it was tried");
	on(scratch());
	pretend = true;
	elsewhere = 1;
	options.bytes = 4 * MIB;
	populate_takes = "Node 0 MemTotal: 4096 kB\nNode 0 MemFree: 4 kB\n";
	TAP_EQ(refused(&options, "cannot give all of its part"), -ENOSPC,
	       "and where there is no room by now");
	TAP_EQ(last_flags, MPOL_MF_STRICT, "it is not tried");
	populate_takes = NULL;
	scratch_write("sys/devices/system/node/node0/meminfo",
		      "Node 0 MemTotal: 4096 kB\nNode 0 MemFree: 4096 kB\n");
	options.bytes = 8 * MIB;
	pretend = false;
	on("");
	options.flags |= HMEM_SPACE_PREFER;
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_OK(nr_bounds == 1 && bounds[0].mode == MPOL_PREFERRED,
	       "preferred, it stays where it is");
}

/* Each node has 4 MiB free. Nobody takes its last page, for which the kernel would kill somebody. */
static void test_too_full_to_populate(void)
{
	struct hmem_space_part parts[] = { { .layer = "dram:0", .weight = 3 },
					   { .layer = "hbm:1", .weight = 1 } };
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	on(scratch());
	pretend = true;
	options.flags = HMEM_SPACE_POPULATE;
	options.bytes = 6 * MIB;
	TAP_EQ(refused(&options, "dram:0 has 4194304 bytes free, not 6291456"), -ENOSPC,
	       "a node that has less free is not populated");
	options.parts = parts;
	options.nr_parts = 2;
	options.flags |= HMEM_SPACE_INTERLEAVE;
	options.bytes = 8 * MIB;
	TAP_EQ(refused(&options, "dram:0 has 4194304 bytes free, not 6291456"), -ENOSPC,
	       "or of several one that has less than its part");
	parts[0].weight = parts[1].weight;
	hmem_space_unref(space_of(&options));
	TAP_OK(nr_bounds, "where each has its part they are");
	pretend = false;
	on("");
}

/* --- layers -------------------------------------------------------------------------- */

static void test_newer_parts(void)
{
	struct {
		struct hmem_space_part part;
		uint64_t more;
	} newer[2] = { { .part = { .layer = "dram" } }, { .part = { .layer = "dram" } } };
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *space;

	options.bytes = 4 * MIB;
	options.parts = &newer[0].part;
	options.nr_parts = 2;
	options.part_size = 0;
	TAP_EQ(refused(&options, "say sizeof(struct hmem_space_part)"), -EINVAL,
	       "parts, and not of which size");
	options.part_size = sizeof(newer[0]);
	newer[1].more = 1;
	TAP_EQ(refused(&options, "uses members unknown"), -E2BIG, "parts of a newer library");
	newer[1].more = 0;
	nr_bounds = 0;
	space = space_of(&options);
	TAP_EQ(nr_bounds, 2, "which will do when they ask for nothing new, each of them");
	hmem_space_unref(space);
	TAP_OK(!hmem_space_ref(NULL), "no space is none however often");
}

/* Each has one thing wrong. */
static void test_layers(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_part parts[] = { { .layer = "dram:0" }, { .layer = "fsdax" } };

	on(scratch());
	options.bytes = 4 * MIB;
	options.layer = "nonsense";
	TAP_EQ(refused(&options, "no layer \"nonsense\""), -ENOENT, "no such layer");
	options.layer = "";
	TAP_EQ(refused(&options, "no layer \"\""), -ENOENT, "no name of a layer");
	options.layer = "dram:";
	TAP_EQ(refused(&options, "no layer \"dram:\""), -ENOENT, "half a name");
	options.layer = "pmem";
	TAP_EQ(refused(&options, "no layer \"pmem\""), -ENOENT, "none of that kind");
	options.layer = "pool";
	TAP_EQ(refused(&options, "no layer \"pool\""), -ENOENT, "no pool");
	options.layer = "dram:1000";
	TAP_EQ(refused(&options, "does not bind memory to node 1000"), -EPERM,
	       "a node that the kernel does not allow");
	options.flags = HMEM_SPACE_PREFER;
	TAP_EQ(refused(&options, "does not bind memory to node 1000"), -EPERM, "or prefer");
	options.flags = 0;
	options.layer = "dram:2000";
	TAP_EQ(refused(&options, "node 2000 is no node"), -EINVAL, "a node that cannot be");
	options.layer = NULL;
	options.parts = parts;
	options.nr_parts = 2;
	TAP_EQ(refused(&options, "/mnt/p"), -ENOENT, "of several parts one is on no file system");
	parts[1].layer = "dram:1000";
	TAP_EQ(refused(&options, "does not bind memory to node 1000"), -EPERM,
	       "of several parts one is not allowed");
	parts[1].layer = "nonsense";
	TAP_EQ(refused(&options, "no layer \"nonsense\""), -ENOENT, "or not there");
	on("");
}

/* Lists to fall back to: each node has 4 MiB. */
static void test_lists(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	on(scratch());
	pretend = true;
	options.bytes = 4 * MIB;
	options.layer = "cxl,dram:0";
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_STR_EQ(asked_for(), "4@2", "of a list the first is taken");
	options.bytes = 6 * MIB;
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_STR_EQ(asked_for(), "6@0", "the next one where it has too little free");
	options.layer = "nonsense,pool,hbm";
	nr_bounds = 0;
	hmem_space_unref(space_of(&options));
	TAP_STR_EQ(asked_for(), "6@1", "or is not there");
	pretend = false;
	options.layer = "nonsense,fsdax:/no,dram:0";
	TAP_EQ(refused(&options, "no layer \"fsdax:/no,dram:0\""), -ENOENT, "a path is the last");
	options.layer = "nonsense,hbm:7";
	TAP_EQ(refused(&options, "no layer \"hbm:7\""), -ENOENT, "none can be had");
	options.layer = "nonsense,,dram:0";
	TAP_EQ(refused(&options, "begins with no name"), -EINVAL, "no name between commas");
	options.layer = ",dram:0";
	TAP_EQ(refused(&options, "begins with no name"), -EINVAL, "or before the first");
	options.layer = "dram:0,";
	TAP_EQ(refused(&options, "no layer \"\""), -ENOENT, "or behind the last");
	options.bytes = 4 * MIB;
	options.layer = "dram:2000,dram:0";
	TAP_EQ(refused(&options, "node 2000 is no node"), -EINVAL, "what is wrong is not passed over");
	on("");
}

/* In a file system of its own, where a file tells of a cpuset without this node. */
static int in_cpuset(void *status)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	char path[64];

	options.bytes = 2 * MIB;
	snprintf(path, sizeof(path), "/proc/%d/status", getpid());
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(status, path, NULL, MS_BIND, NULL))
		return 77;
	return refused(&options, "Mems_allowed") == -EPERM ? 0 : 1;
}

static void test_cpuset(void)
{
	char path[PATH_MAX];
	int status;

	scratch_write("status", "Name:\ttest\nMems_allowed_list:\t1001\n");
	snprintf(path, sizeof(path), "%s", scratch_path("status"));
	status = in_child(in_cpuset, path);
	if (status == 77)
		tap_skip("a node that the cpuset forbids", "nothing may be mounted here");
	else
		TAP_EQ(status, 0, "a node that the cpuset forbids");
}

/* What fails leaves no mapping. */
static int mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int c, n = 0;

	if (!maps)
		tap_bail("no maps");
	while ((c = getc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

static void test_nothing_left(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	int before = 0;

	options.bytes = 64 * MIB;
	options.limit = 128 * MIB;
	for (int i = 0; i < 20; i++) {
		if (refused(&options, "a limit is") != -EINVAL)
			tap_bail("that has no limit");
		populate_fails = ENOMEM;
		options.flags = HMEM_SPACE_POPULATE;
		if (refused(&options, "there are no") != -ENOSPC)
			tap_bail("that is there");
		options.flags = populate_fails = 0;
		if (!i)
			before = mappings();
	}
	TAP_EQ(mappings(), before, "spaces that are not made leave nothing mapped");
}

int main(void)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	struct hmem_layer_info near = { .size = sizeof(near) };
	size_t one = 1;

	wanted.name = "dram";
	if (hmem_ctx_new(&ctx) || hmem_layer_select(ctx, &wanted, &near, &one))
		tap_bail("no context, or no system RAM");
	here = near.nid;
	machine();
	test_bound();
	test_parts();
	test_interleaved();
	test_populate();
	test_populated_elsewhere();
	test_too_full_to_populate();
	test_newer_parts();
	test_layers();
	test_lists();
	test_cpuset();
	test_nothing_left();
	hmem_ctx_unref(ctx);
	return tap_done();
}
