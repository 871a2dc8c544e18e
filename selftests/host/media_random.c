// SPDX-License-Identifier: GPL-2.0-only
/*
 * Superblocks that lie at random, under checksums that hold: what the module's reader takes
 * for intact must keep every rule of the format, by a second opinion that shares no code
 * with it, and nothing outside the copy and the bitmap may be touched (check-sanitize sees
 * that). HMEM_SEED repeats a run, HMEM_ROUNDS makes it longer.
 */
#include "../../kmod/media.c"

#include <stdlib.h>
#include <time.h>

#include "sanitized.h"
#include "tap.h"

#define POOL_BYTES	(256ULL << 20)
#define REGIONS		5
#define RUNS		9
#define SLOTS		(RUNS + 2 + 3)	/* the last region is on three pools */

static u8 *copy;
static unsigned long *used;
static u32 nr_extents;
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

static struct hm_media_header *header(void)
{
	return (struct hm_media_header *)copy;
}

static struct hm_media_region *region(u32 i)
{
	return (struct hm_media_region *)(copy + HM_MEDIA_HEADER_BYTES) + i;
}

static struct hm_media_run *run(u32 i)
{
	return (struct hm_media_run *)region(le32(header()->nr_regions)) + i;
}

static struct hm_media_place *place(u32 i)
{
	return (struct hm_media_place *)run(i);
}

/* The last region is on three pools, and this one is the second. */
static void share(struct hm_media_region *r)
{
	r->flags = htole32(HM_MEDIA_SHARED);
	r->total = htole32(9);
	r->nr_pools = 3;
	r->number = 1;
	place(RUNS)->first = htole32(1);
	place(RUNS)->stride = htole32(3);
	place(RUNS + 1)->first = htole32(7);
	place(RUNS + 1)->stride = htole32(1);
	for (u32 i = 0; i < 3; i++)
		memset(run(RUNS + 2 + i), i == 1 ? 0x77 : 0x40 + (int)i, 16);
}

