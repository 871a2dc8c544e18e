/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Under a call on a shelf the k-th allocation, mapping or write-back fails, for every k, once
 * and from then on (faults.h). Only those of the call itself count: the shelf is made,
 * filled and brought into its state before, and looked at afterwards.
 *
 * The call succeeds, or says with an errno that its documentation has, and a sentence, why
 * it does not. Either way nothing is lost, what it was to change has changed whole or not at
 * all, check finds nothing, the same call succeeds when nothing fails any more, and no memory, no
 * descriptor and no mapping is left behind.
 */
#ifndef SELFTESTS_HOST_SHELF_FAULTS_H
#define SELFTESTS_HOST_SHELF_FAULTS_H

#include "faults.h"
#include "sanitized.h"
#include "shelf_media.h"

#define MI ((uint64_t)1 << 20)
#define KEPT 12
#define REGION (4 * MI)

static struct hmem_region *region;
static struct hmem_shelf *shelf;
static char large[150000], got[sizeof(large)];

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %d: %s", what, err, hmem_last_error(ctx));
}

static const char *kept_name(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "kept-%u", i);
	return name;
}

/* In memory, said to be a disk: then each fence is an msync(2), and none takes long. */
static char region_path[64];
static pid_t region_owner;

static void region_remove(void)
{
	if (getpid() == region_owner)
		unlink(region_path);
}

static void faults_begin(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 31 + i / 256);
	snprintf(region_path, sizeof(region_path), "%s/hmem-shelf-faults-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	region_owner = getpid();
	atexit(region_remove);
	play_disk = true;
}

static void faults_end(void)
{
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
}

/* --- states --------------------------------------------------------------------------- */

static struct hmem_shelf_options how(bool ordered)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.bytes = 1 * MI;
	options.max_bytes = 16 * MI;
	options.slots = 4;
	options.flags = ordered ? HMEM_SHELF_ORDERED : 0;
	return options;
}

static void no_shelf(bool ordered)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;

	(void)ordered;
	hmem_region_close(region);
	region = NULL;
	unlink(region_path);
	place.bytes = REGION;
	need(hmem_region_create(ctx, region_path, &place, &region), "a region");
}

static void make_shelf(bool ordered)
{
	struct hmem_shelf_options options = how(ordered);

	no_shelf(ordered);
	need(hmem_shelf_create(region, "s", &options, &shelf), "a shelf");
	for (unsigned int i = 0; i < KEPT; i++)
		need(hmem_shelf_put(shelf, kept_name(i), &i, sizeof(i), NULL), "an object");
	need(hmem_shelf_put(shelf, "x", "old", 3, NULL), "an object");
	need(hmem_shelf_close(shelf), "closing");
	shelf = NULL;
}

/* It is made once, and brought back each time. */
static void closed(bool ordered)
{
	static unsigned char image[2][REGION];
	static bool made[2];
	int fd;

	if (!made[ordered])
		make_shelf(ordered);
	hmem_region_close(region);
	region = NULL;
	fd = open(region_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || (made[ordered] && ftruncate(fd, REGION)) ||
	    (made[ordered] ? pwrite(fd, image[ordered], REGION, 0) :
			     pread(fd, image[ordered], REGION, 0)) != (ssize_t)REGION)
		tap_bail("%s: %s", region_path, strerror(errno));
	close(fd);
	made[ordered] = true;
	need(hmem_region_open(ctx, region_path, 0, &region), "opening the region");
}

static int open_it(void)
{
	return hmem_shelf_open(region, "s", NULL, &shelf);
}

static int close_it(void)
{
	int err = hmem_shelf_close(shelf);

	shelf = NULL;
	return err;
}

/* Through a handle that has not been used yet. */
static void opened(bool ordered)
{
	closed(ordered);
	need(open_it(), "opening");
}

/* --- what has to hold ------------------------------------------------------------------ */

static bool complain(const char *what, int err)
{
	tap_diag("%s: %d: %s", what, err, hmem_last_error(ctx));
	return false;
}

static bool has(const char *name, const void *value, size_t bytes)
{
	size_t length = 0;

	return !hmem_shelf_read(shelf, name, got, sizeof(got), &length) && length == bytes &&
	       !memcmp(got, value, bytes);
}

static bool lacks(const char *name)
{
	return hmem_shelf_read(shelf, name, got, sizeof(got), &(size_t){ 0 }) == -ENOENT;
}

/* What calls leave of x and y; @done: they were acknowledged. */
static inline bool x_stays(bool done)
{
	(void)done;
	return has("x", "old", 3) && lacks("y");
}

static inline bool x_is_new(bool done)
{
	return has("x", "new", 3) || (!done && has("x", "old", 3));
}

/*
 * @before: bring the shelf into a state
 * @right: is it, on the opened shelf, as it must be? @done: it was acknowledged
 * @is: what it is afterwards
 * @opens: the call opens it
 */
struct call {
	const char *what;
	void (*before)(bool ordered);
	int (*call)(void);
	bool (*right)(bool done);
	enum { OPEN, AWAY, ANYHOW } is;
	bool opens;
};

static bool all_right(const struct call *call, bool done)
{
	unsigned int value = 0;
	size_t length;
	int err = hmem_shelf_check(shelf, NULL, NULL);

	if (err)
		return complain("check", err);
	for (unsigned int i = 0; i < KEPT; i++)
		if (hmem_shelf_read(shelf, kept_name(i), &value, sizeof(value), &length) ||
		    value != i)
			return complain(kept_name(i), (int)value);
	return call->right(done) || complain("x or y", done);
}

