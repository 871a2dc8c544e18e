// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Attachments: allocations that an execution context works on, and whose they are at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "allocation.h"
#include "ctx.h"
#include "execution.h"
#include "sized.h"
#include "uncancelled.h"

#define FIRST_INFO	sizeof(struct hmem_attachment_info)
#define FLAGS		(HMEM_ATTACH_READ_ONLY | HMEM_ATTACH_NO_COPY | HMEM_ATTACH_ADDRESS)

enum whose {
	THE_HOSTS,
	THE_CONTEXTS,
	CHANGING,	/* by a thread that is alone with it until it says whose it is */
};

/*
 * @root: what has the memory, which is used as long as this is there
 * @attached: the kind's own
 * @whose: enum whose
 */
struct hmem_attachment {
	struct hmem_execution *execution;
	struct hmem_allocation *root;
	struct hmem_attachment_info info;
	void *attached;
	atomic_uint whose;
};

/* --- attaching ----------------------------------------------------------------------- */

static int detach(struct hmem_attachment *attachment)
{
	struct hmem_execution *execution = attachment->execution;

	if (!execution->ops.detach)
		return 0;
	return execution->ops.detach(execution->ctx, execution->state, attachment->attached);
}

static int check(struct hmem_execution *execution, const void *data, uint64_t bytes)
{
	const struct hmem_execution_info *info = &execution->info;
	uint64_t beyond = (uintptr_t)data % info->align;

	if (beyond)
		return hmem_fail(execution->ctx, -EINVAL,
				 "%s works on memory that begins at a multiple of %" PRIu64 " bytes, "
				 "this is %" PRIu64 " behind one; have it allocated so, and slices "
				 "begin there",
				 info->name, info->align, beyond);
	if (info->bytes_max && bytes > info->bytes_max)
		return hmem_fail(execution->ctx, -EFBIG,
				 "%s takes %" PRIu64 " bytes at once, not %" PRIu64 "; attach slices",
				 info->name, info->bytes_max, bytes);
	return 0;
}

/* Whether it came out as it was to be. */
static int check_wishes(struct hmem_execution *execution, const struct hmem_attachment_info *info)
{
	if (!info->form || info->form > HMEM_NATIVE_OTHER)
		return hmem_fail(execution->ctx, -EINVAL,
				 "%s does not say in what form it knows this memory",
				 execution->info.name);
	if (info->flags & HMEM_ATTACH_NO_COPY && info->copies)
		return hmem_fail(execution->ctx, -EOPNOTSUPP,
				 "%s would work on a copy of this memory, and is not to",
				 execution->info.name);
	if (info->flags & HMEM_ATTACH_ADDRESS && info->form != HMEM_NATIVE_ADDRESS)
		return hmem_fail(execution->ctx, -EOPNOTSUPP,
				 "%s knows memory of the host by no address", execution->info.name);
	return 0;
}

/* Of an allocation that is used. */
static int attach_used(struct hmem_attachment *new)
{
	struct hmem_execution *execution = new->execution;
	struct hmem_attachment_info said = new->info;
	struct hmem_error why;
	int err = check(execution, new->info.data, new->info.bytes);

	if (err)
		return err;
	if (!execution->ops.attach)
		return hmem_fail(execution->ctx, -EOPNOTSUPP, "%s works on no memory of the host",
				 execution->info.name);
	err = execution->ops.attach(execution->ctx, execution->state, &said, &new->attached);
	if (err)
		return err;
	new->info.native = said.native;
	new->info.form = said.form;
	new->info.copies = !!said.copies;
	err = check_wishes(execution, &new->info);
	if (err) {
		hmem_error_keep(&why);
		detach(new);
		hmem_error_restore(&why);
	}
	return err;
}

static int do_attach(struct hmem_execution *execution, struct hmem_allocation *allocation,
		     uint32_t flags, struct hmem_attachment **attachment)
{
	struct hmem_attachment *new;
	int err;

	if (!execution)
		return -EINVAL;
	if (!allocation || !attachment || flags & ~FLAGS)
		return hmem_fail(execution->ctx, -EINVAL,
				 "what %s is to work on is an allocation, with a place for the handle "
				 "and no flags but HMEM_ATTACH_*",
				 execution->info.name);
	new = calloc(1, sizeof(*new));
	if (!new)
		return hmem_fail(execution->ctx, -ENOMEM, "no memory for an attachment");
	new->root = allocation_root(allocation);
	err = allocation_use(new->root);
	if (err) {
		free(new);
		return err;
	}
	new->info.size = sizeof(new->info);
	new->info.flags = flags;
	new->info.data = hmem_allocation_data(allocation);
	new->info.bytes = allocation->bytes;
	new->execution = hmem_execution_ref(execution);
	err = attach_used(new);
	if (err) {
		allocation_unuse(new->root);
		hmem_execution_unref(execution);
		free(new);
		return err;
	}
	*attachment = new;
	return 0;
}

