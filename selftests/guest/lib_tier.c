// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmem/tier.h against the module itself, on a pool of system RAM: that what the library
 * promises of near copies is what the module does, every error included.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "lib_region.h"

#define EXTENT	(2 * MI)
#define EXTENTS 4
#define PAGES	(EXTENT / 4096)

static void policy(void)
{
	struct hmem_tier_policy p = { .size = sizeof(p), .near_max = 7, .mode = HMEM_TIER_AUTO };
	struct {
		struct hmem_tier_policy known;
		uint64_t unknown;
	} newer = { { .size = sizeof(newer) }, 7 };

	TAP_EQ(hmem_tier_get(reader, &p), 0, "a reader sees the policy");
	TAP_OK(!p.near_max && p.mode == HMEM_TIER_OFF, "which is none");
	p.near_max = 2 * EXTENT + 1;
	p.mode = HMEM_TIER_MANUAL;
	TAP_EQ(hmem_tier_set(reader, &p, HMEM_TIER_SET_MODE), -EACCES, "a reader does not set it");
	message("the region is not open for writing");
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_NEAR_MAX), 0, "near_max alone");
	p.size = sizeof(p);
	TAP_OK(!hmem_tier_get(region, &p) && p.near_max == 2 * EXTENT && p.mode == HMEM_TIER_OFF,
	       "is rounded down, and the mode stays");
	p.mode = HMEM_TIER_MANUAL;
	p.near_max = 0;
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_MODE), 0, "the mode alone");
	TAP_OK(!hmem_tier_get(region, &p) && p.near_max == 2 * EXTENT && p.mode == HMEM_TIER_MANUAL,
	       "and near_max stays");

	TAP_EQ(hmem_tier_set(region, &p, 0), -EINVAL, "nothing to set");
	TAP_EQ(hmem_tier_set(region, &p, 1u << 2), -EINVAL, "an unknown flag");
	TAP_EQ(hmem_tier_set(region, NULL, HMEM_TIER_SET_MODE), -EINVAL, "no policy");
	p.mode = (enum hmem_tier_mode)3;
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_MODE), -EINVAL, "a fourth mode");
	message("the module has no such mode");
	p.size = 8;
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_MODE), -EINVAL, "no size");
	TAP_EQ(hmem_tier_get(region, &p), -EINVAL, "nor when asking");
	TAP_EQ(hmem_tier_get(region, NULL), -EINVAL, "no place for it");
	TAP_EQ(hmem_tier_set(region, &newer.known, HMEM_TIER_SET_MODE), -E2BIG,
	       "members that are not known");
	TAP_OK(!hmem_tier_get(region, &newer.known) && !newer.unknown &&
	       newer.known.size == sizeof(newer), "are answered as zeroes");
}

static void unprivileged(void)
{
	struct hmem_tier_policy p = { .size = sizeof(p), .near_max = 3 * EXTENT };

	if (seteuid(1000))
		tap_bail("seteuid: %s", strerror(errno));
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_NEAR_MAX), -EPERM,
	       "near_max is not raised without privilege");
	message("raising near_max needs CAP_SYS_ADMIN");
	p.near_max = EXTENT;
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_NEAR_MAX), 0, "but lowered");
	if (seteuid(0))
		tap_bail("seteuid: %s", strerror(errno));
}

/* Without a policy meanwhile: a tick would take a round of minutes, and keep to it. */
static void knobs(void)
{
	struct hmem_tier_policy p = { .size = sizeof(p), .mode = HMEM_TIER_OFF };
	struct hmem_tier_knob knob = { .size = sizeof(knob) }, none = { .size = 0 };
	unsigned int n = 0, wrong = 0;
	uint64_t value;
	int rc;

	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_MODE), 0, "the policy is off");
	while (!(rc = hmem_tier_knob_at(reader, n, &knob))) {
		n++;
		wrong += hmem_tier_get_knob(reader, knob.name, &value) || value != knob.value;
		wrong += hmem_tier_set_knob(region, knob.name, knob.most) != 0;
		wrong += hmem_tier_get_knob(region, knob.name, &value) || value != knob.most;
		wrong += hmem_tier_set_knob(region, knob.name, knob.most + 1) != -EINVAL;
		wrong += hmem_tier_set_knob(region, knob.name, knob.value) != 0;
	}
	TAP_OK(n > 20 && !wrong, "%u knobs by number, by name, and set", n);
	TAP_EQ(rc, -ENOENT, "there are no more");
	TAP_EQ(hmem_tier_set_knob(region, "budget_ppm", UINT64_MAX), -EINVAL, "too much");
	message("it takes 0 to 500000");
	TAP_EQ(hmem_tier_get_knob(region, "nonsense", &value), -ENOENT, "no such knob");
	message("there is no such knob");
	TAP_EQ(hmem_tier_set_knob(region, "a_name_that_is_longer_than_any_knob_has", 1), -ENOENT,
	       "nor of a name that no knob can have");
	TAP_EQ(hmem_tier_set_knob(region, "", 1), -EINVAL, "no name");
	TAP_EQ(hmem_tier_get_knob(region, NULL, &value), -EINVAL, "none at all");
	TAP_EQ(hmem_tier_get_knob(region, "split", NULL), -EINVAL, "no place");
	TAP_EQ(hmem_tier_knob_at(region, 0, &none), -EINVAL, "no size");
	TAP_EQ(hmem_tier_set_knob(reader, "split", 1), -EACCES, "a reader sets none");
	p.mode = HMEM_TIER_MANUAL;
	TAP_EQ(hmem_tier_set(region, &p, HMEM_TIER_SET_MODE), 0, "it measures again");
}

