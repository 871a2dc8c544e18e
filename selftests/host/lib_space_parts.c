// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces of several regions, and of regions beside system RAM: what of the space is of which, how
 * much of each, what is left where one cannot be had, and that the others go on without it.
 *
 * Regions are files here, and memory of providers of our own; of hmem.ko they are in guest/lib_spaces.
 */
#include <signal.h>
#include <sys/mman.h>

#include "../sanitized.h"
#include "space_files.h"
#include "space_user.h"

static struct hmem_space_part parts[65];

/* Options of @n parts, whose layers are files of these names in scratch, or names of layers. */
static struct hmem_space_options of_parts(uint32_t n, const char *const *names, uint64_t bytes)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	static char paths[4][PATH_MAX + 8];

	memset(parts, 0, sizeof(parts));
	for (uint32_t i = 0; i < n; i++) {
		snprintf(paths[i], sizeof(paths[i]), "file:%s", scratch_path("%s", names[i]));
		parts[i].layer = strchr(names[i], '.') ? paths[i] : names[i];
	}
	options.parts = parts;
	options.nr_parts = n;
	options.bytes = bytes;
	return options;
}

/* All of the space is one block, whose MiB are written with 'a', 'b', ... */
static struct hmem_interface *write_all(struct hmem_space *space, char **all)
{
	struct hmem_interface *interface = interface_on(space, HMEM_STRATEGY_GENERAL);

	*all = all_of(interface);
	for (uint64_t at = 0; at < info_of(space).bytes; at += MIB)
		memset(*all + at, 'a' + (int)(at / MIB), MIB);
	return interface;
}

/* What is written in each MiB of a file, from both its ends. */
static const char *letters(const char *name, int mib)
{
	const char *path = scratch_path("%s", name);
	static char text[65];

	for (int i = 0; i < mib; i++) {
		text[i] = byte_of(path, (off_t)(i * MIB));
		if (byte_of(path, (off_t)((i + 1) * MIB - 1)) != text[i])
			text[i] = '?';
	}
	text[mib] = '\0';
	return text;
}

/* --- what is whose ------------------------------------------------------------------- */

static void test_one_behind_the_other(void)
{
	struct hmem_space_options options;
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *all;

	file_of("a.file", 4 * MIB);
	file_of("b.file", 6 * MIB + 4096);
	options = of_parts(2, (const char *const[]){ "a.file", "b.file" }, 0);
	space = space_of(&options);
	TAP_OK(info_of(space).bytes == 10 * MIB && info_of(space).nr_parts == 2,
	       "two regions are a space, of what they have in large pages");
	interface = write_all(space, &all);
	TAP_OK(!((uintptr_t)all % (2 * MIB)), "which begins at a multiple of one");
	TAP_STR_EQ(letters("a.file", 4), "abcd", "the first part is of the first");
	TAP_STR_EQ(letters("b.file", 6), "efghij", "the second of the second");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	TAP_OK(!is_mapped("a.file") && !is_mapped("b.file"), "nothing is left of it in the end");

	options = of_parts(2, (const char *const[]){ "a.file", "b.file" }, 6 * MIB);
	parts[0].bytes = parts[1].bytes = 2 * MIB + 1;
	TAP_EQ(refused(&options, "have 8388608 bytes, the space has 6291456"), -EINVAL,
	       "parts that are more than the space");
	options.bytes = 8 * MIB;
	file_of("a.file", 4 * MIB);
	space = space_of(&options);
	interface = write_all(space, &all);
	TAP_STR_EQ(letters("b.file", 6), "efghij", "of a region that is larger the first bytes");
	hmem_interface_unref(interface);
	hmem_space_unref(space);

	options = of_parts(1, (const char *const[]){ "b.file" }, 0);
	parts[0].bytes = 2 * MIB;
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 2 * MIB, "of one alone as well, if it says how many");
	hmem_space_unref(space);
	options.bytes = 4 * MIB;
	TAP_EQ(refused(&options, "have 2097152 bytes, the space has 4194304"), -EINVAL,
	       "which are the space's");

	options = of_parts(2, (const char *const[]){ "a.file", "new.file" }, 0);
	parts[1].bytes = 2 * MIB;
	space = space_of(&options);
	interface = write_all(space, &all);
	TAP_EQ(info_of(space).bytes, 6 * MIB, "a file by its name is made");
	TAP_STR_EQ(letters("new.file", 2), "ef", "of what the part has");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	parts[1].bytes = 4 * MIB;
	space = space_of(&options);
	TAP_EQ(info_of(space).bytes, 8 * MIB, "or becomes larger");
	hmem_space_unref(space);
}

