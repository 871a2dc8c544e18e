// SPDX-License-Identifier: GPL-2.0-only
/*
 * HMEM_REGION_PIN and HMEM_REGION_MIGRATE that find no memory, or memory that reports an error: the
 * former say so, the latter count it. Nothing is kept that was not, what was kept elsewhere still
 * is, the data is what it was, and a second try works.
 *
 * hmem-test: topology=mixed kernels=newest long=lts
 */
#include "inject.h"
#include "near.h"
#include "poison.h"

#define EXTENTS		2
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / PAGE)
#define KERNEL_COPY	"copy_mc_to_kernel"
#define ALLOC		"__folio_alloc_noprof"
#define XA_ENOMEM	(-ENOMEM * 4 + 2)	/* as the kernel's arrays have it */

static const char *kind;
static int fd;
static char *p;

/* Each page of an extent says which it is. */
static void stamp(void)
{
	for (uint64_t i = 0; i < LENGTH / PAGE; i++)
		*(uint64_t *)(p + i * PAGE + 8) = i + 1;
}

static bool stamped(void)
{
	for (uint64_t i = 0; i < LENGTH / PAGE; i++)
		if (touch_read(p + i * PAGE) || *(volatile uint64_t *)(p + i * PAGE + 8) != i + 1)
			return false;
	return true;
}

/* Where each extent is kept, as MIGRATE finds: near, at home; or it is free, and then at home. */
static const char *keeps(void)
{
	static char text[EXTENTS + 1];
	struct hmem_migrate m;

	for (unsigned int i = 0; i < EXTENTS; i++) {
		must(migrate(fd, i * EXTENT, EXTENT, HMEM_NEAR, &m), "migrate");
		text[i] = m.pages[HMEM_MOVED_KEPT] ? 'h' : 'f';
		must(migrate(fd, i * EXTENT, EXTENT, HMEM_HOME, &m), "migrate");
		if (m.pages[HMEM_MOVED_KEPT])
			text[i] = 'n';
	}
	return text;
}

static uint64_t near_bytes(void)
{
	return near_stats(fd).near;
}

static void all_free(void)
{
	must(release_extents(fd, 0, EXTENTS), "release");
	move_extents(fd, 0, EXTENTS, HMEM_HOME);
	if (near_bytes())
		tap_bail("%s: not all is at home", kind);
}

/* No memory where @function is asked for some, for the second extent. */
static void no_memory(const char *function)
{
	struct hmem_migrate m;
	uint64_t next;

	all_free();
	inject("%s 0 2 1 hmem 0", function);
	TAP_EQ(keep_extents(fd, 0, EXTENTS, HMEM_NEAR, &next), -ENOMEM, "%s, no memory by %s: said",
	       kind, function);
	TAP_EQ(inject_end(function), 1, "%s: it was asked for", kind);
	TAP_OK(next == 1 && near_bytes() == EXTENT, "%s: one is near, as is said", kind);
	TAP_OK(stamped(), "%s: the data is there", kind);
	TAP_STR_EQ(keeps(), "nf", "%s: and that one is kept, the other not", kind);
	TAP_EQ(keep_extents(fd, 0, EXTENTS, HMEM_NEAR, &next), 0, "%s: a second try works", kind);
	TAP_OK(next == EXTENTS && near_bytes() == LENGTH && stamped(), "%s: for both", kind);
	TAP_STR_EQ(keeps(), "nn", "%s: which are kept", kind);

	all_free();
	must(keep_extents(fd, 0, 1, HMEM_HOME, NULL), "keep");
	inject("%s 0 1 1 hmem 0", function);
	TAP_EQ(keep_extents(fd, 0, 1, HMEM_NEAR, &next), -ENOMEM, "%s: one that is kept at home",
	       kind);
	inject("\n");
	TAP_STR_EQ(keeps(), "hf", "%s: still is", kind);

	all_free();
	inject("%s 0 1 1 hmem 0", function);
	must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
	TAP_EQ(inject_end(function), 1, "%s: MIGRATE finds none for the first", kind);
	TAP_OK(m.pages[HMEM_MOVED_NO_MEMORY] == PAGES && m.pages[HMEM_MOVED] == PAGES &&
	       m.next == LENGTH && near_bytes() == EXTENT, "%s: and goes on with the second", kind);
	TAP_OK(stamped(), "%s: the data is there, too", kind);
	TAP_EQ(move_extents(fd, 0, EXTENTS, HMEM_NEAR), 1, "%s: asked again it moves", kind);
	TAP_OK(near_bytes() == LENGTH && stamped(), "%s: all is near, and there", kind);
}

