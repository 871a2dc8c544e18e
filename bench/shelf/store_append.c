// SPDX-License-Identifier: GPL-2.0-only
/*
 * The least that a durable put can be: each thread appends value and name to memory that
 * is its own, writes it back and fences. Nothing is found again. Filling is memcpy(3) alone.
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <hmem/hmem.h>

#include "store.h"

#define THREADS 2

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static char *log_at;
static size_t log_bytes;
static atomic_int threads;
static __thread char *part, *next;
static __thread long fences;
static atomic_long ended;

#ifdef __x86_64__
#include <immintrin.h>
__attribute__((target("clwb"))) static void durable(const char *from, const char *to)
{
	for (from = (const char *)((uintptr_t)from & ~63ul); from < to; from += 64)
		_mm_clwb((void *)from);
	_mm_sfence();
}
#else
static void durable(const char *from, const char *to)
{
	hmem_region_persist(region, from, (size_t)(to - from));
}
#endif

void store_open(const struct store_config *config)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	char name[256];

	options.bytes = config->room;
	/* Whoever else has it open appends to another. */
	snprintf(name, sizeof(name), "%s-%d", config->path, (int)getpid());
	if (hmem_ctx_new(&ctx) ||
	    (hmem_region_open(ctx, name, 0, &region) &&
	     hmem_region_create(ctx, name, &options, &region)) ||
	    hmem_region_map(region, 0, 0, (void **)&log_at, &log_bytes))
		store_fail("append", hmem_last_error(ctx));
	memset(log_at, 0, log_bytes);
	threads = 0;
	part = NULL;
}

void store_thread_begin(void)
{
	if (!part)
		part = next = log_at + log_bytes / THREADS * ((size_t)threads++ % THREADS);
}

void store_thread_end(void)
{
	ended += fences;
	fences = 0;
}

void store_put(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	char *from = next;

	if ((size_t)(part + log_bytes / THREADS - next) < 48 + bytes + name_bytes)
		from = next = part;
	memcpy(next, &bytes, sizeof(bytes));
	memcpy(next + 32, value, bytes);
	memcpy(next + 32 + bytes, name, name_bytes);
	next += (32 + bytes + name_bytes + 15) & ~(size_t)15;
	durable(from, next);
	fences++;
}

void store_fill(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	(void)name;
	(void)name_bytes;
	memcpy(log_at, value, bytes);
}

int store_get(const char *name, size_t name_bytes)
{
	(void)name;
	(void)name_bytes;
	store_cannot("get");
}

void store_delete(const char *name, size_t name_bytes)
{
	(void)name;
	(void)name_bytes;
	store_cannot("delete");
}

void store_tx(enum store_tx how, const struct store_name *names, unsigned int nr, size_t offset,
	      const void *data, size_t bytes)
{
	(void)how;
	(void)names;
	(void)nr;
	(void)offset;
	(void)data;
	(void)bytes;
	store_cannot("transactions");
}

void store_close(void)
{
	hmem_region_unmap(region, log_at, log_bytes);
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
}

long store_fences(void)
{
	return ended + fences;
}

uint64_t store_used(void)
{
	return (uint64_t)(next - part);
}
