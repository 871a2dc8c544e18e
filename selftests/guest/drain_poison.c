// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that goes bad while a pool is drained: where an extent is that has not moved yet, where
 * one was that has, where one is to come to. What is lost is lost alone and told once, and all
 * else moves.
 *
 * hmem-test: topology=pmem2 kernels=lts,newest timeout=240
 */
#include "inject.h"
#include "near.h"
#include "poison.h"

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define COPY		"copy_mc_to_kernel"
#define LOST		HMEM_POISONED_DATA
#define BOTH		(HMEM_POISONED_DATA | HMEM_POISONED_HOME)

static const char *kind;
static int control, fd;
static char names[2][HMEM_NAME_LEN];
static char *const a = names[0], *const b = names[1];
static uint64_t data_at;	/* extent 0, from the beginning of a pool */
static int64_t room;		/* of each pool, when it is empty */
static char *p;
static uint64_t seq;

/* Pages of a pool, by extent; how many a region has, or -1: nobody. */
static int report_to(const char *pool, uint64_t extent, uint64_t page)
{
	struct hmem_pool_poison r = { .size = sizeof(r), .bytes = PAGE,
				      .offset = data_at + extent * EXTENT + page * PAGE };

	set_name(r.name, pool);
	must(hmem_ioctl(control, HMEM_POOL_POISON, &r), "report to a pool");
	if (r.own || r.pages + r.free != 1)
		tap_bail("%s: %llu of a region, %llu free, %llu own", pool, r.pages, r.free, r.own);
	return r.pages ? 1 : -1;
}

/* Whether one event came since it was asked last, of that page, or none. */
static bool told(uint64_t extent, uint64_t page)
{
	struct hmem_event e[4];
	int n = events_after(fd, &seq, 0, e, 4);

	for (int i = 0; i < n; i++)
		if (n != 1 || e[i].type != HMEM_EVENT_POISON || e[i].bytes != PAGE ||
		    e[i].offset != extent * EXTENT + page * PAGE)
			tap_diag("%d of %d: type %u, %#llx, %llu bytes", i, n, e[i].type,
				 e[i].offset, e[i].bytes);
	return n == 1 && e[0].type == HMEM_EVENT_POISON && e[0].bytes == PAGE &&
	       e[0].offset == extent * EXTENT + page * PAGE;
}

static bool silent(void)
{
	struct hmem_event e[4];

	return events_after(fd, &seq, 0, e, 4) == 0;
}

static int hold(int pin[2], uint64_t extent)
{
	struct iovec iov = { p + extent * EXTENT + 20 * PAGE, PAGE };

	if (pipe(pin) || vmsplice(pin[1], &iov, 1, 0) != (ssize_t)PAGE)
		tap_bail("vmsplice: %s", strerror(errno));
	return 0;
}

static void let_go(int pin[2])
{
	close(pin[0]);
	close(pin[1]);
}

