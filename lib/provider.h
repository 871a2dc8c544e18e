/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The providers of a context, and those that the library brings along.
 */
#ifndef LIB_PROVIDER_H
#define LIB_PROVIDER_H

#include <hmem/provider.h>

/* Longest scheme, without the final NUL. */
#define HMEM_SCHEME_MAX 15

/* @ops: a copy with the members that the provider does not know left NULL */
struct hmem_provider_entry {
	struct hmem_provider_entry *next;
	struct hmem_provider_ops ops;
	char scheme[HMEM_SCHEME_MAX + 1];
};

extern const struct hmem_provider_ops hmem_provider_hmem;
extern const struct hmem_provider_ops hmem_provider_dax;
extern const struct hmem_provider_ops hmem_provider_file;
extern const struct hmem_provider_ops hmem_provider_anon;

int hmem_providers_init(struct hmem_ctx *ctx);
void hmem_providers_free(struct hmem_ctx *ctx);

/*
 * The first provider. The list only ever grows at its end and its entries never
 * change, so it may be walked without the lock.
 */
const struct hmem_provider_entry *hmem_provider_first(struct hmem_ctx *ctx);
const struct hmem_provider_entry *hmem_provider_next(struct hmem_ctx *ctx,
					       const struct hmem_provider_entry *provider);

/* The provider of a scheme of @length bytes, or NULL. */
const struct hmem_provider_entry *hmem_provider_find(struct hmem_ctx *ctx, const char *scheme,
					       size_t length);

#endif
