// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces that processes share: blocks are passed on and freed by others, and processes are killed
 * at any instant, HMEM_TEST_KILLS of them. Every block holds what was written to it; of those that
 * the dead had, at most the one that they were at is lost; all else can be had again.
 */
#include <hmem/hmem.h>

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/granule.h"
#include "../tap.h"

#define MIB	(1ull << 20)
#define WORKERS 4
#define MINE	128
#define PASSED	64

struct block {
	uint64_t bytes;
	uint64_t seed;
	unsigned char rest[];
};

/*
 * Beside the space, so that what each worker has is known when he is dead. A block is here from
 * when it was filled until just before it is freed.
 */
static struct {
	_Atomic uint64_t mine[WORKERS][MINE];
	_Atomic uint64_t passed[PASSED];
	_Atomic uint64_t calls;
	atomic_uint wrong;
} *told;

static char path[64], name[80];
static uint64_t seed;

struct user {
	struct hmem_ctx *ctx;
	struct hmem_space *space;
	struct hmem_interface *interface;
	uint64_t random;
};

static uint64_t next(struct user *user)
{
	user->random ^= user->random >> 12;
	user->random ^= user->random << 25;
	user->random ^= user->random >> 27;
	return user->random * 0x2545f4914f6cdd1dull;
}

static int join(struct user *user, uint64_t bytes)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	int err;

	memset(user, 0, sizeof(*user));
	options.strategy = HMEM_STRATEGY_SHARED;
	of.flags = HMEM_SPACE_SHARED;
	of.layer = name;
	of.bytes = bytes;
	err = hmem_ctx_new(&user->ctx);
	if (!err)
		err = hmem_space_create(user->ctx, "shared", &of, &user->space);
	if (!err)
		err = hmem_interface_create(user->space, &options, &user->interface);
	return err;
}

static void must_join(struct user *user, uint64_t bytes)
{
	if (join(user, bytes))
		tap_bail("%s", hmem_last_error(user->ctx));
}

static void part(struct user *user)
{
	hmem_interface_unref(user->interface);
	hmem_space_unref(user->space);
	hmem_ctx_unref(user->ctx);
}

static unsigned char byte_at(uint64_t of, size_t i)
{
	return (unsigned char)((of + i) * 0x9e3779b97f4a7c15ull >> 56);
}

static void fill(struct block *block, size_t bytes, uint64_t of)
{
	size_t rest = bytes - sizeof(*block);

	block->bytes = bytes;
	block->seed = of;
	for (size_t i = 0; i < rest; i += i < 256 ? 1 : 64)
		block->rest[i] = byte_at(of, i);
}

static bool holds(const struct block *block)
{
	size_t rest = block->bytes - sizeof(*block);

	for (size_t i = 0; i < rest; i += i < 256 ? 1 : 64)
		if (block->rest[i] != byte_at(block->seed, i))
			return false;
	return true;
}

/* @handle is nobody else's any more. */
static void check_and_free(struct user *user, uint64_t handle)
{
	struct block *block = hmem_space_at(user->space, handle);

	if (!holds(block) || hmem_free(user->interface, block))
		atomic_fetch_add(&told->wrong, 1);
}

static uint64_t allocate(struct user *user)
{
	size_t most = 32u << next(user) % 13, bytes = sizeof(struct block) + next(user) % most;
	struct block *block = hmem_malloc(user->interface, bytes);

	if (!block) {
		if (errno != ENOSPC)
			atomic_fetch_add(&told->wrong, 1);
		return 0;
	}
	fill(block, bytes, next(user));
	return hmem_space_handle(user->space, block);
}