/* All but one extent are on the other pool. */
static void begin(int pin[2], uint64_t stays)
{
	struct hmem_pool_drain d;

	must(region_create(control, "r", a, LENGTH), "create");
	fd = must_open("r", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	for (int i = 0; i < EXTENTS; i++)
		memset(p + i * EXTENT, i + 1, EXTENT);
	seq = 0;
	hold(pin, stays);
	if (pool_drain(control, a, 0, &d) != -EBUSY || d.held != stays * EXTENT ||
	    d.left != EXTENT)
		tap_bail("%s: it is not held up: %llu, %llu left", kind, d.held, d.left);
}

static void close_it(void)
{
	munmap(p, LENGTH);
	close(fd);
}

/* Nothing is known of bad pages when pools have been attached anew. */
static void attach(void)
{
	if (!strcmp(kind, "system RAM")) {
		must(pool_attach_ram(control, a, 8 * EXTENT), "attach");
		must(pool_attach_ram(control, b, 8 * EXTENT), "attach");
	} else {
		must(pool_attach_cxl(control, a, HMEM_ATTACH_FORMAT, NULL), "attach");
		must(pool_attach_cxl(control, b, HMEM_ATTACH_FORMAT, NULL), "attach");
	}
	room = pool_free(b);
}

static void end(void)
{
	close_it();
	must(region_destroy(control, "r"), "destroy");
	must(pool_detach(control, a), "detach");
	must(pool_detach(control, b), "detach");
}

static bool whole(uint64_t extent)
{
	return pages_hold(p + extent * EXTENT, EXTENT, extent + 1);
}

/* What is bad where extent 1 is still, and where 0 was. */
static void at_the_old_place(void)
{
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, EXTENT + 5 * PAGE, PAGE, NULL), 0,
	       "%s: a page is bad that has not moved", kind);
	TAP_OK(told(1, 5), "%s: its users are told", kind);
	TAP_OK(only_bad(fd, EXTENT + 5 * PAGE, PAGE, BOTH), "%s: it is listed", kind);
	TAP_OK(page_fails(p + EXTENT + 5 * PAGE, false), "%s: it fails", kind);
	TAP_OK(others_hold(p + EXTENT, 5, 2), "%s: alone", kind);
	TAP_EQ(report_to(a, 1, 5), 1, "%s: the old pool has it", kind);
	TAP_OK(silent(), "%s: and knows it", kind);
	TAP_EQ(report_to(a, 1, 6), 1, "%s: it has another one", kind);
	TAP_OK(told(1, 6), "%s: of which they are told as well", kind);
	TAP_OK(only_bad(fd, EXTENT + 5 * PAGE, 2 * PAGE, BOTH), "%s: both are listed", kind);
	TAP_EQ(report_to(a, 0, 3), -1, "%s: what was left behind is nobody's", kind);
	TAP_OK(silent() && whole(0), "%s: nobody minds", kind);
	TAP_OK(only_bad(fd, EXTENT + 5 * PAGE, 2 * PAGE, BOTH), "%s: nor is it listed", kind);
}

/* Of the first page the copy itself finds out. */
static void moves_on(void)
{
	struct hmem_pool_drain d;

	inject(COPY " all 1 1 hmem 0");
	TAP_EQ(pool_drain(control, a, 0, &d), 0, "%s: the drain goes on", kind);
	TAP_EQ(inject_end(COPY), 1, "%s: and meets one more", kind);
	TAP_OK(d.moved == EXTENT && !d.left, "%s: to the end", kind);
	TAP_OK(told(1, 0), "%s: of that they are told, and of the others once", kind);
	TAP_OK(page_fails(p + EXTENT, false) && page_fails(p + EXTENT + 5 * PAGE, true) &&
	       page_fails(p + EXTENT + 6 * PAGE, false), "%s: three pages are lost", kind);
	TAP_OK(pages_hold(p + EXTENT + 7 * PAGE, EXTENT - 7 * PAGE, 2) && whole(0) && whole(2) &&
	       whole(3), "%s: and nothing else", kind);
	TAP_EQ(pool_free(a), room - 2 * (int64_t)EXTENT, "%s: where they were is retired", kind);
	must(pool_drain(control, a, HMEM_DRAIN_STOP, NULL), "stop");
	TAP_EQ(region_create(control, "x", a, room - EXTENT), -ENOSPC, "%s: and not carved", kind);
	must(region_create(control, "x", a, room - 2 * EXTENT), "create");
	must(region_destroy(control, "x"), "destroy");
}

static int ordinary(void *answer)
{
	return !poison(fd, HMEM_POISON_CLEAR, 0, LENGTH, answer);
}

static void lost_once(void)
{
	struct hmem_poison_range r[3];
	struct hmem_poison c;
	int pin[2];

	attach();
	begin(pin, 1);
	at_the_old_place();
	let_go(pin);
	moves_on();
	TAP_OK(poison_list(fd, 0, r, 3) == 2 && r[0].offset == EXTENT && r[0].state == LOST &&
	       r[1].offset == EXTENT + 5 * PAGE && r[1].bytes == 2 * PAGE && r[1].state == LOST,
	       "%s: their memory is good now", kind);
	TAP_EQ(run_as(USER_UID, ordinary, &c), 1, "%s: so anybody clears them", kind);
	TAP_OK(all_bytes(p + EXTENT, PAGE, 0) && all_bytes(p + EXTENT + 5 * PAGE, 2 * PAGE, 0) &&
	       p[EXTENT + 7 * PAGE] == 2, "%s: they are zeroes", kind);
	end();
}