int hmem_execution_attach(struct hmem_execution *execution, struct hmem_allocation *allocation,
			  uint32_t flags, struct hmem_attachment **attachment)
{
	return UNCANCELLED(do_attach(execution, allocation, flags, attachment));
}

int hmem_attachment_get_info(const struct hmem_attachment *attachment,
			     struct hmem_attachment_info *info)
{
	struct hmem_attachment_info now;
	struct hmem_ctx *ctx;
	int err;

	if (!attachment)
		return -EINVAL;
	ctx = attachment->execution->ctx;
	if (!info)
		return hmem_fail(ctx, -EINVAL, "no place for what an attachment is");
	err = hmem_sized_check(ctx, "struct hmem_attachment_info", info, FIRST_INFO);
	if (err)
		return err;
	now = attachment->info;
	now.begun = atomic_load(&attachment->whose) == THE_CONTEXTS;
	hmem_sized_write(info, &now, sizeof(now));
	return 0;
}

/* --- whose it is --------------------------------------------------------------------- */

static int busy(const struct hmem_attachment *attachment)
{
	return hmem_fail(attachment->execution->ctx, -EBUSY,
			 "another thread just gives this memory to %s, or takes it back",
			 attachment->execution->info.name);
}

/* Alone with what is @from's, or what keeps from that. */
static int take(struct hmem_attachment *attachment, enum whose from)
{
	unsigned int whose = from;

	if (atomic_compare_exchange_strong(&attachment->whose, &whose, CHANGING))
		return 0;
	if (whose == CHANGING)
		return busy(attachment);
	return hmem_fail(attachment->execution->ctx, -EALREADY, "this memory is %s already",
			 from == THE_HOSTS ? "the execution context's" : "the host's");
}

/* From one to the other by @change, which says whether it is. */
static int hand_over(struct hmem_attachment *attachment, enum whose from, enum whose to,
		     int (*change)(struct hmem_ctx *ctx, void *state, void *attached))
{
	struct hmem_execution *execution = attachment->execution;
	int err = take(attachment, from);

	if (err)
		return err;
	if (change)
		err = change(execution->ctx, execution->state, attachment->attached);
	atomic_store(&attachment->whose, err ? from : to);
	return err;
}

static int begin(struct hmem_attachment *attachment)
{
	return hand_over(attachment, THE_HOSTS, THE_CONTEXTS, attachment->execution->ops.begin);
}

static int end(struct hmem_attachment *attachment)
{
	return hand_over(attachment, THE_CONTEXTS, THE_HOSTS, attachment->execution->ops.end);
}

int hmem_attachment_begin(struct hmem_attachment *attachment)
{
	return attachment ? UNCANCELLED(begin(attachment)) : -EINVAL;
}

int hmem_attachment_end(struct hmem_attachment *attachment)
{
	return attachment ? UNCANCELLED(end(attachment)) : -EINVAL;
}

static int do_detach(struct hmem_attachment *attachment)
{
	struct hmem_execution *execution = attachment->execution;
	unsigned int whose = atomic_load(&attachment->whose);
	struct hmem_error why;
	int err, left = 0;

	do {
		if (whose == CHANGING)
			return busy(attachment);
	} while (!atomic_compare_exchange_weak(&attachment->whose, &whose, CHANGING));
	if (whose == THE_CONTEXTS && execution->ops.end)
		left = execution->ops.end(execution->ctx, execution->state, attachment->attached);
	if (left)
		hmem_error_keep(&why);
	err = detach(attachment);
	if (left)
		hmem_error_restore(&why);
	allocation_unuse(attachment->root);
	hmem_execution_unref(execution);
	free(attachment);
	return left ? left : err;
}

int hmem_attachment_detach(struct hmem_attachment *attachment)
{
	return attachment ? UNCANCELLED(do_detach(attachment)) : 0;
}
