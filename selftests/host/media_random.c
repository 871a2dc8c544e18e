// SPDX-License-Identifier: GPL-2.0-only
/*
 * Superblocks that lie at random, see media_lies.h; nothing outside the copy and the bitmap may be
 * touched (check-sanitize sees that). HMEM_SEED repeats a run, HMEM_ROUNDS makes it longer.
 * Then the corpus of the fuzzer.
 */
#include "media_lies.h"

#include <time.h>

#include "corpus.h"
#include "sanitized.h"

static u64 state;

static u64 dice(u64 sides)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dULL >> 16) % sides;
}

/* A number near one of those at which something changes. */
static u32 edge(void)
{
	const u32 edges[] = { 0, 1, REGIONS, RUNS, nr_extents, HM_MEDIA_MAX_REGIONS,
			      HM_MEDIA_MAX_SLOTS, 0777, 0x7fffffff, 0x80000000, 0xffffffff };

	return edges[dice(sizeof(edges) / sizeof(edges[0]))] + (u32)dice(3) - 1;
}

static void lie(void)
{
	struct hm_media_header *h = header();
	u32 *fields[] = {
		(u32 *)&h->flags, (u32 *)&h->nr_regions, (u32 *)&h->nr_slots, (u32 *)&h->next_gen,
		(u32 *)&h->nr_extents, (u32 *)&h->pool_bytes, (u32 *)&h->data_offset,
	};
	u32 i = (u32)dice(REGIONS), j = (u32)dice(RUNS);

	switch (dice(15)) {
	case 0:
		*fields[dice(sizeof(fields) / sizeof(fields[0]))] = htole32(edge());
		break;
	case 1:
		run(j)->start = htole32(dice(2) ? edge() : (u32)dice(nr_extents));
		break;
	case 2:
		run(j)->count = htole32(dice(2) ? edge() : (u32)dice(8));
		break;
	case 3:
		run(j)->gen = htole32(edge());
		break;
	case 4:
		region(i)->nr_runs = htole32(dice(2) ? edge() : (u32)dice(6));
		break;
	case 5:
		region(i)->nr_extents = htole32(dice(2) ? edge() : (u32)dice(20));
		break;
	case 6:
		region(i)->name[dice(dice(4) ? 12 : HM_MEDIA_NAME_LEN)] = (char)dice(256);
		break;
	case 7:
		memcpy(region(i)->name, region((u32)dice(REGIONS))->name, HM_MEDIA_NAME_LEN);
		break;
	case 8:
		((u32 *)&region(i)->uid)[dice(3)] = htole32(edge());
		break;
	case 9:
		(dice(2) ? &place(RUNS + (u32)dice(2))->first : &place(RUNS + (u32)dice(2))->stride)[0] =
			htole32(dice(2) ? edge() : (u32)dice(12));
		break;
	case 10:
		region(REGIONS - 1)->total = htole32(dice(2) ? edge() : (u32)dice(12));
		break;
	case 11:
		(&region(i)->nr_pools)[dice(2)] = (u8)dice(5);
		break;
	case 12:
		run(dice(4) ? RUNS - 1 - (u32)dice(2) : j)->flags = htole32(dice(6) ? 1 + (u32)dice(2) : edge());
		break;
	case 13:
		memcpy(region(i)->uuid, region((u32)dice(REGIONS))->uuid, 16);
		break;
	default:
		copy[dice(8) ? HM_MEDIA_HEADER_BYTES + dice(1024) : dice(128)] ^= 1 << dice(8);
		break;
	}
}

int main(void)
{
	const char *seed = getenv("HMEM_SEED"), *rounds = getenv("HMEM_ROUNDS");
	u64 from = seed ? strtoull(seed, NULL, 0) : (u64)time(NULL);
	long count = rounds ? atol(rounds) : (long)sanitized("lies", 50000, 4, 100), intact = 0, refused = 0;
	enum hm_media_verdict verdict;
	const char *wrong = NULL;

	tap_diag("seed %llu", (unsigned long long)from);
	media_begin();
	build();
	media_seal();
	TAP_OK(!media_wrong(&verdict) && verdict == HM_MEDIA_OK,
	       "an honest one is intact, also in the second opinion");

	for (long i = 0; i < count && !wrong; i++) {
		state = (from + (u64)i) * 0x9e3779b97f4a7c15ULL | 1;
		build();
		for (u64 lies = 1 + dice(3); lies; lies--) {
			lie();
			/* The rest is found by these. */
			if (le32(header()->nr_regions) != REGIONS)
				break;
		}
		media_seal();
		wrong = media_wrong(&verdict);
		intact += verdict == HM_MEDIA_OK;
		refused += verdict == HM_MEDIA_CORRUPT;
		if (wrong)
			tap_diag("round %ld: %s", i, wrong);
	}
	tap_diag("%ld taken for intact, %ld refused", intact, refused);
	TAP_OK(!wrong, "what is taken for intact keeps every rule");
	TAP_OK(intact > count / 100 && refused > count / 100, "and both happen");
	TAP_OK(corpus_each("media", media_try), "so it is with those that the fuzzer found worth keeping");
	media_end();
	return tap_done();
}