static void moves(void)
{
	struct hmem_tier_moved m = { .size = sizeof(m) }, none = { .size = 0 };
	struct hmem_tier_stats stats = { .size = sizeof(stats) };
	char *p;

	if (hmem_region_map(region, 0, 0, (void **)&p, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	memset(p, 0x5a, 2 * EXTENT);
	TAP_EQ(hmem_tier_migrate(region, 0, 0, HMEM_TIER_NEAR, &m), 0, "all is moved near");
	TAP_OK(m.pages[HMEM_TIER_MOVED] == PAGES && m.pages[HMEM_TIER_OVER_BOUND] == PAGES &&
	       m.pages[HMEM_TIER_UNTOUCHED] == 2 * PAGES, "as far as it can be");
	TAP_OK(m.next == EXTENTS * EXTENT && m.pinned == UINT64_MAX, "up to the end");
	TAP_EQ(hmem_tier_get_stats(reader, &stats), 0, "what was done");
	TAP_OK(stats.near == EXTENT && stats.near_max == EXTENT && stats.promotions == PAGES &&
	       stats.copied == EXTENT && stats.copy_ns, "is counted");
	TAP_EQ(hmem_tier_migrate(region, 0, EXTENT, HMEM_TIER_HOME, &m), 0, "home again");
	TAP_EQ(m.pages[HMEM_TIER_MOVED], PAGES, "as much");
	TAP_OK(p[0] == 0x5a && p[2 * EXTENT - 1] == 0x5a && !p[2 * EXTENT], "with its data");
	hmem_region_unmap(region, p, EXTENTS * EXTENT);

	TAP_EQ(hmem_tier_migrate(region, 0, 0, (enum hmem_tier_place)2, &m), -EINVAL, "where to?");
	TAP_EQ(hmem_tier_migrate(region, 4096, EXTENT, HMEM_TIER_NEAR, &m), -EINVAL, "no extent");
	message("must be multiples of the region's granularity");
	TAP_EQ(hmem_tier_migrate(region, EXTENT, EXTENTS * EXTENT, HMEM_TIER_NEAR, &m), -ERANGE,
	       "beyond the end");
	message("beyond the end of the region");
	TAP_EQ(hmem_tier_migrate(reader, 0, 0, HMEM_TIER_NEAR, &m), -EACCES, "a reader");
	TAP_EQ(hmem_tier_migrate(region, 0, 0, HMEM_TIER_NEAR, NULL), -EINVAL, "no answer");
	TAP_EQ(hmem_tier_migrate(region, 0, 0, HMEM_TIER_NEAR, &none), -EINVAL, "of no size");
	stats.size = 0;
	TAP_EQ(hmem_tier_get_stats(region, &stats), -EINVAL, "no size");
	TAP_EQ(hmem_tier_get_stats(region, NULL), -EINVAL, "no place");
}

/* Of four extents two were used, near_max is one, and nothing is near. */
static void moves_meanwhile(void)
{
	struct hmem_tier_moved m = { .size = sizeof(m) }, none = { .size = 0 };
	struct hmem_happened happened;
	uint64_t number = 0, lost;
	size_t n;

	TAP_EQ(hmem_tier_migrate_status(region, 0, &m), -ENOENT, "nothing was begun");
	message("nothing was begun with hmem_tier_migrate_begin() on this handle");
	TAP_EQ(hmem_tier_migrate_begin(region, 0, 2 * EXTENT, HMEM_TIER_NEAR), 0, "a move is begun");
	do {
		n = 1;
		if (hmem_region_wait(region, &number, UINT64_MAX, &happened, &n, &lost) || n != 1)
			tap_bail("%s", hmem_last_error(ctx));
	} while (happened.what != HMEM_HAPPENED_MIGRATED);
	TAP_OK(happened.offset == 0 && happened.bytes == 2 * EXTENT, "its end is told");
	TAP_EQ(hmem_tier_migrate_status(region, 0, &m), 0, "and what became of it");
	TAP_OK(m.next == 2 * EXTENT && m.end == m.next && m.pages[HMEM_TIER_MOVED] == PAGES &&
	       m.pages[HMEM_TIER_OVER_BOUND] == PAGES && m.pinned == UINT64_MAX, "is right");
	TAP_EQ(hmem_tier_migrate_begin(region, 0, 0, HMEM_TIER_HOME), 0, "another one");
	TAP_EQ(hmem_tier_migrate_status(region, HMEM_TIER_STOP, &m), 0, "is stopped");
	TAP_OK(m.next == m.end && m.end <= EXTENTS * EXTENT, "and has its end there");
	if (hmem_tier_migrate(region, 0, 0, HMEM_TIER_HOME, &m))
		tap_bail("%s", hmem_last_error(ctx));
	m = (struct hmem_tier_moved){ .size = offsetof(struct hmem_tier_moved, end), .end = 7 };
	TAP_EQ(hmem_tier_migrate_status(region, 0, &m), 0, "who was built before there was an end");
	TAP_EQ(m.end, 7, "is not told of it");

	TAP_EQ(hmem_tier_migrate_status(region, 2, &m), -EINVAL, "an unknown flag");
	message("unknown flags 0x2");
	TAP_EQ(hmem_tier_migrate_status(region, 0, NULL), -EINVAL, "no answer");
	TAP_EQ(hmem_tier_migrate_status(region, 0, &none), -EINVAL, "of no size");
	TAP_EQ(hmem_tier_migrate_begin(region, 0, 0, (enum hmem_tier_place)2), -EINVAL, "where to?");
	TAP_EQ(hmem_tier_migrate_begin(region, 4096, EXTENT, HMEM_TIER_NEAR), -EINVAL, "no extent");
	TAP_EQ(hmem_tier_migrate_begin(region, EXTENT, EXTENTS * EXTENT, HMEM_TIER_NEAR), -ERANGE,
	       "beyond the end");
	TAP_EQ(hmem_tier_migrate_begin(reader, 0, 0, HMEM_TIER_NEAR), -EACCES, "a reader");
}

/* Of four extents three were used, near_max is one, and nothing is near. */
static void keeping(void)
{
	struct hmem_tier_moved m = { .size = sizeof(m) };
	uint64_t next = 7;

	TAP_EQ(hmem_tier_keep(region, EXTENT, EXTENT, HMEM_TIER_NEAR, &next), 0, "kept near");
	TAP_EQ(next, 2 * EXTENT, "up to its end");
	TAP_OK(!hmem_tier_migrate(region, 0, 0, HMEM_TIER_HOME, &m) &&
	       m.pages[HMEM_TIER_KEPT] == PAGES, "nobody moves it home");
	next = 7;
	TAP_EQ(hmem_tier_keep(region, EXTENT, 2 * EXTENT, HMEM_TIER_NEAR, &next), -EDQUOT,
	       "more than near_max is not kept");
	message("the region's near_max is used up");
	TAP_EQ(next, 2 * EXTENT, "but what was before that is");
	next = 7;
	TAP_EQ(hmem_tier_keep(region, 0, EXTENT, HMEM_TIER_NEAR, &next), -EDQUOT, "none of it");
	TAP_EQ(next, 7, "is no part");
	TAP_EQ(hmem_tier_keep(region, 0, EXTENT, HMEM_TIER_HOME, NULL), 0, "kept at home");
	TAP_EQ(hmem_tier_release(region, EXTENT, EXTENT), 0, "let go");
	TAP_OK(!hmem_tier_migrate(region, EXTENT, EXTENT, HMEM_TIER_HOME, &m) &&
	       m.pages[HMEM_TIER_MOVED] == PAGES, "it moves again");
	TAP_OK(!hmem_tier_migrate(region, 0, EXTENT, HMEM_TIER_NEAR, &m) &&
	       m.pages[HMEM_TIER_KEPT] == PAGES, "the other does not");
	TAP_EQ(hmem_tier_release(region, 0, 0), 0, "all let go, kept or not");
	TAP_OK(!hmem_tier_migrate(region, 0, EXTENT, HMEM_TIER_NEAR, &m) &&
	       m.pages[HMEM_TIER_MOVED] == PAGES, "it moves as well");
	TAP_EQ(hmem_tier_migrate(region, 0, EXTENT, HMEM_TIER_HOME, &m), 0, "and home");

	TAP_EQ(hmem_tier_keep(region, 0, 0, (enum hmem_tier_place)2, NULL), -EINVAL, "where?");
	message("there is no place 2 to keep it at");
	TAP_EQ(hmem_tier_keep(region, 4096, EXTENT, HMEM_TIER_NEAR, &next), -EINVAL, "no extent");
	message("must be multiples of the region's granularity");
	TAP_EQ(hmem_tier_release(region, 4096, EXTENT), -EINVAL, "to let go neither");
	TAP_EQ(hmem_tier_keep(region, EXTENT, EXTENTS * EXTENT, HMEM_TIER_NEAR, &next), -ERANGE,
	       "kept beyond the end");
	TAP_EQ(hmem_tier_release(region, EXTENT, EXTENTS * EXTENT), -ERANGE, "and let go there");
	message("beyond the end of the region");
	TAP_EQ(next, 7, "no offset comes of that");
	TAP_EQ(hmem_tier_keep(reader, 0, 0, HMEM_TIER_HOME, NULL), -EACCES, "a reader keeps nothing");
	TAP_EQ(hmem_tier_release(reader, 0, 0), -EACCES, "and lets nothing go");
}

/* Pages in the histogram, once the worker has been to them, or after ten seconds. */
static uint64_t counted(void)
{
	struct hmem_tier_histogram h = { .size = sizeof(h) };
	uint64_t sum = 0;

	for (int tries = 0; sum < 3 * PAGES && tries < 100; tries++) {
		usleep(100000);
		sum = 0;
		if (hmem_tier_heat(region, 0, 0, 0, NULL, NULL, &h))
			return UINT64_MAX;
		for (int i = 0; i < HMEM_TIER_OCTAVES; i++)
			sum += h.near[i] + h.home[i];
	}
	return sum;
}

static void heat(void)
{
	struct hmem_tier_histogram histogram = { .size = sizeof(histogram) };
	struct hmem_tier_cell cells[EXTENTS + 1];
	size_t n = EXTENTS + 1;

	memset(cells, 0xff, sizeof(cells));
	TAP_EQ(hmem_tier_heat(reader, 0, 0, EXTENT, cells, &n, &histogram), 0, "heat");
	TAP_OK(n == EXTENTS && cells[n - 1].reserved == 0 && cells[n].heat == 0xffff,
	       "of every extent");
	TAP_EQ(counted(), 3 * PAGES, "and of every page that was used, when it was come by");
	n = 2;
	TAP_EQ(hmem_tier_heat(region, 0, 0, EXTENT, cells, &n, NULL), 0, "no room for all");
	TAP_EQ(n, 2, "and it ends there");
	n = EXTENTS;
	TAP_EQ(hmem_tier_heat(region, 2 * EXTENT, EXTENT, EXTENT, cells, &n, NULL), 0, "a part");
	TAP_EQ(n, 1, "has as many cells");
	TAP_EQ(hmem_tier_heat(region, 0, 0, 0, NULL, NULL, &histogram), 0, "no map");
	TAP_EQ(hmem_tier_heat(region, 0, 0, EXTENT, NULL, &n, NULL), -EINVAL, "no cells");
	TAP_EQ(hmem_tier_heat(region, 0, 0, EXTENT, cells, NULL, NULL), -EINVAL, "how many?");
	TAP_EQ(hmem_tier_heat(region, 0, 0, 4095, cells, &n, NULL), -EINVAL, "no page");
	message("must be multiples of 4096");
	TAP_EQ(hmem_tier_heat(region, EXTENT, EXTENTS * EXTENT, EXTENT, cells, &n, NULL), -ERANGE,
	       "beyond the end");
	TAP_EQ(hmem_tier_heat(region, 0, 0, EXTENT, (void *)16, &n, NULL), -EFAULT, "nowhere");
	message("the map cannot be written");
	histogram.size = 0;
	TAP_EQ(hmem_tier_heat(region, 0, 0, 0, NULL, NULL, &histogram), -EINVAL, "no size");
}

int main(void)
{
	begin(16 * MI, EXTENTS * EXTENT);
	policy();
	unprivileged();
	knobs();
	moves();
	moves_meanwhile();
	keeping();
	heat();
	end();
	return tap_done();
}
