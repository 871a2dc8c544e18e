// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Attributes of sysfs: one value per file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctx.h"
#include "sysfs.h"

int hmem_sysfs_path(struct hmem_ctx *ctx, char path[PATH_MAX], const char *format, ...)
{
	int root = snprintf(path, PATH_MAX, "%s", ctx->sysroot), length;
	va_list ap;

	if (root >= PATH_MAX)
		return hmem_fail(ctx, -ENAMETOOLONG, "the name of the sysroot is too long");
	va_start(ap, format);
	length = vsnprintf(path + root, (size_t)(PATH_MAX - root), format, ap);
	va_end(ap);
	if (length >= PATH_MAX - root)
		return hmem_fail(ctx, -ENAMETOOLONG, "a path below the sysroot is too long");
	return 0;
}

int hmem_sysfs_lines(const char *dir, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t got;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	got = read(fd, text, size);
	if (got < 0) {
		/* sysfs answers so when the device went away after the open */
		int err = errno == ENODEV ? -ENOENT : -errno;

		close(fd);
		return err;
	}
	close(fd);
	if ((size_t)got == size)
		return -EIO;
	text[got] = '\0';
	return 0;
}

int hmem_sysfs_text(const char *dir, const char *file, char *text, size_t size)
{
	int err = hmem_sysfs_lines(dir, file, text, size);

	if (!err)
		text[strcspn(text, "\n")] = '\0';
	return err;
}

bool hmem_sysfs_in_list(const char *list, int n)
{
	while (*list >= '0' && *list <= '9') {
		char *end;
		long first = strtol(list, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if (n >= first && n <= last)
			return true;
		list = *end == ',' ? end + 1 : "";
	}
	return false;
}

int hmem_sysfs_u64(const char *dir, const char *file, int base, uint64_t *value)
{
	char text[64] = "", *end;
	unsigned long long number;
	int err = hmem_sysfs_text(dir, file, text, sizeof(text));

	if (err)
		return err;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno || end == text || *end || *text < '0' || *text > '9')
		return -EIO;
	*value = number;
	return 0;
}

int hmem_sysfs_int(const char *dir, const char *file, int *value)
{
	char text[64] = "", *end;
	long number;
	int err = hmem_sysfs_text(dir, file, text, sizeof(text));

	if (err)
		return err;
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || strchr(" \t+", *text) || number < INT_MIN ||
	    number > INT_MAX)
		return -EIO;
	*value = (int)number;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hmem_sysfs_parse_uuid(const char *text, uint8_t uuid[16])
{
	uint8_t bytes[16] = { 0 };
	int digits = 0;

	for (; *text; text++) {
		int digit = hex_digit(*text);

		if (*text == '-')
			continue;
		if (digit < 0 || digits == 32)
			return -EIO;
		bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | digit);
		digits++;
	}
	if (digits != 32)
		return -EIO;
	memcpy(uuid, bytes, sizeof(bytes));
	return 0;
}

int hmem_sysfs_uuid(const char *dir, const char *file, uint8_t uuid[16])
{
	char text[64] = "";
	int err = hmem_sysfs_text(dir, file, text, sizeof(text));

	return err ? err : hmem_sysfs_parse_uuid(text, uuid);
}

static int not_dotted(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int hmem_sysfs_broken(struct hmem_ctx *ctx, const char *dir, int err)
{
	if (access(dir, F_OK))
		return -ENOENT;
	if (err == -ENOENT)
		err = -EIO;
	return hmem_fail(ctx, err, "%s does not hold what it should: %s", dir, strerror(-err));
}

int hmem_sysfs_each(struct hmem_ctx *ctx, const char *path,
		    int (*visit)(void *arg, const char *dir, const char *name), void *arg)
{
	char top[PATH_MAX], dir[PATH_MAX];
	struct dirent **entries;
	int count, err = hmem_sysfs_path(ctx, top, "%s", path);

	if (err)
		return err;
	count = scandir(top, &entries, not_dotted, versionsort);
	if (count < 0) {
		err = -errno;
		/* Nothing of that kind is there, or nothing at all. */
		if ((err == -ENOENT || err == -ENOTDIR) &&
		    (*ctx->sysroot || !access("/sys/class", F_OK)))
			return 0;
		if (err == -ENOENT)
			return hmem_fail(ctx, err, "there is no /sys/class; mount sysfs on /sys");
		return hmem_fail(ctx, err, "cannot list %s: %s", top, strerror(-err));
	}
	for (int i = 0; i < count; i++) {
		if (!err)
			err = hmem_sysfs_path(ctx, dir, "%s/%s", path, entries[i]->d_name);
		if (!err)
			err = visit(arg, dir, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return err;
}
