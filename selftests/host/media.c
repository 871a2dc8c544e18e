// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's own reader of superblocks (kmod/media.c), driven with every damage of the
 * first 4 KiB, with damage of the region table, and with lies under a good checksum.
 */
#include "../../kmod/media.c"

#include <stdlib.h>

#include "sanitized.h"
#include "tap.h"

#define POOL_BYTES	(64ULL << 20)
#define REGIONS		3

static u8 good[HM_MEDIA_COPY_BYTES];
static u8 bad[HM_MEDIA_COPY_BYTES];
static unsigned long *used;
static u32 nr_extents;

static struct hm_media_header *header(u8 *copy)
{
	return (struct hm_media_header *)copy;
}

static struct hm_media_region *regions(u8 *copy)
{
	return (struct hm_media_region *)(copy + HM_MEDIA_HEADER_BYTES);
}

static struct hm_media_run *runs(u8 *copy)
{
	return (struct hm_media_run *)(regions(copy) + REGIONS);
}

static void build(u8 *copy)
{
	static const u32 run_of[][3] = { { 0, 4, 1 }, { 8, 2, 2 }, { 4, 4, 3 }, { 20, 1, 4 } };
	static const u32 runs_of[REGIONS] = { 2, 1, 1 }, extents_of[REGIONS] = { 6, 4, 1 };
	struct hm_media_header *h = header(copy);
	u64 data_offset;

	memset(copy, 0, HM_MEDIA_COPY_BYTES);
	hm_media_geometry(POOL_BYTES, &data_offset, &nr_extents);
	h->flags = HM_MEDIA_CLEAN;
	h->seq = 7;
	memset(h->uuid, 0x5a, sizeof(h->uuid));
	memset(h->host, 0xa5, sizeof(h->host));
	h->pool_bytes = POOL_BYTES;
	h->data_offset = data_offset;
	h->nr_extents = nr_extents;
	h->nr_regions = REGIONS;
	h->nr_slots = 4;
	h->next_gen = 5;
	for (int i = 0; i < REGIONS; i++) {
		struct hm_media_region *r = &regions(copy)[i];

		snprintf(r->name, sizeof(r->name), "region-%d", i);
		memset(r->uuid, 0x70 + i, sizeof(r->uuid));
		r->mode = 0640;
		r->uid = 1000;
		r->nr_runs = runs_of[i];
		r->nr_extents = extents_of[i];
	}
	for (int i = 0; i < 4; i++) {
		runs(copy)[i].start = run_of[i][0];
		runs(copy)[i].count = run_of[i][1];
		runs(copy)[i].gen = run_of[i][2];
	}
	hm_media_seal(copy);
}

static enum hm_media_verdict judge(const u8 *copy)
{
	const char *why;

	return hm_media_check(copy, POOL_BYTES, used, &why);
}

/* What attaching a pool with these copies would do: the verdict, and which one it takes. */
static enum hm_media_verdict choose(const u8 *a, const u8 *b, int *which, bool *repair)
{
	enum hm_media_verdict va = judge(a), vb = judge(b);

	return hm_media_choose(va, va == HM_MEDIA_OK ? 7 : 0, vb, vb == HM_MEDIA_OK ? 7 : 0,
			       which, repair);
}

static void every_byte_of_the_header(void)
{
	unsigned int recovered_b = 0, recovered_a = 0, refused = 0, tried = 0;
	int step = (int)sanitized_step("damaged bytes of the header", 1, 16);

	memcpy(bad, good, sizeof(bad));
	for (int i = 0; i < HM_MEDIA_HEADER_BYTES; i += step) {
		for (int bit = 0; bit <= 8; bit++) {
			u8 flip = bit == 8 ? 0xff : 1U << bit;
			bool repair = false;
			int which = -1;

			bad[i] ^= flip;
			tried++;
			recovered_b += choose(bad, good, &which, &repair) == HM_MEDIA_OK &&
				       which == 1 && repair;
			recovered_a += choose(good, bad, &which, &repair) == HM_MEDIA_OK &&
				       which == 0 && repair;
			switch (choose(bad, bad, &which, &repair)) {
			case HM_MEDIA_CORRUPT:
			case HM_MEDIA_FOREIGN:
				refused++;
				break;
			default:
				break;
			}
			bad[i] ^= flip;
		}
	}
	TAP_EQ(recovered_b, tried, "copy A damaged in any byte: copy B is used and A repaired");
	TAP_EQ(recovered_a, tried, "copy B damaged in any byte: copy A is used and B repaired");
	TAP_EQ(refused, tried, "both damaged in any byte: refused, and not as blank");
}

