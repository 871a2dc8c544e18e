// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Granules: claiming spans of them, giving them back, and what those who died left.
 */
#include <errno.h>
#include <string.h>

#include "granule.h"

#define MAGIC	0x656c756e6172676dULL
#define MAKING	0x676e696b616d676dULL	/* in its place while the table is made */
#define VERSION 3

/* Spaces of less than this many granules have smaller ones: each use takes one at least. */
#define GRANULES_WANTED 1024

_Static_assert(sizeof(struct granule_owner) == 16, "owners lie in shared memory");
_Static_assert(sizeof(struct granule_table) == 128, "tables lie in shared memory");
_Static_assert(sizeof(struct granule_span) == 64, "spans lie in shared memory");

/* A lock of the compiler's would be one of each process, and is not given back by who dies. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
	       "words of shared memory are changed without a lock");

unsigned int granules_shift(uint64_t bytes)
{
	unsigned int shift = GRANULE_SHIFT_MAX;

	while (shift > GRANULE_SHIFT_MIN && bytes >> shift < GRANULES_WANTED)
		shift--;
	return shift;
}

static uint32_t owners_for(uint64_t count)
{
	if (count < 128)
		return 64;
	return count / 2 < GRANULE_OWNERS_MAX ? (uint32_t)(count / 2) : GRANULE_OWNERS_MAX + 1;
}

static size_t stride_for(unsigned int shift)
{
	size_t blocks = ((size_t)1 << shift) / GRANULE_BLOCK_MIN;

	return sizeof(struct granule_span) + 2 * blocks / 8;
}

static uint64_t words_offset(uint64_t count)
{
	return sizeof(struct granule_table) + owners_for(count) * sizeof(struct granule_owner);
}

static uint64_t spans_offset(uint64_t count)
{
	return (words_offset(count) + count * sizeof(uint64_t) + 63) / 64 * 64;
}

uint64_t granules_table_bytes(uint64_t count, unsigned int shift)
{
	return spans_offset(count) + count * stride_for(shift);
}

void granules_clear(void *memory, uint64_t count)
{
	struct granule_table *table = memory;

	table->magic = MAKING;
	atomic_thread_fence(memory_order_release);
	memset((char *)memory + sizeof(table->magic), 0, spans_offset(count) - sizeof(table->magic));
}

bool granules_half_made(const void *table)
{
	return ((const struct granule_table *)table)->magic == MAKING;
}

void granules_format(void *memory, uint64_t count, unsigned int shift, uint64_t first,
		     uint32_t classes)
{
	struct granule_table *table = memory;

	table->version = VERSION;
	table->shift = shift;
	table->count = count;
	table->nr_owners = owners_for(count);
	table->first = first;
	table->classes = classes;
	atomic_store_explicit(&table->limit, count, memory_order_relaxed);
	/* Last: who finds it takes the rest for true. */
	atomic_thread_fence(memory_order_release);
	table->magic = MAGIC;
}

int granules_check(const void *memory, uint64_t bytes)
{
	const struct granule_table *table = memory;

	if (bytes < sizeof(*table) || table->magic != MAGIC)
		return -EINVAL;
	atomic_thread_fence(memory_order_acquire);
	if (table->version != VERSION)
		return -EPROTO;
	if (table->shift < GRANULE_SHIFT_MIN || table->shift > GRANULE_SHIFT_MAX ||
	    table->reserved1 || table->reserved2 || !table->count || table->count > GRANULES_MAX ||
	    table->nr_owners != owners_for(table->count) ||
	    table->first % (1ull << table->shift) ||
	    table->first < granules_table_bytes(table->count, table->shift) ||
	    table->first > bytes || table->count > (bytes - table->first) >> table->shift)
		return -EINVAL;
	return 0;
}

