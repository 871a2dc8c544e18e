// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * malloc(3) and its like, as programs call them. What is small, and what is not of the space, is
 * passed on after one comparison.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

/* glibc's header declares none of it so that it could be checked against. */
EXPORTED void *malloc(size_t bytes);
EXPORTED void *calloc(size_t n, size_t bytes);
EXPORTED void *realloc(void *block, size_t bytes);
EXPORTED void *reallocarray(void *block, size_t n, size_t bytes);
EXPORTED void free(void *block);
EXPORTED void cfree(void *block);
EXPORTED int posix_memalign(void **block, size_t align, size_t bytes);
EXPORTED void *aligned_alloc(size_t align, size_t bytes);
EXPORTED void *memalign(size_t align, size_t bytes);
EXPORTED void *valloc(size_t bytes);
EXPORTED void *pvalloc(size_t bytes);
EXPORTED size_t malloc_usable_size(void *block);

static bool is_power(size_t n)
{
	return n && !(n & (n - 1));
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static __attribute__((noinline)) void *malloc_above(size_t bytes)
{
	void *block = source_alloc(bytes, 1, NULL);

	return block ? block : next.malloc(bytes);
}

void *malloc(size_t bytes)
{
	if (LIKELY(bytes <= source.above))
		return next.malloc(bytes);
	return malloc_above(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	size_t all;
	bool zero;
	void *block;

	/* What overflows is the next one's to refuse. */
	if (__builtin_mul_overflow(n, bytes, &all) || LIKELY(all <= source.above))
		return next.calloc(n, bytes);
	block = source_alloc(all, 1, &zero);
	if (!block)
		return next.calloc(n, bytes);
	return zero ? block : memset(block, 0, all);
}

void free(void *block)
{
	if (UNLIKELY(source_has(block)))
		source_free(block);
	else
		next.free(block);
}

void cfree(void *block)
{
	free(block);
}

/* Out of the space, where it has shrunk so far. It stays if there is nothing smaller. */
static void *leave(void *block, size_t bytes, size_t has)
{
	void *new = next.malloc(bytes);

	if (!new)
		return bytes <= has ? block : NULL;
	memcpy(new, block, bytes < has ? bytes : has);
	source_free(block);
	return new;
}

static void *realloc_here(void *block, size_t bytes)
{
	size_t has = source_usable(block);
	void *new;

	if (!bytes) {
		source_free(block);
		return NULL;
	}
	if (bytes > PTRDIFF_MAX || !has) {
		errno = has ? ENOMEM : EINVAL;
		return NULL;
	}
	if (bytes <= source.above)
		return leave(block, bytes, has);
	/* Not worth a copy. */
	if (bytes <= has && bytes >= has / 2)
		return block;
	new = source_alloc_chosen(bytes, 1, NULL);
	if (!new)
		return leave(block, bytes, has);
	memcpy(new, block, bytes < has ? bytes : has);
	source_free(block);
	return new;
}

/* What grows across the threshold may come here; what is above it already stays where it is. */
static __attribute__((noinline)) void *realloc_above(void *block, size_t bytes)
{
	size_t has = next.usable_size(block);
	void *new = has > source.above ? NULL : source_alloc(bytes, 1, NULL);

	if (!new)
		return next.realloc(block, bytes);
	memcpy(new, block, bytes < has ? bytes : has);
	next.free(block);
	return new;
}

void *realloc(void *block, size_t bytes)
{
	if (UNLIKELY(source_has(block)))
		return realloc_here(block, bytes);
	if (LIKELY(bytes <= source.above))
		return next.realloc(block, bytes);
	return block ? realloc_above(block, bytes) : malloc_above(bytes);
}

void *reallocarray(void *block, size_t n, size_t bytes)
{
	size_t all;

	if (__builtin_mul_overflow(n, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, all);
}

int posix_memalign(void **block, size_t align, size_t bytes)
{
	if (UNLIKELY(bytes > source.above) && is_power(align) && align >= sizeof(void *)) {
		void *new = source_alloc(bytes, align, NULL);

		if (new) {
			*block = new;
			return 0;
		}
	}
	return next.posix_memalign(block, align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
	void *block = UNLIKELY(bytes > source.above) && is_power(align) ?
			      source_alloc(bytes, align, NULL) : NULL;

	return block ? block : next.aligned_alloc(align, bytes);
}

void *memalign(size_t align, size_t bytes)
{
	void *block = UNLIKELY(bytes > source.above) && is_power(align) ?
			      source_alloc(bytes, align, NULL) : NULL;

	return block ? block : next.memalign(align, bytes);
}

void *valloc(size_t bytes)
{
	return memalign(page_size(), bytes);
}

void *pvalloc(size_t bytes)
{
	size_t page = page_size();

	if (bytes > SIZE_MAX - page) {
		errno = ENOMEM;
		return NULL;
	}
	return memalign(page, (bytes + page - 1) / page * page);
}

size_t malloc_usable_size(void *block)
{
	return UNLIKELY(source_has(block)) ? source_usable(block) : next.usable_size(block);
}
