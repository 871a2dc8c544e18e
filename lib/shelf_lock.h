/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which bytes a shelf locks, by which the kernel tells who lives.
 */
#ifndef LIB_SHELF_LOCK_H
#define LIB_SHELF_LOCK_H

#include "byte_lock.h"

/* The rack's own byte is 0; a shelf's bytes follow at its place in the rack. */
#define RACK_BYTE		0
#define SHELF_BYTES_EACH	4096
#define SHELF_BYTE_OPENING	16	/* held while the runtime is looked at or made */
#define SHELF_BYTE_PRESENT	17	/* read-locked by everybody who has it open */
#define SHELF_BYTE_WRITER	18	/* and this by those who may change it */
#define SHELF_BYTE_SLOTS	32
#define SHELF_BYTE_REPAIRS	2048	/* held beside a slot's by who puts that in order */

#endif
