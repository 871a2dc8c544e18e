// SPDX-License-Identifier: GPL-2.0-only
/*
 * drain-pool: everything on a pool moves to others while it is used, then the pool is
 * detached, and its CXL region can be removed.
 *
 * The command of the module runs in a child, while this one asks how far it is. Ctrl-C ends both:
 * what was moved stays so, and the next drain-pool goes on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/hmem.h>

#include "claim.h"
#include "cxl_ready.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"

/* Between two looks at how far it is. */
#define LOOK_MS 200

/* Ranges that are named in words. */
#define NAMED 8

/* What a child has to say, when it is done. */
struct outcome {
	int rc;
	struct hmem_pool_drained drained;
	size_t nr_held;
	char error[512];
};

/* The ranges that somebody holds: memory of both processes, with room for all that there can be. */
struct held {
	struct hmem_pool_held *ranges;
	size_t room, nr;
};

static bool held_begin(struct held *h, uint64_t bytes)
{
	*h = (struct held){ .room = bytes / HMEM_EXTENT_SIZE };
	if (!h->room)
		return true;
	h->ranges = mmap(NULL, h->room * sizeof(*h->ranges), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->ranges != MAP_FAILED)
		return true;
	h->ranges = NULL;
	return false;
}

static void held_end(const struct held *h)
{
	if (h->ranges)
		munmap(h->ranges, h->room * sizeof(*h->ranges));
}

static void drain_and_tell(struct session *s, const char *pool, const struct held *held, int to)
{
	struct outcome out = { .drained = { .size = sizeof(out.drained) }, .nr_held = held->room };
	const char *last;

	out.rc = hmem_pool_drain_held(s->hmem, pool, &out.drained, held->ranges, &out.nr_held);
	last = out.rc ? hmem_last_error(s->hmem) : "";
	snprintf(out.error, sizeof(out.error), "%s", last);
	_exit(write(to, &out, sizeof(out)) != sizeof(out));
}

/* Until the child has told; @total: what there was in the beginning. */
static bool watch(struct session *s, const char *pool, int from, uint64_t total,
		  struct outcome *out)
{
	struct hmem_pool_drained now = { .size = sizeof(now) };
	struct pollfd told = { .fd = from, .events = POLLIN };
	struct progress progress;

	progress_begin(&progress, s, total);
	while (poll(&told, 1, LOOK_MS) <= 0)
		if (!hmem_pool_drain(s->hmem, pool, HMEM_POOL_DRAIN_STATUS, &now) &&
		    now.left <= total)
			progress_show(&progress, total - now.left);
	progress_end(&progress);
	return read(from, out, sizeof(*out)) == sizeof(*out);
}

/* In one sentence. */
static void report_held(const struct session *s, const struct held *held, uint64_t all)
{
	char text[NAMED * 160] = "";
	size_t length = 0, n;

	for (n = 0; n < held->nr && n < NAMED; n++) {
		const struct hmem_pool_held *range = &held->ranges[n];

		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "%s%llu bytes of region %s at offset %llu",
					   length ? ", " : "", (unsigned long long)range->bytes,
					   range->region, (unsigned long long)range->offset);
	}
	if (all > n)
		report_error(s, "held are: %s, and %llu more", text,
			     (unsigned long long)(all - n));
	else if (n)
		report_error(s, "held are: %s", text);
}

/* Return: exit code. */
static int report_outcome(const struct session *s, const struct outcome *out,
			  const struct held *held)
{
	report_error(s, "%s", out->error);
	report_held(s, held, out->drained.nr_held);
	if (out->drained.draining && out->drained.left)
		report_fix(s, "what has moved stays so; to go on: the same command; to let new "
			   "regions come to the pool again: with --stop");
	return EXIT_FAILED;
}

/* @total: bytes that there are to be moved. Return: exit code. */
static int drain(struct session *s, const char *pool, uint64_t total, struct held *held,
		 struct hmem_pool_drained *drained)
{
	struct outcome out;
	int ends[2], rc;
	pid_t pid;

