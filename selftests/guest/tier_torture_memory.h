/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture test's workers, and what they do with memory and mappings.
 *
 * A worker has an arena of addresses of its own, and each extent mapped somewhere in it; nobody
 * else changes what is mapped there. A fault that was not expected ends the worker: with a
 * complaint, unless the device is being taken away.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_MEMORY_H
#define SELFTESTS_GUEST_TIER_TORTURE_MEMORY_H

#include "tier_torture.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#define REGION		"torture"
#define DISK		"/dev/vdb"
/* Twice as many places as extents, of twice their size, so that they need not be aligned. */
#define ARENA_PLACES	(2 * EXTENTS)
#define PLACE_BYTES	(2 * EXTENT)
#define LOCK_PATIENCE	60

struct worker {
	int number;
	int fd, disk, mem;
	int pipe[2];
	struct place piped;
	bool holds;		/* a page is in the pipe */
	bool gone;		/* so is the device */
	char *arena;
	char *at[EXTENTS];
	uint64_t buffer[SECTOR_WORDS] __attribute__((aligned(4096)));
};

static char *address(const struct worker *w, const struct place *at)
{
	return w->at[at->extent] + sector_offset(at);
}

static volatile uint64_t *words_at(const struct worker *w, const struct place *at)
{
	return (volatile uint64_t *)address(w, at);
}

/* Whether a call did what it should; an error ends the worker, with a complaint unless removing. */
static bool worked(struct worker *w, bool good, const char *what)
{
	int error = errno;

	if (good)
		return true;
	if (!read_once(&torture->removing))
		stress_complain("%s: %s", what, strerror(error));
	w->gone = true;
	return false;
}

/* Words. */

static bool do_load(struct worker *w)
{
	bool same = true;

	for (int n = 0; n < 4 && same; n++) {
		struct place at = any_sector(w->number);

		same = check_sector(words_at(w, &at), &at, "load");
	}
	return same;
}

static bool do_store(struct worker *w)
{
	struct place at = any_sector(w->number);
	volatile uint64_t *words = words_at(w, &at);
	volatile uint64_t *shadow = shadow_of(&at);

	for (int n = 1 + dice(8); n > 0; n--) {
		int i = dice(SECTOR_WORDS);
		uint64_t value = dice(UINT64_MAX);

		words[i] = value;
		shadow[i] = value;
	}
	return true;
}

/* As many as there can be, all over one extent: some of them while it is copied. */
static bool do_storm(struct worker *w)
{
	struct place at = any_sector(w->number);
	uint64_t value = dice(UINT64_MAX);

	for (int n = 0; n < 4000; n++) {
		int i = dice(SECTOR_WORDS);

		at.slot = dice(SLOTS);
		at.sector = own_sector(w->number, at.extent, at.slot);
		if (!at.sector)
			continue;
		words_at(w, &at)[i] = value + n;
		*(volatile uint64_t *)&shadow_of(&at)[i] = value + n;
	}
	return true;
}

