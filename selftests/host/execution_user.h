/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of execution contexts ask: what is known of one, and of what is attached to it. With
 * the context that the test has as ctx.
 */
#ifndef SELFTESTS_HOST_EXECUTION_USER_H
#define SELFTESTS_HOST_EXECUTION_USER_H

#include <hmem/hmem.h>

#include "../tap.h"

static inline struct hmem_execution_info info_of(const struct hmem_execution *execution)
{
	struct hmem_execution_info info = { .size = sizeof(info) };

	if (hmem_execution_get_info(execution, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info;
}

static inline struct hmem_attachment_info attached(const struct hmem_attachment *attachment)
{
	struct hmem_attachment_info info = { .size = sizeof(info) };

	if (hmem_attachment_get_info(attachment, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info;
}

#endif
