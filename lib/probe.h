/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring a layer: memory of it, the threads that do it, and what they do.
 */
#ifndef LIB_PROBE_H
#define LIB_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmem/layer.h>
#include <hmem/region.h>

struct hmem_ctx;

/* What is moved at once between two looks at the clock. */
#define HMEM_PROBE_CHUNK ((size_t)256 << 10)

/* Of each measurement; odd, for there is to be a median. */
#define HMEM_PROBE_REPETITIONS 7

/* The least that can be measured, and that a thread is given. */
#define HMEM_PROBE_LEAST ((uint64_t)64 << 10)

/*
 * @at: @bytes of the layer, which have been touched; they must not be written when @read_only
 * @huge_bytes: of them in huge pages
 * @region: that it was mapped from, or NULL
 * @made: its name, when it was made for this, or ""
 */
struct hmem_probe_memory {
	struct hmem_ctx *ctx;
	char *at;
	uint64_t bytes;
	uint64_t huge_bytes;
	bool read_only;
	struct hmem_region *region;
	char made[HMEM_REGION_NAME_MAX + 1];
};

/*
 * Map @bytes of a layer. @only_node: there is no other node that pages could come from.
 * 0 or a negative errno with a last error; then nothing is left.
 */
int hmem_probe_memory_get(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, bool only_node,
			  uint64_t bytes, struct hmem_probe_memory *memory);
/* The last error stays what it is. */
void hmem_probe_memory_put(struct hmem_probe_memory *memory);

/* Are regions and devices opened, whose content is somebody's? */
bool hmem_probe_reads_only(const struct hmem_layer_info *layer);

/*
 * The processors of a node that this process may use.
 * @cpu: their numbers
 * @cache_bytes: of their last-level caches together; 0: not known
 */
struct hmem_probe_cpus {
	int *cpu;
	size_t n;
	uint64_t cache_bytes;
};

/* 0, -EPERM (there is none), -ENOMEM, with a last error. */
int hmem_probe_cpus_get(struct hmem_ctx *ctx, int nid, struct hmem_probe_cpus *cpus);
void hmem_probe_cpus_put(struct hmem_probe_cpus *cpus);

/* @read_latency: ns; the others: bytes a second, 0 for what was not measured. */
struct hmem_probe_result {
	uint64_t read_latency;
	uint64_t read_bandwidth;
	uint64_t write_bandwidth;
};

/*
 * Measure for so long, with so many threads, at most one for each processor.
 * 0, -EAGAIN, -ENOMEM, with a last error.
 */
int hmem_probe_run(struct hmem_ctx *ctx, const struct hmem_probe_memory *memory,
		   const struct hmem_probe_cpus *cpus, unsigned int threads,
		   unsigned int milliseconds, struct hmem_probe_result *result);

/*
 * One measurement, from @from to about @until on the clock of hmem_probe_now(), of the calling
 * thread's part of the memory; it goes on where @state, which begins as 0, says that it ended.
 * Return what was done, in units of @time ns: reads, bytes.
 */
struct hmem_probe_done {
	uint64_t done;
	uint64_t time;
};

typedef struct hmem_probe_done hmem_probe_kernel(char *at, size_t bytes, uint64_t from,
						 uint64_t until, uint64_t *state);
hmem_probe_kernel hmem_probe_latency;
hmem_probe_kernel hmem_probe_reads;
hmem_probe_kernel hmem_probe_writes;

/* ns */
uint64_t hmem_probe_now(void);

#endif
