/* SPDX-License-Identifier: GPL-2.0-only */
/* What the running kernel was built with and what it runs on. */
#ifndef HMEMCTL_MACHINE_H
#define HMEMCTL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

/** machine_config - the running kernel's configuration. Return: malloc'ed text, or NULL. */
char *machine_config(const char *root);

/**
 * config_value - what @option is set to: 'y', 'm', or 'n' when it is not set
 * @config: from machine_config()
 */
char config_value(const char *config, const char *option);

/** machine_is_guest - the CPU says that it runs under a hypervisor */
bool machine_is_guest(const char *root);

/**
 * machine_hides_cache_flush - the kernel will refuse to commit a CXL region, because
 * it may not flush CPU caches under a hypervisor (unless built to)
 */
bool machine_hides_cache_flush(void);

/** machine_memory - bytes of system RAM, 0 when unknown */
unsigned long long machine_memory(void);

#endif
