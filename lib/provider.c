// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The provider table of a context.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "provider.h"
#include "sized.h"

/* Every member up to iterate: the first published version. */
#define OPS_SIZE_V1 offsetof(struct hmem_provider_ops, fd)

int hmem_providers_init(struct hmem_ctx *ctx)
{
	static const struct hmem_provider_ops *const own[] = {
		&hmem_provider_hmem,
		&hmem_provider_dax,
		&hmem_provider_file,
		&hmem_provider_anon,
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		int err = hmem_provider_register(ctx, own[i]);

		if (err)
			return err;
	}
	return 0;
}

void hmem_providers_free(struct hmem_ctx *ctx)
{
	while (ctx->providers) {
		struct hmem_provider_entry *provider = ctx->providers;

		ctx->providers = provider->next;
		free(provider);
	}
}

const struct hmem_provider_entry *hmem_provider_first(struct hmem_ctx *ctx)
{
	const struct hmem_provider_entry *first;

	pthread_mutex_lock(&ctx->lock);
	first = ctx->providers;
	pthread_mutex_unlock(&ctx->lock);
	return first;
}

const struct hmem_provider_entry *hmem_provider_next(struct hmem_ctx *ctx,
						     const struct hmem_provider_entry *provider)
{
	const struct hmem_provider_entry *next;

	pthread_mutex_lock(&ctx->lock);
	next = provider->next;
	pthread_mutex_unlock(&ctx->lock);
	return next;
}

const struct hmem_provider_entry *hmem_provider_find(struct hmem_ctx *ctx, const char *scheme,
						     size_t length)
{
	const struct hmem_provider_entry *provider;

	for (provider = hmem_provider_first(ctx); provider;
	     provider = hmem_provider_next(ctx, provider))
		if (strlen(provider->scheme) == length && !memcmp(provider->scheme, scheme, length))
			return provider;
	return NULL;
}

/* Letters, without the locale's opinion on what a letter is. */
static int check_scheme(struct hmem_ctx *ctx, const char *scheme)
{
	size_t length = scheme ? strnlen(scheme, HMEM_SCHEME_MAX + 1) : 0;

	if (!length || length > HMEM_SCHEME_MAX)
		return hmem_fail(ctx, -EINVAL, "a provider's scheme has 1 to %d letters",
				 HMEM_SCHEME_MAX);
	for (size_t i = 0; i < length; i++) {
		char c = (char)(scheme[i] | 0x20);

		if (c < 'a' || c > 'z')
			return hmem_fail(ctx, -EINVAL,
					 "scheme \"%s\" of a provider: only letters, please",
					 scheme);
	}
	return 0;
}

int hmem_provider_register(struct hmem_ctx *ctx, const struct hmem_provider_ops *ops)
{
	struct hmem_provider_entry *provider, **end;
	int err;

	if (!ctx || !ops)
		return -EINVAL;
	provider = calloc(1, sizeof(*provider));
	if (!provider)
		return hmem_fail(ctx, -ENOMEM, "no memory for a provider");

	err = hmem_sized_read(ctx, "struct hmem_provider_ops", &provider->ops,
			      sizeof(provider->ops), OPS_SIZE_V1, ops);
	if (!err)
		err = check_scheme(ctx, provider->ops.scheme);
	if (!err && (!provider->ops.open || !provider->ops.close || !provider->ops.map ||
		     !provider->ops.get_info))
		err = hmem_fail(ctx, -EINVAL, "provider \"%s\" lacks open, close, map or get_info",
				provider->ops.scheme);
	if (err) {
		free(provider);
		return err;
	}
	snprintf(provider->scheme, sizeof(provider->scheme), "%s", provider->ops.scheme);
	provider->ops.scheme = provider->scheme;

	pthread_mutex_lock(&ctx->lock);
	for (end = &ctx->providers; *end; end = &(*end)->next)
		if (!strcmp((*end)->scheme, provider->scheme))
			break;
	if (*end)
		err = -EEXIST;
	else
		*end = provider;
	pthread_mutex_unlock(&ctx->lock);

	if (err) {
		hmem_fail(ctx, err, "there is a provider \"%s\" already", provider->scheme);
		free(provider);
	}
	return err;
}
