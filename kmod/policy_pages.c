// SPDX-License-Identifier: GPL-2.0-only
/*
 * Split extents: how they come about and end, and what came of moves of their pages. What is seen
 * of them is in policy_scan.c.
 */
#include "policy_private.h"

void hm_policy_placed_pages(struct hm_policy *p, struct hm_heat *h, const u64 *pages,
			    const u64 *was, const u64 *is)
{
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool from = hm_bit(was, i), to = hm_bit(is, i);

		if (from == to)
			continue;
		hm_page_count(p, from)[hm_page_rank(p, pages[i], from)]--;
		hm_page_count(p, to)[hm_page_rank(p, pages[i], to)]++;
		h->near_pages += to ? 1 : -1;
		p->used += to ? 1 : -1;
	}
}

u16 hm_policy_page_heat(u64 word)
{
	u32 brief = hm_page_brief(word), lasting = hm_page_lasting(word);

	return (u16)((brief > lasting ? brief : lasting) << HM_BIN_SHIFT);
}

static void hm_page_moved(struct hm_policy *p, struct hm_heat *h, const u64 *pages, u32 i,
			  const struct hm_policy_pages *asked, const struct hm_policy_pages *tried,
			  const struct hm_policy_pages *done)
{
	bool demote = hm_bit(asked->demote, i);
	bool moved = hm_bit(demote ? done->demote : done->promote, i);

	p->leaving -= demote;
	p->used -= demote == moved;
	if (!hm_bit(demote ? tried->demote : tried->promote, i))
		return;
	p->tries++;
	if (!moved) {
		p->aborts++;
		p->count.aborted++;
		return;
	}
	hm_page_count(p, demote)[hm_page_rank(p, pages[i], demote)]--;
	hm_page_count(p, !demote)[hm_page_rank(p, pages[i], !demote)]++;
	if (demote) {
		h->near_pages--;
		p->count.demoted++;
	} else {
		h->near_pages++;
		p->count.promoted++;
	}
}

void hm_policy_moved_pages(struct hm_policy *p, struct hm_heat *h, const u64 *pages,
			   const struct hm_policy_pages *asked, const struct hm_policy_pages *tried,
			   const struct hm_policy_pages *done)
{
	for (u32 w = 0; w < HM_POLICY_WORDS; w++) {
		u64 left = asked->demote[w] | asked->promote[w];

		for (; left; left &= left - 1)
			hm_page_moved(p, h, pages, w * 64 + (u32)__builtin_ctzll(left), asked,
				      tried, done);
	}
	h->flags &= ~HM_HEAT_MOVING;
}

void hm_policy_split(struct hm_policy *p, struct hm_heat *h, u64 *pages, bool done, u64 now)
{
	bool near = h->flags & HM_HEAT_NEAR;
	u32 heat;

	h->flags &= ~HM_HEAT_MOVING;
	if (!done) {
		hm_stamp(h, now);
		h->flags |= HM_HEAT_HELD;
		return;
	}
	heat = clamp_u32(h->lasting >> HM_BIN_SHIFT, 1, HM_POLICY_BINS - 1);
	hm_whole_count(p, h)[h->bin] -= HM_POLICY_PAGES;
	if (h->bin)
		p->nr_known--;
	for (u32 i = 0; i < HM_POLICY_PAGES; i++)
		pages[i] = hm_page_word(pages[i], heat, heat);
	hm_page_count(p, near)[heat] += HM_POLICY_PAGES;
	h->near_pages = near ? HM_POLICY_PAGES : 0;
	h->flags = HM_HEAT_SPLIT;
	h->bin = 0;
	h->seen = 0;
	h->since = (u32)(now >> HM_TIME_SHIFT);
	p->nr_split++;
	p->count.splits++;
}

void hm_policy_collapsed(struct hm_policy *p, struct hm_heat *h, const u64 *pages, const u64 *near,
			 bool is_near, bool done, u64 now)
{
	u64 sum = 0;

	h->flags &= ~HM_HEAT_MOVING;
	hm_stamp(h, now);
	/* Neither this way nor back again soon. */
	h->flags |= HM_HEAT_HELD;
	if (!done)
		return;
	for (u32 i = 0; i < HM_POLICY_PAGES; i++) {
		bool was_near = hm_bit(near, i);

		hm_page_count(p, was_near)[hm_page_rank(p, pages[i], was_near)]--;
		sum += hm_page_lasting(pages[i]);
	}
	p->used -= h->near_pages;
	p->nr_split--;
	p->count.collapses++;
	*h = (struct hm_heat){
		.moved = h->moved,
		.flags = (u8)(HM_HEAT_MOVED | HM_HEAT_HELD | (is_near ? HM_HEAT_NEAR : 0)),
		.brief = (u16)((sum << HM_BIN_SHIFT) / HM_POLICY_PAGES),
		.lasting = (u16)((sum << HM_BIN_SHIFT) / HM_POLICY_PAGES),
		.seen = (u8)p->knob.joined_seen,
	};
	if (is_near)
		p->used += HM_POLICY_PAGES;
	h->bin = (u8)hm_rank(p, h);
	p->nr_known++;
	hm_whole_count(p, h)[h->bin] += HM_POLICY_PAGES;
}
