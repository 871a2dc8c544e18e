/* SPDX-License-Identifier: GPL-2.0-only */
/* Small kernel files, read and written whole. Return: 0 or a negative errno. */
#ifndef HMEMCTL_SYSFS_H
#define HMEMCTL_SYSFS_H

#include <stddef.h>
#include <stdint.h>

/** sysfs_read - the file's text without its final newline; the path is a format */
int sysfs_read(char *buffer, size_t size, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/** sysfs_read_u64 - a file that holds one number, decimal or 0x */
int sysfs_read_u64(uint64_t *value, const char *path, ...) __attribute__((format(printf, 2, 3)));

/** sysfs_write - write @text in one write(2) */
int sysfs_write(const char *text, const char *path, ...) __attribute__((format(printf, 2, 3)));

/** sysfs_link - the last component of what a symbolic link points to */
int sysfs_link(char *buffer, size_t size, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/** struct names - a sorted list of directory entries; freed with names_free() */
struct names {
	char **name;
	size_t n;
};

/** sysfs_names - entries of a directory that begin with @prefix, in the order of version sort */
int sysfs_names(struct names *names, const char *prefix, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

void names_free(struct names *names);

#endif
