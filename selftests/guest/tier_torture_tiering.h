/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the torture test's workers ask of tiering, who disturbs them, and the table of all actions.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_TIERING_H
#define SELFTESTS_GUEST_TIER_TORTURE_TIERING_H

#include "tier_torture_mappings.h"

#include <pthread.h>

static void any_extents(uint64_t *offset, uint64_t *bytes)
{
	uint64_t first = one_in(2) ? (torture->hot + dice(3)) % EXTENTS : dice(EXTENTS);
	uint64_t count = 1 + dice(one_in(4) ? EXTENTS : 2);

	if (first + count > EXTENTS)
		count = EXTENTS - first;
	*offset = first * EXTENT;
	*bytes = count * EXTENT;
}

static bool do_migrate(struct worker *w)
{
	uint64_t offset, bytes, pages = 0;
	struct hmem_migrate m;

	w->on = WHOLE;
	any_extents(&offset, &bytes);
	errno = -migrate(w->fd, offset, bytes, one_in(3) ? HMEM_HOME : HMEM_NEAR, &m);
	if (!worked(w, !errno, "MIGRATE"))
		return false;
	for (int i = 0; i < HMEM_MOVED_RESULTS; i++)
		pages += m.pages[i];
	if (pages != bytes / 4096 || m.next != offset + bytes)
		stress_complain("MIGRATE of %llu pages tells of %llu", (unsigned long long)bytes / 4096,
				(unsigned long long)pages);
	return m.pages[HMEM_MOVED];
}

/* A move that nobody waits for: it is begun, asked for, or stopped. */
static bool do_migrate_async(struct worker *w)
{
	struct hmem_migrate m = { .size = sizeof(m), .flags = HMEM_MIGRATE_ASYNC };
	uint64_t offset, bytes, pages = 0;
	int rc;

	w->on = WHOLE;
	if (one_in(2)) {
		any_extents(&offset, &bytes);
		m.offset = offset;
		m.bytes = bytes;
		m.place = one_in(3) ? HMEM_HOME : HMEM_NEAR;
		rc = hmem_ioctl(w->fd, HMEM_REGION_MIGRATE, &m);
		if (rc == -EBUSY)
			return false;
		errno = -rc;
		return worked(w, !rc, "MIGRATE, asynchronous");
	}
	m.flags = one_in(4) ? HMEM_MIGRATE_STOP : HMEM_MIGRATE_STATUS;
	rc = hmem_ioctl(w->fd, HMEM_REGION_MIGRATE, &m);
	if (rc == -ENOENT)
		return false;
	errno = -rc;
	if (!worked(w, !rc, "MIGRATE, status"))
		return false;
	for (int i = 0; i < HMEM_MOVED_RESULTS; i++)
		pages += m.pages[i];
	if (pages != (m.next - m.offset) / 4096 || m.next > m.offset + m.bytes)
		stress_complain("MIGRATE up to %llu of %llu pages tells of %llu",
				(unsigned long long)(m.next - m.offset) / 4096,
				(unsigned long long)m.bytes / 4096, (unsigned long long)pages);
	return m.pages[HMEM_MOVED];
}

static bool do_pin(struct worker *w)
{
	uint64_t first = dice(EXTENTS), count = 1 + dice(2);
	int rc;

	if (first + count > EXTENTS)
		count = 1;
	/* One that may fail, if there is. */
	w->on = may_fail(first) ? first : first + count - 1;
	if (one_in(3)) {
		w->on = WHOLE;
		errno = -release_extents(w->fd, 0, EXTENTS);
		return worked(w, !errno, "PIN, release");
	}
	rc = keep_extents(w->fd, first, count, one_in(3) ? HMEM_HOME : HMEM_NEAR, NULL);
	if (rc == -EBUSY || rc == -EDQUOT || rc == -ENOMEM)
		return false;
	if (rc == -ERANGE)
		stress_complain("PIN: extent %d is not in the region", w->on);
	errno = -rc;
	if (!worked(w, !rc, "PIN"))
		return false;
	if (one_in(2))
		return true;
	errno = -release_extents(w->fd, first, count);
	return worked(w, !errno, "PIN, release");
}

