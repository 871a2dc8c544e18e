/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_FILE_LIMIT_H
#define LIB_FILE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/**
 * hmem_beyond_file_limit - whether this process may not have files of this size
 *
 * To be asked before a file grows, in memory or on a disk: the system answers the attempt
 * with SIGXFSZ, which ends the process.
 */
bool hmem_beyond_file_limit(uint64_t bytes);

#endif
