// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions that bring many names into an index that was made for few: it grows before they come,
 * and not while all of their buckets are locked, where each would be looked for in a long chain.
 */
#include "shelf_holder.h"

#define MANY 3000u
#define FEW  60u
/* Entries are spread by chance: as many buckets in a chain are none that grow with the names. */
#define LONGEST 5u

static struct user user;

static uint64_t nr_buckets(void)
{
	return __atomic_load_n(&media_runtime(&media)->nr_buckets, __ATOMIC_ACQUIRE);
}

static const struct bucket *bucket_at(uint64_t number)
{
	unsigned int segment = 0;
	uint64_t first = 0;

	while (number >= first + (segment ? first : INDEX_FIRST_BUCKETS)) {
		first += segment ? first : INDEX_FIRST_BUCKETS;
		segment++;
	}
	return (const struct bucket *)media_at(&media, media_runtime(&media)->segments[segment]) +
	       (number - first);
}

static unsigned int longest_chain(void)
{
	unsigned int longest = 0;

	for (uint64_t number = 0; number < nr_buckets(); number++) {
		const struct bucket *bucket = bucket_at(number);
		unsigned int nr = 1;

		for (uint64_t next; (next = BUCKET_NEXT(bucket->head)); nr++)
			bucket = media_at(&media, next);
		longest = nr > longest ? nr : longest;
	}
	return longest;
}

/* Puts as many names, and deletes one that is not there unless it is to be. */
static int transaction(unsigned int names, bool good)
{
	struct hmem_tx *tx;
	char name[32];

	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	for (unsigned int i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		need(hmem_tx_put(tx, name, name, sizeof(name), NULL), "putting");
	}
	if (!good)
		need(hmem_tx_delete(tx, "absent"), "deleting");
	return hmem_tx_commit(tx);
}

static void test_growth(void)
{
	make(&user, 8, 8u << 20, 1000);
	TAP_EQ(transaction(FEW, false), -ENOENT, "a transaction of few names that is refused");
	TAP_EQ(nr_buckets(), INDEX_FIRST_BUCKETS, "needs no larger index");
	TAP_EQ(transaction(MANY, false), -ENOENT, "one of many");
	TAP_OK(nr_buckets() >= MANY / 7, "finds one: %llu buckets", (unsigned long long)nr_buckets());
	/* What has been linked for names that did not come stays for others. */
	TAP_OK(longest_chain() <= LONGEST, "and their chains were short: %u", longest_chain());
	TAP_EQ(transaction(MANY, true), 0, "one of as many is committed");
	TAP_OK(longest_chain() <= LONGEST, "into short chains: %u", longest_chain());
	unmake(&user);
}

/* Somebody has stopped who was growing the index. */
static void test_stopped(void)
{
	uint32_t *lock;

	make(&user, 8, 8u << 20, 100);
	hold(&user);
	lock = &media_runtime(&media)->split_lock;
	__atomic_store_n(lock, holder + 1, __ATOMIC_SEQ_CST);
	TAP_EQ(transaction(MANY, true), -EBUSY, "while somebody else has stopped at it");
	__atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
	TAP_EQ(nr_buckets(), INDEX_FIRST_BUCKETS, "the index does not grow");
	TAP_EQ(transaction(MANY, true), 0, "and afterwards it does");
	TAP_OK(longest_chain() <= LONGEST, "into short chains: %u", longest_chain());
	end_holder();
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-tx-names");
	test_growth();
	test_stopped();
	hmem_ctx_unref(ctx);
	return tap_done();
}