static void every_byte_of_the_table(void)
{
	unsigned int caught = 0, tried = 0;
	size_t end = hm_media_bytes(REGIONS, 4);
	unsigned int step = sanitized_step("damaged bytes of the region table", 1, 16);

	memcpy(bad, good, sizeof(bad));
	for (size_t i = HM_MEDIA_HEADER_BYTES; i < end; i += step) {
		for (int bit = 0; bit < 8; bit++) {
			bad[i] ^= 1U << bit;
			caught += judge(bad) == HM_MEDIA_CORRUPT;
			bad[i] ^= 1U << bit;
			tried++;
		}
	}
	TAP_EQ(caught, tried, "every single-bit damage of the region table is seen");
}

/* Change one thing and make the checksums right: only the rules can catch it. */
static void lie(const char *what, void (*change)(u8 *copy))
{
	memcpy(bad, good, sizeof(bad));
	change(bad);
	hm_media_seal(bad);
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "under a good checksum: %s", what);
}

static void overlap(u8 *c) { runs(c)[1].start = 1; }
static void outside(u8 *c) { runs(c)[3].start = nr_extents; }
static void overrun(u8 *c) { runs(c)[3].start = 1; runs(c)[3].count = 0xffffffff; }
static void empty_run(u8 *c) { runs(c)[3].count = 0; }
static void no_generation(u8 *c) { runs(c)[0].gen = 0; }
static void future_generation(u8 *c) { runs(c)[0].gen = 5; }
static void wrong_sum(u8 *c) { regions(c)[0].nr_extents = 7; }
static void too_many_runs(u8 *c) { regions(c)[2].nr_runs = 2; }
static void no_runs(u8 *c) { regions(c)[2].nr_runs = 0; }
static void same_name(u8 *c) { memcpy(regions(c)[1].name, regions(c)[0].name, 64); }
static void same_identity(u8 *c) { memcpy(regions(c)[2].uuid, regions(c)[0].uuid, 16); }
static void slash(u8 *c) { regions(c)[0].name[0] = '/'; }
static void dot(u8 *c) { regions(c)[0].name[0] = '.'; }
static void unterminated(u8 *c) { memset(regions(c)[0].name, 'x', 64); }
static void control(u8 *c) { strcpy(regions(c)[0].name, "control"); }
static void setuid_mode(u8 *c) { regions(c)[0].mode = 04755; }
static void no_user(u8 *c) { regions(c)[1].uid = 0xffffffff; }
static void no_group(u8 *c) { regions(c)[1].gid = 0xffffffff; }
static void reserved_region(u8 *c) { regions(c)[0].reserved[1] = 1; }
static void reserved_run(u8 *c) { runs(c)[0].flags = 1; }
static void reserved_header(u8 *c) { header(c)->reserved[100] = 1; }
static void unknown_flag(u8 *c) { header(c)->flags |= 2; }
static void many_regions(u8 *c) { header(c)->nr_regions = HM_MEDIA_MAX_REGIONS + 1; }
static void other_size(u8 *c) { header(c)->pool_bytes = POOL_BYTES * 2; }
static void other_offset(u8 *c) { header(c)->data_offset = 0; }
static void other_count(u8 *c) { header(c)->nr_extents = nr_extents + 1; }
static void fewer_runs(u8 *c) { header(c)->nr_slots = 5; }

