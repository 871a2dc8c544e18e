/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Providers: where regions come from. The library's own (hmem, dax, file, anon) are
 * written against this table, one file each; a caller may register more.
 */
#ifndef HMEM_PROVIDER_H
#define HMEM_PROVIDER_H

#include <hmem/context.h>
#include <hmem/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct hmem_provider_ops - one kind of memory
 * @size: sizeof(struct hmem_provider_ops) that the provider was built with
 * @scheme: what stands before the colon in a name; 1 to 15 letters
 * @create: make region @name (without scheme) and, unless @state is NULL, open it;
 *	@options is complete: sizes and flags were checked, mode is not 0. NULL:
 *	-EOPNOTSUPP
 * @open: open one that exists
 * @close: let it go; mappings stay
 * @map: map [offset, offset + length): it lies within the size, @offset is page
 *	aligned, @length too unless it reaches the end
 * @unmap: unmap; NULL: munmap(2)
 * @persist: make a mapped range durable; NULL: nothing needs doing
 * @resize: change the size; NULL: -EOPNOTSUPP
 * @destroy: remove by name; NULL: -EOPNOTSUPP
 * @get_info: fill in an info whose members are zero, but for size and name
 * @get_info_by_name: the same without opening; NULL: open, get_info, close
 * @iterate: visit every region of this kind; NULL: they cannot be listed
 * @fd: a descriptor of the file behind the region, which stays the provider's; NULL: there
 *	is none. Shelves lock bytes of it, far behind its end, to know who lives.
 * @map_at: as @map, but at @address, in place of what is mapped there; NULL: it cannot.
 *	Shelves need both, a space of several regions needs this one.
 *
 * @open, @close, @map and @get_info must be there. Each returns 0 or a negative errno
 * and says why with hmem_set_error(). @state is the provider's own. Calls on one region
 * may come from several threads at once.
 */
struct hmem_provider_ops {
	size_t size;
	const char *scheme;
	int (*create)(struct hmem_ctx *ctx, const char *name,
		      const struct hmem_region_options *options, void **state);
	int (*open)(struct hmem_ctx *ctx, const char *name, unsigned int flags, void **state);
	void (*close)(struct hmem_ctx *ctx, void *state);
	int (*map)(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		   void **address);
	int (*unmap)(struct hmem_ctx *ctx, void *state, void *address, size_t length);
	int (*persist)(struct hmem_ctx *ctx, void *state, const void *address, size_t length);
	int (*resize)(struct hmem_ctx *ctx, void *state, uint64_t bytes);
	int (*destroy)(struct hmem_ctx *ctx, const char *name);
	int (*get_info)(struct hmem_ctx *ctx, void *state, struct hmem_region_info *info);
	int (*get_info_by_name)(struct hmem_ctx *ctx, const char *name,
				struct hmem_region_info *info);
	int (*iterate)(struct hmem_ctx *ctx,
		       int (*fn)(void *arg, const struct hmem_region_info *info), void *arg);
	int (*fd)(struct hmem_ctx *ctx, void *state);
	int (*map_at)(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		      void *address);
};

/**
 * hmem_provider_register - add a kind of memory to a context
 * @ops: copied, with its scheme; the functions must stay there as long as the context
 *
 * There is no way to take one away again. To be called before other threads use the
 * scheme.
 *
 * Return: 0; -EEXIST (scheme taken), -EINVAL, -E2BIG (built for a newer library), -ENOMEM.
 */
HMEM_API int hmem_provider_register(struct hmem_ctx *ctx, const struct hmem_provider_ops *ops);

/**
 * hmem_set_error - set the calling thread's last error, for providers
 * @error: negative errno
 *
 * Return: @error, so that a provider can return hmem_set_error(...).
 */
HMEM_API int hmem_set_error(struct hmem_ctx *ctx, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
