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
 *	dax:NAME			a device-dax device that is not system RAM
 *	fsdax:PATH			a file system that maps its memory into programs (DAX)
 *
 * and those that a caller registers have names of his. Where a name is asked for, KIND alone is
 * the nearest layer of that kind.
 *
 * Layers are looked for anew in each call, below the context's sysroot: what is found is what is
 * there now.
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
};

/**
 * hmem_layer_iterate - visit every layer
 * @initiator: NUMA node of the processors that ask; -1: that of the calling thread, and below a
 *	sysroot the first one with processors
 * @fn: returns 0 to go on; anything else ends the walk. It may call the library.
 *
 * System RAM comes first, in the order of nodes, then pools, regions, dax devices, file systems,
 * and what callers have registered. Of system RAM everything is known only to who may read the
 * attributes of the CXL bus: to others some CXL memory is "dram".
 *
 * Return: 0, what @fn returned, -EINVAL, -ENODEV (no such node, or none with processors), -ENOMEM,
 * or what the system answered.
 */
HMEM_API int hmem_layer_iterate(struct hmem_ctx *ctx, int initiator,
				int (*fn)(void *arg, const struct hmem_layer_info *info),
				void *arg);

/** hmem_layer_kind_name - what stands before the colon in names of that kind; NULL: no kind */
HMEM_API const char *hmem_layer_kind_name(uint32_t kind);

/** hmem_origin_name - one word: "firmware", "kernel", ...; NULL: no origin */
HMEM_API const char *hmem_origin_name(uint32_t origin);

#ifdef __cplusplus
}
#endif
#endif
