/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A user of the stress test: opens regions, maps them, and does with file and memory
 * whatever a process can think of, until it is killed.
 *
 * Two threads; each has an arena of addresses that nothing else is ever mapped in, so that a
 * mapping which is gone can be touched still. Only a thread itself changes what is mapped
 * in its arena; protections, locks and advice come from both.
 */
#ifndef SELFTESTS_GUEST_STRESS_USER_H
#define SELFTESTS_GUEST_STRESS_USER_H

#include "near.h"
#include "stress.h"

#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define USER_THREADS	2
#define SLOTS		4
#define SLOT_BYTES	(8 * EXTENT)
#define ARENA_BYTES	(SLOTS * SLOT_BYTES)
#define DISK		"/dev/vdb"
#define DISK_BLOCK	4096

struct handle {
	int fd;
	int flags;
	uint64_t key;
	uint64_t bytes;		/* when it was opened */
};

struct slot {
	char *at;
	size_t bytes;		/* 0: nothing is mapped */
	size_t inside;		/* bytes of it that the region had */
	uint64_t offset;
	uint64_t key;
	bool private;
};

struct user {
	int number;
	char *arena;
	struct handle handle[SLOTS];
	struct slot slot[SLOTS];
	int pipe[2];		/* holds pages */
	int ring, uffd;
	uint64_t words[DISK_BLOCK / 8] __attribute__((aligned(DISK_BLOCK)));
};

static char *user_arenas;

static struct handle *any_handle(struct user *u)
{
	return &u->handle[dice(SLOTS)];
}

static struct slot *any_slot(struct user *u)
{
	return &u->slot[dice(SLOTS)];
}

/*
 * A place in a mapping, aligned to @align, mostly where the region has memory; NULL when
 * nothing is mapped there.
 */
static char *any_place(struct user *u, size_t align, struct slot **slot)
{
	struct slot *s = any_slot(u);
	size_t bytes = one_in(16) ? s->bytes : s->inside;

	*slot = s;
	return bytes < align ? NULL : s->at + dice(bytes / align) * align;
}

static uint64_t offset_of(const struct slot *s, const char *place)
{
	return s->offset + (uint64_t)(place - s->at);
}

/* Some range of any thread's arena, at most @pages long. */
static char *any_range(size_t pages, size_t *bytes)
{
	size_t page = dice(USER_THREADS * ARENA_BYTES / 4096);

	if (one_in(2))
		page &= ~511UL;
	*bytes = (one_in(3) ? pages : 1 + dice(one_in(2) ? 4 : pages)) * 4096;
	if (page * 4096 + *bytes > USER_THREADS * ARENA_BYTES)
		*bytes = USER_THREADS * ARENA_BYTES - page * 4096;
	return user_arenas + page * 4096;
}

/* Addresses that are nobody's become so that nothing else is mapped there. */
static bool reserve(char *at, size_t bytes)
{
	return mmap(at, bytes, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0) != MAP_FAILED;
}

static bool load(const char *place, uint64_t *word)
{
	if (sigsetjmp(touch_return, 1)) {
		touch_armed = 0;
		ADD(board->buses, 1);
		return false;
	}
	touch_armed = 1;
	*word = *(const volatile uint64_t *)place;
	touch_armed = 0;
	return true;
}

static bool store(char *place, uint64_t word)
{
	if (sigsetjmp(touch_return, 1)) {
		touch_armed = 0;
		ADD(board->buses, 1);
		return false;
	}
	touch_armed = 1;
	*(volatile uint64_t *)place = word;
	touch_armed = 0;
	return true;
}

/* Files. */

static bool do_open(struct user *u)
{
	static const int flags[] = { O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY,
				     O_RDWR | O_DIRECT, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK,
				     O_RDWR | O_TRUNC, O_RDWR | O_SYNC, O_PATH, O_RDWR | O_CREAT };
	struct handle *h = any_handle(u);
	struct hmem_region_query info;
	char name[HMEM_NAME_LEN];
	int fd;

	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	region_name(name);
	h->flags = PICK(flags);
	if (h->flags & O_CREAT && access("/dev/hmem/", W_OK) == 0)
		h->flags &= ~O_CREAT;	/* root would leave a file there */
	fd = region_open(name, h->flags);
	if (fd < 0)
		return false;
	if (h->flags & O_PATH || region_info(fd, &info)) {
		close(fd);
		return false;
	}
	h->fd = fd;
	h->key = stress_key(&info);
	h->bytes = info.bytes;
	return true;
}