static bool do_policy(struct worker *w)
{
	static const struct {
		const char *name;
		uint64_t value;
	} knobs[] = {
		{ "budget_ppm", 500000 }, { "budget_ppm", 100000 }, { "budget_ppm", 10000 },
		{ "split", 1 },		  { "split", 1 },	    { "split", 0 },
		{ "band_oct4", 0 },	  { "band_oct4", 4 },	    { "abort_wait_pct", 0 },
		{ "abort_wait_pct", 30 }, { "abort_wait_pct", 101 }, { "collapse_pct", 51 },
		{ "collapse_pct", 97 },	  { "confirm_ms", 0 },	    { "confirm_ms", 40 },
	};
	struct hmem_policy p = { .size = sizeof(p) };
	unsigned int knob = dice(sizeof(knobs) / sizeof(knobs[0]));

	w->on = WHOLE;
	if (one_in(2)) {
		p.flags |= HMEM_POLICY_NEAR_MAX;
		p.near_max = dice(EXTENTS) * EXTENT;
		if (!p.near_max && !torture->plain)
			p.near_max = EXTENT;
	}
	if (one_in(2)) {
		p.flags |= HMEM_POLICY_MODE;
		p.mode = one_in(4) ? dice(3) : HMEM_POLICY_AUTO;
	}
	if (one_in(2)) {
		p.flags |= HMEM_POLICY_KNOB;
		p.value = knobs[knob].value;
		snprintf(p.knob, sizeof(p.knob), "%s", knobs[knob].name);
	}
	errno = -hmem_ioctl(w->fd, HMEM_REGION_POLICY, &p);
	/* A policy takes memory, which may be short just now. */
	return errno != ENOMEM && worked(w, !errno, "POLICY");
}

static bool do_ask(struct worker *w)
{
	struct hmem_heat_cell cells[EXTENTS];
	struct hmem_heat h = { .size = sizeof(h), .cell = EXTENT, .nr_cells = EXTENTS,
			       .cells = (uintptr_t)cells };
	struct hmem_stats s = { .size = sizeof(s) };

	w->on = WHOLE;
	errno = one_in(2) ? -hmem_ioctl(w->fd, HMEM_REGION_HEAT, &h) :
			    -hmem_ioctl(w->fd, HMEM_REGION_STATS, &s);
	return worked(w, !errno, "HEAT or STATS");
}

/* What is on the other one of two pools goes to this one. */
static int drain_to(int control, int to, struct hmem_pool_drain *d)
{
	int rc = pool_drain(control, torture->pools[to], HMEM_DRAIN_STOP, NULL);

	memset(d, 0, sizeof(*d));
	return rc ?: pool_drain(control, torture->pools[!to], 0, d);
}

/*
 * All that is on the one pool moves to the one beside it, under everybody. Of several who drain
 * at once one is first, and pins may keep it from coming to its end.
 */
static bool do_drain(struct worker *w)
{
	int empty = read_once(&torture->drained), fd;
	struct hmem_pool_drain d;

	w->on = WHOLE;
	if (!torture->two_pools || read_once(&torture->settled))
		return false;
	fd = control_open();
	errno = -drain_to(fd, empty, &d);
	close(fd);
	/* What was not held has moved. */
	if (errno == EBUSY || errno == ECANCELED || errno == ENOSPC)
		return d.moved;
	if (!worked(w, !errno, "DRAIN"))
		return false;
	write_once(&torture->drained, !empty);
	return d.moved;
}

/*
 * Everything that a worker does, how often, and how often in a minute it must have worked, on the
 * slowest of machines.
 */
static const struct {
	const char *name;
	int weight, least;
	bool (*function)(struct worker *w);
} actions[] = {
	{ "load", 60, 500, do_load },
	{ "store", 60, 500, do_store },
	{ "storm", 20, 60, do_storm },
	{ "atomic", 40, 300, do_atomic },
	{ "futex", 20, 100, do_futex },
	{ "fork", 2, 10, do_fork },
	{ "read", 12, 50, do_read },
	{ "write", 12, 50, do_write },
	{ "peer", 12, 50, do_peer },
	{ "O_DIRECT read", 8, 30, do_direct_read },
	{ "O_DIRECT write", 8, 30, do_direct_write },
	{ "pipe", 6, 20, do_pipe },
	{ "munmap", 6, 20, do_unmap },
	{ "mremap", 6, 20, do_remap },
	{ "mprotect", 6, 20, do_protect },
	{ "madvise", 6, 10, do_advise },
	{ "reopen", 1, 4, do_reopen },
	{ "MIGRATE", 12, 20, do_migrate },
	{ "MIGRATE, asynchronous", 4, 5, do_migrate_async },
	{ "PIN", 4, 8, do_pin },
	{ "POLICY", 3, 8, do_policy },
	{ "HEAT, STATS", 3, 8, do_ask },
	{ "DRAIN", 6, 1, do_drain },
};
#define ACTIONS		((int)(sizeof(actions) / sizeof(actions[0])))
/* On the board, behind all of these. */
#define DISTURBANCES	40

static uint64_t torture_seed;
static int first_worker;

