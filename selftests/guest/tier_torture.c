// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eight threads in two processes do at random all that a process can do with a region's memory,
 * while the policy, requests and want of memory move it about under them; each word is compared
 * with what was stored last. Then the device is taken away, and what was persistent is compared
 * again when it is back. On a volatile and a persistent CXL pool and on one of system RAM.
 *
 *	tier_torture [SECONDS [SEED [ram]]]	ram: on system RAM alone
 *
 * The seed repeats what each thread does, though not how they meet. stress.c does more, to more
 * regions, but cannot tell an old word from a new one.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240 alone
 */
#include "tier_torture_tiering.h"

#define SECONDS		60
/* Of a round; and what goes on around it. */
#define LEAST_SECONDS	6
#define MOST_SECONDS	20
#define AROUND_SECONDS	3
/* Beyond that nobody waits for a worker. */
#define PATIENCE	patience(90)

/* What each round is made on, and how it ends; then it begins anew. */
static const struct round {
	const char *kind;	/* NULL: system RAM */
	const char *way;	/* NULL: in good order */
} rounds[] = {
	{ "ram", "disable" },	{ "pmem", NULL },    { NULL, NULL },
	{ "pmem", "destroy" },	{ "ram", "remove" }, { "pmem", "unbind" },
};
static const struct round on_system_ram;
#define ROUNDS	((int)(sizeof(rounds) / sizeof(rounds[0])))

static int control;
static uint64_t removals, checked, promoted, demoted, aborted, touches;
static bool formatted;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The referee's own look at all words; nobody stores meanwhile. */

static void check_shared(const volatile uint64_t *words, const struct place *at, bool torn)
{
	static const char *const names[] = { "the sum", "the xor", "the swapped" };
	const struct shadow *s = shadow_now();
	uint64_t want = tallied(s, at->extent, at->slot, RECORD);

	for (int i = SUM; i <= SWAP; i++) {
		uint64_t tally = tallied(s, at->extent, at->slot, i);

		if (words[i] != tally)
			complain_word(names[i], at, i, words[i], tally);
	}
	for (int i = 0; has_lock(at->slot) && i < RECORD_WORDS; i++) {
		uint64_t got = words[RECORD_WORD + i];

		if (got != want && !(torn && got == want + 1))
			complain_word("the record", at, RECORD_WORD + i, got, want);
	}
}

static void check_all(char *base, int fd, bool torn, const char *when)
{
	static uint64_t page[512] __attribute__((aligned(4096)));
	bool by_read = one_in(2);
	struct place at;

	for (at.extent = 0; at.extent < EXTENTS; at.extent++) {
		for (at.slot = 0; at.slot < SLOTS && !board->wrong; at.slot++) {
			const volatile uint64_t *words;

			at.sector = 0;
			words = (uint64_t *)(base + region_offset(&at));
			if (by_read) {
				if (pread(fd, page, 4096, region_offset(&at)) != 4096)
					stress_complain("%s: read: %s", when, strerror(errno));
				words = page;
			}
			check_shared(words, &at, torn);
			for (at.sector = 1; at.sector < SECTORS; at.sector++)
				check_sector(words + at.sector * SECTOR_WORDS, &at, when);
			checked += 512;
		}
	}
}

/*
 * A device went, or a process was ended, in the middle of actions: what was being stored by the
 * kernel is old or new. Whatever is found is right from now on.
 */
static void settle(char *base, int fd)
{
	struct shadow *s = shadow_now();
	struct place at;

	for (int i = 0; i < WORKERS; i++) {
		struct pending *p = &s->pending[i];
		volatile uint64_t *words = (uint64_t *)(base + region_offset(&p->at));

		for (int n = 0; n < p->words; n++)
			if (words[n] == p->new[n])
				shadow_of(&p->at)[n] = p->new[n];
		p->words = 0;
	}
	check_all(base, fd, true, "after the device came back");
	for (at.extent = 0; at.extent < EXTENTS; at.extent++) {
		for (at.slot = 0; at.slot < SLOTS; at.slot++) {
			volatile uint64_t *words;

			at.sector = 0;
			words = (uint64_t *)(base + region_offset(&at));
			if (!has_lock(at.slot))
				continue;
			*(volatile uint32_t *)&words[LOCK_WORD] = 0;
			for (int i = 0; i < RECORD_WORDS; i++)
				words[RECORD_WORD + i] = tallied(s, at.extent, at.slot, RECORD);
		}
	}
}

/* Pools and devices. */