static void both_ways(u8 *c) { regions(c)[0].flags = 3; regions(c)[0].peer[0] = 1; }
static void unknown_way(u8 *c) { regions(c)[0].flags = 32; regions(c)[0].peer[0] = 1; }
static void spread_alone(u8 *c) { regions(c)[0].flags = HM_MEDIA_SPREAD; }
static void total_alone(u8 *c) { regions(c)[0].total = 6; }
static void number_alone(u8 *c) { regions(c)[0].number = 1; }
static void pins_of_peer(u8 *c) { regions(c)[0].flags = HM_MEDIA_PINS; regions(c)[0].peer[0] = 1; }
static void no_peer(u8 *c) { regions(c)[0].flags = HM_MEDIA_INCOMING; }
static void only_peer(u8 *c) { regions(c)[0].peer[15] = 1; }

static void own_peer(u8 *c)
{
	regions(c)[0].flags = HM_MEDIA_OUTGOING;
	memcpy(regions(c)[0].peer, header(c)->uuid, 16);
}

/* A region on its way makes version 2, and nothing else does. */
static void on_its_way(void)
{
	TAP_EQ(header(good)->version, 1, "a pool of which nothing is on its way is of version 1");
	memcpy(bad, good, sizeof(bad));
	regions(bad)[1].flags = HM_MEDIA_OUTGOING;
	memset(regions(bad)[1].peer, 0x11, 16);
	hm_media_seal(bad);
	TAP_EQ(header(bad)->version, 2, "one of which a region is, is of version 2");
	TAP_EQ(judge(bad), HM_MEDIA_OK, "and intact");
	regions(bad)[1].flags = HM_MEDIA_INCOMING;
	hm_media_seal(bad);
	TAP_EQ(judge(bad), HM_MEDIA_OK, "in the other direction as well");
	regions(bad)[1].flags = HM_MEDIA_INCOMING | HM_MEDIA_PINS;
	hm_media_seal(bad);
	TAP_EQ(judge(bad), HM_MEDIA_OK, "and when it is for pins");
	header(bad)->version = 1;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "version 1 knows no such region");
	memcpy(bad, good, sizeof(bad));
	regions(bad)[1].flags = HM_MEDIA_PINS;
	hm_media_seal(bad);
	TAP_OK(header(bad)->version == 2 && judge(bad) == HM_MEDIA_OK, "one for pins is of version 2");
	memcpy(bad, good, sizeof(bad));
	header(bad)->version = 0;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "there is no version 0");
	memcpy(bad, good, sizeof(bad));
	header(bad)->version = 2;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_OK, "version 2 may have none");
	header(bad)->version = 3;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_OK, "and so may version 3");
}

static void every_rule(void)
{
	lie("a region that comes and goes at once", both_ways);
	lie("a region on one pool that is spread", spread_alone);
	lie("a region on one pool that is larger than that", total_alone);
	lie("a region on one pool that is not the first", number_alone);
	lie("a region on an unknown way", unknown_way);
	lie("a region that comes from nowhere", no_peer);
	lie("a region for pins that stays, with another pool", pins_of_peer);
	lie("a region that stays, with another pool", only_peer);
	lie("a region that goes to its own pool", own_peer);
	lie("two runs that overlap", overlap);
	lie("a run that starts outside the pool", outside);
	lie("a run whose end overflows", overrun);
	lie("a run of nothing", empty_run);
	lie("a run without a generation", no_generation);
	lie("a run of a generation to come", future_generation);
	lie("runs that do not add up", wrong_sum);
	lie("a region with the next one's runs", too_many_runs);
	lie("a region without runs", no_runs);
	lie("two regions of one name", same_name);
	lie("two regions of one identity", same_identity);
	lie("a name with a slash", slash);
	lie("a name that begins with a dot", dot);
	lie("a name without an end", unterminated);
	lie("a region called control", control);
	lie("a mode with setuid", setuid_mode);
	lie("a user that cannot be", no_user);
	lie("a group that cannot be", no_group);
	lie("a reserved byte of a region", reserved_region);
	lie("a run on its way of a region on one pool", reserved_run);
	lie("a reserved byte of the header", reserved_header);
	lie("an unknown flag", unknown_flag);
	lie("more regions than there can be", many_regions);
	lie("another pool size", other_size);
	lie("extents that begin elsewhere", other_offset);
	lie("more extents than fit", other_count);
	lie("a run that no region has", fewer_runs);
}

