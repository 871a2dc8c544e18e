/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making spaces in tests in which calls fail (faults_space.h).
 */
#ifndef SELFTESTS_HOST_SPACE_MAKER_H
#define SELFTESTS_HOST_SPACE_MAKER_H

#include "faults_space.h"

static struct hmem_space_options options;

/* As hmem_space_create() has them; what tests set is for one of them. */
static void begin(const char *layer, uint64_t bytes, uint32_t flags)
{
	options = (struct hmem_space_options)HMEM_SPACE_OPTIONS_INIT;
	options.layer = layer;
	options.bytes = bytes;
	options.flags = flags;
}

#define UNTOUCHED ((struct hmem_space *)(uintptr_t)0x5ca1ab1e)

/* Once it is there it works. */
static int used(int err, struct hmem_space **at)
{
	struct hmem_space *made = *at;
	struct hmem_interface *interface;
	const char *whose;
	bool works;

	if (err)
		return made == UNTOUCHED ? err : 4712;
	whose = pause_faults();
	err = hmem_interface_create(made, NULL, &interface);
	works = !err && gives_blocks(interface, 3000);
	if (!err)
		hmem_interface_unref(interface);
	hmem_space_unref(made);
	victim = whose;
	return works ? 0 : 4713;
}

static int make(void)
{
	struct hmem_space *made = UNTOUCHED;

	return used(hmem_space_create(ctx, "new", &options, &made), &made);
}

#endif