static void must_set_knob(int fd, const char *name, uint64_t value)
{
	struct hmem_policy p = { .size = sizeof(p), .flags = HMEM_POLICY_KNOB, .value = value };

	snprintf(p.knob, sizeof(p.knob), "%s", name);
	must(hmem_ioctl(fd, HMEM_REGION_POLICY, &p), name);
}

/* Short windows, little doubt: as much is moved and split as can be. */
static void be_restless(int fd)
{
	static const struct {
		const char *name;
		uint64_t value;
	} knobs[] = {
		{ "budget_ppm", 100000 }, { "window_min_ms", 1 }, { "window_max_ms", 200 },
		{ "tick_min_ms", 1 },	  { "tick_max_ms", 20 },  { "confirm_ms", 0 },
		{ "margin_pct", 0 },	  { "band_oct4", 0 },	  { "band_max_oct4", 0 },
		{ "split_pct", 100 },	  { "split_pairs", 1 },	  { "split_prior", 1 },
		{ "split_rate_pct", 100 }, { "surprise_oct4", 4 }, { "drift_oct4", 0 },
	};
	struct hmem_policy p = { .size = sizeof(p), .mode = HMEM_POLICY_AUTO,
				 .flags = HMEM_POLICY_NEAR_MAX | HMEM_POLICY_MODE,
				 .near_max = EXTENTS / 2 * EXTENT };

	for (unsigned int i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		must_set_knob(fd, knobs[i].name, knobs[i].value);
	must(hmem_ioctl(fd, HMEM_REGION_POLICY, &p), "policy");
}

static void attach(const struct round *r, char pool[HMEM_NAME_LEN])
{
	bool fresh = !r->kind || strcmp(r->kind, "pmem") || !formatted;

	torture->persistent = r->kind && !strcmp(r->kind, "pmem");
	torture->two_pools = !r->kind;
	torture->drained = 1;
	snprintf(pool, HMEM_NAME_LEN, "%s", ram_pools[0]);
	if (r->kind) {
		must_cxl(r->kind, pool);
		must(pool_attach_cxl(control, pool, fresh ? HMEM_ATTACH_FORMAT : 0, NULL),
		     "attach a cxl pool");
	} else {
		must(pool_attach_ram(control, pool, LENGTH), "attach a ram pool");
		must(pool_attach_ram(control, ram_pools[1], LENGTH), "attach another one");
	}
	if (fresh) {
		must(region_create(control, REGION, pool, LENGTH), "create");
		memset(shadow_now(), 0, sizeof(struct shadow));
	}
	formatted |= torture->persistent;
}

static void note_stats(int fd)
{
	struct hmem_stats s = near_stats(fd);

	promoted += s.promotions;
	demoted += s.demotions;
	aborted += s.aborted;
	touches += s.touches;
}

/* Workers. */

static bool await(int *counter, int value, const char *what)
{
	double end = now() + PATIENCE;

	while (read_once(counter) != value) {
		if (board->wrong && counter == &torture->parked)
			return false;
		if (now() > end) {
			write_file("/proc/sysrq-trigger", "w");
			stress_complain("%s", what);
			return false;
		}
		usleep(1000);
	}
	return true;
}

/* All stop, all is compared, all go on. */
static void look(char *base, int fd)
{
	write_once(&torture->park, 1);
	if (await(&torture->parked, WORKERS, "a worker hangs"))
		check_all(base, fd, false, "all together");
	write_once(&torture->park, 0);
	if (!board->wrong)
		await(&torture->parked, 0, "a worker does not go on");
}

static void take_away(const struct round *r, const char *pool)
{
	char argument[3 * HMEM_NAME_LEN];

	write_once(&torture->removing, 1);
	snprintf(argument, sizeof(argument), "%s %s %s", r->way, r->kind, pool);
	if (cxl_fixture("take", argument, NULL, 0))
		stress_complain("%s of %s failed", r->way, pool);
	removals++;
	await(&torture->running, 0, "a worker does not see that the device is gone");
}

static void end_processes(pid_t *processes, int count)
{
	int status;

	for (int i = 0; i < count; i++) {
		/* Who hangs was complained of. */
		if (board->wrong)
			kill(processes[i], SIGKILL);
		while (waitpid(processes[i], &status, 0) < 0)
			;
		if (!board->wrong && (!WIFEXITED(status) || WEXITSTATUS(status)))
			stress_complain("a process of workers ended with status %#x", status);
	}
}

static void play(const struct round *r, const char *pool, double seconds)
{
	double end, next;
	pid_t processes[PROCESSES + 1];
	int fd = must_open(REGION, O_RDWR);
	char *base;

	be_restless(fd);
	base = must_map(fd, LENGTH);
	if (torture->persistent)
		settle(base, fd);
	torture->parked = torture->removing = board->stop = 0;
	torture->running = WORKERS;
	torture->plain = one_in(3);
	torture->hot = dice(EXTENTS);
	fflush(stdout);
	for (int i = 0; i <= PROCESSES; i++) {
		processes[i] = fork();
		if (!processes[i] && i < PROCESSES)
			torture_process(i);
		else if (!processes[i])
			torture_disturber();
	}
	end = now() + seconds;
	next = now() + seconds / 3;
	while (now() < end && !board->wrong) {
		usleep(20000);
		if (now() < next)
			continue;
		look(base, fd);
		next += seconds / 3;
	}
	note_stats(fd);
	if (r->way && !board->wrong)
		take_away(r, pool);
	board->stop = 1;
	end_processes(processes, PROCESSES + 1);
	if (!r->way && !board->wrong)
		check_all(base, fd, false, "in the end");
	munmap(base, LENGTH);
	close(fd);
}

/* Nobody has anything of it any more; all of it must be free again. */
static void leave(const struct round *r, const char *pool)
{
	int rc;

	if (!r->way && !torture->persistent) {
		rc = region_destroy(control, REGION);
		if (rc)
			stress_complain("destroy: %s", strerror(-rc));
		if (pool_free(pool) != sysfs_number("hmem_pool", pool, "size"))
			stress_complain("the pool is not empty");
	}
	rc = r->way ? 0 : pool_detach(control, pool);
	if (!rc && torture->two_pools)
		rc = pool_detach(control, ram_pools[1]);
	if (rc)
		stress_complain("detach: %s", strerror(-rc));
	if (r->kind && !r->way)
		cxl_end(pool);
	if (class_names("hmem_pool", NULL, 0))
		stress_complain("a pool is left");
}

static void show_counts(double seconds)
{
	/* A kernel that watches itself takes many times as long for everything. */
	double share = seconds / 60 / (access("/sys/kernel/debug/kmemleak", F_OK) ? 1 : 20);

	for (int i = 0; i < STRESS_OPERATIONS; i++) {
		if (board->done[i])
			tap_diag("%-15s %8llu, of which %llu worked", board->name[i],
				 (unsigned long long)board->done[i],
				 (unsigned long long)board->worked[i]);
	}
	tap_diag("%llu pages near, %llu home, %llu in vain; %llu probes touched; %llu words compared",
		 (unsigned long long)promoted, (unsigned long long)demoted,
		 (unsigned long long)aborted, (unsigned long long)touches,
		 (unsigned long long)checked);
	/* Each at least once, however little is left of its share. */
	for (int i = 0; i < ACTIONS; i++)
		TAP_OK(board->worked[i] && board->worked[i] >= (uint64_t)(actions[i].least * share),
		       "%s: %llu times", actions[i].name, (unsigned long long)board->worked[i]);
}

/* What is left, shared by the rounds that are to come; each takes a while to begin and to end. */
static double round_length(int number, double left)
{
	double length = left / (ROUNDS - number % ROUNDS) - AROUND_SECONDS;

	return length < LEAST_SECONDS ? LEAST_SECONDS : length < MOST_SECONDS ? length : MOST_SECONDS;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : SECONDS, began = now();
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	bool only_ram = argc > 3 && !strcmp(argv[3], "ram");
	char pool[HMEM_NAME_LEN];
	int n;

	tap_diag("seed %llu, %.0f s", (unsigned long long)seed, seconds);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	torture = mmap(NULL, sizeof(*torture), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (board == MAP_FAILED || torture == MAP_FAILED)
		tap_bail("no shared memory");
	control = only_ram ? must_begin() : must_begin_cxl();
	for (n = 0; (n < ROUNDS || now() < began + seconds) && !board->wrong; n++) {
		const struct round *r = only_ram ? &on_system_ram : &rounds[n % ROUNDS];

		torture_seed = seed + n * 1000003ULL;
		dice_seed(torture_seed, 1000);
		attach(r, pool);
		play(r, pool, round_length(n, began + seconds - now()));
		leave(r, pool);
		tap_diag("round %d (%s, %s): %.1f s", n, r->kind ?: "system RAM",
			 r->way ?: "in good order", now() - began);
	}
	TAP_OK(!board->wrong, "every word was what was stored last, in %d rounds", n);
	if (board->wrong)
		tap_diag("%d times; first: %s", board->wrong, board->complaint);
	TAP_OK(removals >= 1 || only_ram, "devices were taken away (%llu)", (unsigned long long)removals);
	TAP_OK(promoted && demoted && aborted, "extents moved while all that went on");
	show_counts(seconds);
	return tap_done();
}
