// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eight threads in two processes do at random all that a process can do with a region's memory,
 * while the policy, requests, drains and want of memory move it about under them; each word is
 * compared with what was stored last. Then the device is taken away. What was persistent is
 * compared again when it is back; what is volatile has a pool of system RAM beside the device, and
 * what was there is compared without it. On a volatile and a persistent CXL pool and on two of
 * system RAM.
 *
 *	tier_torture [SECONDS [SEED [ram]]]	ram: on system RAM alone
 *
 * The seed repeats what each thread does, though not how they meet. stress.c does more, to more
 * regions, but cannot tell an old word from a new one.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240 alone
 */
#include "tier_torture_loss.h"

#define SECONDS		60
/* Of a round; and what goes on around it. */
#define LEAST_SECONDS	5
#define MOST_SECONDS	20
#define AROUND_SECONDS	4
/* Devices that go while there are drains, of which every other one is cut short. */
#define MANY_DRAINED	12

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
static uint64_t promoted, demoted, aborted, touches;
static bool formatted;

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

static void create(bool anew)
{
	const char *const pools[] = { torture->pools[0], torture->pools[1] };

	if (!anew)
		return;
	if (torture->two_pools && one_in(2))
		must(region_create_over(control, REGION, HMEM_CREATE_SPREAD, pools, 2, LENGTH),
		     "create over two pools");
	else
		must(region_create(control, REGION, pools[0], LENGTH), "create");
	memset(shadow_now(), 0, sizeof(struct shadow));
}