static bool do_read(struct user *u)
{
	struct handle *h = any_handle(u);
	uint64_t offset = dice(h->bytes / 8 + 2) * 8;
	ssize_t n = pread(h->fd, u->words, sizeof(u->words), offset);

	if (n <= 0)
		return false;
	stress_check_all(u->words, n, h->key, offset, "read");
	return true;
}

static bool do_write(struct user *u)
{
	struct handle *h = any_handle(u);
	uint64_t offset = dice(h->bytes / 8 + 2) * 8;
	struct iovec vector = { u->words, (1 + dice(512)) * 8 };

	stress_fill(u->words, vector.iov_len, h->key, offset);
	if (h->flags & O_APPEND)	/* it would go where the end is */
		return false;
	return pwritev2(h->fd, &vector, 1, offset, one_in(4) ? RWF_DSYNC : 0) > 0;
}

/* Edges and nonsense: none of it may store anything. */
static bool do_odd_io(struct user *u)
{
	static const int64_t offsets[] = { -1, INT64_MAX, INT64_MAX - 4095, 1LL << 62, 1LL << 33,
					   1LL << 52, INT64_MIN };
	struct handle *h = any_handle(u);
	int64_t offset = PICK(offsets);

	switch (dice(12)) {
	case 0:
		return pread(h->fd, u->words, sizeof(u->words), offset) >= 0;
	case 1:
		if (pwrite(h->fd, u->words, 4096, offset) > 0)
			stress_complain("a write at %#llx was taken", (long long)offset);
		return false;
	case 2:
		return pread(h->fd, (void *)dice(4096), 4096, 0) >= 0;
	case 3:
		return pwrite(h->fd, (void *)-(4096 + dice(4096)), 4096, 0) >= 0;
	case 4:
		if (!ftruncate(h->fd, offset < 0 ? 0 : offset))
			stress_complain("ftruncate works");
		return false;
	case 5:
		return fallocate(h->fd, dice(128), dice(h->bytes + 1), 1 + dice(h->bytes + 1)) == 0;
	case 6:
		return lseek(h->fd, offset, dice(6)) >= 0;
	case 7:
		return posix_fadvise(h->fd, dice(h->bytes + 1), dice(h->bytes + 1), dice(6)) == 0;
	case 8:
		return readahead(h->fd, 0, h->bytes) == 0;
	case 9:
		return sync_file_range(h->fd, 0, h->bytes, dice(8)) == 0;
	case 10:
		return fcntl(h->fd, F_SETLEASE, dice(3)) == 0;
	default:
		return ioctl(h->fd, dice(2) ? HMEM_REGION_QUERY : dice(1ULL << 32),
			     dice(2) ? (void *)u->words : (void *)dice(1ULL << 47)) == 0;
	}
}

static bool do_sync(struct user *u)
{
	struct slot *s = any_slot(u);

	if (one_in(2))
		return fsync(any_handle(u)->fd) == 0;
	return s->bytes && msync(s->at, s->bytes, PICK(((int[]){ MS_SYNC, MS_ASYNC,
							MS_SYNC | MS_INVALIDATE }))) == 0;
}

static bool do_splice(struct user *u)
{
	struct handle *h = any_handle(u);
	off_t offset = dice(h->bytes / 4096 + 1) * 4096;
	int fds[2], null;
	bool worked;

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC))
		return false;
	if (one_in(2)) {
		worked = splice(h->fd, &offset, fds[1], NULL, 65536, SPLICE_F_NONBLOCK) > 0;
		if (worked) {
			offset -= offset % 4096;
			read(fds[0], u->words, sizeof(u->words));
		}
	} else {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		worked = sendfile(null, h->fd, &offset, 65536) > 0;
		close(null);
	}
	close(fds[0]);
	close(fds[1]);
	return worked;
}

/* Out to a disk and back to where it was, past the processor's copies. */
static bool do_direct(struct user *u)
{
	off_t block = (u->number % 64) * DISK_BLOCK;
	struct slot *s;
	char *place = any_place(u, DISK_BLOCK, &s);
	int disk;
	bool worked = false;

	disk = place ? open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC) : -1;
	if (disk < 0)
		return false;
	if (pwrite(disk, place, DISK_BLOCK, block) == DISK_BLOCK)
		worked = pread(disk, place, DISK_BLOCK, block) == DISK_BLOCK;
	close(disk);
	return worked;
}

/* Mappings. */

