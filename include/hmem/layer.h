/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layers: the kinds of memory that a machine has, each with what is known of it - how large,
 * how far, how fast, whether it stays when the power goes - and from where that is known.
 *
 * A layer is named KIND:WHICH.
 *
 *	dram:N hbm:N cxl:N pmem:N	system RAM, the memory of NUMA node N. cxl: CXL memory that
 *					is system RAM; pmem: persistent memory that is, and then
 *					keeps nothing
 *	pool:NAME			a pool of hmem.ko, of which regions can be made
 *	hmem:NAME			a region of hmem.ko
 *	dax:/dev/NAME			a device-dax device that is not system RAM
 *	fsdax:PATH			a file system that maps its memory into programs (DAX)
 *
 * and those that a caller registers have names of his. Where a name is asked for, KIND alone is
 * the nearest layer of that kind.
 *
 * Layers are looked for anew in each call, below the context's sysroot: what is found is what is
 * there now. Those that were registered stay as long as the context.
 */
#ifndef HMEM_LAYER_H
#define HMEM_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HMEM_LAYER_NAME_MAX 255

enum hmem_layer_kind {
	HMEM_LAYER_DRAM = 1,
	HMEM_LAYER_HBM,
	HMEM_LAYER_CXL,
	HMEM_LAYER_PMEM,
	HMEM_LAYER_POOL,
	HMEM_LAYER_REGION,
	HMEM_LAYER_DAX,
	HMEM_LAYER_FSDAX,
	HMEM_LAYER_OTHER,	/* a caller's */
};

/* Where a figure comes from. */
enum hmem_origin {
	HMEM_ORIGIN_NONE,	/* not known; its value is 0 */
	HMEM_ORIGIN_KERNEL,	/* counted by the kernel: sizes, what is free */
	HMEM_ORIGIN_FIRMWARE,	/* published: HMAT or CDAT, as the kernel shows them */
	HMEM_ORIGIN_SLIT,	/* the firmware's table of distances, or the kernel's default */
	HMEM_ORIGIN_HWLOC,	/* said to hwloc: by an XML file, or $HWLOC_MEMATTRS_FILE */
	HMEM_ORIGIN_MODULE,	/* measured by hmem.ko when the pool was attached */
	HMEM_ORIGIN_PROBE,	/* measured by hmem_layer_probe() */
	HMEM_ORIGIN_CALLER,	/* given when the layer was registered */
};

struct hmem_figure {
	uint64_t value;
	uint32_t origin;	/* enum hmem_origin */
	uint32_t reserved;
};
#define HMEM_FIGURE_INIT { 0, HMEM_ORIGIN_NONE, 0 }

#define HMEM_LAYER_PERSISTENT	(1u << 0)	/* what is in it survives power loss */
#define HMEM_LAYER_LOCAL	(1u << 1)	/* no memory is nearer to the processors asked for */
#define HMEM_LAYER_SHAREABLE	(1u << 2)	/* processes can share it by a name */
#define HMEM_LAYER_FORBIDDEN	(1u << 3)	/* the cpuset does not let this process use it */
#define HMEM_LAYER_CPUS		(1u << 4)	/* its node has processors */

/**
 * struct hmem_layer_info - what is known of a layer
 * @size: sizeof(struct hmem_layer_info), set by the caller
 * @kind: enum hmem_layer_kind
 * @flags: what it can do, and whose it is, see above
 * @nid: NUMA node that it belongs to, or is near; -1: none, or not known
 * @initiator: NUMA node of the processors for which the figures hold; -1: not known
 * @tier: the kernel's memory tier, smaller is faster; -1: none
 * @capacity: bytes
 * @free: bytes that can be had now
 * @read_latency: ns, of a read that misses all caches
 * @write_latency: ns
 * @read_bandwidth: bytes a second
 * @write_bandwidth: bytes a second
 * @distance: from @initiator, 10 being its own memory
 * @device: what it is made of: the CXL region, the dax device, the pool; or ""
 * @name: see above
 * @provider: scheme of the provider that its memory comes from; "": it is system RAM, that of @nid,
 *	or where that is -1 nobody says where it is
 */
struct hmem_layer_info {
	size_t size;
	uint32_t kind;
	uint32_t flags;
	int32_t nid;
	int32_t initiator;
	int32_t tier;
	uint32_t reserved;
	struct hmem_figure capacity;
	struct hmem_figure free;
	struct hmem_figure read_latency;
	struct hmem_figure write_latency;
	struct hmem_figure read_bandwidth;
	struct hmem_figure write_bandwidth;
	struct hmem_figure distance;
	char device[HMEM_LAYER_NAME_MAX + 1];
	char name[HMEM_LAYER_NAME_MAX + 1];
	char provider[16];
};
#define HMEM_LAYER_INFO_INIT \
	{ sizeof(struct hmem_layer_info), HMEM_LAYER_OTHER, 0, -1, -1, -1, 0, HMEM_FIGURE_INIT, \
	  HMEM_FIGURE_INIT, HMEM_FIGURE_INIT, HMEM_FIGURE_INIT, HMEM_FIGURE_INIT, \
	  HMEM_FIGURE_INIT, HMEM_FIGURE_INIT, "", "", "" }

