/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A persistent region that moves from one pool to another one, and what was stored to it.
 */
#ifndef SELFTESTS_GUEST_MOVING_H
#define SELFTESTS_GUEST_MOVING_H

#include "pools.h"

#include <sys/uio.h>

#define EXTENTS	5

static int control;

static inline int attach(const char *pool)
{
	return pool_attach_cxl(control, pool, 0, NULL);
}

static inline void put(unsigned int extent, const char *text)
{
	int fd = must_open("kept", O_RDWR);

	if (pwrite(fd, text, 16, extent * EXTENT + 4096) != 16)
		tap_bail("write: %s", strerror(errno));
	close(fd);
}

static inline bool has(unsigned int extent, const char *text)
{
	char found[16] = "?";
	int fd = region_open("kept", O_RDONLY);
	bool good = fd >= 0 && pread(fd, found, 16, extent * EXTENT + 4096) == 16 &&
		    !strcmp(found, text);

	if (!good)
		tap_diag("extent %u: \"%.16s\", not \"%s\" (%d)", extent, found, text, fd);
	if (fd >= 0)
		close(fd);
	return good;
}

static const char one[16] = "one", two[16] = "two", three[16] = "three", none[16] = "";

/* Both pools empty, but for a region on the first, stored to in 0, 1 and 3, and not since. */
static inline void begin(const char *a, const char *b)
{
	must(pool_attach_cxl(control, a, HMEM_ATTACH_FORMAT, NULL), "format");
	must(pool_attach_cxl(control, b, HMEM_ATTACH_FORMAT, NULL), "format");
	must(region_create_as(control, "kept", a, EXTENTS * EXTENT, USER_UID, 0, 0640), "create");
	put(0, one);
	put(1, two);
	put(3, three);
	must(pool_detach(control, a), "detach");
	must(attach(a), "attach");
}

static inline bool whole(void)
{
	return has(0, one) && has(1, two) && has(2, none) && has(3, three) && has(4, none);
}

/* Nobody sees the region. */
static inline bool hidden(void)
{
	int fd = region_open("kept", O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd == -ENOENT;
}

/* @nr pools, of which not all need be attached. */
static inline void detach_all(char (*names)[HMEM_NAME_LEN], int nr)
{
	for (int i = 0; i < nr; i++) {
		int rc = pool_detach(control, names[i]);

		if (rc && rc != -ENOENT)
			tap_bail("detach %s: %s", names[i], strerror(-rc));
	}
}

/* A page of the region is held, so that its extent cannot move. */
struct held {
	int pin[2], fd;
	char *map;
};

static inline void hold(struct held *h, unsigned int extent)
{
	struct iovec iov;

	h->fd = must_open("kept", O_RDWR);
	h->map = must_map(h->fd, EXTENTS * EXTENT);
	iov = (struct iovec){ h->map + extent * EXTENT, 4096 };
	if (pipe2(h->pin, O_CLOEXEC) || vmsplice(h->pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
}

static inline void let_go(struct held *h)
{
	close(h->pin[0]);
	close(h->pin[1]);
	munmap(h->map, EXTENTS * EXTENT);
	close(h->fd);
}

/* Of what is on @from all moves on but extent 1. */
static inline void drain_half(const char *from)
{
	struct hmem_pool_drain d;
	struct held h;

	hold(&h, 1);
	if (pool_drain(control, from, 0, &d) != -EBUSY || d.held != EXTENT || d.left != EXTENT)
		tap_bail("it is not held up");
	let_go(&h);
}

/* In the middle of it: extent 1 was held, and so is where it was. */
static inline void begin_half(const char *a, const char *b)
{
	begin(a, b);
	drain_half(a);
	put(0, two);
	put(1, three);
	put(2, one);
}

static inline bool half_whole(void)
{
	return has(0, two) && has(1, three) && has(2, one) && has(3, three) && has(4, none);
}

#endif
