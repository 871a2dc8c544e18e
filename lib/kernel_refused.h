/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it means for a person that hmem.ko refused a command.
 */
#ifndef LIB_KERNEL_REFUSED_H
#define LIB_KERNEL_REFUSED_H

struct hmem_ctx;

enum hmem_command {
	HMEM_CMD_ANY,
	HMEM_CMD_ATTACH,
	HMEM_CMD_DETACH,
	HMEM_CMD_DRAIN,
	HMEM_CMD_CREATE,
	HMEM_CMD_RESIZE,
	HMEM_CMD_DESTROY,
	HMEM_CMD_INFO,
	HMEM_CMD_MIGRATE,
	HMEM_CMD_MOVING,
	HMEM_CMD_KEEP,
	HMEM_CMD_POLICY,
	HMEM_CMD_KNOB,
	HMEM_CMD_HEAT,
	HMEM_CMD_BAD,
	HMEM_CMD_CLEAR,
	HMEM_CMD_WAIT,
};

/* Set the last error: @tried is "create region db", @error positive. Its negative is returned. */
int hmem_kernel_refused(struct hmem_ctx *ctx, enum hmem_command command, const char *tried,
			int error);

#endif
