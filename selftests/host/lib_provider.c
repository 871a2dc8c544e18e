// SPDX-License-Identifier: GPL-2.0-only
/*
 * Providers of a caller's own: what is refused at registration, and that every call of
 * the library reaches the provider with what it promises.
 */
#include <stdlib.h>

#include <hmem/hmem.h>

#include "tap.h"

static struct hmem_ctx *ctx;
static char memory[3 * 4096] __attribute__((aligned(4096)));
static char called[64], name_seen[256];
static struct hmem_region_options options_seen;
static uint64_t number_seen;
static unsigned int flags_seen;
static int answer;

static int saw(const char *what, const char *name)
{
	strcpy(called, what);
	snprintf(name_seen, sizeof(name_seen), "%s", name);
	return answer ? hmem_set_error(ctx, answer, "told to fail in %s", what) : 0;
}

static int toy_create(struct hmem_ctx *c, const char *name,
		      const struct hmem_region_options *options, void **state)
{
	(void)c;
	options_seen = *options;
	if (state)
		*state = memory;
	return saw(state ? "create" : "create only", name);
}

static int toy_open(struct hmem_ctx *c, const char *name, unsigned int flags, void **state)
{
	(void)c;
	flags_seen = flags;
	*state = memory;
	return saw("open", name);
}

static void toy_close(struct hmem_ctx *c, void *state)
{
	(void)c;
	saw(state == memory ? "close" : "close of something else", "");
}

static int toy_map(struct hmem_ctx *c, void *state, uint64_t offset, size_t length, void **address)
{
	(void)c;
	(void)state;
	*address = memory + offset;
	number_seen = length;
	return saw("map", "");
}

static int toy_unmap(struct hmem_ctx *c, void *state, void *address, size_t length)
{
	(void)c;
	(void)state;
	(void)address;
	number_seen = length;
	return saw("unmap", "");
}

static int toy_persist(struct hmem_ctx *c, void *state, const void *address, size_t length)
{
	(void)c;
	(void)state;
	(void)address;
	number_seen = length;
	return saw("persist", "");
}

static int toy_resize(struct hmem_ctx *c, void *state, uint64_t bytes)
{
	(void)c;
	(void)state;
	number_seen = bytes;
	return saw("resize", "");
}

static int toy_destroy(struct hmem_ctx *c, const char *name)
{
	(void)c;
	return saw("destroy", name);
}

static int toy_get_info(struct hmem_ctx *c, void *state, struct hmem_region_info *info)
{
	(void)c;
	(void)state;
	info->bytes = sizeof(memory);
	return answer;
}

static int toy_get_info_by_name(struct hmem_ctx *c, const char *name, struct hmem_region_info *info)
{
	(void)c;
	info->bytes = 17;
	return saw("info by name", name);
}

static int toy_iterate(struct hmem_ctx *c,
		       int (*fn)(void *arg, const struct hmem_region_info *info), void *arg)
{
	struct hmem_region_info info = { .size = sizeof(info), .name = "toy:one" };

	(void)c;
	return fn(arg, &info);
}

static const struct hmem_provider_ops toy = {
	.size = sizeof(toy),
	.scheme = "toy",
	.create = toy_create,
	.open = toy_open,
	.close = toy_close,
	.map = toy_map,
	.unmap = toy_unmap,
	.persist = toy_persist,
	.resize = toy_resize,
	.destroy = toy_destroy,
	.get_info = toy_get_info,
	.get_info_by_name = toy_get_info_by_name,
	.iterate = toy_iterate,
};

/* What a provider must have, and nothing else. */
static const struct hmem_provider_ops bare = {
	.size = sizeof(bare),
	.scheme = "bare",
	.open = toy_open,
	.close = toy_close,
	.map = toy_map,
	.get_info = toy_get_info,
};

