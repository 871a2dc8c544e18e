// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boost.Interprocess: a segment that processes map (of a file on tmpfs, as its shared memory is
 * one), with the allocation algorithm that is its default: rbtree_best_fit, behind a mutex of all.
 */
#include <new>

#include <boost/interprocess/managed_mapped_file.hpp>

using namespace boost::interprocess;

extern "C" void *boost_open(const char *path, size_t bytes)
{
	try {
		return new managed_mapped_file(open_or_create, path, bytes);
	} catch (...) {
		return nullptr;
	}
}

extern "C" void *boost_alloc(void *segment, size_t bytes)
{
	return static_cast<managed_mapped_file *>(segment)->allocate(bytes, std::nothrow);
}

extern "C" void boost_free(void *segment, void *block)
{
	static_cast<managed_mapped_file *>(segment)->deallocate(block);
}