/* What lies in front of it has the data, and takes them along. */
static void near_has_it(void)
{
	struct hmem_migrate m;
	int pin[2];

	attach();
	begin(pin, 1);
	let_go(pin);
	TAP_EQ(move_extents(fd, 1, 1, HMEM_NEAR), 1, "%s: what has not moved comes near", kind);
	TAP_EQ(report_to(a, 1, 9), 1, "%s: a page is bad behind it", kind);
	TAP_OK(told(1, 9) && only_bad(fd, EXTENT + 9 * PAGE, PAGE, HMEM_POISONED_HOME),
	       "%s: nothing is lost", kind);
	TAP_OK(!migrate(fd, EXTENT, EXTENT, HMEM_HOME, &m) && m.pages[HMEM_MOVED_POISONED],
	       "%s: it cannot go home", kind);
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "%s: but where it belongs", kind);
	TAP_OK(silent() && whole(1), "%s: with all it has", kind);
	TAP_EQ(poison_list(fd, 0, &(struct hmem_poison_range){}, 1), 0, "%s: nothing is bad", kind);
	TAP_OK(move_extents(fd, 1, 1, HMEM_HOME) == 1 && whole(1), "%s: there it is", kind);
	TAP_EQ(pool_free(a), room - (int64_t)EXTENT, "%s: where it was is retired", kind);
	end();
}

/* Where extent 2 is to come to. */
static void ahead(void)
{
	struct hmem_pool_drain d;
	struct hmem_poison c;
	int pin[2];

	attach();
	begin(pin, 2);
	TAP_EQ(report_to(b, 2, 9), 1, "%s: memory goes bad that an extent is to come to", kind);
	TAP_OK(told(2, 9) && only_bad(fd, 2 * EXTENT + 9 * PAGE, PAGE, HMEM_POISONED_HOME),
	       "%s: it is the region's", kind);
	TAP_OK(whole(2), "%s: nothing is lost", kind);
	let_go(pin);
	TAP_EQ(pool_drain(control, a, 0, &d), -EIO, "%s: the extent does not go there", kind);
	TAP_OK(d.held == 2 * EXTENT && d.left == EXTENT && whole(2), "%s: but stays", kind);
	TAP_EQ(run_as(USER_UID, ordinary, &c), 0, "%s: not anybody clears it", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 2 * EXTENT, EXTENT, &c), 0, "%s: it is cleared", kind);
	TAP_OK(c.pages == 1 && whole(2), "%s: the data are where they were", kind);
	TAP_EQ(poison_list(fd, 0, &(struct hmem_poison_range){}, 1), 0, "%s: nothing is bad", kind);
	TAP_EQ(pool_drain(control, a, 0, &d), 0, "%s: then it goes", kind);
	TAP_OK(whole(0) && whole(1) && whole(2) && whole(3), "%s: with all that was there", kind);
	TAP_EQ(pool_free(a), room, "%s: and the old pool is as good as it was", kind);
	end();
}