static bool do_map(struct user *u)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
				     PROT_NONE, PROT_READ | PROT_EXEC };
	struct handle *h = any_handle(u);
	struct slot *s = any_slot(u);
	char *at = u->arena + (s - u->slot) * SLOT_BYTES;
	int prot = PICK(prots), flags = MAP_FIXED;
	size_t bytes = SLOT_BYTES;
	uint64_t offset = dice(h->bytes / EXTENT + 1) * EXTENT * dice(2);

	reserve(at, SLOT_BYTES);
	s->bytes = s->inside = 0;
	if (one_in(8))
		return false;
	if (one_in(3)) {		/* not where a huge page could be */
		at += dice(512) * 4096;
		bytes = (1 + dice(1024)) * 4096;
		offset += dice(512) * 4096;
	}
	if (one_in(16))
		offset = dice(1ULL << 51) * 4096;
	s->private = one_in(8);
	flags |= s->private ? MAP_PRIVATE : MAP_SHARED;
	flags |= one_in(8) ? MAP_POPULATE : 0;
	flags |= one_in(16) ? MAP_LOCKED : 0;
	if (mmap(at, bytes, prot, flags, h->fd, offset) == MAP_FAILED) {
		reserve(at, bytes);
		return false;
	}
	if (s->private && prot & PROT_WRITE)
		stress_complain("a writable private mapping");
	s->at = at;
	s->bytes = bytes;
	s->inside = offset >= h->bytes ? 0 : bytes < h->bytes - offset ? bytes : h->bytes - offset;
	s->offset = offset;
	s->key = h->key;
	return true;
}

static bool do_load(struct user *u)
{
	struct slot *s;
	char *place = any_place(u, 8, &s);
	uint64_t word;

	if (!place || !load(place, &word))
		return false;
	stress_check(word, s->key, offset_of(s, place), "load");
	return true;
}

static bool do_store(struct user *u)
{
	struct slot *s;
	char *place = any_place(u, 8, &s);

	return place && store(place, stress_stamp(s->key, offset_of(s, place)));
}

static bool do_advise(struct user *u)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_WIPEONFORK,
		MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		24 /* MADV_DONTNEED_LOCKED */, 25 /* MADV_COLLAPSE */, 102 /* MADV_GUARD_INSTALL */,
		103 /* MADV_GUARD_REMOVE */, 103,
	};
	size_t bytes;
	int advice = PICK(advices);
	/* Guards are small, or soon there would be nothing else. */
	char *at = any_range(advice == 102 ? 4 : SLOT_BYTES / 4096, &bytes);

	(void)u;
	return madvise(at, bytes, advice) == 0;
}

static bool do_protect(struct user *u)
{
	struct slot *s = any_slot(u);
	size_t bytes;
	char *at;

	switch (dice(3)) {
	case 0:
		at = any_range(4, &bytes);
		return mprotect(at, bytes, one_in(2) ? PROT_READ : PROT_NONE) == 0;
	case 1:
		if (!s->bytes || mprotect(s->at, s->bytes, PROT_READ | PROT_WRITE))
			return false;
		if (s->private)
			stress_complain("a private mapping became writable");
		return true;
	default:
		at = any_place(u, 4096, &s);
		return at && mprotect(at, 4096, s->private ? PROT_READ : PROT_READ | PROT_WRITE) == 0;
	}
}

static bool do_lock(struct user *u)
{
	size_t bytes;
	char *at = any_range(SLOT_BYTES / 4096, &bytes);

	(void)u;
	switch (dice(4)) {
	case 0:
		return mlock(at, bytes) == 0;
	case 1:
		return mlock2(at, bytes, MLOCK_ONFAULT) == 0;
	case 2:
		return mincore(at, bytes, (unsigned char *)u->words) == 0;
	default:
		return munlock(at, bytes) == 0;
	}
}

