/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device-dax stands between a volatile CXL region and anybody else: the kernel makes
 * a dax device of it, and a driver (device_dax or kmem) binds to that and holds the
 * memory. The device may stay; the driver must go.
 */
#ifndef HMEMCTL_DAX_H
#define HMEMCTL_DAX_H

#include "hmemctl.h"

#define DAX_MAX_DEVICES 16

enum dax_holder { DAX_UNBOUND, DAX_DEVICE, DAX_KMEM };

struct dax_device {
	char name[32];
	enum dax_holder holder;
};

struct dax_devices {
	struct dax_device device[DAX_MAX_DEVICES];
	unsigned int n;
};

/** dax_devices_of - the dax devices of a CXL region that some driver holds */
void dax_devices_of(const char *region, struct dax_devices *held);

/**
 * dax_release - make the drivers let go of a CXL region's memory
 * @released: which they were, for dax_give_back(); written on success only
 * @dry_run: only look whether it could be done
 *
 * Refused, with a report, when the memory is online as system RAM or some process
 * has the device open or mapped.
 *
 * Return: 0, -EBUSY, or what the system answered.
 */
int dax_release(const struct session *s, const char *region, struct dax_devices *released,
		bool dry_run);

/** dax_give_back - bind the drivers again that dax_release() unbound */
void dax_give_back(const struct session *s, const struct dax_devices *released);

/**
 * dax_autoprobe_stop - keep drivers from taking dax devices that appear from now on
 *
 * Otherwise kmem, where it is loaded, turns a new volatile CXL region into system RAM
 * at once, and the kernel may put there what never goes away again. A driver that is
 * loaded later finds the memory busy.
 *
 * Return: whether it was on, for dax_autoprobe_restore().
 */
bool dax_autoprobe_stop(void);

void dax_autoprobe_restore(bool was_on);

#endif
