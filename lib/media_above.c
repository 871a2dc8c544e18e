// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device over persistent memory hangs below a region of the NVDIMM bus whose type is
 * nd_pmem; CXL RAM and soft-reserved memory have no such ancestor. That region also says what
 * is safe when the power goes: the caches ("cpu_cache", eADR) or what has left them.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "media_above.h"
#include "sysfs.h"

int media_above(const char *dir, struct media_above *media)
{
	char path[PATH_MAX], text[32];
	char *slash;

	*media = (struct media_above){ false, false };
	if (!realpath(dir, path))
		return -errno;
	while (!media->persistent && (slash = strrchr(path, '/')) && slash != path) {
		int err;

		*slash = '\0';
		err = hmem_sysfs_text(path, "devtype", text, sizeof(text));
		if (err && err != -ENOENT)
			return err;
		media->persistent = !err && !strcmp(text, "nd_pmem");
	}
	/* Whoever does not say writes back. */
	media->caches = media->persistent &&
			!hmem_sysfs_text(path, "persistence_domain", text, sizeof(text)) &&
			!strcmp(text, "cpu_cache");
	return 0;
}
