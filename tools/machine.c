// SPDX-License-Identifier: GPL-2.0-only
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sysfs.h"

/* Larger than any distribution's, which are about 300 KiB. */
#define CONFIG_MAX (2u << 20)

char *machine_config(const char *root)
{
	char release[128], *text;

	if (sysfs_read(release, sizeof(release), "%s/proc/sys/kernel/osrelease", root))
		return NULL;
	text = malloc(CONFIG_MAX);
	if (!text)
		return NULL;
	if (!sysfs_read(text, CONFIG_MAX, "%s/boot/config-%s", root, release) ||
	    !sysfs_read(text, CONFIG_MAX, "%s/lib/modules/%s/config", root, release))
		return text;
	free(text);
	return NULL;
}

char config_value(const char *config, const char *option)
{
	size_t length = strlen(option);
	const char *at = config;

	while ((at = strstr(at, option))) {
		if ((at == config || at[-1] == '\n') && at[length] == '=')
			return at[length + 1];
		at += length;
	}
	return 'n';
}

bool machine_is_guest(const char *root)
{
	static const size_t size = 64 << 10;
	char *text = malloc(size);
	bool guest = false;

	if (text && !sysfs_read(text, size, "%s/proc/cpuinfo", root))
		guest = strstr(text, " hypervisor") != NULL;
	free(text);
	return guest;
}

bool machine_hides_cache_flush(void)
{
	char *config = machine_config("");
	bool built_to = config &&
			config_value(config, "CONFIG_CXL_REGION_INVALIDATION_TEST") == 'y';

	free(config);
	return machine_is_guest("") && !built_to;
}

unsigned long long machine_memory(void)
{
	unsigned long long kib;
	char text[4096], *line;

	if (sysfs_read(text, sizeof(text), "/proc/meminfo"))
		return 0;
	line = strstr(text, "MemTotal:");
	if (!line || sscanf(line, "MemTotal: %llu kB", &kib) != 1)
		return 0;
	return kib << 10;
}