/*
 * Region 0 on three pools, this one in the middle: 8 extents in 2 runs here, out of 20 in all. The
 * other regions' runs are behind its slots.
 */
static u8 shared[HM_MEDIA_COPY_BYTES];

static union hm_media_slot *slots(u8 *copy)
{
	return (union hm_media_slot *)runs(copy);
}

static void build_shared(void)
{
	struct hm_media_region *r = regions(shared);

	memcpy(shared, good, sizeof(shared));
	memmove(slots(shared) + 7, slots(shared) + 2, 2 * sizeof(union hm_media_slot));
	memset(slots(shared) + 2, 0, 5 * sizeof(union hm_media_slot));
	header(shared)->nr_slots = 9;
	r->flags = HM_MEDIA_SHARED | HM_MEDIA_SPREAD;
	r->total = 20;
	r->nr_pools = 3;
	r->number = 1;
	slots(shared)[2].place.first = 1;
	slots(shared)[2].place.stride = 3;
	slots(shared)[3].place.first = 13;
	slots(shared)[3].place.stride = 6;
	memset(slots(shared)[4].pool.uuid, 0x11, 16);
	memset(slots(shared)[5].pool.uuid, 0x5a, 16);
	memset(slots(shared)[6].pool.uuid, 0x22, 16);
	hm_media_seal(shared);
}

static void lie_shared(const char *what, void (*change)(u8 *copy))
{
	memcpy(bad, shared, sizeof(bad));
	change(bad);
	hm_media_seal(bad);
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "on several pools, under a good checksum: %s", what);
}

static void share_moves(u8 *c) { regions(c)[0].flags |= HM_MEDIA_OUTGOING; regions(c)[0].peer[0] = 1; }
static void share_peer(u8 *c) { regions(c)[0].peer[0] = 1; }
static void share_total(u8 *c) { regions(c)[0].total = 6; }
static void share_whole(u8 *c)
{
	regions(c)[0].total = 6;
	slots(c)[2].place.first = 0;
	slots(c)[2].place.stride = 1;
	slots(c)[3].place.first = 4;
	slots(c)[3].place.stride = 1;
}

static void share_of_none(u8 *c) { regions(c)[0].nr_pools = 0; }
static void share_of_one(u8 *c)
{
	regions(c)[0].nr_pools = 1;
	regions(c)[0].number = 0;
	memset(slots(c)[4].pool.uuid, 0x5a, 16);
	memmove(slots(c) + 5, slots(c) + 7, 2 * sizeof(union hm_media_slot));
	header(c)->nr_slots = 7;
}

static void share_of_many(u8 *c) { regions(c)[0].nr_pools = 33; }
static void share_of_all(u8 *c) { regions(c)[0].nr_pools = 255; }
static void share_number(u8 *c) { regions(c)[0].number = 3; }
static void share_other(u8 *c) { regions(c)[0].number = 0; }
static void share_reserved(u8 *c) { regions(c)[0].reserved[0] = 1; }
static void share_place(u8 *c) { slots(c)[3].place.first = 20; }
static void share_end(u8 *c) { slots(c)[3].place.first = 14; }
static void share_stride(u8 *c) { slots(c)[2].place.stride = 0; }
static void share_strides(u8 *c) { slots(c)[3].place.stride = 33; slots(c)[3].place.first = 0; regions(c)[0].total = 200; }
static void share_overflow(u8 *c) { slots(c)[3].place.first = 0xffffffff; }
static void share_slot(u8 *c) { slots(c)[2].place.reserved[1] = 1; }
static void share_twice(u8 *c) { memset(slots(c)[6].pool.uuid, 0x11, 16); }
static void share_nobody(u8 *c) { memset(slots(c)[4].pool.uuid, 0, 16); }
static void share_elsewhere(u8 *c) { memset(slots(c)[5].pool.uuid, 0x33, 16); }
static void share_runs(u8 *c) { regions(c)[0].nr_runs = 3; }
static void share_all(u8 *c) { regions(c)[0].nr_runs = 9; }
static void share_short(u8 *c) { header(c)->nr_slots = 8; }

