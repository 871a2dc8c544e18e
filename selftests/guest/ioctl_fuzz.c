// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ioctls made by the grammar of the contract, mostly valid and a little wrong: members, sizes,
 * flags, names and pointers, also into a region's own memory; by threads of root and of an
 * ordinary user at once, with mappings, faults and closes in between. Every answer must be one
 * that the contract names, nobody may do what he may not, and in the end all memory is back.
 *
 *	ioctl_fuzz [CALLS [SEED [THREADS [ram]]]]	ram: on system RAM alone
 *
 * What each thread does follows from the seed, whatever it is answered. With one seed in four memory
 * is said to be bad as well; what is bad is given to nobody, and the books are less strict then.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=120
 */
#include "ioctl_grammar.h"
#include "near.h"
#include "pools.h"
#include "stress.h"

#include <pthread.h>

#define CALLS		20000
#define PHASE_CALLS	25000
#define ROOT_THREADS	4
#define FILES		6
#define MAPPED		(4 * EXTENT)
#define NAMES		5
#define POOLS		4

/* What all threads of all processes have done together, in memory that they share. */
struct tally {
	uint64_t calls[COMMANDS], good[COMMANDS], faults, touches;
};
static struct tally *tally;

struct fuzzer {
	int number;
	bool user;
	int control;
	int fd[FILES];
	char *mapped[FILES];
	/* Argument, with a page that cannot be touched behind it; the same, for reading only. */
	unsigned char *argument, *readonly;
	unsigned char buffer[4096];
};

static uint64_t fuzz_seed, calls_each;

static bool with_poison(void)
{
	return fuzz_seed % 4 == 0;
}

/* Values. */

static uint64_t odd_number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 7, 4095, 4096, EXTENT - 1, EXTENT, EXTENT + 1,
					INT32_MAX, UINT32_MAX, 1ULL << 32, INT64_MAX, 1ULL << 63,
					UINT64_MAX, UINT64_MAX - EXTENT + 1, 1ULL << 47, 1ULL << 52 };

	return one_in(4) ? dice(UINT64_MAX) >> dice(64) : PICK(odd);
}

static void any_name(char *to, size_t room, enum member_kind kind)
{
	static const char *const knobs[] = { "budget_ppm", "split", "window_min_ms", "tick_min_ms",
					     "near_ns", "rate_mib", "no_such_knob" };
	static const char *const odd[] = { "control", ".", "..", "-", "a/b", "a b", "", ".hidden",
					   "\xff\xfe", "up/../down" };

	memset(to, 0, room);
	if (one_in(24)) {
		snprintf(to, room, "%s", PICK(odd));
	} else if (one_in(48)) {
		for (size_t i = 0; i < room; i++)	/* without an end */
			to[i] = 'a' + dice(26);
	} else if (kind == REGION_NAME) {
		snprintf(to, room, "r%d", (int)dice(NAMES));
	} else if (kind == KNOB_NAME) {
		snprintf(to, room, "%s", one_in(3) ? "" : PICK(knobs));
	} else if (kind == SOURCE_NAME || one_in(3)) {
		snprintf(to, room, "region%d", (int)dice(3));
	} else if (!one_in(8)) {
		snprintf(to, room, "p%d", (int)dice(POOLS));
	}
}

static uint64_t any_pointer(struct fuzzer *f)
{
	char *mapped = f->mapped[dice(FILES)];

	switch (dice(12)) {
	case 0:
		return 0;
	case 1:
		return (uintptr_t)f->readonly;
	case 2:
		return 0xffff888000000000ULL + dice(1ULL << 30);
	case 3:
		return (uintptr_t)mapped + dice(MAPPED / 8) * 8;
	case 4:
		return dice(1ULL << 47);
	default:
		return (uintptr_t)f->buffer;
	}
}

/* A sensible value, as far as the member alone can tell. */
static void fill(struct fuzzer *f, const struct member *m, unsigned char *at)
{
	uint64_t value = 0;

	switch (m->kind) {
	case OUT:
	case RESERVED:
		break;
	case FLAGS:
		value = one_in(2) ? 0 : dice(UINT64_MAX) & m->known;
		break;
	case CHOICE:
		value = dice(m->known + 1);
		break;
	case RANGE:
	case RAM_BYTES:
		value = dice(m->known + 1) * EXTENT;
		break;
	case NODE:
		value = one_in(8) ? 0 : UINT64_MAX;
		break;
	case COUNT:
	case TIME:
		value = dice(m->known + 1);
		break;
	case POINTER:
		value = any_pointer(f);
		break;
	case ID:
		value = one_in(2) ? 0 : USER_UID;
		break;
	case MODE:
		value = one_in(2) ? 0666 : dice(01000);
		break;
	case HOST:
		value = dice(3);
		break;
	default:
		any_name((char *)at, m->bytes, m->kind);
		return;
	}
	memcpy(at, &value, m->bytes < 8 ? m->bytes : 8);
}

