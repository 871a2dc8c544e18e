// SPDX-License-Identifier: GPL-2.0-only
/*
 * AFL++ on streams: the input is one, of an exported shelf, see import_lies.h.
 */
#include "../selftests/host/import_lies.h"
#include "harness.h"

int main(int argc, char **argv)
{
	static const struct fuzz_target target = {
		.begin = import_begin,
		.try = import_try,
		.end = import_end,
		.most = IMPORT_MAX,
	};

	return fuzz(&target, argc, argv);
}
