// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lists of bad memory that CXL devices keep. The kernel has a device read its own when somebody
 * writes to trigger_poison_list, and tells what is on it as events of tracing, by the address in
 * memory where that is known; so they are traced, in an instance of our own, while it does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poison_device.h"
#include "report.h"

#define BUS	"/sys/bus/cxl/devices"
#define TRACING	"/sys/kernel/tracing"

/*
 * @start, @ways, @granule: of the region: each device in turn has so many bytes
 * @instance: of tracing
 */
struct lists {
	struct session *s;
	const char *region;
	uint64_t start;
	uint64_t ways;
	uint64_t granule;
	char instance[64];
	int (*fn)(void *arg, uint64_t offset, uint64_t bytes);
	void *arg;
};

static int write_text(const struct lists *l, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err ? report_system(l->s, "write to", path, err) : EXIT_DONE;
}

/* Return: whether the attribute of the region is a number. */
static bool read_number(const struct lists *l, const char *attribute, uint64_t *number)
{
	char path[PATH_MAX];
	unsigned long long value;
	FILE *f;
	bool good;

	snprintf(path, sizeof(path), BUS "/%s/%s", l->region, attribute);
	f = fopen(path, "re");
	good = f && fscanf(f, "%lli", (long long *)&value) == 1;
	if (f)
		fclose(f);
	if (good)
		*number = value;
	return good;
}

/* --- tracing ------------------------------------------------------------------------- */

static int begin_tracing(struct lists *l)
{
	char path[128];

	int err = EEXIST;

	/* One that was ended leaves its own, and others count processes from 1 as well. */
	for (unsigned int i = 0; err == EEXIST && i < 1000; i++) {
		snprintf(l->instance, sizeof(l->instance), TRACING "/instances/hmemctl.%d.%u",
			 getpid(), i);
		err = mkdir(l->instance, 0700) ? errno : 0;
	}
	if (err) {
		int rc = report_system(l->s, "make", l->instance, err);

		*l->instance = '\0';
		report_fix(l->s, "mount -t tracefs tracefs " TRACING);
		return rc;
	}
	snprintf(path, sizeof(path), "%s/events/cxl/cxl_poison/enable", l->instance);
	return write_text(l, path, "1");
}

static void end_tracing(const struct lists *l)
{
	char path[128];
	int fd;

	if (!*l->instance)
		return;
	snprintf(path, sizeof(path), "%s/events/enable", l->instance);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "0", 1);
		close(fd);
	}
	rmdir(l->instance);
}

/* --- devices ------------------------------------------------------------------------- */

/* The device that has part @target of the region: the port of whose decoder that is. */
static int trigger(const struct lists *l, unsigned int target)
{
	char path[PATH_MAX], decoder[64], port[PATH_MAX], *slash;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), BUS "/%s/target%u", l->region, target);
	f = fopen(path, "re");
	n = f ? fscanf(f, "%63s", decoder) : 0;
	if (f)
		fclose(f);
	if (n != 1)
		return report_system(l->s, "read", path, f ? EIO : errno);
	snprintf(path, sizeof(path), BUS "/%s", decoder);
	if (!realpath(path, port))
		return report_system(l->s, "find", path, errno);
	slash = strrchr(port, '/');
	if (!slash || (size_t)(slash - port) + sizeof("/uport/trigger_poison_list") > sizeof(port))
		return report_system(l->s, "find the device of", path, ENOENT);
	memcpy(slash, "/uport/trigger_poison_list", sizeof("/uport/trigger_poison_list"));
	return write_text(l, port, "1");
}

/* --- what they say ------------------------------------------------------------------- */

/* Behind "NAME=", or NULL. */
static const char *value_of(const char *line, const char *name)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(line, key);
	return at ? at + strlen(key) : NULL;
}

static bool is_value(const char *line, const char *name, const char *value)
{
	const char *at = value_of(line, name);
	size_t length = strlen(value);

	return at && !strncmp(at, value, length) && (at[length] == ' ' || at[length] == '\n');
}

/* What is @bytes long in one device is in pieces here, where devices take turns. */
static int tell(const struct lists *l, uint64_t offset, uint64_t bytes)
{
	int rc = EXIT_DONE;

	while (bytes) {
		uint64_t piece = bytes, next = offset + bytes;
		int one;

		if (l->ways > 1) {
			uint64_t rest = l->granule - offset % l->granule;

			piece = bytes < rest ? bytes : rest;
			next = offset + rest + (l->ways - 1) * l->granule;
		}
		one = l->fn(l->arg, offset, piece);
		rc = rc ? rc : one;
		bytes -= piece;
		offset = next;
	}
	return rc;
}

static int hear(const struct lists *l, const char *line)
{
	const char *where = value_of(line, "hpa"), *length = value_of(line, "dpa_length");
	const char *flags = value_of(line, "flags");
	unsigned long long address, bytes;
	bool overflow;
	int rc;

	if (strstr(line, " EVENTS]")) {
		report_error(l->s, "the kernel lost some of what devices of %s say, more may be bad",
			     l->region);
		return EXIT_FAILED;
	}
	if (!strstr(line, "cxl_poison:") || !is_value(line, "region", l->region) ||
	    !is_value(line, "trace_type", "List") || !where || !length)
		return EXIT_DONE;
	overflow = flags && strstr(flags, "Overflow");
	if (overflow)
		report_error(l->s, "the list of a device of %s has overflowed, more may be bad",
			     l->region);
	address = strtoull(where, NULL, 0);
	bytes = strtoull(length, NULL, 0);
	if (address == ULLONG_MAX || address < l->start || !bytes)
		return overflow ? EXIT_FAILED : EXIT_DONE;
	rc = tell(l, address - l->start, bytes);
	return overflow ? EXIT_FAILED : rc;
}

static int hear_all(const struct lists *l)
{
	char path[128], *line = NULL;
	size_t room = 0;
	FILE *f;
	int rc = EXIT_DONE;

	snprintf(path, sizeof(path), "%s/trace", l->instance);
	f = fopen(path, "re");
	if (!f)
		return report_system(l->s, "read", path, errno);
	/* What went wrong with one is no reason not to tell of the others. */
	while (getline(&line, &room, f) > 0) {
		int one = hear(l, line);

		rc = rc ? rc : one;
	}
	free(line);
	fclose(f);
	return rc;
}

int poison_of_devices(struct session *s, const char *region,
		      int (*fn)(void *arg, uint64_t offset, uint64_t bytes), void *arg)
{
	struct lists l = { .s = s, .region = region, .fn = fn, .arg = arg };
	int rc;

	if (!read_number(&l, "resource", &l.start) ||
	    !read_number(&l, "interleave_ways", &l.ways) ||
	    !read_number(&l, "interleave_granularity", &l.granule) || !l.granule) {
		report_error(s, "%s is no CXL region, so no device has a list", region);
		return EXIT_FAILED;
	}
	rc = begin_tracing(&l);
	if (!rc) {
		int heard;

		for (unsigned int i = 0; i < l.ways; i++) {
			int one = trigger(&l, i);

			rc = rc ? rc : one;
		}
		heard = hear_all(&l);
		rc = rc ? rc : heard;
	}
	end_tracing(&l);
	return rc;
}