/* Until it is killed. */
static void work(unsigned int worker, uint64_t random)
{
	struct user user;

	if (join(&user, 0))
		_exit(1);
	user.random = random | 1;
	for (;;) {
		_Atomic uint64_t *at = &told->mine[worker][next(&user) % MINE];
		uint64_t handle = atomic_load(at), other;

		if (!handle) {
			atomic_store(at, allocate(&user));
		} else if (next(&user) % 3 == 0) {
			_Atomic uint64_t *box = &told->passed[next(&user) % PASSED];

			/* In this order it may be lost, not freed twice. */
			atomic_store(at, 0);
			other = atomic_exchange(box, handle);
			if (other)
				check_and_free(&user, other);
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

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		tap_bail("a worker has ended by itself, with %d", status);
}

static uint64_t blocks_of(const struct user *user)
{
	struct hmem_interface_stats stats = { .size = sizeof(stats) };

	if (hmem_interface_get_stats(user->interface, &stats))
		tap_bail("%s", hmem_last_error(user->ctx));
	return stats.blocks;
}

static struct hmem_space_info info_of(const struct user *user)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(user->space, &info))
		tap_bail("%s", hmem_last_error(user->ctx));
	return info;
}

/* How many blocks of so many bytes there are; none is left. */
static size_t fits(struct user *user, size_t bytes)
{
	static void *blocks[100000];
	size_t n = 0;

	while (n < 100000 && (blocks[n] = hmem_malloc(user->interface, bytes)))
		n++;
	for (size_t i = 0; i < n; i++)
		if (hmem_free(user->interface, blocks[i]))
			tap_bail("%s", hmem_last_error(user->ctx));
	return n;
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
		pids[i] = start(i, next(&user));
	for (unsigned long i = 0; i < kills; i++) {
		uint64_t calls = atomic_load(&told->calls) + next(&user) % 2000;
		unsigned int worker = next(&user) % WORKERS;

		while (atomic_load(&told->calls) < calls)
			sched_yield();
		end(pids[worker]);
		/* He goes on with what the one before him had. */
		pids[worker] = start(worker, next(&user));
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		end(pids[i]);
	free_what_is_told(&user);
	TAP_EQ(atomic_load(&told->wrong), 0,
	       "%llu MiB: blocks hold what was written to them, by %lu that were killed",
	       (unsigned long long)bytes >> 20, kills + WORKERS);
	lost = blocks_of(&user);
	TAP_OK(lost <= kills + WORKERS, "one block each is lost at most: %llu, after %llu calls",
	       (unsigned long long)lost, (unsigned long long)told->calls);
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

/* Blocks stay when nobody has the space, and are found by their handles. */
static void test_stays(void)
{
	struct user user, other;
	uint64_t handle;
	char *block;

	unlink(path);
	must_join(&user, 4 * MIB);
	must_join(&other, 0);
	block = hmem_malloc(user.interface, 100);
	strcpy(block, "it stays");
	handle = hmem_space_handle(user.space, block);
	TAP_OK(handle && hmem_space_at(user.space, handle) == block, "a block has a handle");
	TAP_EQ(hmem_space_handle(user.space, &user), 0, "what is not of the space has none");
	TAP_OK(!hmem_space_at(user.space, 0) && !hmem_space_at(user.space, 4 * MIB + 1) &&
		       !hmem_space_at(NULL, 1),
	       "and none is found where nothing is");
	block = hmem_space_at(other.space, handle);
	TAP_OK(block && !strcmp(block, "it stays"), "another one finds it there");
	TAP_EQ(hmem_free(other.interface, block), 0, "and frees it");
	TAP_EQ(hmem_free(user.interface, hmem_space_at(user.space, handle)), -EALREADY,
	       "then it is free for both");
	block = hmem_malloc(user.interface, MIB);
	strcpy(block, "so does it");
	handle = hmem_space_handle(user.space, block);
	part(&user);
	part(&other);
	must_join(&user, 0);
	block = hmem_space_at(user.space, handle);
	TAP_OK(block && !strcmp(block, "so does it") && hmem_usable_size(user.interface, block) >= MIB,
	       "a block is there when all have gone");
	TAP_EQ(blocks_of(&user), 1, "it alone");
	part(&user);
}

/* The dead have a child that lives: it must not keep what they held. */
static void test_fork(void)
{
	int ready[2], end_of_test[2], status;
	struct user user;
	size_t fresh;
	pid_t pid;
	char said = 0;

	unlink(path);
	must_join(&user, 4 * MIB);
	fresh = fits(&user, 4096);
	if (pipe(ready) || pipe(end_of_test))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		struct user dead;
		pid_t child;

		close(end_of_test[1]);

		if (join(&dead, 0) || !hmem_malloc(dead.interface, 4096))
			_exit(1);
		hmem_free(dead.interface, hmem_malloc(dead.interface, 100));
		child = fork();
		if (!child) {
			if (write(ready[1], "c", 1) != 1)
				_exit(1);
			_exit((int)read(end_of_test[0], &said, 1));
		}
		if (write(ready[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		pause();
	}
	for (size_t got = 0; got < 1 + sizeof(pid_t); got++)
		if (read(ready[0], &said, 1) != 1)
			tap_bail("the other one has ended");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	TAP_EQ(fits(&user, 4096), fresh - 1,
	       "what the dead held can be had while their child lives, but for one block");
	part(&user);
	close(ready[0]);
	close(ready[1]);
	close(end_of_test[0]);
	close(end_of_test[1]);
}

static void must_write(const void *bytes, size_t n)
{
	FILE *file = fopen(path, "r+");

	if (!file || fwrite(bytes, 1, n, file) != n || fclose(file))
		tap_bail("%s: %s", path, strerror(errno));
}

/* Add to a word of the table that begins the region. */
static void overwrite(size_t offset, int add)
{
	FILE *file = fopen(path, "r+");
	uint32_t word;

	if (!file || fseek(file, (long)offset, SEEK_SET) || fread(&word, 4, 1, file) != 1)
		tap_bail("%s: %s", path, strerror(errno));
	word += (uint32_t)add;
	if (fseek(file, (long)offset, SEEK_SET) || fwrite(&word, 4, 1, file) != 1 || fclose(file))
		tap_bail("%s: %s", path, strerror(errno));
}

static void test_errors(void)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *interface;
	struct hmem_space *space;
	struct user user;

	unlink(path);
	must_join(&user, 4 * MIB);
	options.strategy = HMEM_STRATEGY_BINNED;
	TAP_EQ(hmem_interface_create(user.space, &options, &interface), -EOPNOTSUPP,
	       "a shared space has no other strategies");
	options.strategy = HMEM_STRATEGY_SHARED;
	options.flags = HMEM_INTERFACE_CHECKED;
	TAP_EQ(hmem_interface_create(user.space, &options, &interface), -EOPNOTSUPP,
	       "nor one that is checked");
	options.flags = 0;
	of.bytes = 4 * MIB;
	if (hmem_space_create(user.ctx, "mine", &of, &space))
		tap_bail("%s", hmem_last_error(user.ctx));
	options.strategy = HMEM_STRATEGY_SHARED;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EOPNOTSUPP,
	       "and that one only a shared space");
	hmem_space_unref(space);
	of.flags = HMEM_SPACE_SHARED;
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -EINVAL, "DRAM is not shared");
	TAP_OK(strstr(hmem_last_error(user.ctx), "file:/dev/shm/NAME"), "but what is, is said");
	of.layer = name;
	of.limit = MIB;
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -EINVAL, "a limit is set later");
	of.limit = 0;
	TAP_EQ(hmem_space_set_limit(user.space, MIB), 0, "as here");
	TAP_OK(!hmem_malloc(user.interface, 2 * MIB) && errno == EDQUOT, "for all");
	part(&user);
	of.layer = "/nowhere/at/all";
	of.bytes = 0;
	if (hmem_ctx_new(&user.ctx))
		tap_bail("no context");
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -ENOENT, "no such file");
	of.layer = name;
	must_write("\0\0\0\0\0\0\0\0", 8);
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -EILSEQ, "no space");
	TAP_OK(strstr(hmem_last_error(user.ctx), "clear its first 4096 bytes"), "with what to do");
	unlink(path);
	hmem_ctx_unref(user.ctx);
	must_join(&user, 4 * MIB);
	part(&user);
	if (hmem_ctx_new(&user.ctx))
		tap_bail("no context");
	overwrite(offsetof(struct granule_table, version), 1);
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -EPROTO, "a space of another version");
	overwrite(offsetof(struct granule_table, version), -1);
	overwrite(offsetof(struct granule_table, classes), 1);
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -EPROTO,
	       "or whose blocks have other sizes");
	overwrite(offsetof(struct granule_table, classes), -1);
	overwrite(offsetof(struct granule_table, reserved1), 1);
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), -EILSEQ, "or that says more");
	overwrite(offsetof(struct granule_table, reserved1), -1);
	TAP_EQ(hmem_space_create(user.ctx, "s", &of, &space), 0, "and else as it is");
	hmem_space_unref(space);
	hmem_ctx_unref(user.ctx);
}

