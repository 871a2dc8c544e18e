// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where memory above the threshold comes from: which allocations that are, and their blocks. The
 * space is made by the first of them: of the programs that another one starts, most never have any.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hmem/interface.h>

#include "../checked.h"
#include "place.h"
#include "preload.h"

/* So many allocations at most go elsewhere before a space that was full is asked again. */
#define PATIENCE_MAX 1024

struct source source = { .above = SIZE_MAX };

enum { NONE, MAKING, READY, FAILED };

static atomic_int state;

static struct hmem_space *space;
static struct hmem_interface *interface;
static char why_not[512];

/* What the library asks for itself is the next malloc's: it may hold locks. */
static __thread int inside __attribute__((tls_model("initial-exec")));

struct hmem_space *source_space(void)
{
	return atomic_load(&state) == READY ? space : NULL;
}

struct hmem_interface *source_interface(void)
{
	return atomic_load(&state) == READY ? interface : NULL;
}

const char *source_why_not(void)
{
	return atomic_load(&state) == FAILED ? why_not : "";
}

void source_touch(void)
{
	inside++;
	hmem_free(interface, hmem_malloc(interface, 1));
	inside--;
}

/* --- the space ----------------------------------------------------------------------- */

static int make_on(struct hmem_ctx *ctx)
{
	int err = place_space(ctx, settings.layer, settings.size, &space);

	if (!err)
		err = hmem_interface_create(space, NULL, &interface);
	if (err) {
		snprintf(why_not, sizeof(why_not), "%s", hmem_last_error(ctx));
		return err;
	}
	/* Guards lie behind what a block is said to have. */
	if (checked_everywhere())
		place_is_new = false;
	/*
	 * What the library does at a fork comes after what is done here in the parent, and before
	 * it in the child: so it is watching by now.
	 */
	source_touch();
	err = children_watch(space);
	if (err)
		snprintf(why_not, sizeof(why_not), "hearing of forks: %s", strerror(-err));
	return err;
}

static int make(void)
{
	struct hmem_ctx *ctx;
	int err = hmem_ctx_new(&ctx);

	if (err) {
		snprintf(why_not, sizeof(why_not), "starting the library: %s", strerror(-err));
		return err;
	}
	err = make_on(ctx);
	/* Nothing is left of what was made; but for handles nothing has been made. */
	if (err) {
		hmem_interface_unref(interface);
		hmem_space_unref(space);
		space = NULL;
		interface = NULL;
	}
	hmem_ctx_unref(ctx);
	return err;
}

/*
 * While a thread makes it others do without. So does for ever a child by fork(2) of that instant:
 * what that thread held of the library's locks is nobody's there.
 */
static bool make_space(void)
{
	int was = atomic_load(&state), error = errno;
	bool made;

	if (was != NONE || !atomic_compare_exchange_strong(&state, &was, MAKING))
		return was == READY;
	inside++;
	made = !make();
	inside--;
	if (made) {
		atomic_store_explicit(&source.base, (uintptr_t)space->base, memory_order_relaxed);
		atomic_store_explicit(&source.bytes, space->bytes, memory_order_release);
	}
	atomic_store(&state, made ? READY : FAILED);
	errno = error;
	return made;
}

/* --- which allocations --------------------------------------------------------------- */

/*
 * What is owed to the layer, in bytes, by this thread. It begins anywhere between half a block too
 * much and half a block too little, each thread elsewhere, so that threads with few allocations
 * come to the share together.
 */
static bool is_chosen(size_t bytes)
{
	static __thread int64_t debt __attribute__((tls_model("initial-exec")));
	static __thread bool begun __attribute__((tls_model("initial-exec")));
	static atomic_uint threads;

	if (LIKELY(settings.share == 100))
		return true;
	if (!begun) {
		begun = true;
		/* Multiples of the golden ratio fill the circle evenly. */
		debt = (int64_t)((__int128)bytes *
				 (int16_t)(atomic_fetch_add(&threads, 1) * 40503u) / 65536);
	}
	debt += (int64_t)(bytes / 100 * settings.share + bytes % 100 * settings.share / 100);
	if (debt < (int64_t)(bytes / 2))
		return false;
	debt -= (int64_t)bytes;
	return true;
}

/*
 * Asking a space that is full costs a look at all of its table. How many allocations are passed on
 * before the next try doubles with each that is in vain. What is smaller than all that was refused
 * may well find room.
 */