static void test_beside_ram(void)
{
	struct hmem_space_options options =
		of_parts(3, (const char *const[]){ "dram", "c.file", "dram" }, 12 * MIB);
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *all;

	file_of("c.file", 4 * MIB);
	space = space_of(&options);
	interface = write_all(space, &all);
	TAP_STR_EQ(letters("c.file", 4), "efgh",
		   "system RAM has what a region among it leaves, in equal parts");
	TAP_OK(all[0] == 'a' && all[12 * MIB - 1] == 'l', "on both its sides");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	TAP_OK(!is_mapped("c.file"), "and all is unmapped together");
}

static void test_by_turns(void)
{
	struct hmem_space_options options =
		of_parts(3, (const char *const[]){ "d.file", "e.file", "dram" }, 12 * MIB);
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *all;

	file_of("d.file", 4 * MIB);
	file_of("e.file", 8 * MIB);
	options.flags = HMEM_SPACE_INTERLEAVE;
	parts[0].weight = parts[2].weight = 1;
	parts[1].weight = 2;
	space = space_of(&options);
	interface = write_all(space, &all);
	TAP_STR_EQ(letters("d.file", 4), "abij", "regions take turns with system RAM, by weight");
	TAP_STR_EQ(letters("e.file", 6), "cdefkl", "in pieces of 2 MiB");
	TAP_EQ(byte_of(scratch_path("e.file"), 7 * MIB), 0x5a, "and no further than it goes");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	options.bytes = 18 * MIB;
	TAP_EQ(refused(&options, "d.file\" has 4194304 bytes, not 6291456"), -ENOSPC,
	       "one that is too small for its turns");
	parts[0].weight = parts[1].weight = parts[2].weight = 0;
	TAP_EQ(refused(&options, "d.file is not known"), -ENODATA,
	       "of a file no bandwidth is known, by which they could take turns");
	options.bytes = 0;
	TAP_EQ(refused(&options, "at least 65536 bytes, not 0"), -EINVAL,
	       "and by turns the space has a size of its own");
}

/* --- memory of providers ------------------------------------------------------------- */

static struct hmem_provider_ops ops = {
	.size = sizeof(ops),
	.scheme = "heap",
};
static int regions_there;

static int heap_open(struct hmem_ctx *in, const char *name, unsigned int flags, void **state)
{
	(void)in;
	(void)name;
	(void)flags;
	*state = &regions_there;
	return 0;
}

static int heap_create(struct hmem_ctx *in, const char *name,
		       const struct hmem_region_options *options, void **state)
{
	(void)options;
	regions_there++;
	return heap_open(in, name, 0, state);
}

static int heap_destroy(struct hmem_ctx *in, const char *name)
{
	(void)in;
	(void)name;
	regions_there--;
	return 0;
}

static void heap_close(struct hmem_ctx *in, void *state)
{
	(void)in;
	(void)state;
}

static int heap_map(struct hmem_ctx *in, void *state, uint64_t offset, size_t length, void **at)
{
	(void)state;
	(void)offset;
	*at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *at == MAP_FAILED ? hmem_set_error(in, -ENOMEM, "no memory") : 0;
}

static int heap_map_at(struct hmem_ctx *in, void *state, uint64_t offset, size_t length, void *at)
{
	(void)state;
	if (offset == 4 * MIB)
		return hmem_set_error(in, -EIO, "nothing to map so far behind");
	return mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == at ? 0 : -errno;
}

static int heap_get_info(struct hmem_ctx *in, void *state, struct hmem_region_info *info)
{
	(void)in;
	(void)state;
	info->bytes = 8 * MIB;
	info->granularity = 4096;
	return 0;
}

