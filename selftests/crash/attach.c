// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine's region, as a provider. Compiled twice: for the plain copy of the library, and, with
 * all of its names changed, for the traced one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <hmem/provider.h>

#include "machine.h"

static struct machine *here;

static int region_open(struct hmem_ctx *ctx, const char *name, unsigned int flags, void **state)
{
	(void)ctx;
	(void)name;
	(void)flags;
	*state = here;
	return 0;
}

static void region_close(struct hmem_ctx *ctx, void *state)
{
	(void)ctx;
	(void)state;
}

static int region_map(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		      void **address)
{
	struct machine *machine = state;

	(void)ctx;
	(void)length;
	*address = machine->memory + offset;
	return 0;
}

static int region_unmap(struct hmem_ctx *ctx, void *state, void *address, size_t length)
{
	(void)ctx;
	(void)state;
	(void)address;
	(void)length;
	return 0;
}

/* What is mapped stays, and is found again. */
static int region_map_at(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
			 void *address)
{
	struct machine *machine = state;
	unsigned int i;

	for (i = 0; i < machine->nr_maps; i++)
		if (machine->maps[i].offset == offset && machine->maps[i].length == length &&
		    machine->maps[i].address == address)
			return 0;
	/* What was there before is not any more. */
	for (i = 0; i < machine->nr_maps;) {
		unsigned char *begin = machine->maps[i].address, *wanted = address;

		if (begin < wanted + length && wanted < begin + machine->maps[i].length)
			machine->maps[i] = machine->maps[--machine->nr_maps];
		else
			i++;
	}
	if (i == MACHINE_MAPS)
		return hmem_set_error(ctx, -ENOMEM, "too many mappings");
	if (mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
		 machine->memory_fd, (off_t)offset) == MAP_FAILED)
		return hmem_set_error(ctx, -errno, "mmap");
	machine->maps[i].offset = offset;
	machine->maps[i].length = length;
	machine->maps[i].address = address;
	machine->nr_maps++;
	return 0;
}

static int region_get_info(struct hmem_ctx *ctx, void *state, struct hmem_region_info *info)
{
	const struct machine *machine = state;

	(void)ctx;
	info->bytes = MACHINE_BYTES;
	info->granularity = 4096;
	info->caps = machine->caps;
	info->mode = 0600;
	return 0;
}

static int region_fd(struct hmem_ctx *ctx, void *state)
{
	(void)ctx;
	return ((struct machine *)state)->memory_fd;
}

static const struct hmem_provider_ops ops = {
	.size = sizeof(ops),
	.scheme = "crash",
	.open = region_open,
	.close = region_close,
	.map = region_map,
	.unmap = region_unmap,
	.get_info = region_get_info,
	.fd = region_fd,
	.map_at = region_map_at,
};

void machine_attach(struct machine *machine)
{
	here = machine;
	if (hmem_ctx_new(&machine->ctx) || hmem_provider_register(machine->ctx, &ops) ||
	    hmem_region_open(machine->ctx, "crash:region", 0, &machine->region)) {
		fprintf(stderr, "the region cannot be opened: %s\n",
			machine->ctx ? hmem_last_error(machine->ctx) : "no context");
		exit(2);
	}
	hmem_ctx_set_log(machine->ctx, NULL, NULL);
}
