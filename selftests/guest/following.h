/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings that userfaultfd follows: asynchronous write protection. */
#ifndef SELFTESTS_GUEST_FOLLOWING_H
#define SELFTESTS_GUEST_FOLLOWING_H

#include "fixture.h"

#include <linux/userfaultfd.h>

/* Debian 12's headers are older than them. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif

/* From now on, pages that are not populated included. Returns who follows. */
static inline int must_follow(volatile void *p, uint64_t length)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC |
							       UFFD_FEATURE_WP_UNPOPULATED };
	struct uffdio_register r = { .range = { (uintptr_t)p, length },
				     .mode = UFFDIO_REGISTER_MODE_WP };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		tap_bail("userfaultfd: %s", strerror(errno));
	if (ioctl(uffd, UFFDIO_REGISTER, &r))
		tap_bail("the mapping cannot be registered: %s", strerror(errno));
	return uffd;
}

#endif