/* From one slot to another, or to another length. */
static bool do_remap(struct user *u)
{
	struct slot *from = any_slot(u), *to = any_slot(u);
	char *at = u->arena + (to - u->slot) * SLOT_BYTES + dice(2) * dice(512) * 4096;
	size_t bytes = from->bytes;

	if (!bytes || from == to)
		return false;
	if (one_in(2))
		bytes = (1 + dice(bytes / 4096)) * 4096;
	if (at + bytes > u->arena + ARENA_BYTES)
		return false;
	if (at + bytes > u->arena + (to - u->slot + 1) * SLOT_BYTES)
		return false;
	to->bytes = to->inside = 0;
	if (mremap(from->at, from->bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED) {
		/* It may have unmapped what was there, and moved a part. */
		reserve(at, bytes);
	} else {
		*to = *from;
		to->at = at;
		to->bytes = bytes;
		if (to->inside > bytes)
			to->inside = bytes;
	}
	reserve(from->at, from->bytes);
	from->bytes = from->inside = 0;
	return to->bytes;
}

/* A hole in a mapping; what lies behind it stays mapped. */
static bool do_hole(struct user *u)
{
	struct slot *s;
	char *place = any_place(u, 4096, &s);

	if (!place || !reserve(place, 4096))
		return false;
	s->bytes = place - s->at;
	if (s->inside > s->bytes)
		s->inside = s->bytes;
	return true;
}

static bool do_fork(struct user *u)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return false;
	if (!pid) {
		/* The round waits for users only. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		for (int i = 0; i < 8; i++) {
			do_load(u);
			do_store(u);
		}
		if (one_in(2))
			raise(SIGKILL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return true;
}

/* The kernel and other processes take hold of pages. */

static bool do_peer(struct user *u)
{
	struct slot *s;
	char *place = any_place(u, 4096, &s);
	struct iovec here = { u->words, 4096 }, there = { place, 4096 };
	bool worked;
	int fd;

	if (!place)
		return false;
	switch (dice(3)) {
	case 0:
		if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != 4096)
			return false;
		stress_check_all(u->words, 4096, s->key, offset_of(s, place), "process_vm_readv");
		return true;
	case 1:
		stress_fill(u->words, 4096, s->key, offset_of(s, place));
		return process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 4096;
	default:	/* as a debugger does: over the protection */
		stress_fill(u->words, 4096, s->key, offset_of(s, place));
		fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
		worked = fd >= 0 && pwrite(fd, u->words, 4096, (off_t)(uintptr_t)place) == 4096;
		close(fd);
		if (worked && s->private)
			stress_complain("a debugger's store into a private mapping");
		return worked;
	}
}

static bool do_hold(struct user *u)
{
	struct slot *s;
	char *place = any_place(u, 4096, &s);
	struct iovec vector = { place, 4096 };

	if (u->pipe[0] >= 0) {
		close(u->pipe[0]);
		close(u->pipe[1]);
		u->pipe[0] = -1;
	}
	if (!place || pipe2(u->pipe, O_NONBLOCK | O_CLOEXEC)) {
		u->pipe[0] = -1;
		return false;
	}
	return vmsplice(u->pipe[1], &vector, 1, one_in(2) ? SPLICE_F_GIFT : 0) > 0;
}

static bool do_ring(struct user *u)
{
	struct io_uring_params parameters = { 0 };
	struct slot *s = any_slot(u);
	struct iovec vector = { s->at, s->bytes };

	if (u->ring >= 0)
		close(u->ring);
	u->ring = -1;
	if (!s->bytes)
		return false;
	u->ring = syscall(SYS_io_uring_setup, 4, &parameters);
	return u->ring >= 0 && !syscall(SYS_io_uring_register, u->ring, IORING_REGISTER_BUFFERS,
					&vector, 1);
}

/* Write protection that the kernel takes away by itself, the one kind for such mappings. */
static bool do_userfault(struct user *u)
{
	struct uffdio_api api = { .api = UFFD_API, .features = 1 << 15 | 1 << 13 };
	struct uffdio_writeprotect protect = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct slot *s = any_slot(u);

	if (u->uffd >= 0)
		close(u->uffd);
	u->uffd = -1;
	if (!s->bytes || one_in(2))
		return false;
	u->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1);
	if (u->uffd < 0 || ioctl(u->uffd, UFFDIO_API, &api))
		return false;
	range.range.start = (uintptr_t)s->at;
	range.range.len = s->bytes;
	if (ioctl(u->uffd, UFFDIO_REGISTER, &range))
		return false;
	protect.range = range.range;
	return ioctl(u->uffd, UFFDIO_WRITEPROTECT, &protect) == 0;
}

/* Placement: nothing of it applies, and nothing of it may break. */
static bool do_place(struct user *u)
{
	unsigned long nodes = 1;
	size_t bytes;
	char *at = any_range(SLOT_BYTES / 4096, &bytes);
	void *pages[4] = { at, at + 4096, at + 8192, user_arenas };
	int status[4], node[4] = { 0 };

	(void)u;
	switch (dice(4)) {
	case 0:
		return syscall(SYS_move_pages, 0, 4, pages, one_in(2) ? node : NULL, status, 2) == 0;
	case 1:
		return syscall(SYS_mbind, at, bytes, 2 /* MPOL_BIND */, &nodes, 2, 2) == 0;
	case 2:
		return syscall(SYS_migrate_pages, 0, 2, &nodes, &nodes) >= 0;
	default:
		return prctl(PR_SET_THP_DISABLE, one_in(2), 0, 0, 0) == 0;
	}
}