/* A region on several pools makes version 3, and nothing else does. */
static void on_several(void)
{
	size_t end = hm_media_bytes(REGIONS, 9);
	unsigned int step = sanitized_step("damaged bytes of a table with a region on several pools",
					   1, 16), caught = 0, tried = 0;

	TAP_EQ(header(shared)->version, 3, "a pool with a region on several is of version 3");
	TAP_EQ(judge(shared), HM_MEDIA_OK, "and intact");
	TAP_OK(hm_media_names(regions(shared), slots(shared), slots(shared)[6].pool.uuid) &&
	       !hm_media_names(regions(shared), slots(shared), regions(shared)[0].uuid),
	       "the region names its pools and no other");
	memcpy(bad, shared, sizeof(bad));
	header(bad)->version = 2;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "version 2 knows no such region");
	memcpy(bad, shared, sizeof(bad));
	for (size_t i = HM_MEDIA_HEADER_BYTES; i < end; i += step) {
		for (int bit = 0; bit < 8; bit++, tried++) {
			bad[i] ^= 1U << bit;
			caught += judge(bad) == HM_MEDIA_CORRUPT;
			bad[i] ^= 1U << bit;
		}
	}
	TAP_EQ(caught, tried, "every single-bit damage of its table is seen");
	lie_shared("it moves as well", share_moves);
	lie_shared("it has another pool beside", share_peer);
	lie_shared("it is smaller than what is here", share_total);
	lie_shared("it has nothing elsewhere", share_whole);
	lie_shared("it has no pools", share_of_none);
	lie_shared("it has one pool, and extents elsewhere", share_of_one);
	lie_shared("it has more pools than it can", share_of_many);
	lie_shared("it has more pools than there are slots", share_of_all);
	lie_shared("this pool is behind the last", share_number);
	lie_shared("this pool is another one", share_other);
	lie_shared("a reserved byte", share_reserved);
	lie_shared("a run begins behind its end", share_place);
	lie_shared("a run ends behind its end", share_end);
	lie_shared("a run goes nowhere", share_stride);
	lie_shared("a run goes too far", share_strides);
	lie_shared("a run's place overflows", share_overflow);
	lie_shared("a reserved field of a place", share_slot);
	lie_shared("a pool comes twice", share_twice);
	lie_shared("a pool without identity", share_nobody);
	lie_shared("it is not on this pool", share_elsewhere);
	lie_shared("it has another's slots", share_runs);
	lie_shared("it has all slots", share_all);
	lie_shared("slots that are not there", share_short);
}

static void way_both(u8 *c) { runs(c)[0].flags = HM_MEDIA_RUN_INCOMING | HM_MEDIA_RUN_OUTGOING; }
static void way_unknown(u8 *c) { runs(c)[0].flags = 4; }
static void way_high(u8 *c) { runs(c)[1].flags = 1U << 31; }
static void way_out_first(u8 *c) { runs(c)[0].flags = HM_MEDIA_RUN_OUTGOING; }
static void way_out_last(u8 *c) { runs(c)[1].flags = HM_MEDIA_RUN_OUTGOING; }
static void way_out_other(u8 *c) { slots(c)[7].run.flags = HM_MEDIA_RUN_OUTGOING; }

static void way_cross(u8 *c)
{
	runs(c)[0].flags = HM_MEDIA_RUN_INCOMING;
	runs(c)[1].flags = HM_MEDIA_RUN_OUTGOING;
}

static void way_too_much(u8 *c)
{
	share_whole(c);
	regions(c)[0].total = 5;
	slots(c)[3].place.first = 3;
	runs(c)[1].flags = HM_MEDIA_RUN_INCOMING;
}

/* With these ways of its two runs, and with all of the region here or not. */
static void on_its_ways(u32 first, u32 second, bool all, const char *what)
{
	memcpy(bad, shared, sizeof(bad));
	if (all)
		share_whole(bad);
	runs(bad)[0].flags = first;
	runs(bad)[1].flags = second;
	hm_media_seal(bad);
	TAP_EQ(header(bad)->version, 4, "%s: makes version 4", what);
	TAP_EQ(judge(bad), HM_MEDIA_OK, "%s: intact", what);
	header(bad)->version = 3;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "%s: version 3 knows no such run", what);
}

