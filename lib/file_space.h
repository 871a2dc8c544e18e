/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_FILE_SPACE_H
#define LIB_FILE_SPACE_H

#include <stdint.h>

/**
 * hmem_file_sync_entry - make the entry of a file in its directory durable
 * @fd: of any file of that file system, for directories that may not be read; -1 for none
 *
 * Return: 0, or what the system answered.
 */
int hmem_file_sync_entry(const char *path, int fd);

/**
 * hmem_file_allocate - have the file system give a part of a file its memory
 *
 * What is in it stays. So that no store into a mapping meets a full file system, as that is
 * SIGBUS. What had to be allocated is so for good when this returns: the file is synced. So
 * is its directory: whoever made the file may not have done that.
 *
 * Return: 0; -EIO (the file ends before that: somebody has truncated it), -ENOSPC, -EDQUOT, or
 * what else the system answered.
 */
int hmem_file_allocate(int fd, uint64_t offset, uint64_t length);

/** hmem_file_discard - give the memory of a part of a file back, as far as that can be done */
void hmem_file_discard(int fd, uint64_t offset, uint64_t length);

#endif
