// SPDX-License-Identifier: GPL-2.0-only
/*
 * HMEM_MIGRATE_ASYNC: a range moves while its caller goes on; how far it is can be asked, its end is
 * an event, several take turns, and stopping one or closing its file leaves all that was there.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "inject.h"
#include "near.h"
#include "poison.h"

#include <hmem/hmem.h>
#include <poll.h>
#include <pthread.h>

#define TURN		16			/* extents that one gets on by before others do */
#define EXTENTS		(2 * TURN + 4)
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / PAGE)
#define KERNEL_COPY	"copy_mc_to_kernel"

static const char *kind;
static int fd;
static char *p;
static uint64_t seq;

static int ask(int file, unsigned int flags, uint64_t offset, uint64_t bytes, enum hmem_place place,
	       struct hmem_migrate *m)
{
	*m = (struct hmem_migrate){ .size = sizeof(*m), .flags = flags, .offset = offset,
				    .bytes = bytes, .place = place };
	return hmem_ioctl(file, HMEM_REGION_MIGRATE, m);
}

static int begin(int file, uint64_t offset, uint64_t bytes, enum hmem_place place)
{
	struct hmem_migrate m;

	return ask(file, HMEM_MIGRATE_ASYNC, offset, bytes, place, &m);
}

static int status(int file, struct hmem_migrate *m)
{
	return ask(file, HMEM_MIGRATE_STATUS, 0, 0, 0, m);
}

/* The next event, which must be the end of a move. */
static struct hmem_event ended(void)
{
	struct hmem_event e = { 0 };

	while (events_after(fd, &seq, FOREVER, &e, 1) == 1 && e.type == HMEM_EVENT_PRESSURE)
		;
	return e;
}

static bool ended_as(uint64_t offset, uint64_t bytes)
{
	struct hmem_event e = ended();

	return e.type == HMEM_EVENT_MIGRATED && e.offset == offset && e.bytes == bytes;
}

static bool all_there(void)
{
	for (uint64_t i = 0; i < EXTENTS; i++)
		if (p[i * EXTENT + i] != (char)(i + 1))
			return false;
	return true;
}

/* The first copy of what moves next takes until inject_go(). */
static void hold_copy(void)
{
	inject(KERNEL_COPY " pass 1 1 hmem %d", INJECT_MOMENT_MS);
}

static void let_go(void)
{
	inject_go();
	inject_end(KERNEL_COPY);
}

static void refused(void)
{
	int reader = must_open("a", O_RDONLY);
	struct hmem_migrate m;

	TAP_EQ(status(fd, &m), -ENOENT, "%s: nothing was begun", kind);
	TAP_EQ(ask(fd, HMEM_MIGRATE_STOP, 0, 0, 0, &m), -ENOENT, "%s: nor is to be stopped", kind);
	TAP_EQ(ask(fd, 8, 0, 0, HMEM_NEAR, &m), -EINVAL, "%s: an unknown flag", kind);
	TAP_EQ(ask(fd, HMEM_MIGRATE_ASYNC | HMEM_MIGRATE_STATUS, 0, 0, 0, &m), -EINVAL,
	       "%s: two at once", kind);
	TAP_EQ(ask(fd, HMEM_MIGRATE_STATUS, EXTENT, 0, 0, &m), -EINVAL, "%s: a status of a range", kind);
	TAP_EQ(begin(fd, 0, LENGTH + EXTENT, HMEM_NEAR), -ERANGE, "%s: beyond the end", kind);
	TAP_EQ(begin(reader, 0, 0, HMEM_NEAR), -EACCES, "%s: not open for writing", kind);
	TAP_EQ(status(fd, &m), -ENOENT, "%s: none of which began anything", kind);
	close(reader);
}

/* Through the library, while another one's is held: it waits for its turn. */
static void library(void)
{
	struct hmem_region *region;
	struct hmem_ctx *ctx;

	if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, "hmem:a", 0, &region))
		tap_bail("libhmem does not open the region");
	TAP_EQ(hmem_tier_migrate_begin(region, 0, 0, HMEM_TIER_NEAR), 0, "%s: a handle's waits", kind);
	TAP_EQ(hmem_tier_migrate_begin(region, 0, EXTENT, HMEM_TIER_HOME), -EBUSY,
	       "%s: and is its only one", kind);
	TAP_OK(strstr(hmem_last_error(ctx), "what was begun before on this handle still moves"),
	       "%s: as is said", kind);
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
}

