/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that hmem builds on, and no other file has one.
 */
#ifndef HM_COMPAT_H
#define HM_COMPAT_H

#include <linux/crc32.h>
#include <linux/version.h>

/* CRC32C as everybody defines it: initial value and result inverted. */
static inline u32 hm_crc32c(const void *data, size_t length)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
	return ~crc32c(~0U, data, length);
#else
	/* crc32c() lives in a module of its own before 6.15, and insmod loads none. */
	return ~__crc32c_le(~0U, data, length);
#endif
}

#endif /* HM_COMPAT_H */
