// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Showing a space. The page is a memfd, which is gone with the process, however that ends, and
 * which who may look at the process finds below /proc/PID/fd. Programs may close whatever they find
 * open, so the number is believed only as long as it is that file.
 *
 * A child of fork(2) has another space, by copy, or none. It shows nothing, and has memory of its
 * own where the page was.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fork_lock.h"
#include "space.h"
#include "space_shown.h"

/* Programs count on small numbers, ... */
#define FD_FROM 500

/* ... and on some to be left: spaces that would need more than a quarter of them are not shown. */
static bool choose_numbers(int *from, int *end)
{
	struct rlimit limit;
	rlim_t most;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return false;
	most = limit.rlim_cur < INT_MAX ? limit.rlim_cur : INT_MAX;
	*from = most / 2 < FD_FROM ? (int)(most / 2) : FD_FROM;
	*end = *from + (int)(most / 4);
	return true;
}

/* Of this process. */
static struct hmem_space *shown;

static void close_file(struct hmem_space *space)
{
	struct stat now;

	if (!fstat(space->shown_fd, &now) && now.st_ino == space->shown_ino &&
	    now.st_dev == space->shown_dev)
		close(space->shown_fd);
	space->shown_fd = -1;
}

static void show_nothing(void)
{
	for (; shown; shown = shown->next_shown) {
		close_file(shown);
		/* Where that fails its numbers are told where its parent's are. */
		(void)!mmap(shown->shown, sizeof(*shown->shown), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

static struct fork_lock lock = FORK_LOCK_INIT(show_nothing);

static int make_file(void)
{
	int from, end, fd, high;

	if (!choose_numbers(&from, &end))
		return -1;
	fd = memfd_create(SPACE_SHOWN_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	high = fcntl(fd, F_DUPFD_CLOEXEC, from);
	close(fd);
	if (high < 0)
		return -1;
	/* Who may write to it, as root, may not take away what this process has mapped. */
	if (high >= end || ftruncate(high, sizeof(struct space_shown)) ||
	    fcntl(high, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		close(high);
		return -1;
	}
	return high;
}

static void fill_in(const struct hmem_space *space, struct space_shown *page)
{
	page->version = SPACE_SHOWN_VERSION;
	page->flags = space->flags;
	page->nr_parts = space->nr_parts;
	page->bytes = space->g.count << space->g.shift;
	page->granule = 1ull << space->g.shift;
	atomic_store(&page->limit, atomic_load(&space->g.table->limit) << space->g.shift);
	atomic_store(&page->told.used, atomic_load(&space->g.table->used));
	atomic_store(&page->told.peak, atomic_load(&space->g.table->peak));
	memcpy(page->name, space->name, sizeof(page->name));
	memcpy(page->layers, space->layers, sizeof(page->layers));
	atomic_thread_fence(memory_order_release);
	page->magic = SPACE_SHOWN_MAGIC;
}

/* Under the lock: a child has no file that it does not find in the list. */
static void show(struct hmem_space *space)
{
	struct space_shown *page;
	struct stat file;
	int fd = make_file();

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED || fstat(fd, &file)) {
		if (page != MAP_FAILED)
			munmap(page, sizeof(*page));
		close(fd);
		return;
	}
	fill_in(space, page);
	space->shown_fd = fd;
	space->shown_ino = file.st_ino;
	space->shown_dev = file.st_dev;
	space->shown = page;
	space->g.told = &page->told;
	space->next_shown = shown;
	shown = space;
}

void space_show(struct hmem_space *space)
{
	if (fork_lock_arm(&lock))
		return;
	fork_lock_take(&lock);
	show(space);
	fork_lock_give(&lock);
}

void space_hide(struct hmem_space *space)
{
	struct hmem_space **at = &shown;

	if (!space->shown)
		return;
	fork_lock_take(&lock);
	while (*at && *at != space)
		at = &(*at)->next_shown;
	if (*at) {
		*at = space->next_shown;
		close_file(space);
	}
	fork_lock_give(&lock);
	munmap(space->shown, sizeof(*space->shown));
}
