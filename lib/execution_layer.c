// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What memory is near an execution context, and spaces of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "execution.h"
#include "layers.h"
#include "sized.h"
#include "space.h"
#include "uncancelled.h"

#define FIRST_OPTIONS	sizeof(struct hmem_space_options)
#define FIRST_PART	sizeof(struct hmem_space_part)

#define SYSTEM_RAM                                                               \
	(HMEM_LAYER_KIND(HMEM_LAYER_DRAM) | HMEM_LAYER_KIND(HMEM_LAYER_HBM) |    \
	 HMEM_LAYER_KIND(HMEM_LAYER_CXL) | HMEM_LAYER_KIND(HMEM_LAYER_PMEM))

static int do_layers(struct hmem_execution *execution, const struct hmem_layer_wanted *wanted,
		     struct hmem_layer_info *found, size_t *nr)
{
	int one = execution->info.nid;

	if (execution->info.nr_nodes)
		return hmem_layers_select(execution->ctx, execution->nodes,
					  execution->info.nr_nodes, wanted, found, nr);
	return hmem_layers_select(execution->ctx, &one, 1, wanted, found, nr);
}

int hmem_execution_layers(struct hmem_execution *execution, const struct hmem_layer_wanted *wanted,
			  struct hmem_layer_info *found, size_t *nr)
{
	return execution ? UNCANCELLED(do_layers(execution, wanted, found, nr)) : -EINVAL;
}

/* --- spaces of it -------------------------------------------------------------------- */

typedef char layer_name[HMEM_LAYER_NAME_MAX + 1];

/*
 * The nearest layer of a kind, where @kind is one; what there is none of is left as it is, for
 * hmem_space_create() has the sentence.
 */
static int settle(struct hmem_execution *execution, const char **kind, layer_name name)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	struct hmem_layer_info nearest = { .size = sizeof(nearest) };
	size_t one = 1;
	int err;

	if (*kind && strpbrk(*kind, ":/"))
		return 0;
	wanted.name = *kind;
	wanted.kinds = *kind ? 0 : SYSTEM_RAM;
	err = do_layers(execution, &wanted, &nearest, &one);
	if (!err) {
		memcpy(name, nearest.name, sizeof(layer_name));
		*kind = name;
	}
	return err == -ENOENT ? 0 : err;
}

static int create_of_parts(struct hmem_execution *execution, const char *name,
			   struct hmem_space_options *options, struct hmem_space **space)
{
	struct hmem_space_part *parts = calloc(options->nr_parts, sizeof(*parts));
	layer_name *names = calloc(options->nr_parts, sizeof(*names));
	int err = 0;

	if (!parts || !names)
		err = hmem_fail(execution->ctx, -ENOMEM, "no memory for the parts of %s", name);
	for (uint32_t i = 0; !err && i < options->nr_parts; i++) {
		err = hmem_sized_read_element(execution->ctx, "struct hmem_space_part", &parts[i],
					      sizeof(*parts), FIRST_PART, options->parts, i,
					      options->part_size);
		if (!err)
			err = settle(execution, &parts[i].layer, names[i]);
	}
	options->parts = parts;
	options->part_size = sizeof(*parts);
	if (!err)
		err = hmem_space_create(execution->ctx, name, options, space);
	free(parts);
	free(names);
	return err;
}

static int do_space(struct hmem_execution *execution, const char *name,
		    const struct hmem_space_options *options, struct hmem_space **space)
{
	struct hmem_ctx *ctx = execution->ctx;
	struct hmem_space_options use;
	layer_name layer;
	int err;

	/* What is wrong with them hmem_space_create() says. */
	if (!name || !options || !space)
		return hmem_space_create(ctx, name, options, space);
	err = hmem_sized_read(ctx, "struct hmem_space_options", &use, sizeof(use), FIRST_OPTIONS,
			      options);
	if (err)
		return err;
	if (use.parts && use.nr_parts && use.nr_parts <= SPACE_PARTS && !use.layer)
		return create_of_parts(execution, name, &use, space);
	if (!use.parts && !use.nr_parts)
		err = settle(execution, &use.layer, layer);
	return err ? err : hmem_space_create(ctx, name, &use, space);
}

int hmem_execution_space(struct hmem_execution *execution, const char *name,
			 const struct hmem_space_options *options, struct hmem_space **space)
{
	return execution ? UNCANCELLED(do_space(execution, name, options, space)) : -EINVAL;
}
