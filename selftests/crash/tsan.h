/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions that code compiled with -fsanitize=thread calls.
 */
#ifndef SELFTESTS_CRASH_TSAN_H
#define SELFTESTS_CRASH_TSAN_H

#include <stddef.h>
#include <stdint.h>

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

#define TSAN_PLAIN(bytes)				\
	void __tsan_write##bytes(void *at);		\
	void __tsan_unaligned_write##bytes(void *at);	\
	void __tsan_read##bytes(void *at);		\
	void __tsan_unaligned_read##bytes(void *at)
TSAN_PLAIN(1);
TSAN_PLAIN(2);
TSAN_PLAIN(4);
TSAN_PLAIN(8);
TSAN_PLAIN(16);
void __tsan_write_range(void *at, size_t bytes);
void __tsan_read_range(void *at, size_t bytes);
void __tsan_vptr_update(void *at, void *value);

#define TSAN_FETCH(bits, name)						\
	uint##bits##_t __tsan_atomic##bits##_fetch_##name(		\
		volatile uint##bits##_t *at, uint##bits##_t value, int order)
#define TSAN_SWAP(bits, strength)					\
	int __tsan_atomic##bits##_compare_exchange_##strength(		\
		volatile uint##bits##_t *at, uint##bits##_t *from,	\
		uint##bits##_t to, int order, int failure)
#define TSAN_ATOMIC(bits)						\
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, \
						  int order);		\
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *at,	\
					 uint##bits##_t value, int order); \
	uint##bits##_t __tsan_atomic##bits##_exchange(			\
		volatile uint##bits##_t *at, uint##bits##_t value, int order); \
	TSAN_FETCH(bits, add);						\
	TSAN_FETCH(bits, sub);						\
	TSAN_FETCH(bits, and);						\
	TSAN_FETCH(bits, or);						\
	TSAN_FETCH(bits, xor);						\
	TSAN_FETCH(bits, nand);						\
	TSAN_SWAP(bits, strong);					\
	TSAN_SWAP(bits, weak)
TSAN_ATOMIC(8);
TSAN_ATOMIC(16);
TSAN_ATOMIC(32);
TSAN_ATOMIC(64);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

/* What the traced copy calls in place of those of the C library. */
void *hmem_trace_memcpy(void *to, const void *from, size_t bytes);
void *hmem_trace_memmove(void *to, const void *from, size_t bytes);
void *hmem_trace_memset(void *to, int value, size_t bytes);

/* And what lib/shelf_persist.c calls. */
void hmem_trace_write_back(const void *at, size_t bytes);
void hmem_trace_fence(void);

#endif