/* Counters that everybody adds to. */
static bool do_atomic(struct worker *w)
{
	struct place at = any_sector(w->number);
	volatile uint64_t *tally = shadow_now()->tally[w->number][at.extent][at.slot];
	uint64_t n = 1 + dice(1000), now;
	uint64_t *words;

	at.sector = 0;
	words = (uint64_t *)address(w, &at);
	switch (dice(3)) {
	case 0:
		__atomic_fetch_add(&words[SUM_WORD], n, __ATOMIC_SEQ_CST);
		tally[SUM] += n;
		break;
	case 1:
		__atomic_fetch_xor(&words[XOR_WORD], n, __ATOMIC_SEQ_CST);
		tally[XOR] ^= n;
		break;
	default:
		now = __atomic_load_n(&words[SWAP_WORD], __ATOMIC_SEQ_CST);
		while (!__atomic_compare_exchange_n(&words[SWAP_WORD], &now, now + 1, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
		tally[SWAP]++;
	}
	return true;
}

/* A lock in the region, of a futex: 0 free, 1 taken, 2 taken and somebody waits. */

static bool lock_record(struct worker *w, uint32_t *lock)
{
	struct timespec second = { .tv_sec = 1 };
	uint32_t was = 0;
	int seconds = 0;

	if (__atomic_compare_exchange_n(lock, &was, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return true;
	if (was != 2)
		was = __atomic_exchange_n(lock, 2, __ATOMIC_SEQ_CST);
	while (was) {
		if (syscall(SYS_futex, lock, FUTEX_WAIT, 2, &second, NULL, 0) && errno == ETIMEDOUT) {
			if (read_once(&torture->removing)) {
				w->gone = true;		/* so is who had it */
				return false;
			}
			if (seconds++ > LOCK_PATIENCE) {
				stress_complain("a lock in the region is never free");
				return false;
			}
		}
		was = __atomic_exchange_n(lock, 2, __ATOMIC_SEQ_CST);
	}
	return true;
}

static void unlock_record(uint32_t *lock)
{
	if (__atomic_fetch_sub(lock, 1, __ATOMIC_SEQ_CST) == 1)
		return;
	__atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, lock, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Words that are always equal for who has the lock. */
static bool do_futex(struct worker *w)
{
	struct place at = { .extent = (torture->hot + dice(2)) % EXTENTS, .slot = 8 * dice(2) };
	volatile uint64_t *words = words_at(w, &at), first;
	bool same = true;

	if (!lock_record(w, (uint32_t *)&words[LOCK_WORD]))
		return false;
	first = words[RECORD_WORD];
	for (int i = 0; i < RECORD_WORDS; i++) {
		if (words[RECORD_WORD + i] != first)
			same = false;
		words[RECORD_WORD + i] = first + 1;
		if (one_in(16))
			sched_yield();
	}
	shadow_now()->tally[w->number][at.extent][at.slot][RECORD]++;
	unlock_record((uint32_t *)&words[LOCK_WORD]);
	if (!same)
		stress_complain("two were in a lock of the region at once");
	return same;
}

/* Stores that the kernel makes. */

/* New contents for a sector, in the worker's buffer. */
static void prepare(struct worker *w, const struct place *at)
{
	struct pending *p = &shadow_now()->pending[w->number];

	for (int i = 0; i < SECTOR_WORDS; i++)
		w->buffer[i] = dice(UINT64_MAX);
	p->at = *at;
	memcpy(p->new, w->buffer, sizeof(p->new));
	__atomic_store_n(&p->words, SECTOR_WORDS, __ATOMIC_SEQ_CST);
}

static bool stored(struct worker *w, const struct place *at, bool good, const char *what)
{
	struct pending *p = &shadow_now()->pending[w->number];

	if (!worked(w, good, what))
		return false;
	memcpy(shadow_of(at), p->new, sizeof(p->new));
	__atomic_store_n(&p->words, 0, __ATOMIC_SEQ_CST);
	return check_sector(words_at(w, at), at, what);
}

static bool do_write(struct worker *w)
{
	struct place at = any_sector(w->number);

	prepare(w, &at);
	return stored(w, &at, pwrite(w->fd, w->buffer, SECTOR_BYTES, region_offset(&at)) ==
		      SECTOR_BYTES, "pwrite");
}

static bool do_read(struct worker *w)
{
	struct place at = any_sector(w->number);

	return worked(w, pread(w->fd, w->buffer, SECTOR_BYTES, region_offset(&at)) ==
		      SECTOR_BYTES, "pread") && check_sector(w->buffer, &at, "pread");
}

/* As a debugger and as another process do. */
static bool do_peer(struct worker *w)
{
	struct place at = any_sector(w->number);
	struct iovec here = { w->buffer, SECTOR_BYTES };
	struct iovec there = { address(w, &at), SECTOR_BYTES };

	switch (dice(3)) {
	case 0:
		return worked(w, process_vm_readv(getpid(), &here, 1, &there, 1, 0) ==
			      SECTOR_BYTES, "process_vm_readv") &&
		       check_sector(w->buffer, &at, "process_vm_readv");
	case 1:
		prepare(w, &at);
		return stored(w, &at, process_vm_writev(getpid(), &here, 1, &there, 1, 0) ==
			      SECTOR_BYTES, "process_vm_writev");
	default:
		prepare(w, &at);
		return stored(w, &at, pwrite(w->mem, w->buffer, SECTOR_BYTES,
					     (off_t)(uintptr_t)there.iov_base) == SECTOR_BYTES,
			      "/proc/self/mem");
	}
}

/* From a disk into the region, and the other way, past the processor. */
static bool do_direct_read(struct worker *w)
{
	struct place at = any_sector(w->number);
	off_t block = w->number * 4096;

	prepare(w, &at);
	if (pwrite(w->disk, w->buffer, SECTOR_BYTES, block) != SECTOR_BYTES) {
		stress_complain("the disk: %s", strerror(errno));
		return false;
	}
	return stored(w, &at, pread(w->disk, address(w, &at), SECTOR_BYTES, block) == SECTOR_BYTES,
		      "O_DIRECT read");
}

static bool do_direct_write(struct worker *w)
{
	struct place at = any_sector(w->number);
	off_t block = w->number * 4096;

	return worked(w, pwrite(w->disk, address(w, &at), SECTOR_BYTES, block) == SECTOR_BYTES,
		      "O_DIRECT write") &&
	       worked(w, pread(w->disk, w->buffer, SECTOR_BYTES, block) == SECTOR_BYTES, "the disk") &&
	       check_sector(w->buffer, &at, "O_DIRECT write");
}

/* A page in a pipe. */

static bool empty_pipe(struct worker *w)
{
	if (!w->holds)
		return true;
	w->holds = false;
	return worked(w, read(w->pipe[0], w->buffer, SECTOR_BYTES) == SECTOR_BYTES, "read a pipe") &&
	       check_sector(w->buffer, &w->piped, "a page in a pipe");
}

/*
 * What is in the pipe is the page itself: stores after that are seen in it, as long as the page
 * stays the region's. Where the home is persistent a store has to wait for who holds a near copy,
 * so nothing is held there between two actions.
 */
static bool do_pipe(struct worker *w)
{
	struct place at = any_sector(w->number);
	struct iovec vector = { address(w, &at), SECTOR_BYTES };

	if (!empty_pipe(w))
		return false;
	if (!worked(w, vmsplice(w->pipe[1], &vector, 1, 0) == SECTOR_BYTES, "vmsplice"))
		return false;
	w->piped = at;
	w->holds = true;
	return !torture->persistent || empty_pipe(w);
}

/* Mappings. */

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
	struct place at = any_sector(w->number);
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

	if (!worked(w, pid >= 0, "fork"))
		return false;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		dice_state ^= 0x9e3779b97f4a7c15ULL;
		if (!sigsetjmp(fault_return, 1)) {
			fault_expected = 1;
			for (int n = dice(12); n >= 0 && !w->gone; n--)
				PICK(actions)(w);
		} else {
			w->gone = true;
		}
		_exit(w->gone ? 7 : 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	errno = 0;
	return worked(w, WIFEXITED(status) && !WEXITSTATUS(status), "a child died");
}

#endif
