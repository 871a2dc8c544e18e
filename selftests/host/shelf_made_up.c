// SPDX-License-Identifier: GPL-2.0-only
/*
 * A writer dies, and what he leaves to be done was made up by somebody hostile: where one thing that
 * is stored says where the next goes. Whoever comes after him gets an error or goes on; his memory
 * beyond the shelf stays as it is.
 */
#include <signal.h>
#include <sys/wait.h>

#include "shelf_user.h"

#define BEYOND 0x7ffffffff000u	/* far from any shelf, as an offset */

static struct user user;
static struct slot *dead;
static uint64_t dead_at;	/* as an offset */

/* The slot of a writer who has died, and nobody has noticed. */
static void make_dead(void)
{
	int status;
	pid_t pid;

	make(&user, 8, 4u << 20, 100);
	need(put(&user, "block", 0, sizeof(struct tx_block) + 64), "putting");
	pid = fork();
	if (!pid) {
		if (hmem_ctx_new(&ctx) || join(&user, "one", 0) || put(&user, "name", 'a', 8))
			_exit(1);
		raise(SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		tap_bail("a writer could not die");
	for (unsigned int id = 0; id < 8; id++)
		if (media_slot(&media, id)->used) {
			dead = media_slot(&media, id);
			dead_at = SHELF_SLOTS_OFFSET + (uint64_t)id * SLOT_BYTES;
		}
}

/* Everything is looked at by one who takes over; that the process lives to tell is the test. */
static void survive(const char *what)
{
	int err = hmem_shelf_check(user.shelf, NULL, NULL);

	if (!err)
		err = put(&user, "other", 'b', 8);
	TAP_OK(!err || err == -EUCLEAN, "%s: %d, %s", what, err, err ? hmem_last_error(ctx) : "");
	hmem_shelf_close(user.shelf);
	hmem_region_close(user.region);
	media_unmap(&media);
	need(hmem_region_destroy(ctx, region_name), "destroying");
}

static void test_redo(void)
{
	uint64_t spare;

	make_dead();
	spare = dead_at + offsetof(struct slot, redo[8]);
	dead->redo[0] = (struct redo){ dead_at + offsetof(struct slot, redo[1].at), BEYOND };
	dead->redo[1] = (struct redo){ spare, 1 };
	__atomic_store_n(&dead->forward, 2, __ATOMIC_SEQ_CST);
	survive("words to be stored");
}

/* @field: of the entry that is changed under way */
static void test_list(const char *what, size_t field, uint64_t value)
{
	uint64_t at, spare;
	struct tx_block *block;
	struct record *r;

	make_dead();
	at = media_find(&media, "block");
	if (!at)
		tap_bail("the object is nowhere");
	r = media_at(&media, at);
	at = (media_value_offset(at, r) + SHELF_GRANULE - 1) & ~(uint64_t)(SHELF_GRANULE - 1);
	block = media_at(&media, at);
	memset(block, 0, sizeof(*block));
	spare = dead_at + offsetof(struct slot, redo[8]);
	/* The first has been seen. */
	block->entry[0].index = spare;
	block->entry[0].value = dead->redo[8].at;
	block->entry[1].index = at + offsetof(struct tx_block, entry[2]) + field;
	block->entry[1].value = value;
	block->entry[2].index = spare;
	block->entry[2].value = dead->redo[8].at;
	dead->tx = at;
	__atomic_store_n(&dead->tx_forward, 1, __ATOMIC_SEQ_CST);
	survive(what);
}

static void test_link(void)
{
	test_list("a list that leads out of the shelf",
		  offsetof(struct tx_block, link) - offsetof(struct tx_block, entry[2]), BEYOND);
}

/* Nothing is freed, so that nobody has looked at the list when it is told how much that is. */
static void test_limbo(void)
{
	struct hmem_object object;
	struct slot *slot;
	unsigned int nr = 0;
	char name[16];
	int err;

	make(&user, 8, 4u << 20, 100);
	do {
		snprintf(name, sizeof(name), "%u", nr++);
		err = put(&user, name, 'f', nr < 100 ? 60000 : 64);
	} while (!err || nr < 100);
	TAP_EQ(err, -ENOSPC, "a shelf is full of %u objects", nr - 1);
	need(hmem_shelf_get(user.shelf, "0", &object), "getting");
	slot = media_slot(&media, 0);
	TAP_OK(slot->used && slot->pins[0], "one of them is pinned");
	slot->pins[0] = PIN_EVERYTHING;
	media_runtime(&media)->limbo = media_super(&media)->heap_offset + (4u << 20) - SHELF_GRANULE;
	TAP_EQ(put(&user, "more", 'm', 60000), -ENOSPC,
	       "a list of what is retired that ends with the shelf is not read beyond it");
	media_runtime(&media)->limbo = 0;
	hmem_shelf_release(user.shelf, &object);
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-made-up");
	test_redo();
	test_list("where a name stands", offsetof(struct tx_entry, index), BEYOND);
	test_list("what is replaced", offsetof(struct tx_entry, old), BEYOND);
	test_list("what is put", offsetof(struct tx_entry, at), BEYOND);
	test_list("what is owned", offsetof(struct tx_entry, owned), BEYOND);
	test_list("what is written to", offsetof(struct tx_entry, written), BEYOND);
	test_list("what is locked", offsetof(struct tx_entry, lock), BEYOND | 1);
	test_link();
	test_limbo();
	hmem_ctx_unref(ctx);
	return tap_done();
}
