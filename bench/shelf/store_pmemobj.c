// SPDX-License-Identifier: GPL-2.0-only
/*
 * libpmemobj with a hash map from names to objects on top: chains from buckets that are made
 * once, as many as there are names. An update reserves memory, fills it in, and publishes
 * the new link together with the freeing of the old object: the library's way without
 * the cost of a transaction.
 *
 * Its fences are counted by standing in for the functions of libpmem that it calls.
 */
#include <dlfcn.h>
#include <libpmemobj.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "store.h"

#define LOCKS 1024

struct entry {
	uint64_t next;
	uint64_t hash;
	uint32_t name_bytes;
	uint32_t bytes;
	char data[];	/* the value, then the name */
};

struct root {
	PMEMoid buckets;
	uint64_t nr;
	uint64_t used;
};

static PMEMobjpool *pool;
static struct root *root;
static uint64_t *buckets, mask;
static pthread_mutex_t locks[LOCKS];

/* --- counting ------------------------------------------------------------------------ */

#define NO_DRAIN (1u << 0)	/* PMEM_F_MEM_NODRAIN: this does not ask for libpmem-dev */

static __thread long fences;
static atomic_long ended;

static struct {
	void (*drain)(void);
	void (*persist)(const void *at, size_t bytes);
	void *(*memcpy)(void *to, const void *from, size_t bytes, unsigned int flags);
	void *(*memmove)(void *to, const void *from, size_t bytes, unsigned int flags);
	void *(*memset)(void *to, int byte, size_t bytes, unsigned int flags);
} real;

void pmem_drain(void);
void pmem_persist(const void *at, size_t bytes);
void *pmem_memcpy(void *to, const void *from, size_t bytes, unsigned int flags);
void *pmem_memmove(void *to, const void *from, size_t bytes, unsigned int flags);
void *pmem_memset(void *to, int byte, size_t bytes, unsigned int flags);

__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real.drain = dlsym(RTLD_NEXT, "pmem_drain");
	*(void **)&real.persist = dlsym(RTLD_NEXT, "pmem_persist");
	*(void **)&real.memcpy = dlsym(RTLD_NEXT, "pmem_memcpy");
	*(void **)&real.memmove = dlsym(RTLD_NEXT, "pmem_memmove");
	*(void **)&real.memset = dlsym(RTLD_NEXT, "pmem_memset");
	if (!real.drain || !real.persist || !real.memcpy || !real.memmove || !real.memset)
		store_fail("pmemobj", "this libpmem has other functions");
}

void pmem_drain(void)
{
	fences++;
	real.drain();
}

void pmem_persist(const void *at, size_t bytes)
{
	fences++;
	real.persist(at, bytes);
}

void *pmem_memcpy(void *to, const void *from, size_t bytes, unsigned int flags)
{
	fences += !(flags & NO_DRAIN);
	return real.memcpy(to, from, bytes, flags);
}

void *pmem_memmove(void *to, const void *from, size_t bytes, unsigned int flags)
{
	fences += !(flags & NO_DRAIN);
	return real.memmove(to, from, bytes, flags);
}

void *pmem_memset(void *to, int byte, size_t bytes, unsigned int flags)
{
	fences += !(flags & NO_DRAIN);
	return real.memset(to, byte, bytes, flags);
}

/* --- the map ------------------------------------------------------------------------- */

static void *at(uint64_t offset)
{
	return (char *)pool + offset;
}

static uint64_t hash_of(const char *name, size_t bytes)
{
	uint64_t hash = bytes * 0x9e3779b97f4a7c15ull;

	for (; bytes; ) {
		size_t here = bytes < 8 ? bytes : 8;
		uint64_t word = 0;
		unsigned __int128 product;

		memcpy(&word, name, here);
		product = (unsigned __int128)(hash ^ word) * 0xd6e8feb86659fd93ull;
		hash = (uint64_t)product ^ (uint64_t)(product >> 64);
		name += here;
		bytes -= here;
	}
	return hash;
}

void store_open(const struct store_config *config)
{
	size_t bytes = (config->room + config->names * 256) * 3 / 2 + (32 << 20);
	PMEMoid oid;

	pool = pmemobj_open(config->path, "bench");
	if (!pool)
		pool = pmemobj_create(config->path, "bench", bytes, 0600);
	if (!pool)
		store_fail("pmemobj", pmemobj_errormsg());
	oid = pmemobj_root(pool, sizeof(struct root));
	root = pmemobj_direct(oid);
	if (!root->nr) {
		uint64_t nr = 16;

		while (nr < config->names)
			nr *= 2;
		if (pmemobj_zalloc(pool, &root->buckets, nr * sizeof(uint64_t), 1))
			store_fail("pmemobj", pmemobj_errormsg());
		root->nr = nr;
		pmemobj_persist(pool, root, sizeof(*root));
	}
	buckets = pmemobj_direct(root->buckets);
	mask = root->nr - 1;
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&locks[i], NULL);
}