void granules_at(struct granules *g, void *memory, void *base)
{
	g->table = memory;
	g->count = g->table->count;
	g->shift = g->table->shift;
	g->words = (void *)((char *)memory + words_offset(g->count));
	g->spans = (char *)memory + spans_offset(g->count);
	g->stride = stride_for(g->shift);
	g->half = (1u << g->shift) / GRANULE_BLOCK_MIN / 64;
	g->base = base;
	g->told = NULL;
	for (size_t i = 0; i < GRANULE_KINDS; i++)
		atomic_init(&g->from[i], 0);
}

/* --- owners -------------------------------------------------------------------------- */

unsigned int granules_join(struct granules *g, uint32_t member)
{
	for (unsigned int i = 1; i < g->table->nr_owners; i++) {
		uint32_t nobody = 0;

		if (atomic_compare_exchange_strong(&g->table->owners[i].member, &nobody, member))
			return i;
	}
	return GRANULE_NOBODY;
}

static bool cas(struct granules *g, uint64_t at, uint64_t was, uint64_t is)
{
	return atomic_compare_exchange_strong(&g->words[at], &was, is);
}

static void set(struct granules *g, uint64_t at, uint64_t word)
{
	atomic_store_explicit(&g->words[at], word, memory_order_release);
}

static uint64_t get(const struct granules *g, uint64_t at)
{
	return atomic_load_explicit(&g->words[at], memory_order_acquire);
}

