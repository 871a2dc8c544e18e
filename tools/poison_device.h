/* SPDX-License-Identifier: GPL-2.0-only */
/* What the devices behind a CXL region have on their lists of bad memory. */
#ifndef HMEMCTL_POISON_DEVICE_H
#define HMEMCTL_POISON_DEVICE_H

#include <stdint.h>

#include "hmemctl.h"

/**
 * poison_of_devices - have the devices of a CXL region read their lists
 * @region: as sysfs calls it, "region0"
 * @fn: for each range, by offset in the region; returns an exit code
 *
 * Return: an exit code; what went wrong was reported, and what could be told was told.
 */
int poison_of_devices(struct session *s, const char *region,
		      int (*fn)(void *arg, uint64_t offset, uint64_t bytes), void *arg);

#endif
