// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shelf. Modes: "default", which flushes caches as on persistent memory; "recover", which
 * opens it as after a power cut.
 */
#include <errno.h>
#include <string.h>

#include <hmem/hmem.h>
#include <hmem/tx.h>

#include "store.h"

static struct hmem_ctx *ctx;
static struct hmem_shelf *shelf;
static unsigned int batch;
static __thread struct hmem_tx *tx;
static __thread unsigned int put;

static void need(int err, const char *what)
{
	if (err)
		store_fail(what, hmem_last_error(ctx));
}

void store_open(const struct store_config *config)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options how = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region;
	int err;

	if (hmem_ctx_new(&ctx))
		store_fail("hmem", "no context");
	batch = config->batch;
	how.bytes = (config->room + config->names * 128) * 5 / 4;
	options.bytes = how.bytes + how.bytes / 8 + (8 << 20);
	err = hmem_region_open(ctx, config->path, 0, &region);
	if (err == -ENOENT)
		err = hmem_region_create(ctx, config->path, &options, &region);
	need(err, "region");
	how.flags = HMEM_SHELF_FLUSH | (strcmp(config->mode, "recover") ? 0 : HMEM_SHELF_REPAIR);
	err = hmem_shelf_open(region, "bench", &how, &shelf);
	how.flags = HMEM_SHELF_FLUSH;
	if (err == -ENOENT)
		err = hmem_shelf_create(region, "bench", &how, &shelf);
	need(err, "shelf");
	hmem_region_close(region);
}

void store_thread_begin(void)
{
}

void store_thread_end(void)
{
	if (tx)
		need(hmem_tx_commit(tx), "commit");
	tx = NULL;
	put = 0;
}

void store_put(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	(void)name_bytes;
	if (batch == 1) {
		need(hmem_shelf_put(shelf, name, value, bytes, NULL), "put");
		return;
	}
	if (!tx)
		need(hmem_tx_begin(shelf, &tx), "begin");
	need(hmem_tx_put(tx, name, value, bytes, NULL), "put");
	if (++put == batch)
		store_thread_end();
}

void store_fill(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	void *data;

	(void)name_bytes;
	need(hmem_shelf_reserve(shelf, name, bytes, NULL, &data), "reserve");
	need(hmem_shelf_copy(shelf, data, value, bytes), "copy");
	need(hmem_shelf_publish(shelf, data, HMEM_PUT_COPIED), "publish");
}

int store_get(const char *name, size_t name_bytes)
{
	struct hmem_object object;
	int sum;

	(void)name_bytes;
	if (hmem_shelf_get(shelf, name, &object))
		return -1;
	sum = ((unsigned char *)object.data)[0] + ((unsigned char *)object.data)[object.bytes - 1];
	hmem_shelf_release(shelf, &object);
	return sum;
}

void store_delete(const char *name, size_t name_bytes)
{
	(void)name_bytes;
	need(hmem_shelf_delete(shelf, name), "delete");
}

static void add(const struct store_name *names, unsigned int nr, size_t offset,
		const void *data, size_t bytes)
{
	struct hmem_object object[STORE_TX_MAX];
	struct hmem_range range[STORE_TX_MAX];
	struct hmem_tx *add;

	need(hmem_tx_begin(shelf, &add), "begin");
	for (unsigned int i = 0; i < nr; i++) {
		need(hmem_shelf_get(shelf, names[i].name, &object[i]), "get");
		range[i] = (struct hmem_range){ &object[i], offset, bytes };
	}
	need(hmem_tx_add(add, range, nr), "add");
	for (unsigned int i = 0; i < nr; i++)
		memcpy((char *)object[i].data + offset, data, bytes);
	need(hmem_tx_commit(add), "commit");
	for (unsigned int i = 0; i < nr; i++)
		hmem_shelf_release(shelf, &object[i]);
}

static void write_all(const struct store_name *names, unsigned int nr, size_t offset,
		      const void *data, size_t bytes)
{
	struct hmem_object object;
	struct hmem_tx *writes;

	need(hmem_tx_begin(shelf, &writes), "begin");
	for (unsigned int i = 0; i < nr; i++) {
		need(hmem_shelf_get(shelf, names[i].name, &object), "get");
		need(hmem_tx_write(writes, &object, offset, data, bytes), "write");
		hmem_shelf_release(shelf, &object);
	}
	need(hmem_tx_commit(writes), "commit");
}

static void put_all(const struct store_name *names, unsigned int nr, const void *data, size_t bytes)
{
	struct hmem_tx *puts;

	need(hmem_tx_begin(shelf, &puts), "begin");
	for (unsigned int i = 0; i < nr; i++)
		need(hmem_tx_put(puts, names[i].name, data, bytes, NULL), "put");
	need(hmem_tx_commit(puts), "commit");
}

void store_tx(enum store_tx how, const struct store_name *names, unsigned int nr, size_t offset,
	      const void *data, size_t bytes)
{
	switch (how) {
	case STORE_TX_PUT:
		put_all(names, nr, data, bytes);
		break;
	case STORE_TX_ADD:
		add(names, nr, offset, data, bytes);
		break;
	case STORE_TX_WRITE:
		write_all(names, nr, offset, data, bytes);
		break;
	}
}

void store_close(void)
{
	need(hmem_shelf_close(shelf), "close");
	hmem_ctx_unref(ctx);
}

long store_fences(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return (long)info.fences;
}

uint64_t store_used(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.bytes - info.free_bytes;
}