/* A page reports an error, and there is no memory to remember which. */
static void no_memory_for_bad(void)
{
	struct hmem_migrate m;
	uint64_t next;

	all_free();
	must(keep_extents(fd, 1, 1, HMEM_HOME, NULL), "keep");
	for (int second = 0; second < 2; second++) {
		inject(KERNEL_COPY " all 8 1 hmem 0");
		inject("xa_store %d 1 0 hmem 0", XA_ENOMEM);
		TAP_EQ(keep_extents(fd, second, 1, HMEM_NEAR, &next), -EIO, "%s: a bad page: said",
		       kind);
		TAP_OK(inject_look(KERNEL_COPY) == 1 && inject_look("xa_store") > 0 &&
		       next == (uint64_t)second, "%s: for none", kind);
		inject("\n");
		TAP_OK(!near_bytes() && !poison_list(fd, 0, NULL, 0), "%s: it stays where it was",
		       kind);
		TAP_OK(stamped(), "%s: with its data", kind);
	}
	TAP_STR_EQ(keeps(), "fh", "%s: and kept as it was", kind);
	must(release_extents(fd, 1, 1), "release");
	inject(KERNEL_COPY " all 8 1 hmem 0");
	inject("xa_store %d 1 0 hmem 0", XA_ENOMEM);
	must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
	inject("\n");
	TAP_OK(m.pages[HMEM_MOVED_POISONED] == PAGES && m.pages[HMEM_MOVED] == PAGES &&
	       near_bytes() == EXTENT && stamped(), "%s: MIGRATE counts it, and goes on", kind);
	TAP_EQ(keep_extents(fd, 0, EXTENTS, HMEM_NEAR, &next), 0, "%s: a second try works", kind);
	TAP_OK(near_bytes() == LENGTH && stamped(), "%s: and all is there", kind);
	TAP_STR_EQ(keeps(), "nn", "%s: where it is kept", kind);
}

/* The home of a near copy goes bad, and what only the copy has cannot go there. */
static void bad_home(void)
{
	uint64_t next;

	all_free();
	must(keep_extents(fd, 0, EXTENTS, HMEM_NEAR, NULL), "keep");
	must(poison(fd, HMEM_POISON_REPORT, EXTENT + 3 * PAGE, PAGE, NULL), "report");
	TAP_EQ(keep_extents(fd, 0, EXTENTS, HMEM_HOME, &next), -EIO, "%s: a bad home", kind);
	TAP_OK(next == 1 && near_bytes() == EXTENT, "%s: the other one went home", kind);
	TAP_OK(stamped(), "%s: nothing is lost", kind);
	must(poison(fd, HMEM_POISON_CLEAR, EXTENT + 3 * PAGE, PAGE, NULL), "clear");
	TAP_OK(stamped(), "%s: nor when the home is cleared", kind);
	TAP_STR_EQ(keeps(), "hn", "%s: it is kept near still", kind);
	TAP_EQ(keep_extents(fd, 0, EXTENTS, HMEM_HOME, &next), 0, "%s: a second try works", kind);
	TAP_OK(!near_bytes() && stamped(), "%s: and all is there", kind);
	TAP_STR_EQ(keeps(), "hh", "%s: where it is kept", kind);
}

static void checks(int control, const struct pool *pool)
{
	kind = pool->kind;
	must(region_create(control, "kept", pool->name, LENGTH), "create");
	fd = must_open("kept", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	bus_catch();
	stamp();
	no_memory(ALLOC);
	no_memory("hm_copy_alloc");
	no_memory_for_bad();
	bad_home();
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "kept"), "destroy");
}

int main(void)
{
	on_every_pool(must_begin_inject(), 32 * MIB, checks);
	return tap_done();
}