static void one_of_one(u8 *c)
{
	share_of_one(c);
	regions(c)[0].total = 6;
	slots(c)[2].place.first = 0;
	slots(c)[2].place.stride = 1;
	slots(c)[3].place.first = 4;
	slots(c)[3].place.stride = 1;
}

static void one_comes(u8 *c) { one_of_one(c); runs(c)[0].flags = HM_MEDIA_RUN_INCOMING; }
static void one_too_many(u8 *c) { one_of_one(c); regions(c)[0].total = 5; slots(c)[3].place.first = 3; }

/* It was on several pools. */
static void on_one_of_several(void)
{
	memcpy(bad, shared, sizeof(bad));
	one_of_one(bad);
	hm_media_seal(bad);
	TAP_EQ(header(bad)->version, 4, "all of it on one pool, in any order: makes version 4");
	TAP_EQ(judge(bad), HM_MEDIA_OK, "and is intact");
	header(bad)->version = 3;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_CORRUPT, "version 3 knows no such region");
	lie_shared("it has one pool, and comes there", one_comes);
	lie_shared("it has one pool, and more there than it has", one_too_many);
}

/* Runs of a region on several pools that move make version 4, and nothing else does. */
static void on_several_ways(void)
{
	const u32 in = HM_MEDIA_RUN_INCOMING, out = HM_MEDIA_RUN_OUTGOING;

	on_its_ways(in, 0, false, "the first comes");
	on_its_ways(0, in, false, "the second comes");
	on_its_ways(in, in, false, "both come");
	on_its_ways(out, out, false, "both go");
	on_its_ways(0, in, true, "one comes, and then all of it is here");
	on_its_ways(out, out, true, "all of it goes, to several");
	lie_shared("a run that comes and goes", way_both);
	lie_shared("a run on an unknown way", way_unknown);
	lie_shared("a run on another", way_high);
	lie_shared("the first run goes, the second stays", way_out_first);
	lie_shared("the second run goes, the first stays", way_out_last);
	lie_shared("one comes, one goes", way_cross);
	lie_shared("a run of another region goes, which is here alone", way_out_other);
	lie_shared("more comes than it has", way_too_much);
	memcpy(bad, shared, sizeof(bad));
	header(bad)->version = 4;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_OK, "version 4 may have none");
}

/* Random damage under a good checksum must be judged, whatever the judgement. */
static void random_lies(const u8 *from, u32 nr_slots)
{
	unsigned int ok = 0, corrupt = 0, other = 0;
	size_t end = hm_media_bytes(REGIONS, nr_slots);

	int rounds = (int)sanitized("random changes", 20000, 2, 40);

	srand(1);
	for (int round = 0; round < rounds; round++) {
		memcpy(bad, from, end);
		for (int i = rand() % 4; i >= 0; i--) {
			size_t at = HM_MEDIA_HEADER_BYTES + rand() % (end - HM_MEDIA_HEADER_BYTES);

			if (rand() % 3 == 0)
				at = 8 + rand() % 84;
			bad[at] = rand() % 2 ? rand() : 0xff * (rand() % 2);
		}
		if (header(bad)->nr_regions > HM_MEDIA_MAX_REGIONS ||
		    header(bad)->nr_slots > HM_MEDIA_MAX_SLOTS)
			continue;
		hm_media_seal(bad);
		switch (judge(bad)) {
		case HM_MEDIA_OK:
			ok++;
			break;
		case HM_MEDIA_CORRUPT:
			corrupt++;
			break;
		default:
			other++;
		}
	}
	tap_diag("random changes: %u harmless, %u refused", ok, corrupt);
	TAP_OK((int)corrupt > rounds / 20 && other == 0, "random changes under a good checksum of version %d are judged",
	       header((u8 *)from)->version);
}