static void goes_on(void)
{
	int other = must_open("a", O_RDWR);
	struct hmem_migrate m;

	hold_copy();
	TAP_EQ(begin(fd, 0, 0, HMEM_NEAR), 0, "%s: a move begins", kind);
	inject_wait(KERNEL_COPY);
	TAP_OK(!status(fd, &m) && m.next == 0 && m.offset == 0 && m.bytes == LENGTH &&
	       m.place == HMEM_NEAR && !m.pages[HMEM_MOVED],
	       "%s: its caller goes on, and asks how far it is", kind);
	TAP_EQ(begin(fd, 0, EXTENT, HMEM_HOME), -EBUSY, "%s: one at once", kind);
	TAP_EQ(status(other, &m), -ENOENT, "%s: which is this file's", kind);
	TAP_EQ(begin(other, EXTENT, EXTENT, HMEM_NEAR), 0, "%s: another file's waits", kind);
	library();
	TAP_OK(ended_as(0, 0), "%s: closing it ends it before it began", kind);
	TAP_OK(all_there(), "%s: all is there meanwhile", kind);
	TAP_EQ(poll_now(fd) & POLLPRI, 0, "%s: no end is told", kind);
	let_go();
	TAP_OK(ended_as(EXTENT, EXTENT), "%s: the other one's turn comes before the end", kind);
	TAP_OK(ended_as(0, LENGTH), "%s: and the end comes", kind);
	TAP_OK(!status(fd, &m) && m.next == LENGTH && m.pages[HMEM_MOVED] == EXTENTS * PAGES &&
	       m.pinned == UINT64_MAX, "%s: all was moved", kind);
	TAP_OK(!status(other, &m) && m.next == 2 * EXTENT && m.offset == EXTENT &&
	       m.pages[HMEM_MOVED_ALREADY] == PAGES, "%s: by whom, each is told", kind);
	TAP_EQ(near_stats(fd).near, LENGTH, "%s: it is near", kind);
	TAP_OK(all_there(), "%s: and all is there", kind);
	TAP_EQ(begin(fd, 0, 0, HMEM_HOME), 0, "%s: and back", kind);
	TAP_OK(ended_as(0, LENGTH) && !near_stats(fd).near && all_there(), "%s: nothing is lost", kind);
	close(other);
}

static void *stops(void *m)
{
	ask(fd, HMEM_MIGRATE_STOP, 0, 0, 0, m);
	return NULL;
}

static void stopped(void)
{
	struct hmem_migrate m, again;
	pthread_t stopper;

	hold_copy();
	must(begin(fd, 0, 0, HMEM_NEAR), "begin");
	inject_wait(KERNEL_COPY);
	if (pthread_create(&stopper, NULL, stops, &m))
		tap_bail("no thread");
	let_go();
	pthread_join(stopper, NULL);
	TAP_OK(m.next > 0 && m.next <= TURN * EXTENT && m.bytes == m.next && m.offset == 0,
	       "%s: it is stopped within its turn", kind);
	TAP_EQ(near_stats(fd).near, m.next, "%s: what was moved stays", kind);
	TAP_OK(ended_as(0, m.next), "%s: its end is told", kind);
	TAP_OK(!status(fd, &again) && again.next == m.next && again.bytes == m.bytes,
	       "%s: and known", kind);
	TAP_OK(!ask(fd, HMEM_MIGRATE_STOP, 0, 0, 0, &again) && again.next == m.next &&
	       !(poll_now(fd) & POLLPRI), "%s: it ends once", kind);
	TAP_OK(all_there(), "%s: all is there", kind);
	TAP_EQ(begin(fd, 0, 0, HMEM_HOME), 0, "%s: another one can begin", kind);
	TAP_OK(ended_as(0, LENGTH), "%s: and ends", kind);
}

static void *closes(void *file)
{
	close(*(int *)file);
	return NULL;
}

static void closed(void)
{
	int other = must_open("a", O_RDWR);
	struct hmem_event e;
	pthread_t closer;

	hold_copy();
	must(begin(other, 0, 0, HMEM_NEAR), "begin");
	inject_wait(KERNEL_COPY);
	if (pthread_create(&closer, NULL, closes, &other))
		tap_bail("no thread");
	let_go();
	pthread_join(closer, NULL);
	e = ended();
	TAP_OK(e.type == HMEM_EVENT_MIGRATED && e.bytes > 0 && e.bytes <= TURN * EXTENT,
	       "%s: closing the file ends it", kind);
	TAP_EQ(near_stats(fd).near, e.bytes, "%s: where it was", kind);
	TAP_OK(all_there(), "%s: all is there", kind);
	move_extents(fd, 0, EXTENTS, HMEM_HOME);
}

/* What keeps pages from being moved is said as when somebody waits. */
static void said(void)
{
	struct hmem_migrate m;

	must(near_max_set(fd, 3 * EXTENT), "near_max");
	must(keep_extents(fd, 1, 1, HMEM_HOME, NULL), "keep");
	must(begin(fd, 0, 6 * EXTENT, HMEM_NEAR), "begin");
	TAP_OK(ended_as(0, 6 * EXTENT) && !status(fd, &m) && m.pages[HMEM_MOVED] == 3 * PAGES &&
	       m.pages[HMEM_MOVED_KEPT] == PAGES && m.pages[HMEM_MOVED_OVER_BOUND] == 2 * PAGES,
	       "%s: what was not moved, and why", kind);
	must(release_extents(fd, 1, 1), "release");
}

static void asynchronous(int control, const struct pool *pool)
{
	kind = pool->kind;
	seq = 0;
	must(region_create(control, "a", pool->name, LENGTH), "create");
	fd = must_open("a", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	for (uint64_t i = 0; i < EXTENTS; i++)
		p[i * EXTENT + i] = (char)(i + 1);
	refused();
	goes_on();
	stopped();
	closed();
	said();
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "a"), 0, "%s: destroyed", kind);
}

int main(void)
{
	int control = must_begin_inject();

	on_every_pool(control, LENGTH + 8 * EXTENT, asynchronous);
	return tap_done();
}
