/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sizes given on the command line. "50%" is half of a pool's capacity, so that two
 * of them fill it; "all" is all that is free.
 */
#ifndef HMEMCTL_SIZE_OPTION_H
#define HMEMCTL_SIZE_OPTION_H

#include <stdbool.h>
#include <stdint.h>

/** size_is_valid - @text is a size, whatever it may be a part of */
bool size_is_valid(const char *text);

/** size_is_relative - @text is a part of a pool, so needs to know which */
bool size_is_relative(const char *text);

/**
 * size_in_pool - bytes that @text means in a pool, rounded up to whole extents, as
 * the kernel does; a percentage is rounded down, or 100% would not fit
 *
 * Return: 0, -EINVAL, -ERANGE.
 */
int size_in_pool(const char *text, uint64_t capacity, uint64_t free, uint64_t *bytes);

#endif