/**
 * hmem_layer_register - add a layer of the caller's own to a context
 * @info: what it is, copied; initialise it with HMEM_LAYER_INFO_INIT. See below
 * @scheme: provider that gives its memory, as hmem_provider_register() knows it; NULL: the memory is
 *	system RAM, that of the NUMA node in @info, or without one there is none: the layer is told
 *	of and chosen, but nothing can be had of it
 *
 * Its kind is HMEM_LAYER_OTHER. Its name can be printed, is nobody else's, and is not the name
 * of another kind, alone or before a colon. Of the flags HMEM_LAYER_PERSISTENT and _SHAREABLE are
 * the caller's to say; the others follow from the node. A figure with a value and without an origin
 * gets HMEM_ORIGIN_CALLER. Latencies, bandwidths and the distance hold for the processors of the
 * initiator in @info, and are not known to others; -1: for all. What is not said of system RAM is
 * taken from its node, and the distance always. The provider in @info is not looked at.
 *
 * There is no way to take one away again.
 *
 * Return: 0; -EEXIST (the name is taken), -EINVAL (size, kind, flags, a node below -1, a figure,
 * the name, no such provider), -ENAMETOOLONG (name or device), -E2BIG (@info is of a newer
 * library), -ENOMEM.
 */
HMEM_API int hmem_layer_register(struct hmem_ctx *ctx, const struct hmem_layer_info *info,
				 const char *scheme);

/**
 * hmem_layer_iterate - visit every layer
 * @initiator: NUMA node of the processors that ask; -1: that of the calling thread, and below a
 *	sysroot the first one with processors
 * @fn: returns 0 to go on; anything else ends the walk. It may call the library.
 *
 * System RAM comes first, in the order of nodes, then pools, regions, dax devices, file systems,
 * and what callers have registered. Of system RAM everything is known only to who may read the
 * attributes of the CXL bus: to others some CXL memory is "dram". What hmem_layer_probe() has
 * measured with this context, for this initiator, is told instead of what is published.
 *
 * Return: 0, what @fn returned, -EINVAL, -ENODEV (no such node, or none with processors), -ENOMEM,
 * or what the system answered.
 */
HMEM_API int hmem_layer_iterate(struct hmem_ctx *ctx, int initiator,
				int (*fn)(void *arg, const struct hmem_layer_info *info),
				void *arg);

/* In struct hmem_layer_wanted: what makes a layer better than another. */
enum hmem_layer_order {
	HMEM_LAYER_NEAREST,	/* the shorter distance */
	HMEM_LAYER_LATENCY,	/* the lower latency of reads */
	HMEM_LAYER_BANDWIDTH,	/* the higher bandwidth of reads */
	HMEM_LAYER_CAPACITY,	/* more bytes that can be had, or where that is not known, in all */
};

/** A bit in kinds of struct hmem_layer_wanted. */
#define HMEM_LAYER_KIND(kind)	(1u << (kind))

/**
 * struct hmem_layer_wanted - which layers, and the best of them first
 * @size: sizeof(struct hmem_layer_wanted)
 * @kinds: HMEM_LAYER_KIND() of those that will do; 0: all but pools, which are no memory before a
 *	region is made of them
 * @flags: HMEM_LAYER_PERSISTENT, _LOCAL, _SHAREABLE, _CPUS: all of these are needed
 * @order: enum hmem_layer_order
 * @initiator: as of hmem_layer_iterate()
 * @bytes: so many must be there to be had; where that is not known, in all
 * @name: "cxl", "cxl:2": only that layer, or those of that kind; NULL: any
 */
struct hmem_layer_wanted {
	size_t size;
	uint32_t kinds;
	uint32_t flags;
	uint32_t order;
	int32_t initiator;
	uint64_t bytes;
	const char *name;
};
#define HMEM_LAYER_WANTED_INIT \
	{ sizeof(struct hmem_layer_wanted), 0, 0, HMEM_LAYER_NEAREST, -1, 0, NULL }

/**
 * hmem_layer_select - the layers that will do, the best first
 * @wanted: NULL: all, the nearest first
 * @found: room for @nr of them, each with its size set: the first one, and where that has no room
 *	those that come after it. NULL: they are only counted
 * @nr: in: how many there is room for; out: how many there are
 *
 * Those after the first are what to fall back to, in this order. What is not known of a layer is
 * taken for worse than anything that is known of another one; where two are alike the nearer one
 * comes first, then the larger one. What the cpuset forbids is left out.
 *
 * Return: 0; -ENOENT (there is none); -EINVAL, -E2BIG (@wanted is of a newer library), and what
 * hmem_layer_iterate() returns.
 */
HMEM_API int hmem_layer_select(struct hmem_ctx *ctx, const struct hmem_layer_wanted *wanted,
			       struct hmem_layer_info *found, size_t *nr);

/**
 * hmem_layer_weights - in what ratio to interleave layers, so that all are busy at once
 * @layers: their infos, in any order
 * @nr: how many
 * @weights: room for @nr of them: pages that each gets in a round, from 1 to 255
 *
 * By bandwidth of reads, as exact as 5 % with the least numbers that are; where one is more than
 * 255 times another's, it gets less than its share.
 *
 * Return: 0; -EINVAL (none, or one has another size), -ENODATA (a bandwidth is not known).
 */
HMEM_API int hmem_layer_weights(struct hmem_ctx *ctx, const struct hmem_layer_info *layers,
				size_t nr, uint8_t *weights);

/** hmem_layer_kind_name - what stands before the colon in names of that kind; NULL: no kind */
HMEM_API const char *hmem_layer_kind_name(uint32_t kind);

/** hmem_origin_name - one word: "firmware", "kernel", ...; NULL: no origin */
HMEM_API const char *hmem_origin_name(uint32_t origin);

#ifdef __cplusplus
}
#endif
#endif