static void verdicts(void)
{
	static u8 blank[HM_MEDIA_COPY_BYTES];
	bool repair;
	int which;

	TAP_EQ(judge(blank), HM_MEDIA_BLANK, "zeroes are blank");
	TAP_EQ(judge(good), HM_MEDIA_OK, "a sealed superblock is intact");
	TAP_EQ(find_next_bit(used, nr_extents, 0), 0UL, "and tells which extents are taken");
	TAP_EQ(choose(blank, blank, &which, &repair), HM_MEDIA_BLANK, "two blanks are blank");
	TAP_OK(choose(blank, good, &which, &repair) == HM_MEDIA_OK && which == 1 && repair,
	       "one blank copy is repaired from the other");
	memcpy(bad, good, sizeof(bad));
	bad[0] = 'X';
	TAP_EQ(choose(bad, blank, &which, &repair), HM_MEDIA_FOREIGN,
	       "something else beside a blank is refused");
	memcpy(bad, good, sizeof(bad));
	header(bad)->version = HM_MEDIA_VERSION + 1;
	header(bad)->crc = hm_crc32c(bad, offsetof(struct hm_media_header, crc));
	TAP_EQ(judge(bad), HM_MEDIA_NEWER, "a newer version is told from damage");
	TAP_EQ(choose(bad, good, &which, &repair), HM_MEDIA_NEWER,
	       "a newer version on one copy refuses the pool");
	TAP_OK(hm_media_choose(HM_MEDIA_OK, 7, HM_MEDIA_OK, 8, &which, &repair) == HM_MEDIA_OK &&
		       which == 1 && repair,
	       "of two intact copies the later one counts");
	TAP_OK(hm_media_choose(HM_MEDIA_OK, 8, HM_MEDIA_OK, 8, &which, &repair) == HM_MEDIA_OK &&
		       which == 0 && !repair,
	       "two equal copies need no repair");
}

static void tags(void)
{
	u8 uuid[16] = "a pool's own id", other[16] = "another pool's.";
	u64 tag = hm_media_tag(uuid, 5, 9);
	unsigned int believed = 0;

	TAP_EQ(hm_media_tag_state(tag, uuid, 5, 9), HM_TAG_PREPARED, "a tag is believed");
	TAP_EQ(hm_media_tag_state(tag, uuid, 5, 10), HM_TAG_STALE, "a former owner's is stale");
	TAP_EQ(hm_media_tag_state(0, uuid, 5, 9), HM_TAG_STALE, "no tag is stale");
	TAP_EQ(hm_media_tag_state(tag, uuid, 6, 9), HM_TAG_CORRUPT, "another extent's is damage");
	TAP_EQ(hm_media_tag_state(tag, other, 5, 9), HM_TAG_CORRUPT, "another pool's is damage");
	for (int bit = 0; bit < 64; bit++)
		believed += hm_media_tag_state(tag ^ 1ULL << bit, uuid, 5, 9) != HM_TAG_CORRUPT;
	TAP_EQ(believed, 0U, "every single-bit damage of a tag is seen");
}

static void geometry(void)
{
	u64 offset;
	u32 n;

	TAP_OK(!hm_media_geometry(0, &offset, &n), "nothing is too small");
	TAP_OK(!hm_media_geometry(4 << 20, &offset, &n), "4 MiB hold no extent");
	TAP_OK(hm_media_geometry(6 << 20, &offset, &n) && n == 1 && offset == 4 << 20,
	       "6 MiB hold one");
	TAP_OK(hm_media_geometry(1ULL << 40, &offset, &n) && offset == 6 << 20 &&
		       n == (1U << 19) - 3,
	       "1 TiB has 4 MiB of tags");
	TAP_OK(!hm_media_geometry(~0ULL, &offset, &n), "2^64 bytes cannot be numbered");
}

int main(void)
{
	used = calloc(POOL_BYTES >> HM_MEDIA_EXTENT_SHIFT, sizeof(*used));
	build(good);
	TAP_EQ(hm_crc32c("123456789", 9), 0xe3069283U, "the checksum is CRC32C");
	geometry();
	verdicts();
	every_byte_of_the_header();
	every_byte_of_the_table();
	every_rule();
	on_its_way();
	build_shared();
	on_several();
	on_several_ways();
	on_one_of_several();
	random_lies(good, 4);
	random_lies(shared, 9);
	tags();
	free(used);
	return tap_done();
}
