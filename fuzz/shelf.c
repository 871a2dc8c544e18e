// SPDX-License-Identifier: GPL-2.0-only
/*
 * AFL++ on shelves: the input says how a small shelf lies, see shelf_lies.h.
 */
#include "../selftests/host/shelf_lies.h"
#include "harness.h"

int main(int argc, char **argv)
{
	static const struct fuzz_target target = {
		.begin = lies_begin,
		.try = lies_try,
		.end = lies_end,
		.most = 4096,
	};

	return fuzz(&target, argc, argv);
}
