// SPDX-License-Identifier: GPL-2.0-only
/*
 * What lies between the beginning and the end of a copy: readers and stores. And a copy meets
 * memory that reports an error: that page is lost, alone, and whoever uses the region is told.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "inject.h"
#include "near.h"
#include "poison.h"

#include <pthread.h>

#define PAGES		(EXTENT / PAGE)
#define KERNEL_COPY	"copy_mc_to_kernel"
#define WRITE_BACK	"arch_wb_cache_pmem"

static const char *kind;
static int fd;
static char *p;
static uint64_t seq;

/* Moves the extent while the copy of one page fails. */
static uint64_t move_past(uint64_t page, enum hmem_place place)
{
	uint64_t moved;

	inject(KERNEL_COPY " all %d 1 hmem 0", (int)page + 1);
	moved = move_extents(fd, 0, 1, place);
	TAP_EQ(inject_end(KERNEL_COPY), 1, "%s: one page was not copied", kind);
	return moved;
}

static void to_near(void)
{
	TAP_EQ(move_past(7, HMEM_NEAR), 1, "%s: an extent comes near", kind);
	await_poison(fd, &seq, 7 * PAGE);
	TAP_OK(page_fails(p + 7 * PAGE, false), "%s: but for a page", kind);
	TAP_OK(others_hold(p, 7, 1) && near_stats(fd).near == EXTENT, "%s: alone", kind);
	TAP_OK(only_bad(fd, 7 * PAGE, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME),
	       "%s: the home is bad", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL), "clear");
	TAP_OK(all_bytes(p + 7 * PAGE, PAGE, 0) && others_hold(p, 7, 1), "%s: until it is cleared",
	       kind);
}

static void to_home(void)
{
	move_extents(fd, 0, 1, HMEM_NEAR);
	p[PAGES / 2 * PAGE + 1] = 3;
	TAP_EQ(move_past(PAGES - 1, HMEM_HOME), 1, "%s: a dirty copy goes home", kind);
	await_poison(fd, &seq, EXTENT - PAGE);
	TAP_OK(page_fails(p + EXTENT - 1, true), "%s: but for its last page", kind);
	TAP_OK(p[PAGES / 2 * PAGE + 1] == 3 && !near_stats(fd).near, "%s: alone", kind);
	TAP_OK(only_bad(fd, EXTENT - PAGE, PAGE, HMEM_POISONED_DATA), "%s: the home is good", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL), "clear");
	TAP_OK(all_bytes(p + EXTENT - PAGE, PAGE, 0), "%s: so anybody may clear it", kind);
}

static void *moves(void *moved)
{
	*(uint64_t *)moved = move_extents(fd, 0, 1, HMEM_NEAR);
	return NULL;
}

/* Who is told of a bad page does not read it any more: it is unmapped before. */
static void told_in_time(void)
{
	struct hmem_event e;
	uint64_t moved = 0;
	pthread_t mover;

	TAP_EQ(touch_read(p + 9 * PAGE), 0, "%s: an extent is mapped", kind);
	events_after(fd, &seq, 0, &e, 1);
	inject(KERNEL_COPY " all 10 1 hmem 0");
	inject("unmap_mapping_range pass 1 1 hmem %d", INJECT_MOMENT_MS);
	if (pthread_create(&mover, NULL, moves, &moved))
		tap_bail("no thread");
	inject_wait("unmap_mapping_range");
	TAP_EQ(events_after(fd, &seq, 0, &e, 1), 0, "%s: nobody is told before it is unmapped", kind);
	inject_go();
	pthread_join(mover, NULL);
	TAP_EQ(inject_end(KERNEL_COPY), 1, "%s: the copy met a bad page", kind);
	await_poison(fd, &seq, 9 * PAGE);
	TAP_OK(moved == 1 && page_fails(p + 9 * PAGE, false), "%s: then it is told, and fails", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL), "clear");
}

/*
 * While a copy is made readers go on, and who stores is not kept waiting but has it made once more.
 * On a persistent region nothing is mapped when it begins, and the home was written back.
 */
