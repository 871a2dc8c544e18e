/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does a shelf show an object of the model? For either copy of the library: it is that which the
 * file that includes this calls.
 */
#ifndef SELFTESTS_CRASH_HOLDS_H
#define SELFTESTS_CRASH_HOLDS_H

#include <string.h>

#include <hmem/shelf.h>

#include "contents.h"
#include "machine.h"

static inline bool holds(struct hmem_shelf *shelf, const struct object *object)
{
	static unsigned char buffer[MACHINE_BYTES];
	const char *name = (const char *)object->name->data;
	size_t bytes;

	return !hmem_shelf_read(shelf, name, buffer, sizeof(buffer), &bytes) &&
	       bytes == object->value->bytes && !memcmp(buffer, object->value->data, bytes);
}

#endif