static atomic_uint passes, patience;
static _Atomic size_t too_much = SIZE_MAX;

static bool is_waiting(size_t bytes)
{
	unsigned int left = atomic_load_explicit(&passes, memory_order_relaxed);

	return UNLIKELY(left) && bytes >= atomic_load_explicit(&too_much, memory_order_relaxed) &&
	       atomic_compare_exchange_strong(&passes, &left, left - 1);
}

static void refused(size_t bytes)
{
	unsigned int n = 2 * atomic_load_explicit(&patience, memory_order_relaxed);

	n = n > PATIENCE_MAX ? PATIENCE_MAX : n ? n : 1;
	if (bytes < atomic_load_explicit(&too_much, memory_order_relaxed))
		atomic_store_explicit(&too_much, bytes, memory_order_relaxed);
	atomic_store_explicit(&patience, n, memory_order_relaxed);
	atomic_store_explicit(&passes, n, memory_order_relaxed);
}

static void granted(size_t bytes)
{
	if (LIKELY(!atomic_load_explicit(&patience, memory_order_relaxed)) ||
	    bytes < atomic_load_explicit(&too_much, memory_order_relaxed))
		return;
	atomic_store_explicit(&patience, 0, memory_order_relaxed);
	atomic_store_explicit(&passes, 0, memory_order_relaxed);
	atomic_store_explicit(&too_much, SIZE_MAX, memory_order_relaxed);
}

/* --- blocks -------------------------------------------------------------------------- */

/* The end of what was ever given out: what lies behind it reads as zeroes where new memory does. */
static _Atomic uintptr_t highest;

/* Return: whether the block was never given out before. */
static bool raise_highest(const void *block, size_t bytes)
{
	uintptr_t at = (uintptr_t)block, was = atomic_load_explicit(&highest, memory_order_relaxed);
	bool fresh = at >= was;
	uintptr_t end;

	/* Blocks are larger than was asked for, by less than half and two granules. */
	if (LIKELY(at + bytes + bytes / 2 + (2 << GRANULE_SHIFT_MAX) <= was))
		return false;
	end = at + hmem_usable_size(interface, block);
	while (end > was && !atomic_compare_exchange_weak(&highest, &was, end))
		;
	return fresh;
}

void *source_alloc_chosen(size_t bytes, size_t align, bool *zero)
{
	int error = errno;
	void *block = NULL;
	bool fresh;

	if (UNLIKELY(inside))
		return NULL;
	if (LIKELY(atomic_load_explicit(&state, memory_order_acquire) == READY || make_space()) &&
	    align <= SPACE_ALIGN && bytes <= space->bytes && !is_waiting(bytes)) {
		inside++;
		block = align <= GRANULE_BLOCK_MIN ? hmem_malloc(interface, bytes) :
						     hmem_aligned_alloc(interface, align, bytes);
		inside--;
		if (block)
			granted(bytes);
		else if (errno == ENOSPC)
			refused(bytes);
		errno = error;
	}
	if (!block) {
		count_elsewhere(bytes);
		return NULL;
	}
	fresh = raise_highest(block, bytes) && place_is_new;
	if (zero)
		*zero = fresh;
	count_here(bytes);
	return block;
}

/* What operator new has passed on, and may come back from there as malloc(3) of as much. */
static __thread size_t passed_on __attribute__((tls_model("initial-exec")));

void *source_alloc(size_t bytes, size_t align, bool *zero)
{
	if (bytes > PTRDIFF_MAX || inside)
		return NULL;
	if (passed_on == bytes) {
		passed_on = 0;
		return NULL;
	}
	return is_chosen(bytes) ? source_alloc_chosen(bytes, align, zero) : NULL;
}

void *source_new(size_t bytes, size_t align)
{
	void *block;

	passed_on = 0;
	block = source_alloc(bytes, align, NULL);
	if (!block)
		passed_on = bytes;
	return block;
}

void source_free(void *block)
{
	int error = errno;

	inside++;
	if (UNLIKELY(hmem_free(interface, block)))
		count_bad_free();
	inside--;
	errno = error;
}

size_t source_usable(const void *block)
{
	return hmem_usable_size(interface, block);
}

/* After the program's own destructors: what these free and use is there until the end. */
static __attribute__((destructor)) void source_end(void)
{
	count_tell();
	if (source_space())
		place_end(space);
}