static __thread sigjmp_buf loop_return;
static __thread const char *doing;
static __thread struct worker *self;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (fault_expected)
		siglongjmp(fault_return, signal);
	if (!doing) {		/* none of the region's */
		struct sigaction plain = { .sa_handler = SIG_DFL };

		sigaction(signal, &plain, NULL);
		return;
	}
	if (!may_fail(self->on))
		stress_complain("%s, extent %d: signal %d at %p", doing, self->on, signal,
				info->si_addr);
	siglongjmp(loop_return, signal);
}

static void wait_parked(struct worker *w)
{
	if (read_once(&torture->park) == PARK_EMPTY)
		empty_pipe(w);
	ADD(torture->parked, 1);
	while (read_once(&torture->park) && !board->stop)
		usleep(1000);
	ADD(torture->parked, -1);
}

/* One action; a fault ends it. */
static void act(struct worker *w)
{
	static int weights;
	int chosen, i = 0;

	if (!weights) {
		int sum = 0;

		for (int n = 0; n < ACTIONS; n++)
			sum += actions[n].weight;
		weights = sum;
	}
	chosen = dice(weights);
	while ((chosen -= actions[i].weight) >= 0)
		i++;
	doing = actions[i].name;
	stress_count(i, doing, actions[i].function(w));
	doing = NULL;
}

/* Who holds a page of what went with the device lets go of it, or the device waits for him. */
static void note_loss(struct worker *w)
{
	w->lost = false;
	empty_pipe(w);
	if (!w->met)
		ADD(torture->met, 1);
	w->met = true;
}

/* One thing after the other, until the end of the round, or of the region. */
static void work(struct worker *w)
{
	while (!board->stop && !board->wrong && !w->gone) {
		if (!sigsetjmp(loop_return, 0)) {
			act(w);
			/* A worker that reads nothing would not hear of it. */
			doing = "load";
			if (read_once(&torture->removing) && !w->lost)
				do_load(w);
		} else {
			lose(w);
		}
		doing = NULL;
		if (w->lost)
			note_loss(w);
		/* It takes many programs to take a device away. */
		if (w->met)
			usleep(2000);
		if (read_once(&torture->park))
			wait_parked(w);
	}
}

static bool begin_worker(struct worker *w)
{
	char *arena = mmap(NULL, ARENA_PLACES * PLACE_BYTES + EXTENT, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (arena == MAP_FAILED || pipe2(w->pipe, O_CLOEXEC))
		return false;
	w->arena = (char *)(((uintptr_t)arena + EXTENT - 1) & ~(EXTENT - 1));
	w->fd = region_open(REGION, O_RDWR);
	w->disk = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	w->mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (w->fd < 0 || w->disk < 0 || w->mem < 0)
		return false;
	for (int i = 0; i < EXTENTS; i++) {
		/* The common case first: one mapping of 2 MiB pages. */
		w->at[i] = w->arena + i * EXTENT;
		if (!map_part(w, i, 0, EXTENT))
			return false;
	}
	/* So that the places of the others are free. */
	if (one_in(2))
		do_reopen(w);
	return true;
}

static void *worker_thread(void *argument)
{
	struct worker *w = aligned_alloc(4096, (sizeof(*w) + 4095) & ~4095UL);

	if (!w)
		tap_bail("no memory for a worker");
	memset(w, 0, sizeof(*w));
	self = w;
	w->number = (long)argument;
	dice_seed(torture_seed, w->number);
	if (begin_worker(w))
		work(w);
	else
		stress_complain("worker %d: %s", w->number, strerror(errno));
	close(w->pipe[0]);
	close(w->pipe[1]);
	free(w);
	ADD(torture->running, -1);
	return NULL;
}

/* A process of workers. Does not return; what it has mapped goes with it. */
static void torture_process(int process)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t thread[THREADS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Two processors are few, and devices come and go by many programs. */
	nice(10);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	first_worker = process * THREADS;
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, worker_thread, (void *)(first_worker + i)))
			_exit(1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return done;
}

/* Takes memory away, and moves it about. Does not return. */
static void torture_disturber(void)
{
	static const struct {
		const char *name, *path, *text;
	} ways[] = {
		{ "shrinkers", "/proc/sys/vm/drop_caches", "2" },
		{ "compaction", "/proc/sys/vm/compact_memory", "1" },
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dice_seed(torture_seed, WORKERS);
	while (!board->stop) {
		int way = one_in(5);

		usleep(200000 + dice(600000));
		stress_count(DISTURBANCES + way, ways[way].name,
			     write_file(ways[way].path, ways[way].text));
		if (one_in(4))
			torture->hot = dice(EXTENTS);
	}
	_exit(0);
}

#endif
