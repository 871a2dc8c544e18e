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
 */
struct space_part {
	struct hmem_layer_info layer;
	uint64_t bytes;
	uint32_t weight;
};

/*
 * @member: this process in the table of granules
 * @base: of the memory, of @bytes
 * @table: where granules are accounted for, memory of its own
 * @region: that is mapped at @mapped; NULL: none
 * @mapper: process that has it mapped, which its children have not
 * @made: the region's name if it is destroyed with the space, or ""
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
	struct hmem_ctx *ctx;
	char *base;
	uint64_t bytes;
	void *table;
	uint64_t table_bytes;
	struct hmem_region *region;
	void *mapped;
	uint64_t mapped_bytes;
	pid_t mapper;
	char made[HMEM_REGION_NAME_MAX + 1];
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
 * Memory for a space, of its bytes; or, of a region that is there, all of it, and that is its
 * bytes then. 0 or a negative errno with a last error; nothing is left then.
 */
int space_map_nodes(struct hmem_space *space, const struct space_part *parts, uint32_t n);
/* @bytes: 0: of one that is there; else it is made, or becomes that large if it can */
int space_map_region(struct hmem_space *space, const char *name, uint64_t bytes);
/* @scheme: of the provider; @pool: of which, or NULL */
int space_make_region(struct hmem_space *space, const char *scheme, const char *pool);
int space_make_file(struct hmem_space *space, const char *directory);
void space_unmap_region(struct hmem_space *space);

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