/* A pool of system RAM that takes all of the machine's is not what is looked for here. */
static bool takes_memory(uint64_t bytes)
{
	return bytes > 16 * EXTENT && bytes < 1ULL << 60;
}

/* Members that have to fit together. */
static void mend(const struct grammar *g, unsigned char *bytes)
{
	if (g->number == HMEM_POOL_ATTACH) {
		struct hmem_pool_attach *a = (struct hmem_pool_attach *)bytes;

		if (a->provider == HMEM_PROVIDER_RAM) {
			memset(a->source, 0, sizeof(a->source));
			snprintf(a->name, sizeof(a->name), "p%d", (int)dice(POOLS));
			a->bytes += EXTENT;
			a->flags = 0;
		} else {
			a->bytes = 0;
			a->nid = -1;
		}
		memset(a->host + 1, 0, sizeof(a->host) - 1);
	} else if (g->number == HMEM_REGION_CREATE) {
		struct hmem_region_create *c = (struct hmem_region_create *)bytes;

		/* Of one pool that has room, or of all of a kind; named ones are there now and then. */
		if (!one_in(4)) {
			if ((c->flags & 3) == 3)
				c->flags &= ~HMEM_CREATE_FILL;
			memset(c->pool, 0, sizeof(c->pool));
			c->pools = 0;
			c->nr_pools = 0;
			c->bytes += EXTENT;
		}
	} else if (g->number == HMEM_POOL_DRAIN) {
		struct hmem_pool_drain *d = (struct hmem_pool_drain *)bytes;

		/* A pool that is drained takes nothing until that is stopped. */
		if (!one_in(4))
			d->flags = HMEM_DRAIN_STOP;
	} else if (g->number == HMEM_REGION_POLICY) {
		struct hmem_policy *p = (struct hmem_policy *)bytes;

		if (p->flags & HMEM_POLICY_KNOB_INDEX)
			p->flags &= ~HMEM_POLICY_KNOB;
		if (p->flags & HMEM_POLICY_KNOB)
			snprintf(p->knob, sizeof(p->knob), one_in(2) ? "budget_ppm" : "near_ns");
	}
}

/* From sensible to wrong. */
static void spoil(const struct grammar *g, unsigned char *argument)
{
	const struct member *m = &g->members[dice(MEMBERS)];
	uint64_t value = odd_number();

	if (!m->bytes || m->kind == TIME)
		return;
	if (m->kind == RAM_BYTES && takes_memory(value))
		return;
	if (m->bytes <= 8)
		memcpy(argument + m->at, &value, m->bytes);
	else
		argument[m->at + dice(m->bytes)] = value;
}

static uint32_t any_size(const struct grammar *g)
{
	switch (one_in(8) ? dice(8) : 8) {
	case 0:
		return 0;
	case 1:
		return g->least - 1;
	case 2:
		return g->least;
	case 3:
		return g->length + 8;
	case 4:
		return g->length + dice(64);
	case 5:
		return 4096;
	case 6:
		return 4097;
	case 7:
		return odd_number();
	default:
		return g->length;
	}
}

static const struct grammar *any_command(int *index)
{
	int sum = 0, chosen;

	for (int i = 0; i < COMMANDS; i++)
		sum += grammar[i].weight;
	chosen = dice(sum);
	*index = 0;
	while ((chosen -= grammar[*index].weight) >= 0)
		(*index)++;
	return &grammar[*index];
}

/* Where the argument is handed over from: mostly ordinary memory. */
static unsigned char *place_argument(struct fuzzer *f, const struct grammar *g, uint32_t size)
{
	size_t bytes = size < 4096 ? size : 4096;
	char *mapped = f->mapped[dice(FILES)];

	/* Where others write, a command that waits might wait for ever. */
	switch (g->number == HMEM_REGION_WAIT ? 6 + dice(34) : dice(40)) {
	case 0:
		return NULL;
	case 1:
		return (unsigned char *)0xffff888000000000UL;
	case 2:		/* answers cannot be written */
		return f->readonly;
	case 3:		/* ends where nothing is */
		return f->argument + 4096 - (bytes > 8 ? bytes - 8 : 0);
	case 4:
	case 5:		/* in a region: to read it is a fault in the module */
		return mapped ? (unsigned char *)mapped + dice(MAPPED / 4096) * 4096 : NULL;
	default:
		return f->argument + 4096 - bytes;
	}
}

/* Copying to memory of a region may be SIGBUS, which is no finding. */
static void hand_over(unsigned char *to, const unsigned char *from, size_t bytes)
{
	if (!sigsetjmp(touch_return, 1)) {
		touch_armed = 1;
		memcpy(to, from, bytes);
	} else {
		ADD(tally->faults, 1);
	}
	touch_armed = 0;
}