static uint64_t about(_Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static void lower(_Atomic uint64_t *from, uint64_t at)
{
	if (at < about(from))
		atomic_store_explicit(from, at, memory_order_relaxed);
}

static uint64_t with_owner(uint64_t word, unsigned int owner)
{
	return granule_word(GRANULE_HEAD, granule_use(word), granule_interface(word), owner,
			    granule_length(word));
}

void granules_orphan(struct granules *g, uint64_t head)
{
	set(g, head, with_owner(get(g, head), GRANULE_NOBODY));
	atomic_fetch_add_explicit(&g->table->orphans, 1, memory_order_relaxed);
}

void granules_leave(struct granules *g, unsigned int owner)
{
	atomic_store(&g->table->owners[owner].member, 0);
}

/*
 * A claim or a release that was not ended. What is BODY behind its head, up to the first that is
 * not, belongs to it: both go from the last to the second, and spans of others begin with a head.
 */
static uint64_t free_rest(struct granules *g, uint64_t at)
{
	uint64_t end = at + 1;

	while (end < g->count && granule_state(get(g, end)) == GRANULE_BODY)
		end++;
	for (uint64_t i = end; i > at; i--)
		set(g, i - 1, 0);
	return end - at;
}

/*
 * Right as long as nobody claims or gives back meanwhile: that @used is what it was does not tell,
 * as it is so after a claim and a release. False: somebody did, and it is left as it is; who
 * finds no room brings another try.
 */
static bool count_again(struct granules *g)
{
	struct granule_table *table = g->table;
	uint64_t deaths = atomic_load(&table->deaths), changes = atomic_load(&table->changes);
	uint64_t before = atomic_load(&table->used), used = 0;

	for (unsigned int i = 1; i < table->nr_owners; i++)
		if (atomic_load(&table->owners[i].busy))
			return false;
	for (uint64_t at = 0; at < g->count; at++)
		used += get(g, at) != 0;
	if (atomic_load(&table->changes) != changes ||
	    !atomic_compare_exchange_strong(&table->used, &before, used))
		return false;
	atomic_store(&table->counted, deaths);
	return true;
}

static bool is_idle(uint64_t word)
{
	return granule_state(word) == GRANULE_HEAD && granule_use(word) == GRANULE_IDLE;
}

#define OWNERS_WORDS ((GRANULE_OWNERS_MAX + 64) / 64)

/*
 * @dead: a bit for each owner; @one: of those. What is idle goes back as well, in his name: he may
 * have been the last who knew of it.
 */
static void bury(struct granules *g, const uint64_t *dead, unsigned int one)
{
	for (uint64_t at = 0; at < g->count; at++) {
		uint64_t word = get(g, at);
		unsigned int owner = granule_owner(word);

		if (is_idle(word) &&
		    cas(g, at, word, granule_word(GRANULE_LEAVING, 0, 0, one, granule_length(word)))) {
			at += free_rest(g, at) - 1;
			continue;
		}
		if (!(dead[owner / 64] >> owner % 64 & 1))
			continue;
		if (granule_state(word) == GRANULE_HEAD)
			granules_orphan(g, at);
		else if (granule_state(word) == GRANULE_CLAIMED ||
			 granule_state(word) == GRANULE_LEAVING)
			at += free_rest(g, at) - 1;
	}
}

void granules_bury(struct granules *g, uint32_t member)
{
	struct granule_owner *owners = g->table->owners;
	uint64_t dead[OWNERS_WORDS] = { 0 };
	unsigned int any = 0;

	for (unsigned int i = 1; i < g->table->nr_owners; i++)
		if (atomic_load(&owners[i].member) == member) {
			dead[i / 64] |= 1ull << i % 64;
			any = i;
		}
	if (any) {
		bury(g, dead, any);
		/* Before he is forgotten: who does this may die as well. */
		atomic_fetch_add(&g->table->deaths, 1);
	}
	for (unsigned int i = 1; any && i < g->table->nr_owners; i++)
		if (dead[i / 64] >> i % 64 & 1) {
			atomic_store(&owners[i].busy, 0);
			atomic_store(&owners[i].member, 0);
		}
	lower(&g->table->low, 0);
	for (size_t i = 0; i < GRANULE_KINDS; i++)
		lower(&g->from[i], 0);
	count_again(g);
}

/* --- spans --------------------------------------------------------------------------- */

/* Who counts again sees that an owner is busy, or that there was a change since. */
static void begin(struct granules *g, unsigned int owner)
{
	atomic_store_explicit(&g->table->owners[owner].busy, 1, memory_order_relaxed);
	atomic_fetch_add(&g->table->changes, 1);
}

static void end(struct granules *g, unsigned int owner)
{
	atomic_store_explicit(&g->table->owners[owner].busy, 0, memory_order_release);
}

static int no_room(const struct granules *g)
{
	return atomic_load_explicit(&g->table->limit, memory_order_relaxed) < g->count ? -EDQUOT :
											 -ENOSPC;
}

static bool fits(const struct granules *g, uint64_t used, uint64_t n)
{
	uint64_t limit = atomic_load_explicit(&g->table->limit, memory_order_relaxed);

	return n <= limit && used <= limit - n;
}

/*
 * Whether there is room as far as is known. Without beginning anything, so that those who find
 * none because of what somebody dead counted in do not keep each other from counting again.
 */
static bool may_fit(struct granules *g, uint64_t n)
{
	struct granule_table *table = g->table;

	return fits(g, atomic_load(&table->used), n) ||
	       (atomic_load(&table->counted) != atomic_load(&table->deaths) && count_again(g));
}

/* About that, as who tells it may be late. */
static void tell(const struct granules *g)
{
	if (!g->told)
		return;
	atomic_store_explicit(&g->told->used, atomic_load(&g->table->used), memory_order_relaxed);
	atomic_store_explicit(&g->told->peak, atomic_load(&g->table->peak), memory_order_relaxed);
}

/* Never more than there may be, not for an instant: others would find no room because of it. */
static int count_in(struct granules *g, uint64_t n)
{
	struct granule_table *table = g->table;
	uint64_t was = atomic_load(&table->used), now, peak;

	do
		if (!fits(g, was, n))
			return no_room(g);
	while (!atomic_compare_exchange_weak(&table->used, &was, was + n));
	now = was + n;
	peak = atomic_load_explicit(&table->peak, memory_order_relaxed);
	while (now > peak && !atomic_compare_exchange_weak(&table->peak, &peak, now))
		;
	tell(g);
	return 0;
}

/* --- where to look ------------------------------------------------------------------- */

/*
 * First fit would go through all that is in use whenever the first places that are free are too
 * short, so for each length it is known about where they end.
 */
static _Atomic uint64_t *from_for(struct granules *g, uint32_t n)
{
	if (n == 1)
		return &g->table->low;
	return &g->from[n <= GRANULE_LENGTHS ? n : GRANULE_LENGTHS + 1];
}

/* So many are free from @at on; with what lies beside them they may do for longer runs. */
static void lower_all(struct granules *g, uint64_t at, uint64_t n)
{
	uint64_t end = at + n, begin = at;

	lower(&g->table->low, at);
	while (begin && end - begin < GRANULE_LENGTHS && !get(g, begin - 1))
		begin--;
	while (end < g->count && end - begin < GRANULE_LENGTHS && !get(g, end))
		end++;
	for (uint32_t i = 2; i <= GRANULE_LENGTHS && i <= end - begin; i++)
		lower(&g->from[i], begin);
	lower(&g->from[GRANULE_LENGTHS + 1], begin);
}

/* How many are free from @at on, up to @n. */
static uint32_t free_at(const struct granules *g, uint64_t at, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && !get(g, at + i))
		i++;
	return i;
}

