/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading attributes of sysfs, below the context's sysroot.
 */
#ifndef LIB_SYSFS_H
#define LIB_SYSFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hmem_ctx;

/* "@sysroot@format": 0, or -ENAMETOOLONG. */
int hmem_sysfs_path(struct hmem_ctx *ctx, char path[PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * One attribute of the directory @dir, which carries the sysroot already. 0; -ENOENT
 * when it is not there; -EIO when its content is not of that kind or too long. They
 * set no last error: only the caller knows what it means; hmem_sysfs_broken() sets it
 * where nothing better can be said.
 */
int hmem_sysfs_text(const char *dir, const char *file, char *text, size_t size);
/* The same with all its lines. */
int hmem_sysfs_lines(const char *dir, const char *file, char *text, size_t size);
int hmem_sysfs_u64(const char *dir, const char *file, int base, uint64_t *value);
int hmem_sysfs_int(const char *dir, const char *file, int *value);
int hmem_sysfs_uuid(const char *dir, const char *file, uint8_t uuid[16]);

/* Is @n in a list like "0-3,8"? What is no list has nothing in it. */
bool hmem_sysfs_in_list(const char *list, int n);

/*
 * What became of @dir, whose attributes could not be read because of @err: -ENOENT, and
 * no last error, when it is gone; else @err, where a missing attribute is -EIO.
 */
int hmem_sysfs_broken(struct hmem_ctx *ctx, const char *dir, int err);

/* 32 hexadecimal digits, with '-' anywhere between them, and nothing else. */
int hmem_sysfs_parse_uuid(const char *text, uint8_t uuid[16]);

/*
 * Call @visit with the path and the name of every entry of the directory @path, which
 * does not carry the sysroot, in the order of strverscmp(), until one returns anything
 * but 0. Return that, or 0, as well when there is no such directory; or what the system
 * answered, with a last error.
 */
int hmem_sysfs_each(struct hmem_ctx *ctx, const char *path,
		    int (*visit)(void *arg, const char *dir, const char *name), void *arg);

#endif
