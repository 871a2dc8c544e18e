// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * operator new and delete of C++. libstdc++'s call malloc(3), and would come here by that; but
 * mimalloc and others have operators of their own, which do not.
 *
 * Each is passed on to the next of its name. Where there is none, as long as nobody has loaded
 * libstdc++ for all, that library is asked, and without it malloc(3).
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "preload.h"

#if __SIZEOF_SIZE_T__ != __SIZEOF_LONG__
#error "the names say that size_t is unsigned long"
#endif

#define CXX_LIBRARY "libstdc++.so.6"

/* To @function, a pointer to one, which stays as it is where there is none. */
static bool look_up(const char *name, void *function)
{
	int error = errno;
	void *library, *found = dlsym(RTLD_NEXT, name);

	if (!found) {
		library = dlopen(CXX_LIBRARY, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
		if (library)
			found = dlsym(library, name);
	}
	errno = error;
	if (found)
		__atomic_store_n((void **)function, found, __ATOMIC_RELAXED);
	return found;
}

/* Without libstdc++ nobody can catch what would be thrown. */
static void *new_without(size_t bytes, size_t align, bool throws)
{
	void *block = align > sizeof(void *) ? memalign(align, bytes) : malloc(bytes ? bytes : 1);

	if (!block && throws)
		abort();
	return block;
}

/*
 * @params, @args: of the operator, @bytes the first
 * @alignment: of its blocks
 * @throws: it never answers NULL
 */
#define OPERATOR_NEW(symbol, params, args, alignment, throws)                                  \
	EXPORTED void *symbol params;                                                          \
	void *symbol params                                                                    \
	{                                                                                      \
		static __typeof__(symbol) *passed_on;                                          \
		void *block;                                                                   \
                                                                                               \
		if (UNLIKELY(bytes > source.above) &&                                          \
		    (block = source_new(bytes, alignment)))                                    \
			return block;                                                          \
		if (UNLIKELY(!__atomic_load_n(&passed_on, __ATOMIC_RELAXED)) &&                \
		    !look_up(#symbol, &passed_on))                                             \
			return new_without(bytes, alignment, throws);                          \
		return passed_on args;                                                         \
	}

#define OPERATOR_DELETE(symbol, params, args)                                                  \
	EXPORTED void symbol params;                                                           \
	void symbol params                                                                     \
	{                                                                                      \
		static __typeof__(symbol) *passed_on;                                          \
                                                                                               \
		if (UNLIKELY(source_has(block))) {                                             \
			source_free(block);                                                    \
			return;                                                                \
		}                                                                              \
		if (UNLIKELY(!__atomic_load_n(&passed_on, __ATOMIC_RELAXED)) &&                \
		    !look_up(#symbol, &passed_on))                                             \
			next.free(block);                                                      \
		else                                                                           \
			passed_on args;                                                        \
	}

OPERATOR_NEW(_Znwm, (size_t bytes), (bytes), 1, true)
OPERATOR_NEW(_Znam, (size_t bytes), (bytes), 1, true)
OPERATOR_NEW(_ZnwmRKSt9nothrow_t, (size_t bytes, const void *nothrow), (bytes, nothrow), 1, false)
OPERATOR_NEW(_ZnamRKSt9nothrow_t, (size_t bytes, const void *nothrow), (bytes, nothrow), 1, false)
OPERATOR_NEW(_ZnwmSt11align_val_t, (size_t bytes, size_t align), (bytes, align), align, true)
OPERATOR_NEW(_ZnamSt11align_val_t, (size_t bytes, size_t align), (bytes, align), align, true)
OPERATOR_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t,
	     (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow), align,
	     false)
OPERATOR_NEW(_ZnamSt11align_val_tRKSt9nothrow_t,
	     (size_t bytes, size_t align, const void *nothrow), (bytes, align, nothrow), align,
	     false)

OPERATOR_DELETE(_ZdlPv, (void *block), (block))
OPERATOR_DELETE(_ZdaPv, (void *block), (block))
OPERATOR_DELETE(_ZdlPvm, (void *block, size_t bytes), (block, bytes))
OPERATOR_DELETE(_ZdaPvm, (void *block, size_t bytes), (block, bytes))
OPERATOR_DELETE(_ZdlPvRKSt9nothrow_t, (void *block, const void *nothrow), (block, nothrow))
OPERATOR_DELETE(_ZdaPvRKSt9nothrow_t, (void *block, const void *nothrow), (block, nothrow))
OPERATOR_DELETE(_ZdlPvSt11align_val_t, (void *block, size_t align), (block, align))
OPERATOR_DELETE(_ZdaPvSt11align_val_t, (void *block, size_t align), (block, align))
OPERATOR_DELETE(_ZdlPvmSt11align_val_t, (void *block, size_t bytes, size_t align),
		(block, bytes, align))
OPERATOR_DELETE(_ZdaPvmSt11align_val_t, (void *block, size_t bytes, size_t align),
		(block, bytes, align))
OPERATOR_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
		(void *block, size_t align, const void *nothrow), (block, align, nothrow))
OPERATOR_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
		(void *block, size_t align, const void *nothrow), (block, align, nothrow))