/* From @at on; returns how many were free, up to @n. All those are claimed. */
static uint32_t claim_at(struct granules *g, uint64_t at, uint32_t n, uint64_t claimed)
{
	uint32_t i = 0;

	while (i < n && cas(g, at + i, 0, claimed))
		i++;
	return i;
}

static void unclaim(struct granules *g, uint64_t at, uint32_t n)
{
	while (n--)
		set(g, at + n, 0);
}

/* The first granule behind @at where a span may begin that is free or ends another one. */
static uint64_t behind(const struct granules *g, uint64_t at, uint32_t align)
{
	uint64_t word = get(g, at);

	at += granule_state(word) == GRANULE_HEAD ? granule_length(word) : 1;
	return (at + align - 1) & ~(uint64_t)(align - 1);
}

/* @first: the first place that would do, where all were looked at that could be */
static int64_t find(struct granules *g, uint64_t from, uint32_t n, uint32_t align,
		    uint64_t claimed, uint64_t *first)
{
	uint64_t at = (from + align - 1) & ~(uint64_t)(align - 1);
	/* Where lengths share a place to begin, what is too short for one may do for another. */
	bool shared = n > GRANULE_LENGTHS;

	*first = align == 1 ? GRANULES_MAX : from;
	while (at < g->count && n <= g->count - at) {
		uint32_t got;

		if (get(g, at)) {
			at = behind(g, at, align);
			continue;
		}
		/* Others are not kept from places that are too short. */
		got = free_at(g, at, n);
		if (at < *first && (got == n || shared))
			*first = at;
		if (got == n) {
			got = claim_at(g, at, n, claimed);
			if (got == n)
				return (int64_t)at;
			unclaim(g, at, got);
		}
		at = behind(g, at + got, align);
	}
	return -ENOSPC;
}

static int64_t claim_free(struct granules *g, uint32_t n, uint32_t align, unsigned int owner)
{
	uint64_t claimed = granule_word(GRANULE_CLAIMED, 0, 0, owner, 0);
	_Atomic uint64_t *from = from_for(g, n);
	uint64_t low = about(from), first;
	int64_t at;

	if (!may_fit(g, n))
		return no_room(g);
	begin(g, owner);
	at = count_in(g, n);
	if (at < 0) {
		end(g, owner);
		return at;
	}
	at = find(g, low, n, align, claimed, &first);
	if (at < 0 && low)
		at = find(g, 0, n, align, claimed, &first);
	if (at < 0) {
		atomic_fetch_sub(&g->table->used, n);
		tell(g);
		end(g, owner);
		return at;
	}
	for (uint32_t i = n - 1; i; i--)
		set(g, (uint64_t)at + i, granule_word(GRANULE_BODY, 0, 0, 0, i));
	if (first == (uint64_t)at)
		first += n;
	if (first != low)
		atomic_store_explicit(from, first, memory_order_relaxed);
	if (about(&g->table->low) == (uint64_t)at)
		atomic_store_explicit(&g->table->low, (uint64_t)at + n, memory_order_relaxed);
	return at;
}

