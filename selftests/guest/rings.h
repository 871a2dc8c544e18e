/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pins that stay: buffers that are registered with io_uring, which holds them as RDMA does; and
 * I/O with such buffers, one request at a time.
 */
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

/* What a ring shares with the kernel. */
struct ring_queues {
	int ring;
	char *shared;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static inline struct ring_queues ring_queues_new(void)
{
	struct ring_queues q = { 0 };
	size_t bytes;

	q.ring = syscall(__NR_io_uring_setup, 4, &q.params);
	if (q.ring < 0 || !(q.params.features & IORING_FEAT_SINGLE_MMAP))
		tap_bail("io_uring_setup: %s", strerror(errno));
	bytes = q.params.cq_off.cqes + q.params.cq_entries * sizeof(struct io_uring_cqe);
	if (bytes < q.params.sq_off.array + q.params.sq_entries * sizeof(uint32_t))
		bytes = q.params.sq_off.array + q.params.sq_entries * sizeof(uint32_t);
	q.shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, q.ring,
			IORING_OFF_SQ_RING);
	q.sqes = mmap(NULL, q.params.sq_entries * sizeof(*q.sqes), PROT_READ | PROT_WRITE,
		      MAP_SHARED, q.ring, IORING_OFF_SQES);
	if (q.shared == MAP_FAILED || q.sqes == MAP_FAILED)
		tap_bail("mmap of a ring: %s", strerror(errno));
	return q;
}

static inline uint32_t *ring_word(const struct ring_queues *q, uint32_t offset)
{
	return (uint32_t *)(q->shared + offset);
}

/*
 * READ_FIXED or WRITE_FIXED (@opcode) of @bytes at @p, which are in registered buffer @buffer, and
 * of a file at @offset. Returns the bytes that were transferred, or an error.
 */
static inline int ring_transfer(struct ring_queues *q, int opcode, int fd, void *p, uint32_t bytes,
				uint64_t offset, unsigned int buffer)
{
	uint32_t *tail = ring_word(q, q->params.sq_off.tail);
	uint32_t slot = *tail & *ring_word(q, q->params.sq_off.ring_mask);
	uint32_t *head = ring_word(q, q->params.cq_off.head);
	const struct io_uring_cqe *cqes = (void *)(q->shared + q->params.cq_off.cqes);
	int rc;

	q->sqes[slot] = (struct io_uring_sqe){ .opcode = opcode, .fd = fd, .off = offset,
					       .addr = (uintptr_t)p, .len = bytes,
					       .buf_index = buffer };
	ring_word(q, q->params.sq_off.array)[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	do {
		rc = syscall(__NR_io_uring_enter, q->ring, *tail - __atomic_load_n(ring_word(q,
			     q->params.sq_off.head), __ATOMIC_ACQUIRE), 1, IORING_ENTER_GETEVENTS,
			     NULL, 0);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		tap_bail("io_uring_enter: %s", strerror(errno));
	while (__atomic_load_n(ring_word(q, q->params.cq_off.tail), __ATOMIC_ACQUIRE) == *head)
		usleep(100);
	rc = cqes[*head & *ring_word(q, q->params.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return rc;
}

#endif
