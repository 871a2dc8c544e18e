/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A superblock, changed as somebody likes, under checksums that are made to hold again; and a second
 * opinion, which shares no code with the module's reader: what that takes for intact must keep
 * every rule of the format. Shared by a test that throws dice and by the fuzzer.
 */
#ifndef SELFTESTS_MEDIA_LIES_H
#define SELFTESTS_MEDIA_LIES_H

#include "../../kmod/media.c"

#include <stdlib.h>

#include "tap.h"

#define POOL_BYTES	(256ULL << 20)
#define REGIONS		5
#define RUNS		9
#define SLOTS		(RUNS + 2 + 3)	/* the last region is on three pools */

static u8 *copy;
static unsigned long *used;
static u32 nr_extents;

static inline struct hm_media_header *header(void)
{
	return (struct hm_media_header *)copy;
}

static inline struct hm_media_region *region(u32 i)
{
	return (struct hm_media_region *)(copy + HM_MEDIA_HEADER_BYTES) + i;
}

static inline struct hm_media_run *run(u32 i)
{
	return (struct hm_media_run *)region(le32(header()->nr_regions)) + i;
}

static inline struct hm_media_place *place(u32 i)
{
	return (struct hm_media_place *)run(i);
}

/* The last region is on three pools, and this one is the second. */
static inline void share(struct hm_media_region *r)
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

static inline void build(void)
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

static inline bool fair_name(const char *name)
{
	size_t n = strnlen(name, HM_MEDIA_NAME_LEN);

	return n && n < HM_MEDIA_NAME_LEN && *name != '.' && *name != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n &&
	       strcmp(name, "control");
}

/* Whether the runs that end before slot @end go and come as they may. */
static inline bool fair_ways(const struct hm_media_region *r, u32 end, u64 extents)
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
static inline const char *unfair(void)
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

static inline void media_begin(void)
{
	copy = malloc(HM_MEDIA_COPY_BYTES);
	used = calloc(1, (POOL_BYTES >> HM_MEDIA_EXTENT_SHIFT) / 8);
	if (!copy || !used)
		tap_bail("no memory");
}

static inline void media_end(void)
{
	free(copy);
	free(used);
}

static inline void media_seal_version(u32 version)
{
	memcpy(header()->magic, HM_MEDIA_MAGIC, 8);
	header()->version = htole32(version);
	header()->crc = htole32(hm_crc32c(copy, HM_MEDIA_HEADER_BYTES - 4));
}

/* Of the newest version when there is said to be more than there can be: that cannot be sealed. */
static inline void media_seal(void)
{
	if (le32(header()->nr_regions) <= HM_MEDIA_MAX_REGIONS &&
	    le32(header()->nr_slots) <= HM_MEDIA_MAX_SLOTS)
		hm_media_seal(copy);
	else
		media_seal_version(HM_MEDIA_VERSION);
}

/* What is wrong about the reader's verdict, or NULL. */
static inline const char *media_wrong(enum hm_media_verdict *verdict)
{
	const char *why = NULL;

	*verdict = hm_media_check(copy, POOL_BYTES, used, &why);
	if (*verdict == HM_MEDIA_OK)
		return unfair();
	return *verdict == HM_MEDIA_CORRUPT && why && *why ? NULL :
	       "neither intact nor refused with a reason";
}

/*
 * Four bytes a lie: where, how and which byte; what is left over is the version. The offset is one in
 * the header or in the table behind it.
 */
static inline void media_try(const unsigned char *input, size_t bytes)
{
	const size_t room = hm_media_bytes(REGIONS + 1, SLOTS + 2);
	enum hm_media_verdict verdict;
	const char *wrong;

	build();
	for (; bytes >= 4; input += 4, bytes -= 4) {
		u8 *at = copy + (input[0] | input[1] << 8) % room;

		*at = input[2] & 1 ? *at + input[3] : input[3];
	}
	media_seal();
	if (bytes)
		media_seal_version(1 + input[0] % HM_MEDIA_VERSION);
	wrong = media_wrong(&verdict);
	if (!wrong)
		return;
	fprintf(stderr, "%s\n", wrong);
	abort();
}

#endif
