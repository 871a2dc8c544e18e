// SPDX-License-Identifier: GPL-2.0-only
/*
 * AFL++ on superblocks: the input says how one lies, see media_lies.h.
 */
#include "../selftests/host/media_lies.h"
#include "harness.h"

int main(int argc, char **argv)
{
	static const struct fuzz_target target = {
		.begin = media_begin,
		.try = media_try,
		.end = media_end,
		.most = 256,
	};

	return fuzz(&target, argc, argv);
}
