// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces: how much of one may be used, by which names it is found, and what is said of options
 * that contradict each other.
 */
#include "space_user.h"

/* --- sizes --------------------------------------------------------------------------- */

static void test_sizes(void)
{
	static const struct {
		uint64_t asked, bytes, granule;
	} sizes[] = {
		{ 64 * KIB, 2 * MIB, 4 * KIB },	       { 2 * MIB, 2 * MIB, 4 * KIB },
		{ 2 * MIB + 1, 4 * MIB, 4 * KIB },     { 7 * MIB, 8 * MIB, 8 * KIB },
		{ 10 * MIB, 10 * MIB, 8 * KIB },       { 16 * MIB, 16 * MIB, 16 * KIB },
		{ 32 * MIB, 32 * MIB, 32 * KIB },      { 62 * MIB, 62 * MIB, 32 * KIB },
		{ 64 * MIB, 64 * MIB, 64 * KIB },      { 4 * GIB, 4 * GIB, 64 * KIB },
	};
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	bool good = true;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct hmem_interface *interface;
		struct hmem_space_info info;
		struct hmem_space *space;
		char *block;

		options.bytes = sizes[i].asked;
		space = space_of(&options);
		info = info_of(space);
		interface = interface_on(space, HMEM_STRATEGY_GENERAL);
		block = hmem_aligned_alloc(interface, 2 * MIB, info.bytes);
		if (info.bytes != sizes[i].bytes || info.granule != sizes[i].granule ||
		    info.limit != info.bytes || info.used || !block ||
		    (uintptr_t)block % (2 * MIB)) {
			tap_diag("of %llu bytes: %llu in granules of %llu, at %p",
				 (unsigned long long)options.bytes, (unsigned long long)info.bytes,
				 (unsigned long long)info.granule, (void *)block);
			good = false;
		}
		hmem_interface_unref(interface);
		hmem_space_unref(space);
	}
	TAP_OK(good, "spaces are multiples of 2 MiB, their granules suit them, and so lies their memory");
}

static void test_limit(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *interface;
	struct hmem_space *space;
	struct hmem_space_info info;
	void *block, *small;

	options.bytes = 4 * MIB;
	options.limit = MIB + 1;
	space = space_of(&options);
	interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	TAP_EQ(info_of(space).limit, MIB, "a limit is one of granules");
	TAP_OK(!hmem_malloc(interface, MIB + 1) && errno == EDQUOT, "more is not to be had");
	block = hmem_malloc(interface, MIB);
	info = info_of(space);
	TAP_OK(block && info.used == MIB && info.peak == MIB, "so much is, and is counted");
	TAP_OK(!hmem_malloc(interface, 1) && errno == EDQUOT, "then not a byte is");
	TAP_EQ(hmem_space_set_limit(space, MIB / 2), 0, "half of it may be the limit");
	TAP_EQ(info_of(space).used, MIB, "what is in use stays so");
	TAP_EQ(hmem_free(interface, block), 0, "until it is given back");
	TAP_OK(!hmem_malloc(interface, MIB) && errno == EDQUOT, "and is not had again");
	small = hmem_malloc(interface, MIB / 2);
	info = info_of(space);
	TAP_OK(small && info.used == MIB / 2 && info.peak == MIB, "the most that was used is kept");
	TAP_EQ(hmem_space_set_limit(space, 0), 0, "0 is no limit");
	TAP_EQ(info_of(space).limit, 4 * MIB, "but all");
	TAP_OK(hmem_malloc(interface, 3 * MIB), "which can be used");
	TAP_EQ(info_of(space).peak, 7 * MIB / 2, "and is the most then");
	TAP_EQ(hmem_space_set_limit(space, 4095), -EINVAL, "less than a granule is no limit");
	TAP_EQ(hmem_space_set_limit(space, 4 * MIB + 4096), -EINVAL, "nor is more than there is");
	TAP_EQ(hmem_space_set_limit(NULL, MIB), -EINVAL, "nor that of nothing");
	TAP_EQ(info_of(space).limit, 4 * MIB, "then nothing changes");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	options.limit = 4095;
	TAP_EQ(refused(&options, "a limit is 4096 to 4194304 bytes"), -EINVAL,
	       "no space is made with such a limit");
	options.limit = 4 * MIB + 4096;
	TAP_EQ(refused(&options, "a limit is 4096 to 4194304 bytes"), -EINVAL, "or with such a one");
}

