/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring a layer: how long a read of it takes, and how many bytes a second its processors read
 * and write.
 */
#ifndef HMEM_PROBE_H
#define HMEM_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/layer.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct hmem_layer_probe_options - how to measure
 * @size: sizeof(struct hmem_layer_probe_options)
 * @initiator: as of hmem_layer_iterate(): whose processors measure
 * @threads: that read and write at once, each on a processor of its own; 0: one for each that this
 *	process may use there, at most 256
 * @milliseconds: that measuring takes, besides getting the memory; 0: 1000
 * @reserved: 0
 * @bytes: of memory to measure, at least 64 KiB, however large the caches are; 0: the power of two
 *	that is at least 64 MiB and four times the caches, or where there is less room, the one that
 *	leaves half of it and is at least twice the caches
 */
struct hmem_layer_probe_options {
	size_t size;
	int32_t initiator;
	uint32_t threads;
	uint32_t milliseconds;
	uint32_t reserved;
	uint64_t bytes;
};
#define HMEM_LAYER_PROBE_OPTIONS_INIT \
	{ sizeof(struct hmem_layer_probe_options), -1, 0, 0, 0, 0 }

#define HMEM_LAYER_PROBED_WRITES	(1u << 0)	/* writes were measured as well */

/**
 * struct hmem_layer_probed - how it was measured
 * @size: sizeof(struct hmem_layer_probed), set by the caller
 * @bytes: of memory that were read
 * @huge_bytes: of these in huge pages, where the kernel counts them; of system RAM alone
 * @cache_bytes: of last-level cache that those processors have; 0: not known
 * @flags: HMEM_LAYER_PROBED_WRITES
 * @threads: that read and wrote at once
 * @repetitions: of each measurement, whose median counts
 * @milliseconds: that it took
 */
struct hmem_layer_probed {
	size_t size;
	uint64_t bytes;
	uint64_t huge_bytes;
	uint64_t cache_bytes;
	uint32_t flags;
	uint32_t threads;
	uint32_t repetitions;
	uint32_t milliseconds;
};

/**
 * hmem_layer_probe - measure a layer
 * @name: its name, or a kind, for the nearest one of it
 * @options: NULL: as HMEM_LAYER_PROBE_OPTIONS_INIT
 * @layer: what is known of it now, its size set by the caller; may be NULL
 * @probed: how it was measured, its size set by the caller; may be NULL
 *
 * Latency is that of reads of which each needs the one before to know where it goes to, all over
 * the memory; bandwidth what several threads read, and write, each a part of it from end to end.
 * Both are medians. The threads run on processors of the initiator; huge pages are asked for.
 *
 * The memory is taken for that: of a node with mbind(2), of a pool as a region, of a file system as
 * a file without a name, of a registered layer as a region of its provider. Regions and dax devices
 * are opened read-only, and their writes are not measured; what of a region is near then counts as
 * it is. Region: "hmem-probe.PID.N", and only a process that is killed leaves it behind. Bad memory
 * raises SIGBUS, as it does for whoever reads it.
 *
 * What was measured has HMEM_ORIGIN_PROBE. The context keeps it until it is measured again, and
 * this is what hmem_layer_iterate() and _select() tell the same initiator, whatever is published:
 * what a program gets on this machine counts.
 *
 * The progress function hears "preparing" in bytes and then "measuring" in milliseconds.
 *
 * Return: 0; -ENOENT (no such layer), -EPERM (the cpuset keeps this process from the node, or from
 * the processors; mbind is not allowed; a pool: no CAP_SYS_ADMIN), -EACCES, -ENOSPC (no room for so
 * much, or for so much that the caches do not answer instead), -EOPNOTSUPP (below a sysroot; a
 * layer of which nobody says where its memory is; the file system or the provider cannot), -EINVAL,
 * -E2BIG (the options are of a newer library), -ENODEV (no node with processors has that number),
 * -ENOMEM, -EAGAIN (no threads), -EFBIG (beyond ulimit -f), or what the system answered.
 */
HMEM_API int hmem_layer_probe(struct hmem_ctx *ctx, const char *name,
			      const struct hmem_layer_probe_options *options,
			      struct hmem_layer_info *layer, struct hmem_layer_probed *probed);

#ifdef __cplusplus
}
#endif
#endif
