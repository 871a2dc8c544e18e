/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bad memory and events, for the tests of both.
 */
#ifndef SELFTESTS_GUEST_POISON_H
#define SELFTESTS_GUEST_POISON_H

#include "pools.h"

#include <poll.h>

#define PAGE		4096ULL
#define FOREVER		UINT64_MAX

/* One access, and what it raised. */

static __thread siginfo_t bus_info;

static inline void bus_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	bus_info = *info;
	siglongjmp(touch_return, signal);
}

static inline void bus_catch(void)
{
	struct sigaction action = { .sa_sigaction = bus_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
}

/* Whether reading (or storing to) @p raises what a bad page there does. */
static inline bool page_fails(volatile char *p, bool store)
{
	int signal;

	memset(&bus_info, 0, sizeof(bus_info));
	signal = store ? touch_write(p, 1) : touch_read(p);
	if (!signal)
		return false;
	if (signal == SIGBUS && bus_info.si_code == BUS_MCEERR_AR &&
	    ((uintptr_t)bus_info.si_addr & -PAGE) == ((uintptr_t)p & -PAGE) &&
	    bus_info.si_addr_lsb == 12)
		return true;
	tap_diag("signal %d, code %d, address %p for %p, lsb %d", signal, bus_info.si_code,
		 bus_info.si_addr, (void *)p, bus_info.si_addr_lsb);
	return false;
}

/* Whether all pages of an extent but one hold @value at their beginning. */
static inline bool others_hold(volatile char *extent, uint64_t bad, char value)
{
	for (uint64_t i = 0; i < EXTENT / PAGE; i++)
		if (i != bad && (touch_read(extent + i * PAGE) || extent[i * PAGE] != value))
			return false;
	return true;
}

/* Commands. */

static inline int poison(int fd, enum hmem_poison_op op, uint64_t offset, uint64_t bytes,
			 struct hmem_poison *answer)
{
	struct hmem_poison p = { .size = sizeof(p), .op = op, .offset = offset, .bytes = bytes };
	int rc = hmem_ioctl(fd, HMEM_REGION_POISON, &p);

	if (answer)
		*answer = p;
	return rc;
}

/* The bad pages from @offset on; how many ranges. */
static inline int poison_list(int fd, uint64_t offset, struct hmem_poison_range *ranges, int max)
{
	struct hmem_poison p = { .size = sizeof(p), .op = HMEM_POISON_LIST, .offset = offset,
				 .ranges = (uintptr_t)ranges, .nr_ranges = max };
	int rc = hmem_ioctl(fd, HMEM_REGION_POISON, &p);

	return rc ? rc : (int)p.nr_ranges;
}

/* Whether one range and no more is bad. */
static inline bool only_bad(int fd, uint64_t offset, uint64_t bytes, unsigned int state)
{
	struct hmem_poison_range r[2];
	int n = poison_list(fd, 0, r, 2);

	if (n == 1 && r[0].offset == offset && r[0].bytes == bytes && r[0].state == state &&
	    !r[0].reserved)
		return true;
	for (int i = 0; i < n; i++)
		tap_diag("%d of %d: %#llx, %llu bytes, state %u", i, n, r[i].offset, r[i].bytes,
			 r[i].state);
	return false;
}

/* Events after *@seq, as many as fit, waiting for the first; how many. */
static inline int events_after(int fd, uint64_t *seq, uint64_t timeout_ns,
			       struct hmem_event *events, unsigned int max)
{
	struct hmem_wait w = { .size = sizeof(w), .seq = *seq, .timeout_ns = timeout_ns,
			       .events = (uintptr_t)events, .nr_events = max };
	int rc = hmem_ioctl(fd, HMEM_REGION_WAIT, &w);

	*seq = w.seq;
	return rc ? rc : (int)w.nr_events;
}

/* Waits until bad memory at @offset was told of. Bails out when that takes a minute. */
static inline void await_poison(int fd, uint64_t *seq, uint64_t offset)
{
	struct hmem_event event;

	do {
		int n = events_after(fd, seq, 60000000000ULL, &event, 1);

		if (n != 1)
			tap_bail("no event of bad memory at %#llx came (%d)",
				 (unsigned long long)offset, n);
	} while (event.type != HMEM_EVENT_POISON || event.offset != offset);
}

/* What poll(2) says now. */
static inline int poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI | POLLIN };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

/* The kernel's own ways. */

/* Which physical page is mapped at @p; 0: none. */
static inline uint64_t pfn_of(volatile char *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) != 8)
		tap_bail("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return entry & 1ULL << 63 ? entry & ((1ULL << 55) - 1) : 0;
}

#define HWPOISON	"/sys/kernel/debug/hwpoison/corrupt-pfn"

/* The kernel hears from a pretended machine check that a physical page is bad. */
static inline int kernel_poison(uint64_t pfn)
{
	char text[32];
	int fd, n, rc;

	if (access(HWPOISON, F_OK) &&
	    (system("modprobe hwpoison-inject && { mountpoint -q /sys/kernel/debug || "
		    "mount -t debugfs debugfs /sys/kernel/debug; }") || access(HWPOISON, F_OK)))
		tap_bail("cannot load the kernel's hwpoison-inject");
	fd = open(HWPOISON, O_WRONLY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn);
	rc = write(fd, text, n) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

#endif