static void registration(void)
{
	struct {
		struct hmem_provider_ops ops;
		void *more[4];
	} newer = { .ops = toy };
	char lent[] = "lent";
	struct hmem_provider_ops ops;
	static const char *const bad[] = {
		NULL, "", "a b", "a:b", "a1", "abcdefghijklmnop", "\303\251", "@", "[", "`", "{",
	};

	TAP_EQ(hmem_provider_register(NULL, &toy), -EINVAL, "no context");
	TAP_EQ(hmem_provider_register(ctx, NULL), -EINVAL, "no provider");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ops = toy;
		ops.scheme = bad[i];
		TAP_EQ(hmem_provider_register(ctx, &ops), -EINVAL, "bad scheme %zu", i);
		TAP_OK(strstr(hmem_last_error(ctx), "letters"), "and why, %zu", i);
	}
	ops = toy;
	/* The first version ended there. */
	ops.size = offsetof(struct hmem_provider_ops, fd) - 1;
	TAP_EQ(hmem_provider_register(ctx, &ops), -EINVAL, "a table that is too small");
	newer.ops.size = sizeof(newer);
	newer.more[3] = memory;
	TAP_EQ(hmem_provider_register(ctx, &newer.ops), -E2BIG, "a table of a newer library");
	for (int i = 0; i < 4; i++) {
		ops = bare;
		if (i == 0)
			ops.open = NULL;
		if (i == 1)
			ops.close = NULL;
		if (i == 2)
			ops.map = NULL;
		if (i == 3)
			ops.get_info = NULL;
		TAP_EQ(hmem_provider_register(ctx, &ops), -EINVAL, "a table with a hole, %d", i);
		TAP_OK(strstr(hmem_last_error(ctx), "lacks"), "and why, %d", i);
	}
	newer.more[3] = NULL;
	TAP_EQ(hmem_provider_register(ctx, &newer.ops), 0, "a newer table with nothing new in it");
	memset(&newer, 0xff, sizeof(newer));
	TAP_EQ(hmem_provider_register(ctx, &toy), -EEXIST, "the same scheme again");
	TAP_OK(strstr(hmem_last_error(ctx), "\"toy\""), "is named");
	ops = toy;
	ops.scheme = "file";
	TAP_EQ(hmem_provider_register(ctx, &ops), -EEXIST, "a scheme of the library");
	ops.scheme = "abcdefghijklmno";
	TAP_EQ(hmem_provider_register(ctx, &ops), 0, "15 letters");
	TAP_EQ(hmem_provider_register(ctx, &bare), 0, "the least that a provider can be");

	ops = bare;
	ops.scheme = lent;
	TAP_EQ(hmem_provider_register(ctx, &ops), 0, "a scheme that is only lent");
	memset(lent, 'x', sizeof(lent) - 1);
	TAP_EQ(hmem_region_destroy(ctx, "lent:a"), -EOPNOTSUPP, "is known afterwards");
	TAP_OK(strstr(hmem_last_error(ctx), "\"lent\""), "by its name");
}

static int count_toys(void *arg, const struct hmem_region_info *info)
{
	*(int *)arg += !strcmp(info->name, "toy:one");
	return 0;
}

static int stop(void *arg, const struct hmem_region_info *info)
{
	(void)info;
	++*(int *)arg;
	return 42;
}