static void judge(struct fuzzer *f, const struct grammar *g, int error, bool on_control)
{
	if (!is_documented(error))
		stress_complain("%s: %s (%d) is not documented", g->name, strerror(error), error);
	if (f->user && g->who == ADMIN && on_control && !error)
		stress_complain("%s: an ordinary user may do that", g->name);
}

static void call(struct fuzzer *f)
{
	unsigned char bytes[4096] = { 0 };
	int index, fd, slot = dice(FILES), error;
	const struct grammar *g = any_command(&index);
	uint32_t size = any_size(g);
	unsigned char *argument;
	size_t whole = size < 4096 ? size : 4096;

	for (int i = 0; i < MEMBERS; i++)
		if (g->members[i].bytes)
			fill(f, &g->members[i], bytes + g->members[i].at);
	if (!one_in(8))
		mend(g, bytes);
	for (int n = one_in(3) ? 1 + dice(3) : 0; n > 0; n--)
		spoil(g, bytes);
	if (one_in(2) && size > g->length)
		bytes[g->length + dice(whole - g->length ?: 1)] = 1;
	memcpy(bytes, &size, 4);
	if (!with_poison() && g->number == HMEM_REGION_POISON)
		memset(bytes + offsetof(struct hmem_poison, op), 0, 4);
	if (!with_poison() && g->number == HMEM_POOL_POISON)
		return;

	argument = place_argument(f, g, size);
	if (argument >= f->argument && argument <= f->argument + 4096)
		memcpy(argument, bytes, f->argument + 4096 - argument);
	else if (argument && argument != f->readonly && (intptr_t)argument > 0)
		hand_over(argument, bytes, whole);
	fd = g->on_region != one_in(40) ? f->fd[slot] : f->control;
	error = ioctl(fd, g->number, argument) < 0 ? errno : 0;
	judge(f, g, error, fd == f->control);
	ADD(tally->calls[index], 1);
	if (!error)
		ADD(tally->good[index], 1);
}

/* What is between calls. */
static void use(struct fuzzer *f)
{
	static const int flags[] = { O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	int slot = dice(FILES);
	char name[HMEM_NAME_LEN];
	volatile char *at;

	switch (dice(12)) {
	case 0:
		if (f->mapped[slot])
			munmap(f->mapped[slot], MAPPED);
		f->mapped[slot] = NULL;
		close(f->fd[slot]);
		f->fd[slot] = -1;
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		snprintf(name, sizeof(name), "r%d", (int)dice(NAMES));
		if (f->fd[slot] >= 0)
			close(f->fd[slot]);
		f->fd[slot] = region_open(name, PICK(flags));
		break;
	case 5:
	case 6:
		if (f->mapped[slot])
			munmap(f->mapped[slot], MAPPED);
		f->mapped[slot] = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED,
				       f->fd[slot], 0);
		if (f->mapped[slot] == MAP_FAILED)
			f->mapped[slot] = NULL;
		break;
	default:
		at = f->mapped[slot] ? f->mapped[slot] + dice(MAPPED / 4096) * 4096 : NULL;
		if (at && (one_in(2) ? touch_read(at) : touch_write(at, 1)))
			ADD(tally->faults, 1);
		ADD(tally->touches, 1);
	}
}

static void *fuzz(void *argument)
{
	struct fuzzer *f = argument;

	dice_seed(fuzz_seed, f->number);
	for (uint64_t n = 0; n < calls_each && !board->wrong; n++) {
		if (one_in(6))
			use(f);
		call(f);
	}
	for (int i = 0; i < FILES; i++) {
		if (f->mapped[i])
			munmap(f->mapped[i], MAPPED);
		if (f->fd[i] >= 0)
			close(f->fd[i]);
	}
	return NULL;
}

static struct fuzzer *new_fuzzer(int number, bool user, int control)
{
	struct fuzzer *f = calloc(1, sizeof(*f));

	f->number = number;
	f->user = user;
	f->control = control;
	for (int i = 0; i < FILES; i++)
		f->fd[i] = -1;
	f->argument = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	f->readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->argument == MAP_FAILED || f->readonly == MAP_FAILED)
		_exit(3);
	munmap(f->argument + 4096, 2 * 4096);
	return f;
}

/* A process of threads; does not return. The control device was opened by root in any case. */
static void fuzz_process(int first, int threads, bool user, int control)
{
	pthread_t thread[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (user && (setgroups(0, NULL) || setgid(USER_UID) || setuid(USER_UID)))
		_exit(2);
	touch_catch();
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, fuzz, new_fuzzer(first + i, user, control)))
			_exit(3);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

