// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Measuring a layer: which one, how much of it, and what becomes of the figures.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "mapping.h"
#include "probe.h"
#include "sized.h"
#include "uncancelled.h"

#include <hmem/probe.h>
#include <hmem/size.h>

#define OPTIONS_SIZE_V1 sizeof(struct hmem_layer_probe_options)
#define PROBED_SIZE_V1	sizeof(struct hmem_layer_probed)

#define USUAL_MS      1000
#define USUAL_BYTES   ((uint64_t)64 << 20)
#define USUAL_THREADS 256

/* Where nobody knows what caches there are they are taken for so large. */
#define UNKNOWN_CACHES ((uint64_t)32 << 20)

/*
 * @wanted: the name, or a kind
 * @layer: the nearest that has it; its name is "" while there is none
 * @nodes: how many nodes have memory
 */
struct search {
	const char *wanted;
	struct hmem_layer_info layer;
	unsigned int nodes;
};

/* What may not be used is farther than what nobody knows the distance of. */
static uint64_t how_far(const struct hmem_layer_info *info)
{
	if (info->flags & HMEM_LAYER_FORBIDDEN)
		return UINT64_MAX;
	return info->distance.origin ? info->distance.value : UINT64_MAX - 1;
}

static int look(void *arg, const struct hmem_layer_info *info)
{
	struct search *search = arg;

	search->nodes += info->kind <= HMEM_LAYER_PMEM;
	if (hmem_layer_has_name(info, search->wanted) &&
	    (!*search->layer.name || how_far(info) < how_far(&search->layer)))
		search->layer = *info;
	return 0;
}

static int find(struct hmem_ctx *ctx, const char *name, int initiator, struct search *search)
{
	int err;

	*search = (struct search){ .wanted = name };
	err = hmem_layer_iterate(ctx, initiator, look, search);
	if (err)
		return err;
	if (!*search->layer.name)
		return hmem_fail(ctx, -ENOENT,
				 "there is no layer \"%s\"; `hmemctl list-layers` shows those "
				 "there are", name);
	if (search->layer.flags & HMEM_LAYER_FORBIDDEN)
		return hmem_fail(ctx, -EPERM,
				 "probing %s: the cpuset of this process keeps it from node %d",
				 search->layer.name, search->layer.nid);
	return 0;
}

static uint64_t power_of_two(uint64_t most)
{
	return (uint64_t)1 << (63 - __builtin_clzll(most));
}

/* How much to measure: of what can be had, and so much that it is not the caches that answer. */
static int choose_bytes(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, uint64_t asked,
			uint64_t caches, uint64_t *bytes)
{
	const struct hmem_figure *room = hmem_probe_reads_only(layer) || !layer->free.origin ?
						 &layer->capacity : &layer->free;
	uint64_t most = room->origin ? room->value : UINT64_MAX, page = hmem_page_size();
	uint64_t usual = USUAL_BYTES, least;

	if (asked) {
		*bytes = (asked + page - 1) / page * page;
		if (*bytes > most)
			return hmem_fail(ctx, -ENOSPC,
					 "probing %s: of %" PRIu64 " bytes %" PRIu64 " can be had",
					 layer->name, asked, most);
		return 0;
	}
	if (!caches)
		caches = UNKNOWN_CACHES;
	while (usual < 4 * caches)
		usual *= 2;
	least = 2 * caches;
	/* What is there already takes nothing from others. */
	if (!hmem_probe_reads_only(layer))
		most /= 2;
	if (usual > most && most < least) {
		char has[32], needs[32];

		return hmem_fail(ctx, -ENOSPC,
				 "probing %s: %s can be measured, and to measure memory and not "
				 "the caches takes %s; tell how many bytes to measure, to go on "
				 "all the same", layer->name, hmem_size_format(most, has, sizeof(has)),
				 hmem_size_format(least, needs, sizeof(needs)));
	}
	*bytes = usual <= most ? usual : power_of_two(most);
	return 0;
}

static int choose_threads(struct hmem_ctx *ctx, uint32_t asked, const struct hmem_probe_cpus *cpus,
			  uint64_t bytes, unsigned int *threads)
{
	uint64_t most = cpus->n < USUAL_THREADS ? cpus->n : USUAL_THREADS;

	if (asked > cpus->n)
		return hmem_fail(ctx, -EINVAL,
				 "probing with %u threads: this process may use %zu processors "
				 "there", asked, cpus->n);
	if (asked)
		most = asked;
	if (most > bytes / HMEM_PROBE_LEAST)
		most = bytes / HMEM_PROBE_LEAST;
	*threads = (unsigned int)most;
	return 0;
}

static void take(struct hmem_layer_info *layer, const struct hmem_probe_result *result)
{
	layer->read_latency = hmem_figure(result->read_latency, HMEM_ORIGIN_PROBE);
	layer->read_bandwidth = hmem_figure(result->read_bandwidth, HMEM_ORIGIN_PROBE);
	if (result->write_bandwidth)
		layer->write_bandwidth = hmem_figure(result->write_bandwidth, HMEM_ORIGIN_PROBE);
}