/* The same call, when nothing fails any more; @handle: still the one that it failed on. */
static bool again(const struct call *call, bool handle, bool done)
{
	int err;

	if (call->call == close_it || (call->opens && shelf))
		return true;
	err = call->call();
	if (!err || (err == -ENOENT && call->is == OPEN && call->right(true)))
		return true;
	/* It was made, and then not to be had; or it is gone, and that may come back. */
	if (err == -EEXIST && call->is == ANYHOW)
		return !open_it() || complain("opening it", 0);
	if (err == -ENOENT && call->is == AWAY && !done)
		return true;
	return complain(handle ? "again, through the same handle" : "again", err);
}

static int create(void)
{
	struct hmem_shelf_options options = how(false);

	return hmem_shelf_create(region, "s", &options, &shelf);
}

/* There need not be one at all. */
static bool looks_well_anyhow(const struct call *call, int err)
{
	bool good = !err || again(call, false, !err);

	if (call->is == AWAY)
		return good && (shelf || open_it() == -ENOENT) && !create() && !close_it();
	good = good && shelf && !hmem_shelf_put(shelf, "x", "old", 3, NULL) &&
	       !hmem_shelf_check(shelf, NULL, NULL);
	return !close_it() && good;
}

/* After a failure that makes a shelf read-only it is so until it is opened again. */
static bool looks_well(const struct call *call, int err)
{
	bool good = true, done = !err;

	if (call->is != OPEN)
		return looks_well_anyhow(call, err);
	if (shelf && err && err != -EIO)
		good = again(call, true, false);
	if (shelf && !err) {
		struct hmem_shelf_info info = { .size = sizeof(info) };

		good = !hmem_shelf_get_info(shelf, &info);
	}
	if (shelf)
		close_it();
	if (open_it())
		return complain("opening it afterwards", 0);
	good = all_right(call, done) && good;
	if (err && call->call != close_it && !call->opens)
		good = again(call, false, false) && all_right(call, true) && good;
	err = close_it();
	return good && (!err || complain("closing it afterwards", err));
}

/* --- all of them ----------------------------------------------------------------------- */

/* What a process has that it may forget to give back. */
struct left {
	long blocks;
	int fds;
	int maps;
};

static struct left left_now(void)
{
	struct left left = { .fds = count_lines("/proc/self/fd") };
	FILE *file = fopen("/proc/self/maps", "r");
	char line[600];

	/*
	 * Shelves reserve room that cannot be touched; so does ThreadSanitizer, now and then, for what
	 * it knows of memory that is unmapped.
	 */
	while (file && fgets(line, sizeof(line), file))
		left.maps += strstr(line, region_path) ||
			     (strstr(line, "---p") && SANITIZED(true, true, false));
	if (file)
		fclose(file);
	left.blocks = blocks;
	return left;
}

/* What fails, how, and what the call says then. */
struct fault {
	const char *function;
	int error;
	int answer;
};

/* With the @k-th call of a function failing; 0: none. */
static bool try(const struct call *call, bool ordered, const struct fault *fault, unsigned int k,
		bool sticky, int *err)
{
	bool good = true;

	call->before(ordered);
	hmem_set_error(ctx, 0, "%s", "");
	countdown = (int)k;
	injected = fault->error;
	hit = false;
	stay = sticky;
	victim = k ? fault->function : NULL;
	*err = call->call();
	victim = NULL;
	stay = false;
	if (*err && (!hit || *err != fault->answer || !*hmem_last_error(ctx)))
		good = complain("it answers", *err);
	good = looks_well(call, *err) && good;
	if (shelf)
		close_it();
	return good;
}

/* Each call of a function in turn, and with @sticky all that follow. */
static void fail_each(const struct call *call, bool ordered, const struct fault *fault, bool sticky)
{
	unsigned int failed = 0, k;
	struct left before, after;
	int err;
	bool good = try(call, ordered, fault, 0, false, &err);

	before = left_now();
	for (k = 1; k < 500 && good; k++) {
		good = try(call, ordered, fault, k, sticky, &err);
		failed += err != 0;
		after = left_now();
		if (after.blocks != before.blocks || after.fds != before.fds ||
		    after.maps != before.maps) {
			tap_diag("left behind: %ld blocks of memory, %d descriptors, %d mappings",
				 after.blocks - before.blocks, after.fds - before.fds,
				 after.maps - before.maps);
			good = false;
		}
		if (!good)
			tap_diag("number %u, which answered %d", k, err);
		if (!hit)
			break;
	}
	/* Most calls do not come to all of them. */
	if (k == 1 && good)
		return;
	TAP_OK(good, "%s%s: %u calls of %s fail%s with %s, %u times so does it", call->what,
	       ordered ? ", ordered" : "", k - 1, fault->function, sticky ? " from then on" : "",
	       strerrorname_np(fault->error), failed);
}

static void fail_all(const struct call *calls, size_t nr)
{
	static const struct fault faults[] = {
		{ "alloc", ENOMEM, -ENOMEM },
		{ "mmap", ENOMEM, -ENOMEM },
		{ "msync", EIO, -EIO },
		{ "msync", ENOSPC, -EIO },
		{ "posix_fallocate", ENOSPC, -ENOSPC },
		{ "ftruncate", ENOSPC, -ENOSPC },
		{ "fsync", EIO, -EIO },
	};
	int step = (int)sanitized_step("kinds of shelves", 2, 2);

	for (size_t i = 0; i < nr; i++)
		for (int ordered = 0; ordered < 2; ordered += step)
			for (size_t f = 0; f < 2 * sizeof(faults) / sizeof(faults[0]); f++)
				fail_each(&calls[i], ordered, &faults[f / 2], f % 2);
}

#endif
