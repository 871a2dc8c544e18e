// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names: which provider, and what it is to look for.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ctx.h"
#include "name.h"

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/* Length of the scheme that @name begins with, 0 when it has none. */
static size_t scheme_length(const char *name)
{
	size_t length = 0;

	while (is_letter(name[length]))
		length++;
	return name[length] == ':' ? length : 0;
}

static int unknown_scheme(struct hmem_ctx *ctx, const char *name, size_t length)
{
	const struct hmem_provider_entry *provider;
	char known[128] = "";
	size_t used = 0;

	for (provider = hmem_provider_first(ctx); provider;
	     provider = hmem_provider_next(ctx, provider)) {
		if (used + strlen(provider->scheme) + 3 > sizeof(known))
			break;
		used += (size_t)sprintf(known + used, "%s%s:", used ? " " : "", provider->scheme);
	}
	return hmem_fail(ctx, -EINVAL, "\"%s\": no provider is called \"%.*s\"; known are %s", name,
			 (int)(length < 40 ? length : 40), name, known);
}

int hmem_name_resolve(struct hmem_ctx *ctx, const char *text, struct hmem_name *name)
{
	const struct hmem_provider_entry *provider;
	const char *scheme = text, *found;
	size_t length;

	if (!ctx)
		return -EINVAL;
	if (!text || !*text)
		return hmem_fail(ctx, -EINVAL,
				 "the name is empty; names look like hmem:db, dax:/dev/dax0.0, "
				 "file:/path or anon:");

	length = scheme_length(text);
	if (length) {
		found = text + length + 1;
	} else {
		bool path = begins(text, "/") || begins(text, "./") || begins(text, "../");

		scheme = path ? "file" : "hmem";
		length = 4;
		found = text;
	}
	if (length + 1 + strnlen(found, HMEM_REGION_NAME_MAX) > HMEM_REGION_NAME_MAX)
		return hmem_fail(ctx, -ENAMETOOLONG,
				 "\"%.40s...\": with its scheme a name has at most %d bytes", text,
				 HMEM_REGION_NAME_MAX);

	provider = hmem_provider_find(ctx, scheme, length);
	if (!provider)
		return unknown_scheme(ctx, text, length);
	snprintf(name->full, sizeof(name->full), "%s:%s", provider->scheme, found);
	name->ops = &provider->ops;
	name->rest = found;
	return 0;
}

int hmem_name_check(struct hmem_ctx *ctx, const char *kind, const char *name)
{
	if (!*name)
		return hmem_fail(ctx, -EINVAL, "the name of the %s is empty", kind);
	if (strnlen(name, HMEM_NAME_MAX + 1) > HMEM_NAME_MAX)
		return hmem_fail(ctx, -ENAMETOOLONG, "%s \"%.40s...\": a name has at most %d bytes",
				 kind, name, HMEM_NAME_MAX);
	if (*name == '.' || *name == '-')
		return hmem_fail(ctx, -EINVAL, "%s \"%s\": a name cannot begin with '%c'", kind,
				 name, *name);
	for (const char *c = name; *c; c++)
		if (!is_letter(*c) && (*c < '0' || *c > '9') && !strchr("._-", *c))
			return hmem_fail(ctx, -EINVAL,
					 "%s \"%s\": a name is made of letters, digits, '.', '_' "
					 "and '-'%s",
					 kind, name,
					 strchr(name, '/') ? "; a file is written file:PATH" : "");
	if (!strcmp(name, "control"))
		return hmem_fail(ctx, -EINVAL, "%s \"control\": that name is taken by the module",
				 kind);
	return 0;
}
