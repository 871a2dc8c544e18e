// SPDX-License-Identifier: GPL-2.0-only
/*
 * LMDB. Modes: "default", "writemap", "nosync". A transaction holds so many calls as the
 * batch says; those that read are renewed as often. What counts for a fence is a call that
 * syncs: this program's own stand in for those of the C library.
 */
#include <lmdb.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store.h"

static MDB_env *env;
static MDB_dbi dbi;
static unsigned int batch;
static __thread MDB_txn *writer, *reader;
static __thread unsigned int written, looked;
static atomic_long syncs;

int msync(void *at, size_t bytes, int flags)
{
	syncs++;
	return (int)syscall(SYS_msync, at, bytes, flags);
}

int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

static void need(int err, const char *what)
{
	if (err)
		store_fail(what, mdb_strerror(err));
}

void store_open(const struct store_config *config)
{
	unsigned int flags = MDB_NOSUBDIR;
	MDB_txn *txn;

	if (!strcmp(config->mode, "writemap"))
		flags |= MDB_WRITEMAP;
	else if (!strcmp(config->mode, "nosync"))
		flags |= MDB_NOSYNC;
	batch = config->batch;
	need(mdb_env_create(&env), "mdb_env_create");
	/* Addresses cost nothing; a reader that waits for its turn keeps what writers replace. */
	need(mdb_env_set_mapsize(env, (config->room + config->names * 256) * 16),
	     "mapsize");
	need(mdb_env_open(env, config->path, flags, 0600), "mdb_env_open");
	need(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	need(mdb_dbi_open(txn, NULL, 0, &dbi), "mdb_dbi_open");
	need(mdb_txn_commit(txn), "commit");
}

void store_thread_begin(void)
{
}

void store_thread_end(void)
{
	if (writer)
		need(mdb_txn_commit(writer), "commit");
	if (reader)
		mdb_txn_abort(reader);
	writer = reader = NULL;
	written = looked = 0;
}

static void begin_write(void)
{
	if (!writer)
		need(mdb_txn_begin(env, NULL, 0, &writer), "begin");
}

static void end_write(void)
{
	if (++written < batch)
		return;
	need(mdb_txn_commit(writer), "commit");
	writer = NULL;
	written = 0;
}

void store_put(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	MDB_val key = { name_bytes, (void *)name }, data = { bytes, (void *)value };

	begin_write();
	need(mdb_put(writer, dbi, &key, &data, 0), "mdb_put");
	end_write();
}

int store_get(const char *name, size_t name_bytes)
{
	MDB_val key = { name_bytes, (void *)name }, data;
	int sum = -1;

	if (!reader)
		need(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader), "begin");
	else if (!looked)
		need(mdb_txn_renew(reader), "renew");
	if (!mdb_get(reader, dbi, &key, &data))
		sum = ((unsigned char *)data.mv_data)[0] +
		      ((unsigned char *)data.mv_data)[data.mv_size - 1];
	if (++looked >= batch) {
		mdb_txn_reset(reader);
		looked = 0;
	}
	return sum;
}

void store_delete(const char *name, size_t name_bytes)
{
	MDB_val key = { name_bytes, (void *)name };

	begin_write();
	need(mdb_del(writer, dbi, &key, NULL), "mdb_del");
	end_write();
}

/* Memory in the map, filled by the caller. */
void store_fill(const char *name, size_t name_bytes, const void *value, size_t bytes)
{
	MDB_val key = { name_bytes, (void *)name }, data = { bytes, NULL };

	begin_write();
	need(mdb_put(writer, dbi, &key, &data, MDB_RESERVE), "mdb_put");
	memcpy(data.mv_data, value, bytes);
	end_write();
}

/* A part of a value is what only the others can change. */
void store_tx(enum store_tx how, const struct store_name *names, unsigned int nr, size_t offset,
	      const void *data, size_t bytes)
{
	if (how != STORE_TX_PUT || offset)
		store_cannot("ranges");
	begin_write();
	for (unsigned int i = 0; i < nr; i++) {
		MDB_val key = { names[i].bytes, (void *)names[i].name };
		MDB_val value = { bytes, (void *)data };

		need(mdb_put(writer, dbi, &key, &value, 0), "mdb_put");
	}
	end_write();
}

void store_close(void)
{
	mdb_env_close(env);
}

long store_fences(void)
{
	return syncs;
}

uint64_t store_used(void)
{
	MDB_envinfo info;
	MDB_stat stat;

	need(mdb_env_info(env, &info), "info");
	need(mdb_env_stat(env, &stat), "stat");
	return (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
}