static void test_providers(void)
{
	struct hmem_layer_info info = HMEM_LAYER_INFO_INIT;
	struct hmem_space_options options;
	struct hmem_space *space;
	char *all;

	ops.open = heap_open;
	ops.create = heap_create;
	ops.destroy = heap_destroy;
	ops.close = heap_close;
	ops.map = heap_map;
	ops.get_info = heap_get_info;
	strcpy(info.name, "heap:0");
	if (hmem_provider_register(ctx, &ops) || hmem_layer_register(ctx, &info, "heap"))
		tap_bail("%s", hmem_last_error(ctx));
	options = of_parts(2, (const char *const[]){ "dram", "heap:0" }, 4 * MIB);
	TAP_EQ(refused(&options, "\"heap\" cannot be mapped beside others"), -EOPNOTSUPP,
	       "a provider that maps where it likes has spaces of its own alone");
	TAP_EQ(regions_there, 0, "and what it made is destroyed");

	ops.scheme = "place";
	ops.map_at = heap_map_at;
	strcpy(info.name, "place:0");
	if (hmem_provider_register(ctx, &ops) || hmem_layer_register(ctx, &info, "place"))
		tap_bail("%s", hmem_last_error(ctx));
	options = of_parts(3, (const char *const[]){ "place:0", "dram", "place:0" }, 12 * MIB);
	space = space_of(&options);
	TAP_EQ(regions_there, 2, "of a layer there are as many regions as parts");
	hmem_interface_unref(write_all(space, &all));
	hmem_space_unref(space);
	TAP_EQ(regions_there, 0, "none of them in the end");
	options.flags = HMEM_SPACE_INTERLEAVE;
	options.bytes = 14 * MIB;
	parts[0].weight = parts[1].weight = parts[2].weight = 1;
	TAP_EQ(refused(&options, "nothing to map so far behind"), -EIO,
	       "what a provider says when a piece cannot be mapped");
	TAP_EQ(regions_there, 0, "comes with nothing left");
	options = of_parts(2, (const char *const[]){ "place:0", "gone.file" }, 4 * MIB);
	TAP_EQ(refused(&options, "gone.file"), -ENOENT, "a region that is not there");
	TAP_EQ(regions_there, 0, "leaves nothing of the others");
}

/* --- what is refused ----------------------------------------------------------------- */

static void test_refused(void)
{
	struct hmem_space_options options =
		of_parts(2, (const char *const[]){ "f.file", "link.file" }, 0);
	static const uint32_t ram[] = { HMEM_SPACE_POPULATE, HMEM_SPACE_PREFER, HMEM_SPACE_KEPT };
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s", file_of("f.file", 4 * MIB));
	if (symlink(target, scratch_path("link.file")))
		tap_bail("no link");
	TAP_EQ(refused(&options, "are one region"), -EINVAL, "one region, by two names");
	parts[1].layer = parts[0].layer;
	TAP_EQ(refused(&options, "are one region"), -EINVAL, "or by one");
	file_of("small.file", 2 * MIB - 1);
	options = of_parts(2, (const char *const[]){ "f.file", "small.file" }, 0);
	TAP_EQ(refused(&options, "has 2097151 bytes, a part has 2097152 at least"), -EINVAL,
	       "one that is less than a large page");
	options = of_parts(2, (const char *const[]){ "dram", "f.file" }, 8 * MIB);
	for (size_t i = 0; i < sizeof(ram) / sizeof(*ram); i++) {
		options.flags = ram[i];
		TAP_EQ(refused(&options, "f.file\" is no system RAM"), -EINVAL,
		       "a flag of system RAM, and a region");
	}
	options.flags = HMEM_SPACE_SHARED;
	TAP_EQ(refused(&options, "of regions one is shared"), -EINVAL, "several that are shared");
	options.flags = 0;
	options.bytes = 4 * MIB;
	TAP_EQ(refused(&options, "have 4194304, so nothing is left for the 1 that"), -EINVAL,
	       "a region that leaves nothing for the rest");
	options.bytes = 0;
	TAP_EQ(refused(&options, "at least 65536 bytes, not 0"), -EINVAL,
	       "system RAM without a size, and no size of all");
	TAP_OK(!is_mapped(".file"), "nothing is left of any of them");
}

/* --- others -------------------------------------------------------------------------- */

/* The sanitizer of races begins a thread in a child, whose stack may lie there. */
static int half_a_space(void *at)
{
	unsigned char there;
	char *all = at;

	for (uint64_t i = 0; i < 8 * MIB; i += 2 * MIB) {
		if (mincore(all + i, PAGE, &there) && errno == ENOMEM)
			continue;
		if (SANITIZED(true, true, all[i] == (char)('a' + i / MIB)))
			return 1 + (int)(i / MIB);
	}
	return 0;
}

static int unref(void *space)
{
	hmem_space_unref(space);
	return 0;
}