static void attach(const struct round *r)
{
	bool fresh = !r->kind || strcmp(r->kind, "pmem") || !formatted;
	char *pool = torture->pools[ON_DEVICE], *beside = torture->pools[BESIDE];

	torture->persistent = r->kind && !strcmp(r->kind, "pmem");
	torture->two_pools = !torture->persistent;
	torture->drained = BESIDE;
	snprintf(pool, HMEM_NAME_LEN, "ram-pool");
	snprintf(beside, HMEM_NAME_LEN, "ram-beside");
	if (r->kind) {
		must_cxl(r->kind, pool);
		must(pool_attach_cxl(control, pool, fresh ? HMEM_ATTACH_FORMAT : 0, NULL),
		     "attach a cxl pool");
	} else {
		must(pool_attach_ram(control, pool, LENGTH), "attach a ram pool");
	}
	if (torture->two_pools)
		must(pool_attach_ram(control, beside, LENGTH + dice(2) * LENGTH),
		     "attach the one beside it");
	if (torture->two_pools && r->kind)
		learn_memory(control);
	create(fresh);
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

/* All stop, all is compared, all go on. */
static void look(char *base, int fd)
{
	if (park(PARK))
		check_all(base, fd, false, "all together");
	let_go_on();
}

static void lose_device(const struct round *r, char *base, int fd, const struct ending *how)
{
	pid_t drainer = 0;

	torture->on_device = EXTENTS;
	if (torture->two_pools) {
		settle_homes(control, base, fd, how);
		if (!how->mixed)
			drainer = start_drainer(control);
		usleep(dice(500000));
	}
	if (!board->wrong)
		take_away(r->way, r->kind);
	if (drainer)
		end_processes(&drainer, 1);
}

static void play(const struct round *r, double seconds, const struct ending *how)
{
	double end, next;
	pid_t processes[PROCESSES + 1];
	int fd = must_open(REGION, O_RDWR);
	char *base;

	be_restless(fd);
	base = must_map(fd, LENGTH);
	if (torture->persistent)
		settle(base, fd);
	torture->parked = torture->removing = torture->removed = board->stop = 0;
	torture->settled = torture->met = torture->lives = torture->fails = torture->cut_short = 0;
	torture->running = WORKERS;
	torture->quick = torture->persistent;
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
		lose_device(r, base, fd, how);
	board->stop = 1;
	await(&torture->running, 0, "a worker does not end");
	end_processes(processes, PROCESSES + 1);
	if (!board->wrong && r->way)
		see_what_is_left(base, fd);
	else if (!board->wrong)
		check_all(base, fd, false, "in the end");
	munmap(base, LENGTH);
	close(fd);
}

/* Nobody has anything of a pool any more. */
static void leave_pool(const char *pool)
{
	int rc;

	if (!torture->persistent && pool_free(pool) != sysfs_number("hmem_pool", pool, "size"))
		stress_complain("pool %s is not empty", pool);
	rc = pool_detach(control, pool);
	if (rc)
		stress_complain("detach %s: %s", pool, strerror(-rc));
}

static void leave(const struct round *r)
{
	int rc;

	if (torture->two_pools) {
		rc = region_destroy(control, REGION);
		/* With the device went all of it, if it had all of it. */
		if (rc && !(rc == -ENOENT && r->way && torture->on_device == EXTENTS))
			stress_complain("destroy: %s", strerror(-rc));
		leave_pool(torture->pools[BESIDE]);
	}
	if (!r->way)
		leave_pool(torture->pools[ON_DEVICE]);
	if (r->kind && !r->way)
		cxl_end(torture->pools[ON_DEVICE]);
	if (class_names("hmem", NULL, 0) || class_names("hmem_pool", NULL, 0))
		stress_complain("a region or a pool is left");
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

/* Devices that went while there were drains, and in the middle of one. */
static int drained, drains_cut;

static void tell(int n, const struct round *r, const struct ending *how, double seconds)
{
	tap_diag("round %d (%s, %s): %.1f s", n, r->kind ?: "system RAM", r->way ?: "in good order",
		 seconds);
	drained += r->way && torture->two_pools && !how->mixed;
	drains_cut += torture->cut_short;
	if (r->way && torture->two_pools)
		tap_diag("%s (%d), %d of %d extents were on the device",
			 how->mixed	    ? "with homes here and there" :
			 torture->cut_short ? "in the middle of a drain" :
					      "between drains",
			 how->to, torture->on_device, EXTENTS);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : SECONDS, began = now();
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	bool only_ram = argc > 3 && !strcmp(argv[3], "ram");
	struct ending how;
	int n;

	tap_diag("seed %llu, %.0f s", (unsigned long long)seed, seconds);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	torture = mmap(NULL, sizeof(*torture), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (board == MAP_FAILED || torture == MAP_FAILED)
		tap_bail("no shared memory");
	touch_catch();
	control = only_ram ? must_begin() : must_begin_cxl();
	for (n = 0; (n < ROUNDS || now() < began + seconds) && !board->wrong; n++) {
		const struct round *r = only_ram ? &on_system_ram : &rounds[n % ROUNDS];

		torture_seed = seed + n * 1000003ULL;
		dice_seed(torture_seed, 1000);
		/* Both in a minute, and all of them in some minutes. */
		how = (struct ending){ .mixed = (n / 3 + n / ROUNDS) % 2 == 0,
				       .to = (seed + n / 4) % 2 };
		attach(r);
		play(r, round_length(n, began + seconds - now()), &how);
		leave(r);
		tell(n, r, &how, now() - began);
	}
	TAP_OK(!board->wrong, "every word was what was stored last, in %d rounds", n);
	if (board->wrong)
		tap_diag("%d times; first: %s", board->wrong, board->complaint);
	TAP_OK(removals >= 1 || only_ram, "devices were taken away (%llu)", (unsigned long long)removals);
	TAP_OK((outlived && failed) || only_ram, "%llu extents outlived a device, %llu did not",
	       (unsigned long long)outlived, (unsigned long long)failed);
	/* By chance: a minute has but one or two of them. */
	if (drained >= MANY_DRAINED)
		TAP_OK(drains_cut, "%d of %d devices went in the middle of a drain", drains_cut,
		       drained);
	TAP_OK(promoted && demoted && aborted, "extents moved while all that went on");
	show_counts(seconds);
	return tap_done();
}