	if (pipe(ends)) {
		report_error(s, "drain pool %s: %s", pool, strerror(errno));
		return EXIT_FAILED;
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		report_error(s, "drain pool %s: %s", pool, strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return EXIT_FAILED;
	}
	if (!pid) {
		/* It ends when this one is ended, however that is. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(ends[0]);
		drain_and_tell(s, pool, held, ends[1]);
	}
	close(ends[1]);
	rc = !watch(s, pool, ends[0], total, &out);
	close(ends[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (rc) {
		report_error(s, "drain pool %s: the process that does it has died", pool);
		return EXIT_FAILED;
	}
	*drained = out.drained;
	held->nr = out.nr_held;
	return out.rc ? report_outcome(s, &out, held) : EXIT_DONE;
}

/* Return: exit code. */
static int finish(struct session *s, const struct hmem_pool_info *info, bool release)
{
	int rc = hmem_pool_detach(s->hmem, info->name);

	if (rc)
		return report_library(s, rc);
	if (release && *info->source && cxl_teardown(s, info->source))
		return EXIT_FAILED;
	return EXIT_DONE;
}

/* Return: exit code. */
static int stop(struct session *s, const char *pool)
{
	int rc = hmem_pool_drain(s->hmem, pool, HMEM_POOL_DRAIN_STOP, NULL);

	if (rc)
		return report_library(s, rc);
	report_count(s, "new regions may come to pool %s again", pool);
	return EXIT_DONE;
}

/* Return: exit code. */
static int would_drain(struct session *s, const struct hmem_pool_info *info)
{
	struct json_object *array = json_object_new_array(), *o = json_pool(s, info);

	json_size(s, o, "to_move", info->bytes - info->free_bytes);
	json_object_array_add(array, o);
	report_count(s, "would drain pool %s", info->name);
	return json_print(s, array);
}

/* What was moved, and what is held. Return: exit code. */
static int answer(struct session *s, const struct hmem_pool_info *info, uint64_t moved,
		  const struct held *held)
{
	struct json_object *array = json_object_new_array(), *o = json_pool(s, info),
			   *ranges = json_object_new_array();

	json_size(s, o, "moved", moved);
	for (size_t i = 0; i < held->nr; i++) {
		struct json_object *range = json_object_new_object();

		json_text(range, "region", held->ranges[i].region);
		json_size(s, range, "offset", held->ranges[i].offset);
		json_size(s, range, "bytes", held->ranges[i].bytes);
		json_object_array_add(ranges, range);
	}
	json_object_object_add(o, "held", ranges);
	json_object_array_add(array, o);
	return json_print(s, array);
}

/* Return: exit code. */
static int drain_pool(struct session *s, const struct hmem_pool_info *info, bool keep, bool release)
{
	struct hmem_pool_drained drained = { .size = sizeof(drained) };
	struct held held;
	int code, rc;

	rc = hmem_pool_drain(s->hmem, info->name, HMEM_POOL_DRAIN_STATUS, &drained);
	if (rc)
		return report_library(s, rc);
	if (!held_begin(&held, drained.left)) {
		report_error(s, "drain pool %s: %s", info->name, strerror(errno));
		return EXIT_FAILED;
	}
	code = drain(s, info->name, drained.left, &held, &drained);
	if (!code && !keep)
		code = finish(s, info, release);
	if (!code)
		report_count(s, "drained pool %s", info->name);
	if (!code || held.nr)
		rc = answer(s, info, drained.moved, &held);
	held_end(&held);
	return code ? code : rc;
}

int verb_drain_pool(struct session *s, int argc, char **argv)
{
	bool dry_run = false, release = false, keep = false, end = false;
	struct hmem_pool_info info = { .size = sizeof(info) };
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'r', "release", NULL, "remove the CXL region as well", &release },
		{ OPTION_FLAG, 'k', "keep", NULL, "leave the pool attached, empty and closed",
		  &keep },
		{ OPTION_FLAG, 0, "stop", NULL,
		  "move nothing more: new regions may come to it again", &end },
		OPTION_DRY_RUN(&dry_run),
		OPTION_HUMAN(s),
		OPTION_VERBOSE(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "POOL [--release | --keep | --stop] [--dry-run] [-u] [-v]",
				     lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;

	if (code >= 0)
		return code;
	if (argc - first != 1)
		return options_bad(s, &usage, "which pool? one at a time");
	if (release + keep + end > 1)
		return options_bad(s, &usage, "one of --release, --keep and --stop");
	if (end && dry_run)
		return options_bad(s, &usage, "--stop has no dry run");
	if (end)
		return stop(s, argv[first]);
	/* Between detaching and removing nobody may attach it. */
	if (release && !dry_run && claim_begin(s))
		return EXIT_FAILED;
	rc = hmem_pool_get_info(s->hmem, argv[first], &info);
	if (rc)
		return report_library(s, rc);
	if (dry_run)
		return would_drain(s, &info);
	report_step(s, "move what is on pool %s to others", info.name);
	return drain_pool(s, &info, keep, release);
}