static void dispatch(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region, *none = NULL;
	size_t length;
	void *address;
	int count = 0;

	options.bytes = 5;
	options.flags = HMEM_CREATE_EXCLUSIVE;
	options.bytes = (uint64_t)1 << 63;
	TAP_EQ(hmem_region_create(ctx, "toy:large", &options, NULL), -EINVAL, "2^63 bytes");
	TAP_STR_EQ(called, "", "do not reach the provider");
	options.bytes = 5;
	TAP_EQ(hmem_region_create(ctx, "toy:a:b/c", &options, NULL), 0, "create without a handle");
	TAP_STR_EQ(called, "create only", "is told so");
	TAP_STR_EQ(name_seen, "a:b/c", "the name comes without its scheme");
	TAP_OK(options_seen.bytes == 5 && options_seen.flags == HMEM_CREATE_EXCLUSIVE &&
		       options_seen.mode == 0600,
	       "the options are complete");
	TAP_EQ(hmem_region_create(ctx, "toy:", &options, &region), 0, "create with a handle");
	TAP_STR_EQ(called, "create", "is called");
	TAP_EQ(hmem_region_map(region, 4096, 0, &address, &length), 0, "map");
	TAP_OK(address == memory + 4096 && length == 8192 && number_seen == 8192,
	       "is told the rest");
	TAP_EQ(hmem_region_unmap(region, address, length), 0, "unmap");
	TAP_STR_EQ(called, "unmap", "is called");
	TAP_EQ(hmem_region_persist(region, address, 3), 0, "persist");
	TAP_OK(!strcmp(called, "persist") && number_seen == 3, "is called");
	TAP_EQ(hmem_region_resize(region, 9), 0, "resize");
	TAP_OK(!strcmp(called, "resize") && number_seen == 9, "is called");
	answer = -EBUSY;
	TAP_EQ(hmem_region_resize(region, 9), -EBUSY, "what it answers is handed on");
	TAP_STR_EQ(hmem_last_error(ctx), "told to fail in resize", "with its sentence");
	address = NULL;
	TAP_EQ(hmem_region_map(region, 0, 0, &address, NULL), -EBUSY, "map fails");
	TAP_OK(!address, "and writes nothing");
	info.bytes = 1;
	TAP_EQ(hmem_region_get_info(region, &info), -EBUSY, "info fails");
	TAP_EQ(info.bytes, 1, "and writes nothing");
	TAP_EQ(hmem_region_create(ctx, "toy:", &options, &none), -EBUSY, "create fails");
	TAP_EQ(hmem_region_open(ctx, "toy:", 0, &none), -EBUSY, "open fails");
	TAP_OK(!none, "and they write nothing");
	TAP_EQ(hmem_region_destroy(ctx, "toy:x"), -EBUSY, "destroy fails");
	answer = 0;
	hmem_region_close(region);
	TAP_STR_EQ(called, "close", "close is called");
	TAP_EQ(hmem_region_open(ctx, "toy:x", HMEM_OPEN_READ_ONLY, &region), 0, "open");
	TAP_OK(!strcmp(called, "open") && flags_seen == HMEM_OPEN_READ_ONLY, "is called");
	hmem_region_close(region);
	TAP_EQ(hmem_region_get_info_by_name(ctx, "toy:y", &info), 0, "info by name");
	TAP_OK(info.bytes == 17 && !strcmp(name_seen, "y") && info.nid == -1, "is called");
	TAP_STR_EQ(info.name, "toy:y", "the library knows the full name");
	TAP_EQ(hmem_region_iterate(ctx, count_toys, &count), 0, "iterate");
	TAP_EQ(count, 2, "visits what both providers have");
	count = 0;
	TAP_EQ(hmem_region_iterate(ctx, stop, &count), 42, "a visitor stops it");
	TAP_EQ(count, 1, "at once");
	TAP_EQ(hmem_region_iterate(ctx, NULL, NULL), -EINVAL, "no visitor");
	TAP_EQ(hmem_region_iterate(NULL, stop, NULL), -EINVAL, "no context");
}

static void missing(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;

	options.bytes = 1;
	TAP_EQ(hmem_region_create(ctx, "bare:x", &options, NULL), -EOPNOTSUPP, "no create");
	TAP_OK(strstr(hmem_last_error(ctx), "\"bare\" cannot be created"), "and why");
	TAP_EQ(hmem_region_destroy(ctx, "bare:x"), -EOPNOTSUPP, "no destroy");
	TAP_EQ(hmem_region_open(ctx, "bare:x", 0, &region), 0, "open");
	TAP_EQ(hmem_region_resize(region, 1), -EOPNOTSUPP, "no resize");
	TAP_EQ(hmem_region_persist(region, memory, 1), 0, "no persist is fine");
	TAP_EQ(hmem_region_unmap(region, (void *)1, 1), -EINVAL, "no unmap is munmap");
	hmem_region_close(region);
	TAP_EQ(hmem_region_get_info_by_name(ctx, "bare:z", &info), 0, "info by name opens");
	TAP_OK(info.bytes == sizeof(memory) && flags_seen == HMEM_OPEN_READ_ONLY, "read-only");
	TAP_STR_EQ(called, "close", "and closes");
	answer = -EIO;
	TAP_EQ(hmem_region_get_info_by_name(ctx, "bare:z", &info), -EIO, "open fails there");
	answer = 0;
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	/* Nothing of the machine may be found by iterate. */
	hmem_ctx_set_sysroot(ctx, "/nowhere");
	registration();
	dispatch();
	missing();
	hmem_ctx_unref(ctx);
	return tap_done();
}