/* --- what is refused ----------------------------------------------------------------- */

static void test_names(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	char name[HMEM_SPACE_NAME_MAX + 2] = "two\nlines";
	struct hmem_space *space = UNTOUCHED;

	options.bytes = 2 * MIB;
	if (hmem_space_create(ctx, name, &options, &space))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_STR_EQ(info_of(space).name, "two?lines", "a name is one line");
	hmem_space_unref(space);
	memset(name, 'n', HMEM_SPACE_NAME_MAX + 1);
	space = UNTOUCHED;
	TAP_EQ(hmem_space_create(ctx, name, &options, &space), -ENAMETOOLONG, "64 bytes are no name");
	TAP_OK(space == UNTOUCHED, "and there is no space then");
	name[HMEM_SPACE_NAME_MAX] = '\0';
	TAP_EQ(hmem_space_create(ctx, name, &options, &space), 0, "63 are");
	TAP_STR_EQ(info_of(space).name, name, "which is kept");
	hmem_space_unref(space);
	TAP_EQ(hmem_space_create(ctx, "", &options, &space), 0, "and so are none");
	hmem_space_unref(space);
}

static void test_request(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *first, *second, *found = UNTOUCHED;
	struct hmem_ctx *other;

	options.bytes = 2 * MIB;
	TAP_EQ(hmem_space_request(ctx, "twice", &found), -ENOENT, "no space of that name yet");
	TAP_OK(strstr(hmem_last_error(ctx), "no space \"twice\"") && found == UNTOUCHED,
	       "as the error says");
	if (hmem_space_create(ctx, "twice", &options, &first) ||
	    hmem_space_create(ctx, "twice", &options, &second) || hmem_ctx_new(&other))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_OK(!hmem_space_request(ctx, "twice", &found) && found == first,
	       "of two the first is found");
	hmem_space_unref(first);
	hmem_space_unref(found);
	TAP_OK(!hmem_space_request(ctx, "twice", &found) && found == second,
	       "when that has gone, the other");
	TAP_EQ(hmem_space_request(other, "twice", &first), -ENOENT, "another context has none");
	hmem_ctx_unref(other);
	hmem_space_unref(second);
	TAP_EQ(info_of(found).bytes, 2 * MIB, "who requested it has it");
	hmem_space_unref(found);
	TAP_EQ(hmem_space_request(ctx, "twice", &found), -ENOENT, "until he gives it up");
	TAP_EQ(hmem_space_request(ctx, NULL, &found), -EINVAL, "no name");
	TAP_EQ(hmem_space_request(ctx, "twice", NULL), -EINVAL, "no place for it");
	TAP_EQ(hmem_space_request(NULL, "twice", &found), -EINVAL, "no context");
}

static void test_wrong_arguments(void)
{
	struct {
		struct hmem_space_options options;
		uint64_t more;
	} newer = { .options = HMEM_SPACE_OPTIONS_INIT, .more = 1 };
	struct {
		struct hmem_space_info info;
		uint64_t more;
	} longer = { .info = { .size = sizeof(longer) }, .more = 1 };
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_info info = { .size = 8 };
	struct hmem_space *space;

	options.bytes = 2 * MIB;
	TAP_EQ(hmem_space_create(NULL, "test", &options, &space), -EINVAL, "no context");
	TAP_EQ(hmem_space_create(ctx, NULL, &options, &space), -EINVAL, "no name");
	TAP_EQ(hmem_space_create(ctx, "test", NULL, &space), -EINVAL, "no options");
	TAP_EQ(hmem_space_create(ctx, "test", &options, NULL), -EINVAL, "no place for the handle");
	options.size--;
	TAP_EQ(refused(&options, "struct hmem_space_options: its member size"), -EINVAL,
	       "options without their size");
	newer.options.size = sizeof(newer);
	newer.options.bytes = 2 * MIB;
	TAP_EQ(refused(&newer.options, "uses members unknown"), -E2BIG, "options of a newer library");
	newer.more = 0;
	space = space_of(&newer.options);
	TAP_OK(true, "which will do when they ask for nothing new");
	TAP_EQ(hmem_space_get_info(NULL, &info), -EINVAL, "nothing is known of nothing");
	TAP_EQ(hmem_space_get_info(space, &info), -EINVAL, "or without the size of the info");
	TAP_EQ(hmem_space_get_info(space, NULL), -EINVAL, "or without a place for it");
	TAP_OK(!hmem_space_get_info(space, &longer.info) && !longer.more,
	       "what a newer program wants to know is zero");
	hmem_space_unref(space);
	hmem_space_unref(NULL);
	TAP_OK(true, "no space can be given up");
}

