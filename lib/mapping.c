// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Shared mappings at addresses that allow the largest pages.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapping.h"

uint64_t hmem_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* An address that was free a moment ago, or NULL. */
static void *aligned_hint(uint64_t offset, size_t length, uint64_t align)
{
	size_t room = length + align;
	uintptr_t address;
	void *free_range;

	if (room < length)
		return NULL;
	free_range =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (free_range == MAP_FAILED)
		return NULL;
	munmap(free_range, room);
	address = (uintptr_t)free_range;
	return (void *)(address + ((offset - address) & (align - 1)));
}

/*
 * A hint and not MAP_FIXED: a mapping that fails half-way may leave a hole in what was
 * reserved, which another thread could take before we unmap it. MAP_FIXED_NOREPLACE is
 * refused together with MAP_SYNC.
 */
int hmem_mapping_new(int fd, uint64_t offset, size_t length, int prot, int flags, uint64_t align,
		     void **address)
{
	void *hint = NULL;

	for (int tries = 0;; tries++) {
		void *at = mmap(hint, length, prot, flags, fd, (off_t)offset);
		bool good;

		if (at == MAP_FAILED)
			return -errno;
		good = length < align || !(((uintptr_t)at - offset) & (align - 1));
		if (!good && tries < 4) {
			/* Looked for while @at is still there: not the same place again. */
			hint = aligned_hint(offset, length, align);
			if (hint) {
				munmap(at, length);
				continue;
			}
		}
		*address = at;
		return 0;
	}
}

int hmem_mapping_at(int fd, uint64_t offset, size_t length, int prot, int flags, void *address)
{
	void *at = mmap(address, length, prot, flags | MAP_FIXED, fd, (off_t)offset);

	return at == MAP_FAILED ? -errno : 0;
}
