// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The numbers of descriptors that lead to regions.
 */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int hmem_descriptor_keep(int fd)
{
	int kept, err;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	kept = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	err = errno;
	close(fd);
	errno = err;
	return kept;
}