static bool release_all_idle(struct granules *g, unsigned int owner)
{
	bool any = false;
	uint64_t at = 0;

	while (at < g->count) {
		uint64_t word = get(g, at);

		if (is_idle(word) && granules_release(g, at, word, owner))
			any = true;
		at += granule_state(word) == GRANULE_HEAD ? granule_length(word) : 1;
	}
	return any;
}

int64_t granules_claim(struct granules *g, uint32_t n, uint32_t align, unsigned int owner)
{
	int64_t at = claim_free(g, n, align, owner);

	return at < 0 && release_all_idle(g, owner) ? claim_free(g, n, align, owner) : at;
}

void granules_settle(struct granules *g, uint64_t head, uint64_t word, unsigned int owner)
{
	set(g, head, word);
	end(g, owner);
}

bool granules_release(struct granules *g, uint64_t head, uint64_t word, unsigned int owner)
{
	uint32_t n = granule_length(word);

	begin(g, owner);
	if (granule_state(word) != GRANULE_HEAD ||
	    !cas(g, head, word, granule_word(GRANULE_LEAVING, 0, 0, owner, n))) {
		end(g, owner);
		return false;
	}
	for (uint32_t i = n - 1; i; i--)
		set(g, head + i, 0);
	set(g, head, 0);
	atomic_fetch_sub(&g->table->used, n);
	tell(g);
	lower_all(g, head, n);
	end(g, owner);
	return true;
}

static uint64_t run_word(unsigned int use, unsigned int interface, uint32_t n)
{
	return granule_word(GRANULE_HEAD, use, interface, GRANULE_NOBODY, n);
}

bool granules_rest(struct granules *g, uint64_t head, uint64_t word)
{
	return cas(g, head, word,
		   run_word(GRANULE_IDLE, granule_interface(word), granule_length(word)));
}

bool granules_rouse(struct granules *g, uint64_t head, unsigned int interface, uint32_t n)
{
	return cas(g, head, run_word(GRANULE_IDLE, interface, n),
		   run_word(GRANULE_RUN, interface, n));
}

bool granules_release_idle(struct granules *g, uint64_t head, unsigned int interface, uint32_t n,
			   unsigned int owner)
{
	return granules_release(g, head, run_word(GRANULE_IDLE, interface, n), owner);
}

bool granules_adopt(struct granules *g, uint64_t head, uint64_t word, unsigned int owner)
{
	if (!cas(g, head, word, with_owner(word, owner)))
		return false;
	atomic_fetch_sub_explicit(&g->table->orphans, 1, memory_order_relaxed);
	return true;
}

void granules_release_interface(struct granules *g, unsigned int interface, unsigned int owner)
{
	uint64_t at = 0;

	while (at < g->count) {
		uint64_t word = get(g, at);

		if (granule_state(word) == GRANULE_HEAD && granule_interface(word) == interface) {
			if (granule_owner(word) == GRANULE_NOBODY &&
			    granule_use(word) < GRANULE_IDLE)
				atomic_fetch_sub_explicit(&g->table->orphans, 1,
							  memory_order_relaxed);
			granules_release(g, at, word, owner);
		}
		at += granule_state(word) == GRANULE_HEAD ? granule_length(word) : 1;
	}
}

uint64_t granules_of_interface(const struct granules *g, unsigned int interface)
{
	uint64_t at = 0, n = 0;

	while (at < g->count) {
		uint64_t word = get(g, at);
		uint64_t length = granule_state(word) == GRANULE_HEAD ? granule_length(word) : 1;

		if (granule_state(word) == GRANULE_HEAD &&
		    granule_interface(word) == interface && !is_idle(word))
			n += length;
		at += length;
	}
	return n;
}