static void test_child(void)
{
	struct hmem_space_options options =
		of_parts(2, (const char *const[]){ "dram", "g.file" }, 8 * MIB);
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *all;

	file_of("g.file", 4 * MIB);
	space = space_of(&options);
	interface = write_all(space, &all);
	TAP_EQ(in_child(half_a_space, all), 0, "a child has none of it, system RAM neither");
	TAP_EQ(in_child(unref, space), 0, "and may give it up");
	TAP_OK(is_mapped("g.file") && all[0] == 'a' && all[8 * MIB - 1] == 'h',
	       "which its parent does not notice");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
}

/* In a child, as it is what ends one: SIGBUS where the file was, and all else goes on. */
static int without_a_part(void *unused)
{
	struct hmem_space_options options =
		of_parts(2, (const char *const[]){ "dram", "h.file" }, 8 * MIB);
	struct hmem_space *space = space_of(&options);
	struct hmem_interface *interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	char *ram = hmem_malloc(interface, 2 * MIB), *all;

	(void)unused;
	if (truncate(scratch_path("h.file"), 0))
		return 1;
	memset(ram, 1, 2 * MIB);
	hmem_free(interface, ram);
	all = hmem_malloc(interface, 8 * MIB);
	if (!all || all != ram)
		return 2;
	memset(all, 2, 4 * MIB);
	*(volatile char *)(all + 4 * MIB) = 1;
	return 3;
}

static volatile sig_atomic_t missed;

/* As programs do that have a copy elsewhere: something else is there from now on. */
static void put_zeroes(int number, siginfo_t *info, void *context)
{
	char *page = (char *)info->si_addr - (uintptr_t)info->si_addr % PAGE;

	(void)number;
	(void)context;
	missed++;
	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != page)
		_exit(5);
}

/* The library's thread is who comes there. */
static int copy_of_what_vanished(void *unused)
{
	struct sigaction action = { .sa_sigaction = put_zeroes, .sa_flags = SA_SIGINFO };
	struct hmem_space_options options = of_parts(1, (const char *const[]){ "j.file" }, 0);
	struct hmem_interface *interface = interface_on(space_of(&options), HMEM_STRATEGY_GENERAL);
	const struct hmem_shape shape = { MIB, 1, 1 };
	struct hmem_allocation *from, *to;
	struct hmem_completion *completion;

	(void)unused;
	sigaction(SIGBUS, &action, NULL);
	alarm(30);
	if (hmem_allocation_new(interface, MIB, 0, 0, &from) ||
	    hmem_allocation_new(interface, MIB, 0, 0, &to) ||
	    truncate(scratch_path("j.file"), 0) ||
	    hmem_copy_begin(to, NULL, from, NULL, &shape, &completion))
		return 1;
	if (hmem_completion_wait(completion, -1))
		return 2;
	return missed >= (int)(2 * MIB / PAGE) ? 0 : 3;
}

static void test_vanished(void)
{
	signal(SIGBUS, SIG_DFL);
	file_of("j.file", 4 * MIB);
	if (SANITIZER == 2)
		tap_skip("a copy of what vanished",
			 "the sanitizer of races has no threads in children");
	else
		TAP_EQ(in_child(copy_of_what_vanished, NULL), 0,
		       "a copy under way calls the program's handler of SIGBUS, and goes on");
	file_of("h.file", 4 * MIB);
	TAP_EQ(in_child(without_a_part, NULL), 1000 + SIGBUS,
	       "a part that vanishes is missed where it was, and nowhere else");
}

static void test_execution(void)
{
	struct hmem_space_options options =
		of_parts(2, (const char *const[]){ "i.file", "dram" }, 8 * MIB);
	struct hmem_execution *execution;
	struct hmem_space *space;
	char *all;

	file_of("i.file", 4 * MIB);
	if (hmem_execution_host(ctx, &execution))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_execution_space(execution, "test", &options, &space), 0,
	       "a space of an execution context may have regions as parts");
	hmem_interface_unref(write_all(space, &all));
	TAP_STR_EQ(letters("i.file", 4), "abcd", "which are the space's");
	hmem_space_unref(space);
	hmem_execution_unref(execution);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_one_behind_the_other();
	test_beside_ram();
	test_by_turns();
	test_providers();
	test_refused();
	test_child();
	test_vanished();
	test_execution();
	hmem_ctx_unref(ctx);
	return tap_done();
}
