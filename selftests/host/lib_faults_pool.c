// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call that spaces of hmem.ko's regions and pools make of the system fails once
 * (faults_space.h): a region that was made for a space is destroyed again, one that was there stays.
 *
 * The module is played (module_played.h).
 */
#include "space_maker.h"

#include "module_played.h"
#include "space_files.h"

static struct hmem_space_part parts[2];

/* The region that was there is, and no other. */
static int regions_stay(void)
{
	return access(scratch_path("dev/hmem/there"), F_OK) ? 4714 :
	       files_in(scratch_path("dev/hmem")) != 2   ? 4715 :
							      0;
}

static int make_and_look(void)
{
	int err = make(), left;
	const char *whose = pause_faults();

	left = regions_stay();
	victim = whose;
	return left ? left : err;
}

static void of_each(const char *what)
{
	each(what, make_and_look, "alloc", ENOMEM, 0);
	each(what, make_and_look, "ioctl", EIO, SOME_HARMLESS);
	each(what, make_and_look, "mmap", ENOMEM, SOME_HARMLESS);
	each(what, make_and_look, "fstat", EIO, SOME_HARMLESS);
}

/* What says which layers there are cannot be read. With system RAM beside it there is none then. */
static void of_files(const char *what)
{
	each(what, make_and_look, "open", EMFILE, SOME_HARMLESS);
	each(what, make_and_look, "read", EIO, SOME_HARMLESS);
}

int main(void)
{
	old_space();
	module_there();
	module_is = module_play;
	if (hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("%s", hmem_last_error(ctx));
	begin("hmem:there", 0, 0);
	of_each("a space of a region");
	of_files("a space of a region");
	begin("pool:fast", 8 * MIB, 0);
	of_each("a space of a pool");
	of_files("a space of a pool");
	begin("pool", 8 * MIB, 0);
	of_each("one of the nearest pool");
	of_files("one of the nearest pool");

	begin(NULL, 16 * MIB, 0);
	options.parts = parts;
	options.nr_parts = 2;
	parts[0].bytes = 8 * MIB;
	parts[1].layer = "pool:fast";
	of_each("one with a part of a pool");
	TAP_OK(destroyed > 20, "%u regions were made and destroyed", destroyed);
	return all_done();
}
