/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CXL drivers load and probe on their own time: a command that comes right after
 * boot, or on a machine without udev, would find half of the devices.
 */
#ifndef HMEMCTL_CXL_READY_H
#define HMEMCTL_CXL_READY_H

#include "hmemctl.h"

/**
 * cxl_make_ready - load what CXL drivers are missing, and wait until every CXL memory
 *	device on the PCI bus is on the CXL bus too
 *
 * Does nothing on a machine whose firmware describes no CXL. A device that does not
 * come within ten seconds is reported as a warning; the rest can be used.
 */
void cxl_make_ready(const struct session *s);

#endif
