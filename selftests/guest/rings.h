/* SPDX-License-Identifier: GPL-2.0-only */
/* Pins that stay: buffers that are registered with io_uring, which holds them as RDMA does. */
#ifndef SELFTESTS_GUEST_RINGS_H
#define SELFTESTS_GUEST_RINGS_H

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "fixture.h"

static inline int ring_new(void)
{
	struct io_uring_params params = { 0 };
	int ring = syscall(__NR_io_uring_setup, 4, &params);

	if (ring < 0)
		tap_bail("io_uring_setup: %s", strerror(errno));
	return ring;
}

static inline int ring_pin_all(int ring, const struct iovec *iov, unsigned int nr)
{
	return syscall(__NR_io_uring_register, ring, IORING_REGISTER_BUFFERS, iov, nr) < 0 ? -errno
											    : 0;
}

static inline int ring_pin(int ring, void *address, size_t bytes)
{
	struct iovec iov = { .iov_base = address, .iov_len = bytes };

	return ring_pin_all(ring, &iov, 1);
}

static inline void ring_unpin(int ring)
{
	if (syscall(__NR_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0))
		tap_bail("unregister: %s", strerror(errno));
}

#endif