/* Nobody has touched it since both pools were attached. */
static void untouched(void)
{
	int pin[2];

	attach();
	begin(pin, 1);
	let_go(pin);
	close_it();
	must(pool_detach(control, a), "detach");
	must(pool_detach(control, b), "detach");
	must(pool_attach_cxl(control, a, 0, NULL), "attach");
	must(pool_attach_cxl(control, b, 0, NULL), "attach");
	fd = must_open("r", O_RDWR);
	p = must_map(fd, LENGTH);
	seq = 0;
	TAP_EQ(report_to(a, 1, 5), 1, "%s, untouched: a page is bad that has not moved", kind);
	TAP_EQ(report_to(a, 2, 5), -1, "%s, untouched: and one where nothing is any more", kind);
	TAP_OK(told(1, 5) && only_bad(fd, EXTENT + 5 * PAGE, PAGE, BOTH),
	       "%s, untouched: one is told and listed", kind);
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, EXTENT + 6 * PAGE, PAGE, NULL), 0,
	       "%s, untouched: another one", kind);
	TAP_EQ(report_to(a, 1, 6), 1, "%s, untouched: is there as well", kind);
	TAP_OK(told(1, 6), "%s, untouched: and told once", kind);
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "%s, untouched: the drain goes on", kind);
	TAP_OK(page_fails(p + EXTENT + 5 * PAGE, false) && page_fails(p + EXTENT + 6 * PAGE, false) &&
	       pages_hold(p + EXTENT, 5 * PAGE, 2) && whole(2), "%s, untouched: two are lost", kind);
	TAP_OK(silent(), "%s, untouched: as they know", kind);
	end();
}

/*
 * The kernel finds a bad page, and whoever is to tell of it comes late: the extent has moved.
 */
static void told_late(void)
{
	uint64_t pfn;
	int pin[2];

	attach();
	begin(pin, 1);
	TAP_OK(whole(1), "%s: an extent has not moved", kind);
	pfn = pfn_of(p + EXTENT + 30 * PAGE);
	inject("failure_work pass 1 1 any %d", INJECT_MOMENT_MS);
	must(kernel_poison(pfn), "poison");
	inject_wait("failure_work");
	let_go(pin);
	TAP_OK(page_fails(p + EXTENT + 30 * PAGE, false) && silent(), "%s: a page fails first", kind);
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "%s: its extent moves meanwhile", kind);
	TAP_OK(told(1, 30), "%s: and that is told", kind);
	inject_go();
	inject_end("failure_work");
	must(region_create(control, "x", b, EXTENT), "create");
	must(region_destroy(control, "x"), "destroy");
	TAP_OK(silent(), "%s: once", kind);
	TAP_OK(page_fails(p + EXTENT + 30 * PAGE, true) && others_hold(p + EXTENT, 30, 2),
	       "%s: the page is lost", kind);
	TAP_EQ(pool_free(a), room - (int64_t)EXTENT, "%s: where it was is retired", kind);
	end();
}

/* What an extent leaves for a third pool is where it had come to, and it has a place on each. */
static void left_twice(void)
{
	struct hmem_poison answer;
	int pin[2];

	attach();
	must(pool_attach_ram(control, "c", 8 * EXTENT), "attach");
	begin(pin, 0);
	let_go(pin);
	hold(pin, 1);
	TAP_EQ(pool_drain(control, b, 0, NULL), -EBUSY, "left twice: it is held where it came to");
	let_go(pin);
	must(poison(fd, HMEM_POISON_REPORT, EXTENT + 30 * PAGE, PAGE, NULL), "report");
	TAP_OK(page_fails(p + EXTENT + 30 * PAGE, true) && others_hold(p + EXTENT, 30, 2),
	       "left twice: a page goes bad there");
	TAP_OK(only_bad(fd, EXTENT + 30 * PAGE, PAGE, BOTH), "left twice: it is listed");
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, EXTENT, EXTENT, &answer), 0, "left twice: and cleared");
	TAP_EQ(answer.pages, 1, "left twice: itself");
	TAP_OK(pages_hold(p + EXTENT + 30 * PAGE, PAGE, 0), "left twice: and is of use again");
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "left twice: the first pool is drained");
	TAP_EQ(pool_drain(control, b, 0, NULL), 0, "left twice: and the second");
	end();
	must(pool_detach(control, "c"), "detach");
}

int main(void)
{
	control = must_begin_inject();
	bus_catch();
	kind = "system RAM";
	set_name(a, "a");
	set_name(b, "b");
	lost_once();
	near_has_it();
	ahead();
	left_twice();
	kind = "cxl pmem";
	must_cxl_on_each("pmem", names, 2);
	data_at = 2 * EXTENT;	/* media.h */
	lost_once();
	near_has_it();
	ahead();
	untouched();
	told_late();
	cxl_end(a);
	cxl_end(b);
	return tap_done();
}
