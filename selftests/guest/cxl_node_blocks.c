// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program whose large blocks are on one node, and whose small ones on another; it ends with 1
 * where they are not. hmem-test: helper
 *
 *	cxl_node_blocks LARGE SMALL
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SMALL_ONES 200

/* So that the compiler does not know what they do. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;

/* Pages of a block that are not on the node. Of a page with others' blocks too. */
static unsigned int elsewhere(const char *what, char *block, size_t bytes, int nid)
{
	unsigned int wrong = 0;

	if (!block) {
		fprintf(stderr, "no block of %zu bytes\n", bytes);
		return 1;
	}
	memset(block, 1, bytes);
	for (char *at = block; at < block + bytes; at += 4096) {
		void *page = (void *)((uintptr_t)at & -4096ul);
		int node = -ENOENT;

		if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &node, 0) || node != nid) {
			if (!wrong++)
				fprintf(stderr, "%s, %zu bytes: page %zu is on node %d, not %d\n",
					what, bytes, (size_t)(at - block) / 4096, node, nid);
		}
	}
	return wrong;
}

int main(int argc, char **argv)
{
	int large = argc == 3 ? atoi(argv[1]) : -1, small = argc == 3 ? atoi(argv[2]) : -1;
	unsigned int wrong = 0;

	wrong += elsewhere("malloc", do_malloc(5 << 20), 5 << 20, large);
	wrong += elsewhere("calloc", do_calloc(100, 1000), 100000, large);
	wrong += elsewhere("realloc", do_realloc(do_malloc(1000), 70000), 70000, large);
	for (size_t i = 0; i < SMALL_ONES; i++)
		wrong += elsewhere("malloc", do_malloc(i * 300 + 1), i * 300 + 1, small);
	return wrong ? 1 : 0;
}
