// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces that processes share: what stays when nobody has one, what the dead held while their child
 * lives, where to begin, what was there before one is made, and what is refused.
 */
#include <signal.h>
#include <sys/wait.h>

#include "../../lib/granule.h"
#include "shared_user.h"

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
	name_region();
	test_stays();
	test_fork();
	test_errors();
	test_root();
	test_made_again();
	unlink(path);
	return tap_done();
}
