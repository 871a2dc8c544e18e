// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Locks on bytes, by which the kernel tells who lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "byte_lock.h"
#include "clock.h"
#include "uncancelled.h"

/* Where no region's file ends. */
#define FIRST_BYTE ((off_t)1 << 62)

#define PAUSE_MIN_NS 20000
#define PAUSE_MAX_NS 4000000

static int set(int fd, int command, short type, int byte)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = FIRST_BYTE + byte,
		.l_len = 1,
	};
	int got;

	do
		got = fcntl(fd, command, &lock);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	return 0;
}

int byte_lock(int fd, int byte)
{
	return set(fd, F_OFD_SETLK, F_WRLCK, byte);
}

int byte_lock_shared(int fd, int byte)
{
	return set(fd, F_OFD_SETLK, F_RDLCK, byte);
}

/* The kernel would wait for ever: who holds it may have been stopped, or mean to keep it. */
int byte_lock_within(int fd, int byte, bool shared, unsigned int wait_ms)
{
	int64_t deadline = now_ms() + wait_ms;
	struct timespec pause = { .tv_nsec = PAUSE_MIN_NS };

	for (;;) {
		int err = set(fd, F_OFD_SETLK, shared ? F_RDLCK : F_WRLCK, byte);

		if (err != -EAGAIN)
			return err;
		if (now_ms() >= deadline)
			return -EBUSY;
		(void)UNCANCELLED(nanosleep(&pause, NULL));
		if (pause.tv_nsec < PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

void byte_unlock(int fd, int byte)
{
	set(fd, F_OFD_SETLK, F_UNLCK, byte);
}

bool byte_held(int fd, int byte)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = FIRST_BYTE + byte,
		.l_len = 1,
	};

	/* When in doubt it is: nothing is taken from somebody who may live. */
	return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}
