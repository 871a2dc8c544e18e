/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where objects and streams go to: files, pipes, devices, stdout.
 */
#ifndef HMEMCTL_OUTPUT_H
#define HMEMCTL_OUTPUT_H

#include <limits.h>

#include <hmem/region.h>

#include "hmemctl.h"

/**
 * struct output - what is being written
 * @name: what it is called in messages
 * @fd: to write to
 * @direct: stdout, a pipe, a device or a file without a name: written as it is
 * @path: else the file that is to be replaced, behind symbolic links
 * @temporary: what the new one is called until it is whole; "": it has no name yet, and goes by
 *	itself when we are ended
 */
struct output {
	const struct session *s;
	const char *name;
	int fd;
	bool direct;
	char path[PATH_MAX];
	char temporary[PATH_MAX];
};

/**
 * output_open - begin to write to @file; NULL: to stdout
 * @region: where what is written comes from: its own file is refused
 *
 * A file that is there stays what it is for now.
 *
 * Return: EXIT_DONE, or the exit code when the error has been reported.
 */
int output_open(const struct session *s, const char *file, struct hmem_region *region,
		struct output *out);

/**
 * output_close - end it
 * @code: of what came before. EXIT_DONE: all has been written, and the file gets its name once it
 *	is on the disk, with the mode and the owner of one that it replaces; else one that was
 *	there stays.
 *
 * Return: @code, or the exit code of what of this failed.
 */
int output_close(struct output *out, int code);

#endif
