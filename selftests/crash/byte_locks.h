/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The locks on bytes by which the library knows who lives: descriptors of a pretended machine's
 * region, and who holds which byte of it.
 */
#ifndef SELFTESTS_CRASH_BYTE_LOCKS_H
#define SELFTESTS_CRASH_BYTE_LOCKS_H

#include <fcntl.h>
#include <stdbool.h>

struct machine;

/* Above all that there are. */
#define BYTE_LOCKS_FD (1 << 20)

/* One of another description, of the process that acts on it; -1: there are too many. */
int byte_locks_open(const struct machine *machine);
bool byte_locks_is(int fd);
/* It is not there any more, nor are its locks. */
void byte_locks_close(int fd);
/* fcntl(2) with F_OFD_SETLK or F_OFD_GETLK, and one byte. */
int byte_locks_fcntl(int fd, int command, struct flock *lock);

/* All descriptors of a process are closed; of all processes. */
void byte_locks_died(const struct machine *machine, unsigned int process);
void byte_locks_reboot(const struct machine *machine);

#endif
