// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on a space that processes share: blocks are passed on and freed by others, and
 * processes are killed at any instant, HMEM_TEST_KILLS of them. Every block holds what was written
 * to it; of those that the dead had, at most the one that they were at is lost, or both of which
 * one was to become the other; all else can be had again.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "blocks_model.h"
#include "shared_user.h"

#define WORKERS 4
#define MINE	128
#define PASSED	64

/*
 * Beside the space, so that what each worker has is known when he is dead. A block is here from
 * when it was filled until just before it is freed.
 *
 * @resizes: he is at two blocks just now
 * @may_be_lost: blocks of those who are dead
 */
static struct {
	atomic_uint resizes[WORKERS];
	unsigned long may_be_lost;
	_Atomic uint64_t mine[WORKERS][MINE];
	_Atomic uint64_t passed[PASSED];
	_Atomic uint64_t calls;
	atomic_uint wrong;
} *told;

static uint64_t seed;

/* Of all processes. */
static void must(bool good)
{
	if (!good)
		atomic_fetch_add(&told->wrong, 1);
}

/* @handle is nobody else's any more. */
static void check_and_free(struct user *user, uint64_t handle)
{
	struct block *block = hmem_space_at(user->space, handle);

	must(block_holds(block, block->bytes, block->seed) && !hmem_free(user->interface, block));
}

static uint64_t allocate(struct user *user)
{
	size_t bytes = some_bytes(&user->random, sizeof(struct block), 100000);
	size_t align = 16u << next_random(&user->random) % 8;
	struct block *block;

	switch (next_random(&user->random) % 8) {
	case 0:
		block = hmem_calloc(user->interface, 1, bytes);
		for (size_t i = 0; block && i < bytes; i++)
			must(!((char *)block)[i]);
		break;
	case 1:
		block = hmem_aligned_alloc(user->interface, align, bytes);
		must((uintptr_t)block % align == 0);
		break;
	default:
		block = hmem_malloc(user->interface, bytes);
	}
	if (!block) {
		must(errno == ENOSPC);
		return 0;
	}
	block_fill(block, bytes, next_random(&user->random));
	return hmem_space_handle(user->space, block);
}

/* What it is now: where there is no room for it, what it was. */
static uint64_t resize(struct user *user, uint64_t handle)
{
	struct block *old = hmem_space_at(user->space, handle), *new;
	size_t bytes = some_bytes(&user->random, sizeof(struct block), 100000), had = old->bytes;
	uint64_t had_seed = old->seed;

	new = hmem_realloc(user->interface, old, bytes);
	must(new || errno == ENOSPC);
	if (!new || bytes >= had)
		must(block_holds(new ? new : old, had, had_seed));
	if (!new)
		return handle;
	block_fill(new, bytes, next_random(&user->random));
	return hmem_space_handle(user->space, new);
}

/* Until it is killed. */
static void work(unsigned int worker, uint64_t random)
{
	struct user user;

	if (join(&user, 0))
		_exit(1);
	user.random = random | 1;
	for (;;) {
		_Atomic uint64_t *at = &told->mine[worker][next_random(&user.random) % MINE];
		uint64_t handle = atomic_load(at), other;

		if (!handle) {
			atomic_store(at, allocate(&user));
		} else if (next_random(&user.random) % 3 == 0) {
			_Atomic uint64_t *box = &told->passed[next_random(&user.random) % PASSED];

			/* In this order it may be lost, not freed twice. */
			atomic_store(at, 0);
			other = atomic_exchange(box, handle);
			if (other)
				check_and_free(&user, other);
		} else if (next_random(&user.random) % 4 == 0) {
			atomic_store(&told->resizes[worker], 1);
			atomic_store(at, 0);
			atomic_store(at, resize(&user, handle));
			atomic_store(&told->resizes[worker], 0);
		} else {
			atomic_store(at, 0);
			check_and_free(&user, handle);
		}
		atomic_fetch_add_explicit(&told->calls, 1, memory_order_relaxed);
	}
}

static pid_t start(unsigned int worker, uint64_t random)
{
	pid_t pid = fork();

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		work(worker, random);
	return pid;
}

static void end(pid_t pid, unsigned int worker)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		tap_bail("a worker has ended by itself, with %d", status);
	told->may_be_lost += 1 + atomic_exchange(&told->resizes[worker], 0);
}

/* Whatever is at any place; returns how many blocks. */
static uint64_t free_everything(struct user *user)
{
	uint64_t bytes = info_of(user).bytes, n = 0;

	for (uint64_t at = 0; at < bytes; at += 16) {
		void *place = hmem_space_at(user->space, at + 1);

		if (hmem_usable_size(user->interface, place) &&
		    !hmem_free(user->interface, place))
			n++;
	}
	return n;
}

static void free_what_is_told(struct user *user)
{
	for (int i = 0; i < WORKERS * MINE; i++)
		if (told->mine[i / MINE][i % MINE])
			check_and_free(user, told->mine[i / MINE][i % MINE]);
	for (int i = 0; i < PASSED; i++)
		if (told->passed[i])
			check_and_free(user, told->passed[i]);
}

static void test_kills(unsigned long kills, uint64_t bytes)
{
	struct user user;
	size_t fresh;
	uint64_t lost;
	void *all;
	pid_t pids[WORKERS];

	memset(told, 0, sizeof(*told));
	unlink(path);
	must_join(&user, bytes);
	fresh = fits(&user, 4096);
	user.random = seed | 1;
	for (unsigned int i = 0; i < WORKERS; i++)
		pids[i] = start(i, next_random(&user.random));
	for (unsigned long i = 0; i < kills; i++) {
		uint64_t calls = atomic_load(&told->calls) + next_random(&user.random) % 2000;
		unsigned int worker = next_random(&user.random) % WORKERS;

		while (atomic_load(&told->calls) < calls)
			sched_yield();
		end(pids[worker], worker);
		/* He goes on with what the one before him had. */
		pids[worker] = start(worker, next_random(&user.random));
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		end(pids[i], i);
	free_what_is_told(&user);
	TAP_EQ(atomic_load(&told->wrong), 0,
	       "%llu MiB: blocks hold what was written to them, by %lu that were killed",
	       (unsigned long long)bytes >> 20, kills + WORKERS);
	lost = blocks_of(&user);
	TAP_OK(lost <= told->may_be_lost, "%llu blocks are lost, of at most %lu, after %llu calls",
	       (unsigned long long)lost, told->may_be_lost, (unsigned long long)told->calls);
	TAP_EQ(free_everything(&user), lost, "those are found");
	TAP_EQ(blocks_of(&user), 0, "then there is none");
	all = hmem_malloc(user.interface, info_of(&user).bytes);
	TAP_OK(all && !hmem_free(user.interface, all), "all of it can be one block");
	TAP_EQ(fits(&user, 4096), fresh, "and there is as much room as before");
	part(&user);
	must_join(&user, 0);
	TAP_EQ(info_of(&user).used, 0, "which who joins next finds empty");
	part(&user);
}

int main(void)
{
	const char *many = getenv("HMEM_TEST_KILLS");
	unsigned long kills = many ? strtoul(many, NULL, 0) : 300;

	seed = model_seed();
	name_region();
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	test_kills(kills, 8 * MIB);
	test_kills(kills, 256 * MIB);
	unlink(path);
	return tap_done();
}