/* As a program sees them whose header is newer. */
static void test_contradictions(void)
{
	struct hmem_space_part parts[65] = { { .layer = "dram:0" }, { .layer = "dram:0" } };
	struct hmem_space_options good = HMEM_SPACE_OPTIONS_INIT, options;
	int err;

	good.bytes = 8 * MIB;
	options = good;
	options.bytes = 0;
	TAP_EQ(refused(&options, "at least 65536 bytes"), -EINVAL, "no size");
	options.bytes = 64 * KIB - 1;
	TAP_EQ(refused(&options, "at least 65536 bytes"), -EINVAL, "less than 64 KiB");
	options.bytes = UINT64_MAX;
	TAP_EQ(refused(&options, "bytes"), -EINVAL, "more than can be");
	options.bytes = 16 * TIB + 1;
	err = refused(&options, "");
	if (err == -ENOMEM)
		tap_skip("more than 16 TiB", "there are no such addresses here");
	else
		TAP_EQ(refused(&options, "at most 268435456 granules"), -EINVAL, "more than 16 TiB");
	options.bytes = INT64_MAX - 4 * MIB;
	TAP_EQ(refused(&options, "no addresses for"), -ENOMEM, "more than there are addresses");
	options = good;
	options.flags = 1u << 31;
	TAP_EQ(refused(&options, "no flags 0x80000000"), -EINVAL, "a flag that there is not");
	options = good;
	options.nr_parts = 1;
	TAP_EQ(refused(&options, "1 to 64 parts"), -EINVAL, "a number of parts, and none");
	options.nr_parts = 0;
	options.parts = parts;
	TAP_EQ(refused(&options, "1 to 64 parts"), -EINVAL, "parts, and no number");
	options.nr_parts = 65;
	TAP_EQ(refused(&options, "1 to 64 parts"), -EINVAL, "65 parts");
	options.nr_parts = 2;
	options.layer = "dram";
	TAP_EQ(refused(&options, "parts or a layer"), -EINVAL, "parts, and a layer");
	options.layer = NULL;
	options.nr_parts = 1;
	options.flags = HMEM_SPACE_INTERLEAVE;
	TAP_EQ(refused(&options, "one part alone"), -EINVAL, "one part, interleaved");
	options.parts = NULL;
	options.nr_parts = 0;
	TAP_EQ(refused(&options, "one part alone"), -EINVAL, "none, interleaved");
	options.parts = parts;
	options.nr_parts = 2;
	parts[0].bytes = 2 * MIB;
	TAP_EQ(refused(&options, "have weights, no bytes"), -EINVAL, "bytes of parts, interleaved");
	options.flags = 0;
	parts[1].bytes = 4 * MIB;
	TAP_EQ(refused(&options, "have 6291456 bytes, the space has 8388608"), -EINVAL,
	       "parts that are less than the space");
	parts[1].bytes = 8 * MIB;
	TAP_EQ(refused(&options, "have 10485760 bytes, the space has 8388608"), -EINVAL,
	       "or more");
	parts[0].bytes = 0;
	TAP_EQ(refused(&options, "have 8388608, so nothing is left for the 1 that"), -EINVAL,
	       "or leave nothing for the others");
	parts[1].bytes = 6 * MIB;
	parts[2].layer = "dram:0";
	options.nr_parts = 3;
	TAP_EQ(refused(&options, "have 6291456, so too little is left for the 2 that"), -EINVAL,
	       "or less than they need");
	options.nr_parts = 2;
	parts[1].bytes = UINT64_MAX;
	TAP_EQ(refused(&options, "too many bytes"), -EINVAL, "or have more than can be");
	parts[1].bytes = 0;
	parts[0].reserved = 1;
	TAP_EQ(refused(&options, "reserved"), -EINVAL, "what is reserved is not zero");
	parts[0].reserved = 0;
	TAP_EQ(refused(&options, ""), 0, "without any of this it is a space");
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_sizes();
	test_limit();
	test_names();
	test_request();
	test_wrong_arguments();
	test_contradictions();
	hmem_ctx_unref(ctx);
	return tap_done();
}