/* Two processes' view of where to begin, here two spaces of one process. */
static void test_root(void)
{
	struct user one, two;
	uint64_t handle;
	char *block;

	unlink(path);
	must_join(&one, 4 * MIB);
	must_join(&two, 4 * MIB);
	hmem_interface_unref(two.interface);
	TAP_EQ(hmem_interface_create(two.space, NULL, &two.interface), 0,
	       "without options an interface of a shared space is one");
	block = hmem_malloc(one.interface, 100);
	handle = hmem_space_handle(one.space, block);
	TAP_EQ(hmem_space_root(two.space), 0, "at first there is nothing to begin with");
	strcpy(block, "here it begins");
	TAP_EQ(hmem_space_set_root(one.space, 0, handle), 0, "until somebody says what");
	TAP_EQ(hmem_space_root(two.space), handle, "which others are told");
	TAP_STR_EQ((char *)hmem_space_at(two.space, hmem_space_root(two.space)), "here it begins",
		   "and find");
	TAP_EQ(hmem_space_set_root(two.space, 0, handle + 16), -EAGAIN, "who comes second is told");
	TAP_EQ(hmem_space_set_root(two.space, handle, 1ull << 60), -EINVAL, "no place in the space");
	TAP_EQ(hmem_space_set_root(NULL, 0, handle), -EINVAL, "no space");
	TAP_EQ(hmem_space_root(NULL), 0, "where nothing begins");
	part(&one);
	part(&two);
	must_join(&one, 4 * MIB);
	TAP_EQ(hmem_space_root(one.space), handle, "it is there for who comes when all have gone");
	TAP_EQ(hmem_space_set_root(one.space, handle, 0), 0, "and is taken back");
	TAP_EQ(hmem_space_root(one.space), 0, "so that it is none");
	part(&one);
}

