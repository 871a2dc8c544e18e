// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces by their names: those of a context that somebody has, in the order in which they were
 * created.
 */
#include <errno.h>
#include <string.h>

#include "ctx.h"
#include "space.h"

void space_enter(struct hmem_space *space)
{
	struct hmem_space **end;

	pthread_mutex_lock(&space->ctx->lock);
	for (end = &space->ctx->spaces; *end; end = &(*end)->next_named)
		;
	*end = space;
	pthread_mutex_unlock(&space->ctx->lock);
}

void space_remove(struct hmem_space *space)
{
	struct hmem_space **at;

	pthread_mutex_lock(&space->ctx->lock);
	for (at = &space->ctx->spaces; *at && *at != space; at = &(*at)->next_named)
		;
	if (*at)
		*at = space->next_named;
	pthread_mutex_unlock(&space->ctx->lock);
}

/* One more reference, unless the last one was just given back. */
static bool still_there(struct hmem_space *space)
{
	unsigned int refs = atomic_load(&space->refs);

	while (refs && !atomic_compare_exchange_weak(&space->refs, &refs, refs + 1))
		;
	return refs;
}

int hmem_space_request(struct hmem_ctx *ctx, const char *name, struct hmem_space **space)
{
	struct hmem_space *found;

	if (!ctx)
		return -EINVAL;
	if (!name || !space)
		return hmem_fail(ctx, -EINVAL, "a space is requested by its name, and put somewhere");
	pthread_mutex_lock(&ctx->lock);
	for (found = ctx->spaces; found; found = found->next_named)
		if (!strcmp(found->name, name) && still_there(found))
			break;
	pthread_mutex_unlock(&ctx->lock);
	if (!found)
		return hmem_fail(ctx, -ENOENT, "this context has no space \"%.*s\"; create it",
				 HMEM_SPACE_NAME_MAX, name);
	*space = found;
	return 0;
}
