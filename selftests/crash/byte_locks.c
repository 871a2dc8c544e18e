// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>

#include "byte_locks.h"
#include "machine.h"

#define MOST_OPEN 32
#define MOST_HELD 128

static struct {
	const struct machine *machine;
	unsigned int process;
} opened[MOST_OPEN];

static struct held {
	off_t byte;
	unsigned int by;
	bool shared;
} held[MOST_HELD];
static unsigned int nr_held;

int byte_locks_open(const struct machine *machine)
{
	for (unsigned int i = 0; i < MOST_OPEN; i++) {
		if (opened[i].machine)
			continue;
		opened[i].machine = machine;
		opened[i].process = machine_process;
		return BYTE_LOCKS_FD + (int)i;
	}
	errno = EMFILE;
	return -1;
}

bool byte_locks_is(int fd)
{
	return fd >= BYTE_LOCKS_FD && fd < BYTE_LOCKS_FD + MOST_OPEN;
}

static void close_one(unsigned int number)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < nr_held; i++)
		if (held[i].by != number)
			held[kept++] = held[i];
	nr_held = kept;
	opened[number].machine = NULL;
}

void byte_locks_close(int fd)
{
	close_one((unsigned int)(fd - BYTE_LOCKS_FD));
}

void byte_locks_died(const struct machine *machine, unsigned int process)
{
	for (unsigned int i = 0; i < MOST_OPEN; i++)
		if (opened[i].machine == machine && opened[i].process == process)
			close_one(i);
}

void byte_locks_reboot(const struct machine *machine)
{
	for (unsigned int i = 0; i < MOST_OPEN; i++)
		if (opened[i].machine == machine)
			close_one(i);
}

/* --- locks --------------------------------------------------------------------------- */

static bool is_in_the_way(const struct held *other, unsigned int by, const struct flock *lock)
{
	return other->byte == lock->l_start && other->by != by &&
	       opened[other->by].machine == opened[by].machine &&
	       (!other->shared || lock->l_type == F_WRLCK);
}

static const struct held *in_the_way(unsigned int by, const struct flock *lock)
{
	for (unsigned int i = 0; i < nr_held; i++)
		if (is_in_the_way(&held[i], by, lock))
			return &held[i];
	return NULL;
}

static void unlock(unsigned int by, off_t byte)
{
	for (unsigned int i = 0; i < nr_held; i++) {
		if (held[i].by != by || held[i].byte != byte)
			continue;
		held[i] = held[--nr_held];
		return;
	}
}

int byte_locks_fcntl(int fd, int command, struct flock *lock)
{
	unsigned int by = (unsigned int)(fd - BYTE_LOCKS_FD);
	const struct held *other = lock->l_type == F_UNLCK ? NULL : in_the_way(by, lock);

	if (command == F_OFD_GETLK) {
		lock->l_type = other ? (other->shared ? F_RDLCK : F_WRLCK) : F_UNLCK;
		return 0;
	}
	if (other) {
		errno = EAGAIN;
		return -1;
	}
	unlock(by, lock->l_start);
	if (lock->l_type == F_UNLCK)
		return 0;
	if (nr_held == MOST_HELD) {
		errno = ENOLCK;
		return -1;
	}
	held[nr_held++] = (struct held){
		.byte = lock->l_start, .by = by, .shared = lock->l_type == F_RDLCK,
	};
	return 0;
}