static void while_copied(bool persistent)
{
	uint64_t moved = 0, aborted = near_stats(fd).aborted, copied = near_stats(fd).copied;
	char byte = 0;
	pthread_t mover;

	memset(p, 1, EXTENT);
	inject(WRITE_BACK " pass 1 0 hmem 0");
	inject(KERNEL_COPY " pass 1 1 hmem %d", INJECT_MOMENT_MS);
	if (pthread_create(&mover, NULL, moves, &moved))
		tap_bail("no thread");
	inject_wait(KERNEL_COPY);
	TAP_OK(!persistent || !pfn_of(p), "%s: what is copied is not mapped, if it is persistent", kind);
	TAP_EQ(inject_look(WRITE_BACK) > 0, persistent, "%s: and was written back then", kind);
	TAP_OK(!touch_read(p + PAGE) && p[PAGE] == 1 && pread(fd, &byte, 1, 2 * PAGE) == 1 && byte == 1,
	       "%s: it is read while it is copied", kind);
	TAP_OK(!touch_write(p + PAGE, 7) && pwrite(fd, "\10", 1, 2 * PAGE) == 1,
	       "%s: and stored to", kind);
	TAP_OK(pthread_tryjoin_np(mover, NULL), "%s: which goes on only now", kind);
	inject_go();
	pthread_join(mover, NULL);
	inject_end(KERNEL_COPY);
	TAP_EQ(moved, 1, "%s: it comes near in the end", kind);
	TAP_EQ(near_stats(fd).aborted - aborted, PAGES, "%s: one copy was in vain", kind);
	TAP_EQ(near_stats(fd).copied - copied, 2 * EXTENT, "%s: of two", kind);
	TAP_OK(p[PAGE] == 7 && p[2 * PAGE] == 8 && p[3 * PAGE] == 1, "%s: and no store is lost", kind);
	move_extents(fd, 0, 1, HMEM_HOME);
	TAP_OK(p[PAGE] == 7 && p[2 * PAGE] == 8 && p[3 * PAGE] == 1, "%s: nor at home", kind);
}

/* Every page is bad: nothing is left of it, but no more is lost than that. */
static void nothing_good(void)
{
	inject(KERNEL_COPY " all 1 0 hmem 0");
	TAP_EQ(move_extents(fd, 0, 1, HMEM_NEAR), 1, "%s: all of it is bad", kind);
	inject("\n");
	TAP_OK(page_fails(p, false) && page_fails(p + EXTENT - 1, false), "%s: all of it fails", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL), "clear");
	TAP_OK(pages_hold(p, EXTENT, 0), "%s: and is cleared", kind);
}

/* No memory to remember what is bad: then the extent stays where it is. */
static void no_memory(void)
{
	struct hmem_migrate m;

	memset(p, 1, EXTENT);
	must(poison(fd, HMEM_POISON_REPORT, 7 * PAGE, PAGE, NULL), "report");
	inject("xa_store -46 1 0 hmem 0");
	must(migrate(fd, 0, EXTENT, HMEM_NEAR, &m), "migrate");
	TAP_OK(inject_end("xa_store") > 0, "%s: it cannot be remembered", kind);
	TAP_EQ(m.pages[HMEM_MOVED_POISONED], PAGES, "%s: that a page is lost: it stays home", kind);
	TAP_OK(page_fails(p + 7 * PAGE, false) && others_hold(p, 7, 1), "%s: as it was", kind);
	inject("xa_store -46 1 0 hmem 0");
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, 8 * PAGE, PAGE, NULL), -ENOMEM, "%s: nor reported",
	       kind);
	inject_end("xa_store");
	TAP_EQ(touch_read(p + 8 * PAGE), 0, "%s: so it is good", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL), "clear");
}

static void checks(int control, const struct pool *pool)
{
	kind = pool->kind;
	must(region_create(control, "bad", pool->name, EXTENT), "create");
	fd = must_open("bad", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	p = must_map(fd, EXTENT);
	memset(p, 1, EXTENT);
	seq = 0;
	bus_catch();
	while_copied(pool->persistent);
	memset(p, 1, EXTENT);
	to_near();
	if (!pool->persistent) {
		to_home();
		told_in_time();
	}
	move_extents(fd, 0, 1, HMEM_HOME);
	nothing_good();
	move_extents(fd, 0, 1, HMEM_HOME);
	no_memory();
	munmap(p, EXTENT);
	close(fd);
	must(region_destroy(control, "bad"), "destroy");
}

int main(void)
{
	int control = must_begin_inject();

	on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
