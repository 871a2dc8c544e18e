/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the doctor share: the root they look below, and findings. */
#ifndef HMEMCTL_DOCTOR_H
#define HMEMCTL_DOCTOR_H

#include <json-c/json.h>

#include "hmemctl.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

/**
 * struct examination - one run of the doctor
 * @root: what stands before /sys, /proc and /boot: "" for this machine
 * @config: the kernel's configuration, NULL when it cannot be read
 * @has_cxl: firmware or bus show that this machine has CXL at all
 */
struct examination {
	const struct session *s;
	const char *root;
	char *config;
	bool has_cxl;
	unsigned int warned, failed;
	struct json_object *findings;
};

/** found - add a finding; @fix is the command that clears it, NULL where none is needed */
void found(struct examination *e, const char *check, enum finding finding, const char *fix,
	   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Each looks at one part and adds what it found. */
void examine_kernel(struct examination *e);
void examine_module(struct examination *e);
void examine_platform(struct examination *e);
void examine_devices(struct examination *e);
void examine_regions(struct examination *e);

#endif