/* Measure @search->layer, and say in it and @how what came of that. */
static int measure(struct hmem_ctx *ctx, const struct hmem_layer_probe_options *options,
		   const struct hmem_probe_cpus *cpus, struct search *search,
		   struct hmem_layer_probed *how)
{
	struct hmem_probe_result result;
	struct hmem_probe_memory memory;
	uint64_t bytes = 0, began;
	unsigned int threads;
	int err = choose_bytes(ctx, &search->layer, options->bytes, cpus->cache_bytes, &bytes);

	if (!err)
		err = choose_threads(ctx, options->threads, cpus, bytes, &threads);
	if (!err)
		err = hmem_probe_memory_get(ctx, &search->layer, search->nodes == 1, bytes,
					    &memory);
	if (err)
		return err;
	hmem_log(ctx, HMEM_LOG_INFO, "probing %s: %" PRIu64 " bytes, %u threads, %u ms",
		 search->layer.name, memory.bytes, threads, options->milliseconds);
	began = hmem_probe_now();
	err = hmem_probe_run(ctx, &memory, cpus, threads, options->milliseconds, &result);
	*how = (struct hmem_layer_probed){
		.bytes = memory.bytes,
		.huge_bytes = memory.huge_bytes,
		.cache_bytes = cpus->cache_bytes,
		.flags = memory.read_only ? 0 : HMEM_LAYER_PROBED_WRITES,
		.threads = threads,
		.repetitions = HMEM_PROBE_REPETITIONS,
		.milliseconds = (uint32_t)((hmem_probe_now() - began) / 1000000),
	};
	if (!err)
		take(&search->layer, &result);
	hmem_probe_memory_put(&memory);
	return err;
}

static int check(struct hmem_ctx *ctx, const char *name,
		 const struct hmem_layer_probe_options *options)
{
	if (!name || !*name)
		return hmem_fail(ctx, -EINVAL, "which layer is to be probed?");
	if (options->reserved || options->initiator < -1)
		return hmem_fail(ctx, -EINVAL, "probing %s: there is no node %d, or what is "
				 "reserved is not 0", name, options->initiator);
	if (options->bytes && options->bytes < HMEM_PROBE_LEAST)
		return hmem_fail(ctx, -EINVAL, "probing %s: %" PRIu64 " bytes are too few", name,
				 options->bytes);
	if (options->bytes > INT64_MAX)
		return hmem_fail(ctx, -EINVAL, "probing %s: %" PRIu64 " bytes is more than any "
				 "memory has", name, options->bytes);
	if (*ctx->sysroot)
		return hmem_fail(ctx, -EOPNOTSUPP,
				 "probing %s: of the machine that was captured below %s there are "
				 "files, and no memory", name, ctx->sysroot);
	return 0;
}

static int do_layer_probe(struct hmem_ctx *ctx, const char *name,
			  const struct hmem_layer_probe_options *options,
			  struct hmem_layer_info *layer, struct hmem_layer_probed *probed)
{
	struct hmem_layer_probe_options ours = HMEM_LAYER_PROBE_OPTIONS_INIT;
	struct hmem_layer_probed how;
	struct hmem_probe_cpus cpus;
	struct search search;
	int err = 0;

	if (!ctx)
		return -EINVAL;
	if (options)
		err = hmem_sized_read(ctx, "struct hmem_layer_probe_options", &ours, sizeof(ours),
				      OPTIONS_SIZE_V1, options);
	if (!err && layer)
		err = hmem_sized_check(ctx, "struct hmem_layer_info", layer,
				       HMEM_LAYER_INFO_SIZE_V1);
	if (!err && probed)
		err = hmem_sized_check(ctx, "struct hmem_layer_probed", probed, PROBED_SIZE_V1);
	if (!err)
		err = check(ctx, name, &ours);
	if (!ours.milliseconds)
		ours.milliseconds = USUAL_MS;
	if (!err)
		err = find(ctx, name, ours.initiator, &search);
	if (!err)
		err = hmem_probe_cpus_get(ctx, search.layer.initiator, &cpus);
	if (err)
		return err;
	err = measure(ctx, &ours, &cpus, &search, &how);
	hmem_probe_cpus_put(&cpus);
	if (!err)
		err = hmem_layers_remember(ctx, &search.layer);
	if (err)
		return err;
	if (layer)
		hmem_sized_write(layer, &search.layer, sizeof(search.layer));
	if (probed)
		hmem_sized_write(probed, &how, sizeof(how));
	return 0;
}

int hmem_layer_probe(struct hmem_ctx *ctx, const char *name,
		     const struct hmem_layer_probe_options *options, struct hmem_layer_info *layer,
		     struct hmem_layer_probed *probed)
{
	return UNCANCELLED(do_layer_probe(ctx, name, options, layer, probed));
}