static void build(void)
{
	static const u32 runs_of[REGIONS] = { 3, 1, 2, 1, 2 };
	struct hm_media_header *h = header();
	u64 data_offset;
	u32 n = 0;

	memset(copy, 0, HM_MEDIA_COPY_BYTES);
	hm_media_geometry(POOL_BYTES, &data_offset, &nr_extents);
	memset(h->uuid, 0x77, sizeof(h->uuid));
	h->pool_bytes = htole64(POOL_BYTES);
	h->data_offset = htole64(data_offset);
	h->nr_extents = htole32(nr_extents);
	h->nr_regions = htole32(REGIONS);
	h->nr_slots = htole32(SLOTS);
	h->next_gen = htole32(RUNS + 1);
	for (u32 i = 0; i < REGIONS; i++) {
		snprintf(region(i)->name, HM_MEDIA_NAME_LEN, "region-%u", i);
		memset(region(i)->uuid, 0x20 + (int)i, 16);
		region(i)->mode = htole32(0600);
		region(i)->nr_runs = htole32(runs_of[i]);
		region(i)->nr_extents = htole32(2 * runs_of[i]);
		for (u32 j = 0; j < runs_of[i]; j++, n++) {
			run(n)->start = htole32(3 * n);
			run(n)->count = htole32(2);
			run(n)->gen = htole32(n + 1);
		}
	}
	share(region(REGIONS - 1));
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

static bool fair_name(const char *name)
{
	size_t n = strnlen(name, HM_MEDIA_NAME_LEN);

	return n && n < HM_MEDIA_NAME_LEN && *name != '.' && *name != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n &&
	       strcmp(name, "control");
}

/* Whether the runs that end before slot @end go and come as they may. */
static bool fair_ways(const struct hm_media_region *r, u32 end, u64 extents)
{
	u32 stay = 0, come = 0, go = 0, nr = le32(r->nr_runs), shared = le32(r->flags) & HM_MEDIA_SHARED;

	for (u32 i = end - nr; i < end; i++) {
		switch (le32(run(i)->flags)) {
		case 0: stay++; break;
		case HM_MEDIA_RUN_INCOMING: come++; break;
		case HM_MEDIA_RUN_OUTGOING: go++; break;
		default: return false;
		}
	}
	if (come + go && (!shared || le32(header()->version) < 4))
		return false;
	if (shared && r->nr_pools == 1)
		return le32(header()->version) == 4 && extents == le32(r->total) && !come && !go;
	if (shared && extents + !(come + go) > le32(r->total))
		return false;
	return !go || go == nr;
}

/* The second opinion: every rule, told another way. */
static const char *unfair(void)
{
	const struct hm_media_header *h = header();
	u32 regions = le32(h->nr_regions), slots = le32(h->nr_slots), n = 0;
	static u8 owner[POOL_BYTES >> HM_MEDIA_EXTENT_SHIFT];

	memset(owner, 0, sizeof(owner));
	if (le32(h->flags) > 1 || le64(h->pool_bytes) != POOL_BYTES || !h->next_gen)
		return "header";
	for (u32 i = 0; i < regions; i++) {
		const struct hm_media_region *r = region(i);
		u64 extents = 0;

		if (!fair_name(r->name) || le32(r->mode) > 0777 || le32(r->uid) == ~0U ||
		    le32(r->gid) == ~0U)
			return "region";
		for (u32 j = 0; j < i; j++)
			if (!strcmp(r->name, region(j)->name) || !memcmp(r->uuid, region(j)->uuid, 16))
				return "two of one name or identity";
		for (u32 j = 0; j < le32(r->nr_runs); j++, n++) {
			if (n >= slots)
				return "more runs than there are";
			if (!run(n)->gen || le32(run(n)->gen) >= le32(h->next_gen))
				return "generation";
			for (u64 k = 0; k < le32(run(n)->count); k++, extents++) {
				u64 at = le32(run(n)->start) + k;

				if (at >= nr_extents || owner[at]++)
					return "an extent of nobody's or of two";
				if (!(used[at / HM_BITS_PER_LONG] >> at % HM_BITS_PER_LONG & 1))
					return "an extent that counts as free";
			}
		}
		if (!extents || extents != le32(r->nr_extents))
			return "size";
		if (!fair_ways(r, n, extents))
			return "ways";
		if (!(le32(r->flags) & HM_MEDIA_SHARED)) {
			if (r->total || r->nr_pools || r->number)
				return "on one pool, and on others";
			continue;
		}
		if (!r->nr_pools || r->nr_pools > 32 || r->number >= r->nr_pools ||
		    n + le32(r->nr_runs) + r->nr_pools > slots)
			return "on several pools";
		for (u32 j = 0; j < le32(r->nr_runs); j++, n++) {
			u64 last = le32(run(n - le32(r->nr_runs))->count) - 1;

			if (!le32(place(n)->stride) || le32(place(n)->stride) > 32 ||
			    last * le32(place(n)->stride) + le32(place(n)->first) >= le32(r->total))
				return "place";
		}
		for (u32 j = 0; j < r->nr_pools; j++, n++)
			if ((memcmp(run(n), h->uuid, 16) == 0) != (j == r->number))
				return "this pool";
	}
	for (u32 i = 0; i < nr_extents; i++)
		if (!owner[i] && used[i / HM_BITS_PER_LONG] >> i % HM_BITS_PER_LONG & 1)
			return "an extent that counts as used";
	return n == slots ? NULL : "slots of nobody";
}

int main(void)
{
	const char *seed = getenv("HMEM_SEED"), *rounds = getenv("HMEM_ROUNDS");
	u64 from = seed ? strtoull(seed, NULL, 0) : (u64)time(NULL);
	long count = rounds ? atol(rounds) : (long)sanitized("lies", 50000, 4, 100), intact = 0, refused = 0;
	const char *why, *wrong = NULL;

	tap_diag("seed %llu", (unsigned long long)from);
	copy = malloc(HM_MEDIA_COPY_BYTES);
	used = calloc(1, (POOL_BYTES >> HM_MEDIA_EXTENT_SHIFT) / 8);
	build();
	hm_media_seal(copy);
	TAP_EQ(hm_media_check(copy, POOL_BYTES, used, &why), HM_MEDIA_OK, "an honest one is intact");
	TAP_OK(!unfair(), "in the second opinion as well");

	for (long i = 0; i < count && !wrong; i++) {
		enum hm_media_verdict verdict;
		u32 regions, slots;

		state = (from + (u64)i) * 0x9e3779b97f4a7c15ULL | 1;
		build();
		for (u64 lies = 1 + dice(3); lies; lies--) {
			lie();
			/* The rest is found by these. */
			if (le32(header()->nr_regions) != REGIONS)
				break;
		}
		/* A seal over more than there is would be the test's own fault. */
		regions = le32(header()->nr_regions);
		slots = le32(header()->nr_slots);
		if (regions <= HM_MEDIA_MAX_REGIONS && slots <= HM_MEDIA_MAX_SLOTS) {
			hm_media_seal(copy);
		} else {
			memcpy(header()->magic, HM_MEDIA_MAGIC, 8);
			header()->version = htole32(HM_MEDIA_VERSION);
			header()->crc = htole32(hm_crc32c(copy, HM_MEDIA_HEADER_BYTES - 4));
		}
		verdict = hm_media_check(copy, POOL_BYTES, used, &why);
		if (verdict == HM_MEDIA_OK) {
			intact++;
			wrong = unfair();
		} else if (verdict == HM_MEDIA_CORRUPT && *why) {
			refused++;
		} else {
			wrong = "neither intact nor refused with a reason";
		}
		if (wrong)
			tap_diag("round %ld: %s", i, wrong);
	}
	tap_diag("%ld taken for intact, %ld refused", intact, refused);
	TAP_OK(!wrong, "what is taken for intact keeps every rule");
	TAP_OK(intact > count / 100 && refused > count / 100, "and both happen");
	free(copy);
	free(used);
	return tap_done();
}
