// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that no thread can touch, as a layer: a caller's provider gives addresses for it, from a
 * space of which blocks are allocated, and his execution context knows what the device has there.
 * It is how a device's own memory is used that the host cannot reach.
 */
#include <sys/mman.h>

#include "interface_user.h"

#define FAR_BYTES (8 * MIB)

/* @base: as threads have it, who cannot touch it; @card: as the device does */
static struct {
	char *base;
	char *card;
	int regions, maps;
} far;

static int far_create(struct hmem_ctx *c, const char *name,
		      const struct hmem_region_options *options, void **state)
{
	(void)name;
	if (options->bytes > FAR_BYTES)
		return hmem_set_error(c, -ENOSPC, "the card has less");
	far.regions++;
	*state = &far;
	return 0;
}

static int far_open(struct hmem_ctx *c, const char *name, unsigned int flags, void **state)
{
	(void)flags;
	(void)state;
	return hmem_set_error(c, -ENOENT, "nothing is called %s", name);
}

static void far_close(struct hmem_ctx *c, void *state)
{
	(void)c;
	(void)state;
}

static int far_map(struct hmem_ctx *c, void *state, uint64_t offset, size_t length, void **address)
{
	(void)state;
	far.base = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	far.card = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (offset || far.base == MAP_FAILED || far.card == MAP_FAILED)
		return hmem_set_error(c, -ENOMEM, "no addresses");
	far.maps++;
	*address = far.base;
	return 0;
}

static int far_unmap(struct hmem_ctx *c, void *state, void *address, size_t length)
{
	(void)c;
	(void)state;
	far.maps--;
	munmap(far.card, length);
	return munmap(address, length);
}

static int far_destroy(struct hmem_ctx *c, const char *name)
{
	(void)c;
	(void)name;
	far.regions--;
	return 0;
}

static int far_info(struct hmem_ctx *c, void *state, struct hmem_region_info *info)
{
	(void)c;
	(void)state;
	info->bytes = FAR_BYTES;
	info->granularity = 2 * MIB;
	return 0;
}

static int far_attach(struct hmem_ctx *c, void *state, struct hmem_attachment_info *info,
		      void **attached)
{
	char *data = info->data;

	(void)attached;
	(void)state;
	if (data < far.base || data >= far.base + FAR_BYTES)
		return hmem_set_error(c, -EINVAL, "this is not the card's");
	info->native = far.card + (data - far.base);
	info->form = HMEM_NATIVE_ADDRESS;
	return 0;
}

static bool all_are(const char *at, size_t bytes, char value)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != value)
			return false;
	return true;
}

/* Blocks of it, and a kernel that adds one to each byte of the first. */
static void allocate(struct hmem_execution *card, struct hmem_space *space, uint32_t strategy)
{
	struct hmem_interface *interface =
		must_interface(space, strategy, strategy == HMEM_STRATEGY_SLAB ? 1000 : 0, 0);
	struct hmem_attachment_info info[2] = { { .size = sizeof(info[0]) },
						{ .size = sizeof(info[1]) } };
	struct hmem_attachment *attachments[2];
	struct hmem_allocation *allocations[2];
	char *native;
	bool freed = true;

	memset(far.card, 0, FAR_BYTES);
	for (int i = 0; i < 2; i++)
		if (hmem_allocation_new(interface, 1000, 0, 0, &allocations[i]) ||
		    hmem_execution_attach(card, allocations[i],
					  HMEM_ATTACH_ADDRESS | HMEM_ATTACH_NO_COPY,
					  &attachments[i]) ||
		    hmem_attachment_get_info(attachments[i], &info[i]) ||
		    hmem_attachment_begin(attachments[i]))
			tap_bail("%s", hmem_last_error(ctx));
	native = info[0].native;
	for (size_t i = 0; i < 1000; i++)
		native[i]++;
	TAP_OK(native >= far.card && native < far.card + FAR_BYTES && all_are(native, 1000, 1) &&
		       all_are(info[1].native, 1000, 0),
	       "strategy %u: blocks are the device's", strategy);
	for (int i = 0; i < 2; i++)
		freed = !hmem_attachment_detach(attachments[i]) &&
			!hmem_allocation_free(allocations[i]) && freed;
	TAP_OK(freed, "strategy %u: they are freed as others are", strategy);
	if (strategy != HMEM_STRATEGY_BUMP)
		TAP_EQ(stats_of(interface).blocks, 0, "strategy %u: all of them", strategy);
	hmem_interface_unref(interface);
}

int main(void)
{
	static const struct hmem_provider_ops provider = {
		.size = sizeof(provider), .scheme = "card", .create = far_create, .open = far_open,
		.close = far_close, .map = far_map, .unmap = far_unmap, .destroy = far_destroy,
		.get_info = far_info,
	};
	static const struct hmem_execution_ops ops = { .size = sizeof(ops), .attach = far_attach };
	struct hmem_execution_info info = HMEM_EXECUTION_INFO_INIT;
	struct hmem_layer_info layer = HMEM_LAYER_INFO_INIT;
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *space, *host;
	struct hmem_interface *interface;
	struct hmem_attachment *none = NULL;
	struct hmem_allocation *near;
	struct hmem_execution *card;

	snprintf(info.name, sizeof(info.name), "card");
	layer.capacity.value = FAR_BYTES;
	snprintf(layer.name, sizeof(layer.name), "card:0");
	if (hmem_ctx_new(&ctx) || hmem_provider_register(ctx, &provider) ||
	    hmem_layer_register(ctx, &layer, "card") ||
	    hmem_execution_create(ctx, &info, &ops, &far, &card))
		tap_bail("no context");
	options.layer = "card";
	options.bytes = FAR_BYTES;
	TAP_EQ(hmem_execution_space(card, "far", &options, &space), 0,
	       "a space of memory that no thread can touch");
	allocate(card, space, HMEM_STRATEGY_BINNED);
	allocate(card, space, HMEM_STRATEGY_SLAB);
	allocate(card, space, HMEM_STRATEGY_BUMP);

	host = must_space(2 * MIB);
	interface = must_interface(host, HMEM_STRATEGY_BINNED, 0, 0);
	if (hmem_allocation_new(interface, 10, 0, 0, &near))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_execution_attach(card, near, 0, &none), -EINVAL, "memory of the host is not");
	TAP_OK(!none && !strcmp(hmem_last_error(ctx), "this is not the card's"), "as is said");
	hmem_allocation_free(near);
	hmem_interface_unref(interface);
	hmem_space_unref(host);
	hmem_space_unref(space);
	TAP_OK(!far.regions && !far.maps, "nothing is left on the device");
	hmem_execution_unref(card);
	hmem_ctx_unref(ctx);
	return tap_done();
}
