// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include <hmem/tx.h>

#include "acts.h"
#include "say.h"
#include "scene.h"

void need(int err, const char *what)
{
	if (err)
		bail("%s: %d: %s", what, err, hmem_last_error(scene_ctx));
}

void put(struct hmem_shelf *to, const char *name, size_t bytes, char with)
{
	static char value[LARGE];

	memset(value, with, bytes);
	need(hmem_shelf_put(to, name, value, bytes, NULL), name);
}

void fill(struct hmem_shelf *shelf)
{
	static char value[LARGE];
	char name[16];
	int err = 0;

	for (unsigned int i = 0; !err; i++) {
		snprintf(name, sizeof(name), "large%u", i);
		err = hmem_shelf_put(shelf, name, value, LARGE, NULL);
	}
	if (err != -ENOSPC)
		need(err, "filling it");
}

void commit_write(struct hmem_shelf *to, const char *name, size_t bytes, char with)
{
	struct hmem_object object;
	char value[VALUE];
	struct hmem_tx *tx;

	memset(value, with, sizeof(value));
	need(hmem_shelf_get(to, name, &object), name);
	need(hmem_tx_begin(to, &tx), "begin");
	need(hmem_tx_write(tx, &object, 0, value, bytes), "write");
	need(hmem_tx_commit(tx), "commit");
	hmem_shelf_release(to, &object);
}

int first_byte(struct hmem_shelf *of, const char *name)
{
	static char value[LARGE];
	size_t bytes;
	int err = hmem_shelf_read(of, name, value, sizeof(value), &bytes);

	return err ? err : value[0];
}

int first_byte_left(const char *name)
{
	struct scene_rest rest;
	int byte = scene_recover(&rest, 0, 0);

	if (!byte)
		byte = first_byte(rest.shelf, name);
	scene_close(&rest);
	return byte;
}

/* --- threads that stop for ever ------------------------------------------------------ */

void stop_for_ever(void)
{
	for (;;)
		pause();
}

static void *act(void *arg)
{
	struct actor *actor = arg;

	for (;;) {
		sem_wait(&actor->go);
		actor->work();
		sem_post(&actor->done);
	}
	return NULL;
}

void actor_start(struct actor *actor)
{
	sem_init(&actor->go, 0, 0);
	sem_init(&actor->done, 0, 0);
	if (pthread_create(&actor->thread, NULL, act, actor))
		bail("no thread");
}

void actor_does(struct actor *actor, void (*work)(void))
{
	actor->work = work;
	sem_post(&actor->go);
	sem_wait(&actor->done);
}
