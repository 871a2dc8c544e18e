/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names: "scheme:rest" of the library, and what hmem.ko accepts.
 */
#ifndef LIB_NAME_H
#define LIB_NAME_H

#include <hmem/region.h>

#include "provider.h"

/*
 * A name that was understood.
 * @ops: its provider
 * @rest: what stands behind the scheme, in the caller's string
 * @full: with its scheme
 */
struct hmem_name {
	const struct hmem_provider_ops *ops;
	const char *rest;
	char full[HMEM_REGION_NAME_MAX + 1];
};

/* Find the provider of @text. Without a context it is -EINVAL, and nobody is told. */
int hmem_name_resolve(struct hmem_ctx *ctx, const char *text, struct hmem_name *name);

/*
 * Check a name of hmem.ko, @kind being "region", "pool" or "CXL region", before the
 * kernel or a path sees it: 0, -EINVAL or -ENAMETOOLONG.
 */
int hmem_name_check(struct hmem_ctx *ctx, const char *kind, const char *name);

#endif
