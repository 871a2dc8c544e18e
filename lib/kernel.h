/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ioctls of hmem.ko. Only kernel.c and kernel_tier.c see the uapi header; the rest of the
 * library is written against these calls, whose errors already carry a message.
 *
 * Names were checked before (name.h).
 */
#ifndef LIB_KERNEL_H
#define LIB_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <hmem/poison.h>
#include <hmem/pool.h>
#include <hmem/region.h>
#include <hmem/tier.h>

struct hmem_ctx;

/* @name: may be "" for a CXL pool; @source: "" for a pool of system RAM */
struct hmem_kernel_attach {
	bool format;
	bool check;
	bool take_over;
	uint64_t bytes;
	int nid;
	const char *name;
	const char *source;
	uint8_t host[16];
};

struct hmem_kernel_attached {
	bool persistent;
	bool formatted;
	bool repaired;
	uint64_t bytes;
	uint32_t regions;
};

struct hmem_kernel_region {
	uint64_t bytes;
	uint64_t extent_size;
	bool persistent;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	int nid;
	uint64_t faults;
	char pool[64];
	uint8_t uuid[16];
};

int hmem_kernel_pool_attach(struct hmem_ctx *ctx, const struct hmem_kernel_attach *attach,
			    struct hmem_kernel_attached *attached);
int hmem_kernel_pool_detach(struct hmem_ctx *ctx, const char *name);
/* @nr_held: how many fit into @held; then how many were filled in */
int hmem_kernel_pool_drain(struct hmem_ctx *ctx, const char *name, unsigned int flags,
			   struct hmem_pool_drained *drained, struct hmem_pool_held *held,
			   size_t *nr_held);
/* @options: flags, sizes and names are as they are to be, @pool not NULL */
int hmem_kernel_region_create(struct hmem_ctx *ctx, const char *name,
			      const struct hmem_region_options *options);
int hmem_kernel_region_resize(struct hmem_ctx *ctx, const char *name, uint64_t bytes);
int hmem_kernel_region_destroy(struct hmem_ctx *ctx, const char *name);

/* @fd: an open /dev/hmem/NAME; @name is for the message */
int hmem_kernel_region_info(struct hmem_ctx *ctx, int fd, const char *name,
			    struct hmem_kernel_region *region);

/*
 * Tiering, of an open /dev/hmem/NAME. The structs are complete ones of this library's, and stay as
 * they were when there is an error.
 */
int hmem_kernel_tier_migrate(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes, enum hmem_tier_place place,
			     struct hmem_tier_moved *moved);
int hmem_kernel_tier_migrate_begin(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
				   uint64_t bytes, enum hmem_tier_place place);
int hmem_kernel_tier_migrate_status(struct hmem_ctx *ctx, int fd, const char *name, bool stop,
				    struct hmem_tier_moved *moved);
/* @next: also with an error: up to where it came */
int hmem_kernel_tier_keep(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			  uint64_t bytes, enum hmem_tier_place place, uint64_t *next);
int hmem_kernel_tier_release(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes);
int hmem_kernel_tier_get(struct hmem_ctx *ctx, int fd, const char *name,
			 struct hmem_tier_policy *policy);
int hmem_kernel_tier_set(struct hmem_ctx *ctx, int fd, const char *name,
			 const struct hmem_tier_policy *policy, bool near_max, bool mode);
int hmem_kernel_tier_get_knob(struct hmem_ctx *ctx, int fd, const char *name, const char *knob,
			      uint64_t *value);
int hmem_kernel_tier_set_knob(struct hmem_ctx *ctx, int fd, const char *name, const char *knob,
			      uint64_t value);
int hmem_kernel_tier_knob_at(struct hmem_ctx *ctx, int fd, const char *name, unsigned int index,
			     struct hmem_tier_knob *knob);
int hmem_kernel_tier_stats(struct hmem_ctx *ctx, int fd, const char *name,
			   struct hmem_tier_stats *stats);
int hmem_kernel_tier_heat(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			  uint64_t bytes, uint64_t cell, struct hmem_tier_cell *cells,
			  size_t *nr_cells, struct hmem_tier_histogram *histogram);

/* Bad memory and events. Numbers and arrays are as the module takes them. */
int hmem_kernel_poison_list(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			    struct hmem_bad *bad, size_t *nr_bad);
int hmem_kernel_poison_report(struct hmem_ctx *ctx, const char *pool, uint64_t offset,
			      uint64_t bytes, uint64_t *pages);
int hmem_kernel_poison_clear(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes, uint64_t *pages);
int hmem_kernel_wait(struct hmem_ctx *ctx, int fd, const char *name, uint64_t *number,
		     uint64_t timeout_ns, struct hmem_happened *happened, size_t *nr_happened,
		     uint64_t *lost);

/* Is /dev/hmem/control there? */
bool hmem_kernel_loaded(struct hmem_ctx *ctx);

/* -ENODEV, with what to do when it is not. */
int hmem_kernel_not_loaded(struct hmem_ctx *ctx);

#endif
