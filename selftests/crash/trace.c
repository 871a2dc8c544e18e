// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the compiler makes the traced library tell: that a store is about to happen (so
 * that its value is read when the next thing happens), atomic operations, which are left
 * to us, and the beginnings and ends of functions; and what the library tells itself:
 * write-backs and fences.
 */
#include <stdint.h>
#include <string.h>

#include "machine.h"
#include "media.h"
#include "trace.h"
#include "tsan.h"

bool trace_on;
void (*trace_at_fence)(void);
unsigned int trace_dies_in;
void (*trace_at_death)(void);
unsigned int trace_stops_in;
void (*trace_at_stop)(void);

/* The store that has been announced. */
static int64_t announced = -1;
static size_t announced_bytes;
static const void *announced_at;

/* Where each function that is being executed was called. */
#define MOST_CALLS 256
static const void *calls[MOST_CALLS];
static unsigned int nr_calls, nr_suspended;

void trace_settle(void)
{
	if (announced < 0)
		return;
	media_store((uint64_t)announced, announced_at, announced_bytes, announced_bytes > 8);
	announced = -1;
}

void trace_forget(void)
{
	nr_calls = nr_suspended;
	announced = -1;
}

unsigned int trace_suspend(void)
{
	unsigned int was = nr_suspended;

	nr_suspended = nr_calls;
	return was;
}

void trace_resume(unsigned int suspended)
{
	trace_forget();
	nr_suspended = suspended;
}

static void happened(void)
{
	if (trace_dies_in && !--trace_dies_in)
		trace_at_death();
	if (trace_stops_in && !--trace_stops_in)
		trace_at_stop();
}

static void announce(const void *at, size_t bytes)
{
	trace_settle();
	if (!trace_on)
		return;
	announced = machine_offset(&machine_traced, at);
	announced_bytes = bytes;
	announced_at = at;
}

/* A store that has happened. */
static void stored(const void *at, size_t bytes, bool any_order, const void *pc)
{
	int64_t offset;

	trace_settle();
	if (!trace_on || !bytes)
		return;
	offset = machine_offset(&machine_traced, at);
	if (offset < 0)
		return;
	if (pc && sites_wanted && !any_order && (!has_fault || fault.kind == SITE_STORE) &&
	    media_is_waiting((uint64_t)offset)) {
		const struct site *site = site_at(SITE_STORE, pc);

		if (has_fault && fault.pc == site->pc) {
			media_store_early((uint64_t)offset, at, bytes);
			happened();
			return;
		}
	}
	media_store((uint64_t)offset, at, bytes, any_order);
	happened();
}

/* --- functions ----------------------------------------------------------------------- */

void __tsan_func_entry(void *pc)
{
	trace_settle();
	if (nr_calls < MOST_CALLS)
		calls[nr_calls] = pc;
	nr_calls++;
}

void __tsan_func_exit(void)
{
	trace_settle();
	if (nr_calls)
		nr_calls--;
}

/* Who called persist_write_back(), persist_fence(), or the function around it. */
static const struct site *caller(enum site_kind kind)
{
	const struct site *site;

	for (unsigned int i = nr_calls; i-- && i < MOST_CALLS;) {
		site = site_at(kind, calls[i]);
		if (!site->through)
			return site;
	}
	return NULL;
}

static bool is_dropped(enum site_kind kind)
{
	const struct site *site;

	if (!sites_wanted || (has_fault && fault.kind != kind))
		return false;
	site = caller(kind);
	return site && has_fault && fault.pc == site->pc;
}

void hmem_trace_write_back(const void *at, size_t bytes)
{
	int64_t offset;

	trace_settle();
	if (!trace_on || is_dropped(SITE_WRITE_BACK))
		return;
	offset = machine_offset(&machine_traced, at);
	if (offset < 0)
		return;
	media_write_back(machine_actor, (uint64_t)offset, bytes);
	happened();
}

void hmem_trace_fence(void)
{
	trace_settle();
	if (!trace_on || is_dropped(SITE_FENCE))
		return;
	trace_at_fence();
	media_fence(machine_actor);
	happened();
}

/* --- plain stores and loads ---------------------------------------------------------- */

void __tsan_init(void)
{
}