void store_thread_begin(void)
{
}

void store_thread_end(void)
{
	ended += fences;
	fences = 0;
}

/* The link that leads to a name's entry, or to where one would go. */
static uint64_t *find(uint64_t hash, const char *name, size_t bytes)
{
	uint64_t *link = &buckets[hash & mask];

	for (; *link; link = &((struct entry *)at(*link))->next) {
		struct entry *entry = at(*link);

		if (entry->hash == hash && entry->name_bytes == bytes &&
		    !memcmp(entry->data + entry->bytes, name, bytes))
			break;
	}
	return link;
}

static PMEMoid oid_of(uint64_t offset)
{
	PMEMoid oid = root->buckets;

	oid.off = offset;
	return oid;
}

void store_put(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	uint64_t hash = hash_of(name, name_bytes), *link, old;
	pthread_mutex_t *lock = &locks[(hash & mask) % LOCKS];
	struct pobj_action actions[3];
	struct entry *entry;
	PMEMoid oid;
	int nr = 0;

	oid = pmemobj_reserve(pool, &actions[nr++], sizeof(*entry) + bytes + name_bytes, 2);
	if (OID_IS_NULL(oid))
		store_fail("pmemobj_reserve", pmemobj_errormsg());
	entry = pmemobj_direct(oid);
	pthread_mutex_lock(lock);
	link = find(hash, name, name_bytes);
	old = *link;
	entry->next = old ? ((struct entry *)at(old))->next : 0;
	entry->hash = hash;
	entry->name_bytes = (uint32_t)name_bytes;
	entry->bytes = (uint32_t)bytes;
	pmemobj_memcpy(pool, entry->data, value, bytes, PMEMOBJ_F_MEM_NODRAIN);
	memcpy(entry->data + bytes, name, name_bytes);
	pmemobj_flush(pool, entry, sizeof(*entry));
	pmemobj_flush(pool, entry->data + bytes, name_bytes);
	pmemobj_drain(pool);
	pmemobj_set_value(pool, &actions[nr++], link, oid.off);
	if (old)
		pmemobj_defer_free(pool, oid_of(old), &actions[nr++]);
	if (pmemobj_publish(pool, actions, (size_t)nr))
		store_fail("pmemobj_publish", pmemobj_errormsg());
	pthread_mutex_unlock(lock);
}

void store_fill(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	store_put(name, name_bytes, value, bytes);
}

int store_get(const char *name, size_t name_bytes)
{
	uint64_t hash = hash_of(name, name_bytes), *link;
	pthread_mutex_t *lock = &locks[(hash & mask) % LOCKS];
	int sum = -1;

	pthread_mutex_lock(lock);
	link = find(hash, name, name_bytes);
	if (*link) {
		struct entry *entry = at(*link);

		sum = (unsigned char)entry->data[0] + (unsigned char)entry->data[entry->bytes - 1];
	}
	pthread_mutex_unlock(lock);
	return sum;
}

void store_delete(const char *name, size_t name_bytes)
{
	uint64_t hash = hash_of(name, name_bytes), *link;
	pthread_mutex_t *lock = &locks[(hash & mask) % LOCKS];
	struct pobj_action actions[2];

	pthread_mutex_lock(lock);
	link = find(hash, name, name_bytes);
	if (*link) {
		pmemobj_defer_free(pool, oid_of(*link), &actions[0]);
		pmemobj_set_value(pool, &actions[1], link, ((struct entry *)at(*link))->next);
		if (pmemobj_publish(pool, actions, 2))
			store_fail("pmemobj_publish", pmemobj_errormsg());
	}
	pthread_mutex_unlock(lock);
}

/* Its transactions know one way: a snapshot of each range, and then stores in place. */
void store_tx(enum store_tx how, const struct store_name *names, unsigned int nr, size_t offset,
	      const void *data, size_t bytes)
{
	(void)how;
	TX_BEGIN(pool) {
		for (unsigned int i = 0; i < nr; i++) {
			uint64_t hash = hash_of(names[i].name, names[i].bytes);
			uint64_t found = *find(hash, names[i].name, names[i].bytes);
			char *value;

			if (!found)
				store_fail("pmemobj", "a name is missing");
			value = ((struct entry *)at(found))->data + offset;
			pmemobj_tx_add_range_direct(value, bytes);
			memcpy(value, data, bytes);
		}
	} TX_ONABORT {
		store_fail("pmemobj transaction", pmemobj_errormsg());
	} TX_END
}

void store_close(void)
{
	pmemobj_close(pool);
}

long store_fences(void)
{
	return ended + fences;
}

uint64_t store_used(void)
{
	uint64_t used = pmemobj_alloc_usable_size(root->buckets);
	PMEMoid oid;

	/* What the allocator has for itself, 16 bytes an object, does not show. */
	POBJ_FOREACH(pool, oid)
		if (pmemobj_type_num(oid) == 2)
			used += pmemobj_alloc_usable_size(oid) + 16;
	return used;
}
