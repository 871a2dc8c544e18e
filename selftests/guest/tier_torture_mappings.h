/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the torture test's workers do with mappings.
 *
 * A worker has an arena of addresses of its own, and each extent mapped somewhere in it; nobody
 * else changes what is mapped there.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_MAPPINGS_H
#define SELFTESTS_GUEST_TIER_TORTURE_MAPPINGS_H

#include "tier_torture_memory.h"

#include <sys/prctl.h>

/* Twice as many places as extents, of twice their size, so that they need not be aligned. */
#define ARENA_PLACES	(2 * EXTENTS)
#define PLACE_BYTES	(2 * EXTENT)
/* Exit status of a child that has met what went with the device. */
#define CHILD_LOST	7

static bool is_in_arena(const struct worker *w, const char *at)
{
	return at >= w->arena && at < w->arena + ARENA_PLACES * PLACE_BYTES;
}

/* A place that nothing is mapped at. */
static char *free_place(struct worker *w)
{
	unsigned int used = 0;
	int place = dice(ARENA_PLACES);

	for (int i = 0; i < EXTENTS; i++)
		if (w->at[i] && is_in_arena(w, w->at[i]))
			used |= 1U << (w->at[i] - w->arena) / PLACE_BYTES;
	while (used & 1U << place)
		place = (place + 1) % ARENA_PLACES;
	return w->arena + place * PLACE_BYTES + (one_in(2) ? 0 : dice(512) * 4096);
}

/* Addresses that are nobody's become so that nothing else is mapped there. */
static bool reserve(char *at, size_t bytes)
{
	return mmap(at, bytes, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0) != MAP_FAILED;
}

static bool map_part(struct worker *w, int extent, size_t from, size_t bytes)
{
	return worked(w, mmap(w->at[extent] + from, bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, w->fd, extent * EXTENT + from) != MAP_FAILED,
		      "mmap");
}

/* Some pages of an extent. */
static void any_range(size_t *from, size_t *bytes)
{
	*from = dice(512) * 4096;
	*bytes = (1 + dice(512 - *from / 4096)) * 4096;
}

static bool do_unmap(struct worker *w)
{
	int extent = dice(EXTENTS);
	size_t from = 0, bytes = EXTENT;

	w->on = WHOLE;
	if (one_in(2))
		any_range(&from, &bytes);
	if (!worked(w, !munmap(w->at[extent] + from, bytes), "munmap"))
		return false;
	if (bytes == EXTENT) {
		if (!worked(w, reserve(w->at[extent], EXTENT), "mmap of nothing"))
			return false;
		w->at[extent] = free_place(w);
	}
	return map_part(w, extent, from, bytes);
}

/* Elsewhere; now and then by way of a second mapping of the same. */
static bool do_remap(struct worker *w)
{
	int extent = dice(EXTENTS);
	char *old = w->at[extent], *new = free_place(w);
	size_t bytes = one_in(3) ? 0 : EXTENT;

	w->on = WHOLE;
	if (mremap(old, bytes, EXTENT, MREMAP_MAYMOVE | MREMAP_FIXED, new) == MAP_FAILED) {
		/* Of several mappings, none is moved, or some are: then all is mapped anew. */
		if (!worked(w, errno == EFAULT && reserve(new, EXTENT) && reserve(old, EXTENT),
			    "mremap"))
			return false;
		w->at[extent] = new;
		map_part(w, extent, 0, EXTENT);
		return false;
	}
	if (!worked(w, reserve(old, EXTENT), "mmap of nothing"))
		return false;
	w->at[extent] = new;
	return true;
}

static __thread sigjmp_buf fault_return;
static __thread volatile sig_atomic_t fault_expected;

/* Read-only for a while: it reads as before, a store is SIGSEGV, and nothing was stored. */
static bool do_protect(struct worker *w)
{
	struct place at = go_to(w);
	volatile uint64_t *words = words_at(w, &at);
	char *page = (char *)((uintptr_t)words & ~4095UL);
	size_t bytes = 4096 * (1 + dice(3));
	int caught;

	if (page + bytes > w->at[at.extent] + EXTENT)
		bytes = 4096;
	if (!worked(w, !mprotect(page, bytes, PROT_READ), "mprotect") ||
	    !check_sector(words, &at, "read-only"))
		return false;
	caught = sigsetjmp(fault_return, 1);
	if (!caught) {
		fault_expected = 1;
		words[0] = ~words[0];
	}
	fault_expected = 0;
	/* A device that goes is SIGBUS. */
	if (caught != SIGSEGV) {
		errno = 0;
		return worked(w, false, "a store to what is read-only");
	}
	return check_sector(words, &at, "after SIGSEGV") &&
	       worked(w, !mprotect(page, bytes, PROT_READ | PROT_WRITE), "mprotect back");
}

static bool do_advise(struct worker *w)
{
	static const int advices[] = { MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ,
				       MADV_POPULATE_WRITE, MADV_POPULATE_WRITE };
	int extent = dice(EXTENTS);
	size_t from, bytes;

	w->on = WHOLE;
	any_range(&from, &bytes);
	switch (dice(4)) {
	case 0:
		return mlock(w->at[extent], EXTENT) == 0 && munlock(w->at[extent], EXTENT) == 0;
	case 1:
		return worked(w, !msync(w->at[extent], EXTENT, MS_SYNC), "msync");
	default:
		return madvise(w->at[extent] + from, bytes, PICK(advices)) == 0;
	}
}

/* All of it, from another open file; of another kind, when near_max is 0 just now. */
static bool do_reopen(struct worker *w)
{
	int fd = region_open(REGION, O_RDWR);

	w->on = WHOLE;
	errno = fd < 0 ? -fd : 0;
	if (!worked(w, fd >= 0, "open"))
		return false;
	for (int i = 0; i < EXTENTS; i++)
		if (!worked(w, reserve(w->at[i], EXTENT), "mmap of nothing"))
			return false;
	close(w->fd);
	w->fd = fd;
	for (int i = 0; i < EXTENTS; i++) {
		w->at[i] = NULL;
		w->at[i] = free_place(w);
		if (!map_part(w, i, 0, EXTENT))
			return false;
	}
	return true;
}

/* Another process goes on in this worker's place for a while. */
static bool do_fork(struct worker *w)
{
	static bool (*const actions[])(struct worker *) = { do_load, do_store, do_store, do_atomic,
							    do_futex, do_write };
	pid_t parent = getpid(), pid = fork();
	int status = 0;

	w->on = WHOLE;
	if (!worked(w, pid >= 0, "fork"))
		return false;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		dice_state ^= 0x9e3779b97f4a7c15ULL;
		if (!sigsetjmp(fault_return, 1)) {
			fault_expected = 1;
			for (int n = dice(12); n >= 0 && !w->lost; n--)
				PICK(actions)(w);
		} else {
			errno = 0;
			worked(w, false, "a fault in a child");
		}
		_exit(w->lost ? CHILD_LOST : 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == W_EXITCODE(CHILD_LOST, 0) && read_once(&torture->removing)) {
		w->on = 0;	/* or another one */
		lose(w);
		return false;
	}
	errno = 0;
	return worked(w, !status, "a child died");
}

#endif
