// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ceiling of sequence numbers: what becomes of a shelf that has lost it, and of one that has no
 * number left below the highest there can be.
 */
#include <hmem/tx.h>

#include "shelf_crc.h"
#include "shelf_numbered.h"

static uint64_t version_of(struct hmem_shelf *shelf, unsigned int i)
{
	struct hmem_object object;
	uint64_t version;

	need(hmem_shelf_get(shelf, name_of(i), &object), "get");
	version = object.version;
	hmem_shelf_release(shelf, &object);
	return version;
}

/* How high numbers may be that were given out, when that is not known: 0 is a shelf of before. */
static void ceiling_lost(uint64_t bad, const char *how)
{
	uint64_t *word = media_at(&media, SHELF_CEILING_OFFSET), before;
	struct hmem_shelf *shelf = open_shelf(0);

	need(hmem_shelf_close(shelf), "close");
	*word = bad;
	shelf = open_shelf(0);
	TAP_EQ(!hmem_shelf_check(shelf, NULL, NULL), !bad, "a ceiling that is %s is %s", how,
	       bad ? "found" : "no damage");
	put(shelf, 7, 7);
	TAP_OK(*word != bad && checks(shelf), "and is made anew by an update");
	before = version_of(shelf, 7);
	need(hmem_shelf_close(shelf), "close");
	reap(child(0, act_put));
	*word = bad;
	media_runtime(&media)->boot[3] ^= 1;
	shelf = open_shelf(0);
	TAP_OK(*word != bad && checks(shelf), "or when it is recovered");
	put(shelf, 7, 7);
	TAP_OK(version_of(shelf, 7) > before + (1u << SEQ_BLOCK_SHIFT),
	       "then a block of numbers is left out");
	need(hmem_shelf_close(shelf), "close");
}

static int commit_put(struct hmem_shelf *shelf)
{
	struct hmem_tx *tx;

	need(hmem_tx_begin(shelf, &tx), "begin");
	need(hmem_tx_put(tx, name_of(7), "x", 1, NULL), "put in a transaction");
	return hmem_tx_commit(tx);
}

static int add_range(struct hmem_shelf *shelf)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 1 };
	struct hmem_tx *tx;
	int err;

	need(hmem_shelf_get(shelf, name_of(7), &object), "get");
	need(hmem_tx_begin(shelf, &tx), "begin");
	err = hmem_tx_add(tx, &range, 1);
	hmem_shelf_release(shelf, &object);
	hmem_tx_abort(tx);
	return err;
}

static int put_typed(struct hmem_shelf *shelf)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	options.type = "a type that is new";
	options.type_bytes = 18;
	return hmem_shelf_put(shelf, "typed", "x", 1, &options);
}

static int publish(struct hmem_shelf *shelf)
{
	void *data;
	int err;

	need(hmem_shelf_reserve(shelf, "published", 8, NULL, &data), "reserve");
	err = hmem_shelf_publish(shelf, data, 0);
	need(hmem_shelf_cancel(shelf, data), "cancel");
	return err;
}

/* They have 56 bits, and each recovery takes a block. Afterwards nothing can be put any more. */
static void numbers_used_up(void)
{
	struct hmem_shelf *shelf;

	reap(child(0, act_put));
	ceiling_fix(&media, CEILING_MAX - 1);
	media_runtime(&media)->boot[3] ^= 1;
	shelf = open_shelf(0);
	put(shelf, 7, 7);
	TAP_EQ(version_of(shelf, 7), (CEILING_MAX - 1) << SEQ_BLOCK_SHIFT,
	       "the last block of sequence numbers is used");
	need(hmem_shelf_close(shelf), "close");
	reap(child(0, NULL));
	media_runtime(&media)->boot[3] ^= 1;
	shelf = open_shelf(0);
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "without any left it is recovered");
	TAP_EQ(hmem_shelf_put(shelf, name_of(7), "x", 1, NULL), -EOVERFLOW, "and takes no put");
	TAP_OK(strstr(hmem_last_error(ctx), "export it"), "which says what to do: %s",
	       hmem_last_error(ctx));
	TAP_EQ(hmem_shelf_put(shelf, "new", "x", 1, NULL), -EOVERFLOW, "nor one of a new name");
	TAP_EQ(put_typed(shelf), -EOVERFLOW, "nor one of a new type");
	TAP_EQ(publish(shelf), -EOVERFLOW, "nor what was reserved, which can be cancelled");
	TAP_EQ(commit_put(shelf), -EOVERFLOW, "nor a transaction");
	TAP_EQ(add_range(shelf), -EOVERFLOW, "nor a range in place");
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "all is as it was");
	TAP_EQ(hmem_shelf_delete(shelf, name_of(7)), 0, "what is there can be deleted");
	TAP_EQ(hmem_shelf_put(shelf, name_of(7), "x", 1, NULL), -EOVERFLOW, "and not be put again");
	TAP_OK(right(shelf, 0) == OBJECTS - 1 && checks(shelf), "the others are there");
	need(hmem_shelf_close(shelf), "close");
}

int main(void)
{
	numbered_begin("shelf-ceiling");
	need(hmem_shelf_close(make_numbered()), "close");
	ceiling_lost(0, "not there");
	ceiling_lost(5, "damaged");
	numbers_used_up();
	return numbered_end();
}