/* What is there before a space is made: another one, of which but its begin was cleared; half of one. */
static void test_made_again(void)
{
	static const char zeroes[4096];
	struct user user;
	void *all;

	unlink(path);
	must_join(&user, 64 * MIB);
	for (int i = 0; i < 1000; i++)
		if (!hmem_malloc(user.interface, 40000))
			tap_bail("no block");
	part(&user);
	must_write(zeroes, sizeof(zeroes));
	must_join(&user, 0);
	TAP_EQ(blocks_of(&user), 0, "a space whose begin was cleared is a new one, without blocks");
	all = hmem_malloc(user.interface, info_of(&user).bytes);
	TAP_OK(all && !hmem_free(user.interface, all), "all of which can be one block");
	part(&user);
	/* lib/granule.c: MAKING, and some of what follows. */
	must_write("mgmaking\1\0\0\0\14\0\0\0\377", 17);
	must_join(&user, 0);
	all = hmem_malloc(user.interface, info_of(&user).bytes);
	TAP_OK(all && !hmem_free(user.interface, all), "so is one whose maker died");
	part(&user);
}

int main(void)
{
	const char *said = getenv("HMEM_TEST_SEED"), *many = getenv("HMEM_TEST_KILLS");
	unsigned long kills = many ? strtoul(many, NULL, 0) : 300;

	seed = said ? strtoull(said, NULL, 0) : (uint64_t)time(NULL);
	tap_diag("HMEM_TEST_SEED=%llu", (unsigned long long)seed);
	snprintf(path, sizeof(path), "/dev/shm/hmem-test-%d", getpid());
	snprintf(name, sizeof(name), "file:%s", path);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	test_stays();
	test_fork();
	test_errors();
	test_root();
	test_made_again();
	test_kills(kills, 8 * MIB);
	test_kills(kills, 256 * MIB);
	unlink(path);
	return tap_done();
}