/* Near and home again, as far as DRAM goes; and what makes no sense. */
static bool do_tier(struct user *u)
{
	struct handle *h = any_handle(u);
	uint64_t extents = h->bytes / EXTENT + 1;
	struct hmem_migrate m;
	unsigned char bytes[2048];

	if (h->fd < 0)
		return false;
	switch (dice(10)) {
	case 8:
		return keep_extents(h->fd, dice(extents), dice(3), one_in(2), NULL) == 0;
	case 9:
		return release_extents(h->fd, 0, 0) == 0;
	case 0:
		return near_max_set(h->fd, dice(extents + 1) * EXTENT) == 0;
	case 3:
		return policy_mode_set(h->fd, dice(4)) == 0;
	case 1:
		return near_stats(h->fd).near <= h->bytes + 8 * EXTENT;
	case 2:
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = one_in(2) ? 0 : dice(256);
		*(uint32_t *)bytes = dice(3) ? dice(256) : dice(1ULL << 32);
		return hmem_ioctl(h->fd, _IO(HMEM_IOC_TYPE, 0x20 + dice(6)), bytes) == 0;
	default:
		return migrate(h->fd, dice(extents) * EXTENT, dice(4) * EXTENT,
			       one_in(3) ? HMEM_HOME : HMEM_NEAR, &m) == 0;
	}
}

static bool do_look(struct user *u)
{
	static const char *const files[] = { "/proc/self/smaps", "/proc/self/numa_maps",
					     "/proc/self/smaps_rollup", "/proc/self/maps" };
	int fd;

	if (one_in(3)) {
		fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
		write(fd, &"1345"[dice(4)], 1);
	} else if (one_in(2)) {
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		pread(fd, u->words, sizeof(u->words), (uintptr_t)any_slot(u)->at / 4096 * 8);
	} else {
		fd = open(PICK(files), O_RDONLY | O_CLOEXEC);
		while (read(fd, u->words, sizeof(u->words)) > 0)
			;
	}
	return close(fd) == 0;
}

static const struct {
	const char *name;
	int weight;
	bool (*function)(struct user *u);
} user_operations[] = {
	{ "open", 6, do_open },		{ "read", 8, do_read },
	{ "write", 8, do_write },	{ "odd i/o", 4, do_odd_io },
	{ "sync", 2, do_sync },		{ "splice", 2, do_splice },
	{ "direct", 3, do_direct },	{ "map", 12, do_map },
	{ "load", 24, do_load },	{ "store", 24, do_store },
	{ "advise", 12, do_advise },	{ "protect", 4, do_protect },
	{ "lock", 3, do_lock },		{ "remap", 3, do_remap },
	{ "hole", 2, do_hole },		{ "fork", 1, do_fork },
	{ "peer", 5, do_peer },		{ "hold", 2, do_hold },
	{ "ring", 2, do_ring },		{ "userfault", 2, do_userfault },
	{ "place", 2, do_place },	{ "look", 1, do_look },
	{ "tier", 8, do_tier },
};

#define USER_OPERATIONS	(sizeof(user_operations) / sizeof(user_operations[0]))

static uint64_t user_seed;

static void *user_thread(void *argument)
{
	int number = (long)argument, weights = 0;
	struct user *u = aligned_alloc(DISK_BLOCK, sizeof(*u));

	memset(u, 0, sizeof(*u));
	u->number = number;
	u->arena = user_arenas + (number % USER_THREADS) * ARENA_BYTES;
	u->pipe[0] = u->ring = u->uffd = -1;
	for (int i = 0; i < SLOTS; i++)
		u->handle[i].fd = -1;
	dice_seed(user_seed, number);
	for (unsigned int i = 0; i < USER_OPERATIONS; i++)
		weights += user_operations[i].weight;

	while (!board->stop) {
		int chosen = dice(weights), i = 0;

		while ((chosen -= user_operations[i].weight) >= 0)
			i++;
		stress_count(i, user_operations[i].name, user_operations[i].function(u));
	}
	return NULL;
}

/* Does not return. */
static void stress_user(uint64_t seed, int number, uid_t uid)
{
	pthread_t other;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	/* Two processors are few, and devices come and go by many programs. */
	nice(10);
	touch_catch();
	user_seed = seed;
	user_arenas = mmap(NULL, USER_THREADS * ARENA_BYTES + EXTENT, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (user_arenas == MAP_FAILED)
		_exit(1);
	user_arenas = (char *)(((uintptr_t)user_arenas + EXTENT - 1) & ~(EXTENT - 1));
	for (long i = 1; i < USER_THREADS; i++)
		if (pthread_create(&other, NULL, user_thread, (void *)(number * USER_THREADS + i)))
			_exit(1);
	user_thread((void *)((long)number * USER_THREADS));
	_exit(0);
}

#endif
