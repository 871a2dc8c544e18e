/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What sysfs says of the memory that a device is made of.
 */
#ifndef LIB_MEDIA_ABOVE_H
#define LIB_MEDIA_ABOVE_H

#include <stdbool.h>

/*
 * @persistent: it keeps its content when the power goes
 * @caches: the platform writes the processors' caches back to it then
 */
struct media_above {
	bool persistent;
	bool caches;
};

/* Of the device whose directory is @dir, with the sysroot. 0 or what the system answered. */
int media_above(const char *dir, struct media_above *media);

#endif