static int64_t total(const char *class, const char *attribute)
{
	char names[64][HMEM_NAME_LEN];
	int n = class_names(class, names, 64);
	int64_t sum = 0;

	for (int i = 0; i < n && i < 64; i++) {
		char name[HMEM_NAME_LEN];

		snprintf(name, sizeof(name), "%.63s", names[i]);
		sum += sysfs_number(class, name, attribute);
	}
	return sum;
}

/* Calls of a command that were answered. */
static uint64_t answered(unsigned long number)
{
	for (int i = 0; i < COMMANDS; i++)
		if (grammar[i].number == number)
			return tally->good[i];
	return 0;
}

/*
 * Nobody calls just now: what sysfs says of pools and regions fits together. Regions that are
 * drained have places twice, and what is bad is taken by nobody.
 */
static void check_books(const char *when)
{
	int64_t size = total("hmem_pool", "size"), left = total("hmem_pool", "free");
	int64_t used = total("hmem", "size");
	bool all = !with_poison() && (!used || !answered(HMEM_POOL_DRAIN));

	if (used + left > size || (all && used + left != size))
		stress_complain("%s: %lld bytes in regions, %lld free of %lld", when,
				(long long)used, (long long)left, (long long)size);
}

static void take_all_away(int control)
{
	char names[64][HMEM_NAME_LEN];
	int n = class_names("hmem", names, 64);

	for (int i = 0; i < n && i < 64; i++) {
		int rc = region_destroy(control, names[i]);

		if (rc)
			stress_complain("region %s cannot be destroyed: %s", names[i], strerror(-rc));
	}
	check_books("without regions");
	n = class_names("hmem_pool", names, 64);
	for (int i = 0; i < n && i < 64; i++) {
		int rc = pool_detach(control, names[i]);

		if (rc)
			stress_complain("pool %s cannot be detached: %s", names[i], strerror(-rc));
	}
}

static void phase(int control, int threads)
{
	int users = threads > 1 ? 1 : 0, status;
	pid_t pids[2] = { 0, 0 };

	fflush(stdout);
	for (int i = 0; i <= users; i++) {
		pids[i] = fork();
		if (!pids[i])
			fuzz_process(i * 100, i ? threads / 3 + 1 : threads, i, control);
	}
	for (int i = 0; i <= users; i++) {
		while (waitpid(pids[i], &status, 0) < 0)
			;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			stress_complain("a process ended with status %#x", status);
	}
	check_books("after all calls");
	take_all_away(control);
}

static uint64_t all_calls(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < COMMANDS; i++)
		sum += tally->calls[i];
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t calls = argc > 1 ? strtoull(argv[1], NULL, 0) : CALLS;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	int threads = argc > 3 ? atoi(argv[3]) : ROOT_THREADS, control, all, rc;
	char ram[HMEM_NAME_LEN], pmem[HMEM_NAME_LEN];
	bool only_ram = argc > 4 && !strcmp(argv[4], "ram");

	tap_diag("%llu calls, seed %llu, %d threads of root", (unsigned long long)calls,
		 (unsigned long long)seed, threads);
	if (threads < 1 || threads > 16)
		tap_bail("1 to 16 threads");
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED || tally == MAP_FAILED)
		tap_bail("no shared memory");
	control = only_ram ? must_begin() : must_begin_cxl();
	if (!only_ram) {
		must_cxl("ram", ram);
		must_cxl("pmem", pmem);
	}
	all = threads + (threads > 1 ? threads / 3 + 1 : 0);
	for (int n = 0; all_calls() < calls && !board->wrong; n++) {
		uint64_t left = calls - all_calls();

		fuzz_seed = seed + n * 1000003ULL;
		calls_each = ((left < PHASE_CALLS ? left : PHASE_CALLS) + all - 1) / all;
		phase(control, threads);
	}
	for (int i = 0; i < COMMANDS; i++)
		TAP_OK(tally->good[i] || (grammar[i].number == HMEM_POOL_POISON && tally->calls[i] < 20),
		       "%s: %llu calls, %llu good", grammar[i].name,
		       (unsigned long long)tally->calls[i], (unsigned long long)tally->good[i]);
	tap_diag("%llu pages touched, %llu faults", (unsigned long long)tally->touches,
		 (unsigned long long)tally->faults);
	TAP_OK(!board->wrong, "%llu calls, every answer is in the contract, and all memory is back",
	       (unsigned long long)all_calls());
	if (board->wrong)
		tap_diag("%d times; first: %s", board->wrong, board->complaint);
	close(control);
	rc = module_remove_soon();
	TAP_EQ(rc, 0, "the module can be unloaded");
	if (!only_ram) {
		cxl_end(ram);
		cxl_end(pmem);
	}
	return tap_done();
}
