/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks on bytes, by which the kernel tells who lives: open-file-description locks on the file of
 * a region, far behind its end.
 */
#ifndef LIB_BYTE_LOCK_H
#define LIB_BYTE_LOCK_H

#include <stdbool.h>

/* Without waiting: 0, -EAGAIN when somebody holds it, or what the system answered. */
int byte_lock(int fd, int byte);
/* When it can be had within @wait_ms. 0, -EBUSY, or what the system answered. */
int byte_lock_within(int fd, int byte, bool shared, unsigned int wait_ms);
/* Shared with other readers; turns a lock of our own into one, or back. */
int byte_lock_shared(int fd, int byte);
void byte_unlock(int fd, int byte);
/* Does anybody else hold it? */
bool byte_held(int fd, int byte);

#endif
