// SPDX-License-Identifier: GPL-2.0-only
/*
 * A persistent region moved from one pool to another, and the power went before the first knew that
 * it has none of it any more. Then it began to move on to a third. What is left on the first is not
 * taken for half of that, in whatever order the pools come back.
 *
 * hmem-test: topology=pmem3 kernels=lts,newest timeout=240
 */
#include "inject.h"
#include "moving.h"

#define WRITE		"__memcpy_flushcache"

static char names[3][HMEM_NAME_LEN];
static char *const a = names[0], *const b = names[1], *const c = names[2];

/* Returns how much room there is on a without the region. */
static int64_t begin_two_moves(void)
{
	int64_t room;

	begin(a, b);
	room = pool_free(a) + EXTENTS * EXTENT;
	must(pool_attach_cxl(control, c, HMEM_ATTACH_FORMAT, NULL), "format");
	must(pool_detach(control, c), "detach");
	/* Of eight writes the last two are on a, and two more when it is detached. */
	inject(WRITE " 0 7 4 hmem 0");
	must(pool_drain(control, a, 0, NULL), "drain");
	must(pool_detach(control, a), "detach");
	if (inject_end(WRITE) != 4)
		tap_bail("the writes are not those that were meant");
	put(0, two);
	must(attach(c), "attach");
	drain_half(b);
	put(1, three);
	put(2, one);
	must(pool_detach(control, b), "detach");
	must(pool_detach(control, c), "detach");
	return room;
}

/* In any order of coming. */
static void two_moves(const char *first, const char *second, const char *third)
{
	const char *order[] = { first, second, third };
	int64_t room = begin_two_moves();
	char text[256];
	bool have_b = false, have_c = false;

	snprintf(text, sizeof(text), "two moves, %s %s %s", first, second, third);
	for (int i = 0; i < 3; i++) {
		must(attach(order[i]), "attach");
		have_b |= order[i] == b;
		have_c |= order[i] == c;
		TAP_OK(hidden() == !(have_b && have_c), "%s: it is there with both its halves", text);
	}
	TAP_OK(half_whole(), "%s: and whole", text);
	TAP_OK(sysfs_number("hmem_pool", a, "regions") == 0 && pool_free(a) == room,
	       "%s: what was left of the older move is gone", text);
	must(pool_drain(control, a, HMEM_DRAIN_STOP, NULL), "stop");
	TAP_EQ(pool_drain(control, b, 0, NULL), 0, "%s: it moves on", text);
	TAP_OK(half_whole() && !strcmp(sysfs_text("hmem", "kept", "pools"), c), "%s: to the end",
	       text);
	detach_all(names, 3);
	must(attach(c), "attach");
	TAP_OK(half_whole(), "%s: and stays there", text);
	detach_all(names, 3);
}

int main(void)
{
	control = must_begin_inject();
	must_cxl_on_each("pmem", names, 3);
	two_moves(b, a, c);
	two_moves(a, b, c);
	for (int i = 0; i < 3; i++)
		cxl_end(names[i]);
	return tap_done();
}
