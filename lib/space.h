/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a space is inside the library: memory, and the table of its granules.
 */
#ifndef LIB_SPACE_H
#define LIB_SPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <hmem/interface.h>
#include <hmem/layer.h>
#include <hmem/region.h>
#include <hmem/space.h>

#include "granule.h"

#define SPACE_ALIGN	(2ull << 20)	/* of its memory, and the most that a block can have */
#define SPACE_KEPT_ALIGN (64ull << 20)	/* of its memory where it is kept */
#define SPACE_PARTS	64
#define SPACE_MEMBERS	1023	/* processes of one that is shared */
#define SPACE_NUMBER	1	/* of its only interface */

/*
 * A part while a space is made.
 *
 * @layer: with its name settled
 * @named: of a region that is no layer, as @layer has it too; NULL: it is one
 * @region: of a part that is not system RAM, once it is there
 * @bytes: it shall have; 0: not known yet
 * @has: that region, in large pages, if it was there before; 0: it is made as large as wanted
 * @laid: bytes of @region that have their place
 */
struct space_part {
	struct hmem_layer_info layer;
	const char *named;
	struct hmem_region *region;
	uint64_t bytes;
	uint64_t has;
	uint64_t laid;
	uint32_t weight;
};

/* @made: its name, if it is destroyed with the space; NULL: it is not */
struct space_region {
	struct hmem_region *region;
	char *made;
};

/*
 * @member: this process in the table of granules
 * @base: of the memory, of @bytes
 * @table: where granules are accounted for, memory of its own
 * @fit: system RAM has to have as much free when it is made
 * @regions: whose memory it is, @nr_regions of them; NULL: of none
 * @mapped: one that is the space alone, of @mapped_bytes; NULL: none is, or it is not mapped yet
 * @mapper: process that has them mapped, which its children have not
 * @lock_fd: of the region's file, whose bytes are locked by those who share it; -1: nobody does
 * @next: of those that are shared, see space_shared.c
 * @lock: held by who puts in order what the dead left
 * @interfaces: a bit for each number that is taken
 * @layers: that its memory is of, as they are told to people
 * @defaults: of its interfaces, under @lock; their size is 0: the library's
 * @next_named: of the context, see space_request.c
 * @place: of a space that is kept: what mimalloc has of it, see strategy_mimalloc.c
 * @shown: where it is told, and by which file, see space_shown.h; NULL: nowhere
 * @next_shown: of those, see space_shown.c
 */
struct hmem_space {
	atomic_uint refs;
	uint32_t flags;
	uint32_t nr_parts;
	uint32_t member;
	bool fit;
	struct hmem_ctx *ctx;
	char *base;
	uint64_t bytes;
	void *table;
	uint64_t table_bytes;
	struct space_region *regions;
	uint32_t nr_regions;
	pid_t mapper;
	void *mapped;
	uint64_t mapped_bytes;
	int lock_fd;
	struct hmem_space *next;
	struct granules g;
	pthread_mutex_t lock;
	atomic_uint nr_interfaces;
	_Atomic uint64_t interfaces[GRANULE_INTERFACES / 64];
	char name[HMEM_SPACE_NAME_MAX + 1];
	char layers[HMEM_SPACE_LAYERS_MAX + 1];
	struct hmem_interface_options defaults;
	struct hmem_space *next_named;
	struct mimalloc_place *place;
	struct space_shown *shown;
	struct hmem_space *next_shown;
	int shown_fd;
	ino_t shown_ino;
	dev_t shown_dev;
};

/*
 * What follows returns 0 or a negative errno with a last error. What a space had by then it has
 * until it is disposed of.
 */

/* Memory for a space as it was asked for. */
int space_map_memory(struct hmem_space *space, const struct hmem_space_options *use);
void space_name_layer(struct hmem_space *space, const char *layer);

/* Memory of its parts, whose regions are there. */
int space_map_parts(struct hmem_space *space, struct space_part *parts, uint32_t n);
/* What each part has of the space by its weight, added to its bytes. */
void space_share_out(struct hmem_space *space, struct space_part *parts, uint32_t n);

/*
 * System RAM at @from that is of this node; whether nodes have as much free as their parts; taken
 * now, for all parts; and then held to its node.
 */
int space_bind_node(struct hmem_space *space, char *from, uint64_t bytes, int nid);
int space_check_room(struct hmem_space *space, const struct space_part *parts, uint32_t n);
int space_populate(struct hmem_space *space, const struct space_part *parts, uint32_t n);
int space_hold_node(struct hmem_space *space, const struct space_part *part, char *from,
		    uint64_t bytes);

/* One more region. @bytes: 0: of one that is there; else it is made, or becomes so large if it can */
int space_open_region(struct hmem_space *space, const char *name, uint64_t bytes);
/* @scheme: of the provider; @pool: of which, or NULL */
int space_make_region(struct hmem_space *space, const char *scheme, const char *pool,
		      uint64_t bytes);
int space_make_file(struct hmem_space *space, const char *directory, uint64_t bytes);
/* Memory of its only region, all of it, whose bytes are the space's then. */
int space_map_region(struct hmem_space *space);
int space_keep_from_children(struct hmem_space *space, void *from, uint64_t bytes);
/* Without descriptors; their memory stays. */
void space_close_regions(struct hmem_space *space);
/* Those that were made for it. */
void space_destroy_made(struct hmem_space *space);
/* Give up all of a space that has any, its memory with them. */
void space_give_regions(struct hmem_space *space);

/*
 * A space by who knows where its memory is, so that layers need not be looked for, which takes
 * milliseconds: @map has it, as those above do. @layer: as it is told; @bytes: not too few;
 * @flags: of system RAM.
 */
int space_create_by(struct hmem_ctx *ctx, const char *name, const char *layer, uint64_t bytes,
		    uint32_t flags,
		    int (*map)(struct hmem_space *space, const void *from), const void *from,
		    struct hmem_space **space);

/* It can be requested by its name, and cannot any more. */
void space_enter(struct hmem_space *space);
void space_remove(struct hmem_space *space);

/* Become one of those who share the table in the region that is mapped, or make it. */
int space_join(struct hmem_space *space);
void space_leave(struct hmem_space *space);

/* What members held who died is there for others; false: nobody has died. */
bool space_bury(struct hmem_space *space);

/* A number for an interface; 0: all are taken. */
unsigned int space_number_take(struct hmem_space *space);
void space_number_give(struct hmem_space *space, unsigned int number);

/* As they are told: interfaces of the program's. */
void space_count_interfaces(struct hmem_space *space, int more);

#endif