#define PLAIN(bytes)						\
	void __tsan_write##bytes(void *at)			\
	{							\
		announce(at, bytes);				\
	}							\
	void __tsan_unaligned_write##bytes(void *at)		\
	{							\
		announce(at, bytes);				\
	}							\
	void __tsan_read##bytes(void *at)			\
	{							\
		(void)at;					\
		trace_settle();					\
	}							\
	void __tsan_unaligned_read##bytes(void *at)		\
	{							\
		(void)at;					\
		trace_settle();					\
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_write_range(void *at, size_t bytes)
{
	announce(at, bytes);
}

void __tsan_read_range(void *at, size_t bytes)
{
	(void)at;
	(void)bytes;
	trace_settle();
}

void __tsan_vptr_update(void *at, void *value)
{
	(void)value;
	announce(at, sizeof(void *));
}

/* --- memory in one call -------------------------------------------------------------- */

void *hmem_trace_memcpy(void *to, const void *from, size_t bytes)
{
	trace_settle();
	memcpy(to, from, bytes);
	stored(to, bytes, true, NULL);
	return to;
}

void *hmem_trace_memmove(void *to, const void *from, size_t bytes)
{
	trace_settle();
	memmove(to, from, bytes);
	stored(to, bytes, true, NULL);
	return to;
}

void *hmem_trace_memset(void *to, int value, size_t bytes)
{
	trace_settle();
	memset(to, value, bytes);
	stored(to, bytes, true, NULL);
	return to;
}

/* --- atomics ------------------------------------------------------------------------- */

/* One thread runs: the order is that of the program. */
#define FETCH(bits, name, builtin)						\
	uint##bits##_t __tsan_atomic##bits##_fetch_##name(			\
		volatile uint##bits##_t *at, uint##bits##_t value, int order)	\
	{									\
		uint##bits##_t was;						\
										\
		(void)order;							\
		trace_settle();							\
		was = builtin((uint##bits##_t *)at, value, __ATOMIC_SEQ_CST);	\
		stored((const void *)at, sizeof(was), false,			\
		       __builtin_return_address(0));				\
		return was;							\
	}

#define SWAP(bits, strength)							\
	int __tsan_atomic##bits##_compare_exchange_##strength(			\
		volatile uint##bits##_t *at, uint##bits##_t *from,		\
		uint##bits##_t to, int order, int failure)			\
	{									\
		(void)order;							\
		(void)failure;							\
		trace_settle();							\
		if (!__atomic_compare_exchange_n((uint##bits##_t *)at, from, to, \
						 false, __ATOMIC_SEQ_CST,	\
						 __ATOMIC_SEQ_CST))		\
			return 0;						\
		stored((const void *)at, sizeof(to), false,			\
		       __builtin_return_address(0));				\
		return 1;							\
	}

#define ATOMIC(bits)								\
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, \
						  int order)			\
	{									\
		(void)order;							\
		trace_settle();							\
		return *at;							\
	}									\
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *at,		\
					 uint##bits##_t value, int order)	\
	{									\
		(void)order;							\
		trace_settle();							\
		*at = value;							\
		stored((const void *)at, sizeof(value), false,			\
		       __builtin_return_address(0));				\
	}									\
	FETCH(bits, add, __atomic_fetch_add)					\
	FETCH(bits, sub, __atomic_fetch_sub)					\
	FETCH(bits, and, __atomic_fetch_and)					\
	FETCH(bits, or, __atomic_fetch_or)					\
	FETCH(bits, xor, __atomic_fetch_xor)					\
	FETCH(bits, nand, __atomic_fetch_nand)					\
	uint##bits##_t __tsan_atomic##bits##_exchange(				\
		volatile uint##bits##_t *at, uint##bits##_t value, int order)	\
	{									\
		uint##bits##_t was;						\
										\
		(void)order;							\
		trace_settle();							\
		was = __atomic_exchange_n((uint##bits##_t *)at, value,		\
					  __ATOMIC_SEQ_CST);			\
		stored((const void *)at, sizeof(was), false,			\
		       __builtin_return_address(0));				\
		return was;							\
	}									\
	SWAP(bits, strong)							\
	SWAP(bits, weak)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	trace_settle();
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
	trace_settle();
}
