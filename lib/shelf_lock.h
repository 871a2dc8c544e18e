/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks on bytes, by which the kernel tells who lives: open-file-description locks on
 * the region's file, far behind its end.
 */
#ifndef LIB_SHELF_LOCK_H
#define LIB_SHELF_LOCK_H

#include <stdbool.h>

/* The rack's own byte is 0; a shelf's bytes follow at its place in the rack. */
#define RACK_BYTE		0
#define SHELF_BYTES_EACH	4096
#define SHELF_BYTE_OPENING	16	/* held while the runtime is looked at or made */
#define SHELF_BYTE_PRESENT	17	/* read-locked by everybody who has it open */
#define SHELF_BYTE_WRITER	18	/* and this by those who may change it */
#define SHELF_BYTE_SLOTS	32
#define SHELF_BYTE_REPAIRS	2048	/* held beside a slot's by who puts that in order */

/* Without waiting: 0, -EAGAIN when somebody holds it, or what the system answered. */
int shelf_byte_lock(int fd, int byte);
/* When it can be had within @wait_ms. 0, -EBUSY, or what the system answered. */
int shelf_byte_lock_within(int fd, int byte, bool shared, unsigned int wait_ms);
/* Shared with other readers; turns a lock of our own into one, or back. */
int shelf_byte_lock_shared(int fd, int byte);
void shelf_byte_unlock(int fd, int byte);
/* Does anybody else hold it? */
bool shelf_byte_held(int fd, int byte);

#endif
