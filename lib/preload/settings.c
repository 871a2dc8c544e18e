// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the environment says. A program must not be kept from running by it: where it makes no sense
 * that is said, and all memory is the next malloc's.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmem/size.h>

#include "../printable.h"
#include "preload.h"

#define ABOVE_DEFAULT (64u << 10)
#define SIZE_MIN      (64u << 10)

struct settings settings;

void preload_say(const char *format, ...)
{
	char line[1024];
	size_t length;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	hmem_make_printable(line);
	length = strlen(line);
	line[length] = '\n';
	if (write(STDERR_FILENO, line, length + 1) < 0)
		return;
}

/* Return: false when it is said what is wrong. */
static bool bad(const char *name, const char *value, const char *what)
{
	preload_say("libhmem-malloc: %s=%s is %s; all memory comes from the next malloc", name,
		    value, what);
	return false;
}

static bool take_text(const char *name, char *to, size_t length)
{
	const char *value = secure_getenv(name);

	if (value && strlen(value) >= length)
		return bad(name, value, "too long");
	if (value)
		memcpy(to, value, strlen(value) + 1);
	return true;
}

static bool take_above(size_t *above, bool *said)
{
	const char *value = secure_getenv("HMEM_MALLOC_ABOVE");
	uint64_t bytes = 0;

	*said = value;
	if (!value)
		return true;
	if (strcmp(value, "0") && (hmem_size_parse(value, 0, &bytes) || bytes > SIZE_MAX / 2))
		return bad("HMEM_MALLOC_ABOVE", value, "no size, such as 64K");
	*above = (size_t)bytes;
	return true;
}

static bool take_share(unsigned int *share, bool *said)
{
	const char *value = secure_getenv("HMEM_MALLOC_SHARE");
	unsigned long percent;
	char *end;

	*said = value;
	if (!value)
		return true;
	percent = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || strcmp(*end == '%' ? end + 1 : end, "") || !percent ||
	    percent > 100)
		return bad("HMEM_MALLOC_SHARE", value, "no share: 1 to 100 percent");
	*share = (unsigned int)percent;
	return true;
}

static bool take_size(uint64_t *bytes)
{
	const char *value = secure_getenv("HMEM_MALLOC_SIZE");

	if (value && (hmem_size_parse(value, 0, bytes) || *bytes < SIZE_MIN))
		return bad("HMEM_MALLOC_SIZE", value, "no size of a space, which has 64K at least");
	return true;
}

/* Until it has run all is passed on: what others allocate before is none of a program's data. */
static __attribute__((constructor)) void settings_read(void)
{
	size_t above = ABOVE_DEFAULT;
	bool above_said, share_said;
	int error = errno;

	settings.share = 100;
	if (take_text("HMEM_MALLOC_LAYER", settings.layer, sizeof(settings.layer)) &&
	    take_text("HMEM_MALLOC_STATS", settings.stats, sizeof(settings.stats)) &&
	    take_above(&above, &above_said) && take_share(&settings.share, &share_said) &&
	    take_size(&settings.size) && *settings.layer) {
		count_begin();
		source.above = share_said && !above_said ? 0 : above;
	}
	errno = error;
}
