// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations: slices, other sizes, other spaces; and copies between them, at once and by another
 * thread, of bytes, rows and planes.
 */
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sanitized.h"
#include "interface_user.h"

static struct hmem_space *space, *small;
static struct hmem_interface *binned, *bump, *elsewhere;

static struct hmem_allocation *must_have(struct hmem_interface *interface, size_t bytes)
{
	struct hmem_allocation *new;

	if (hmem_allocation_new(interface, bytes, 0, 0, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static struct hmem_allocation *must_slice(struct hmem_allocation *of, size_t offset, size_t bytes)
{
	struct hmem_allocation *new;

	if (hmem_allocation_slice(of, offset, bytes, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static struct hmem_allocation_info info_of(const struct hmem_allocation *allocation)
{
	struct hmem_allocation_info info = { .size = sizeof(info) };

	if (hmem_allocation_get_info(allocation, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info;
}

static unsigned char *bytes_of(struct hmem_allocation *allocation)
{
	return hmem_allocation_data(allocation);
}

static void count_up(struct hmem_allocation *allocation)
{
	for (size_t i = 0; i < hmem_allocation_bytes(allocation); i++)
		bytes_of(allocation)[i] = (unsigned char)(i * 7 % 251);
}

static bool counts_up(struct hmem_allocation *allocation, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (bytes_of(allocation)[i] != i * 7 % 251)
			return false;
	return true;
}

static void test_handles(void)
{
	struct hmem_allocation *a, *b = NULL;
	struct hmem_allocation_info info;

	TAP_EQ(hmem_allocation_new(binned, 1000, 256, HMEM_ALLOCATION_ZERO, &a), 0, "allocated");
	info = info_of(a);
	TAP_OK(info.data == hmem_allocation_data(a) && info.bytes == 1000 &&
		       hmem_allocation_bytes(a) == 1000 && info.usable >= 1000 && info.align == 256 &&
		       info.owns && info.interface == binned && !info.owner && !info.slices,
	       "all is known of it");
	TAP_OK((uintptr_t)info.data % 256 == 0 && !bytes_of(a)[0] &&
		       !memcmp(bytes_of(a), bytes_of(a) + 1, 999),
	       "it is aligned, and zeroes");
	TAP_EQ(stats_of(binned).blocks, 1, "it is a block of its interface");
	TAP_EQ(hmem_allocation_free(a), 0, "it is freed");
	TAP_EQ(stats_of(binned).blocks, 0, "with its block");
	TAP_EQ(hmem_allocation_free(NULL), 0, "NULL is nothing");
	TAP_EQ(hmem_allocation_new(NULL, 1, 0, 0, &b), -EINVAL, "of no interface");
	TAP_EQ(hmem_allocation_new(binned, 0, 0, 0, &b), -EINVAL, "of no bytes");
	TAP_EQ(hmem_allocation_new(binned, 1, 0, 0, NULL), -EINVAL, "without a place");
	TAP_EQ(hmem_allocation_new(binned, 1, 0, 1u << 31, &b), -EINVAL, "with such a flag");
	TAP_EQ(hmem_allocation_new(binned, 1, 48, 0, &b), -EINVAL, "aligned to 48");
	TAP_EQ(hmem_allocation_new(binned, SIZE_MAX, 0, 0, &b), -ENOSPC, "more than there is");
	TAP_OK(strstr(hmem_last_error(ctx), "there are no 18446744073709551615 bytes"), "as is said");
	hmem_space_set_limit(small, MIB);
	TAP_EQ(hmem_allocation_new(elsewhere, 2 * MIB, 0, 0, &b), -EDQUOT, "more than the limit");
	hmem_space_set_limit(small, 0);
	TAP_OK(!b && !stats_of(binned).blocks, "none of which has left anything");
	TAP_OK(!hmem_allocation_data(NULL) && !hmem_allocation_bytes(NULL), "no handle, no data");
	TAP_EQ(hmem_allocation_get_info(NULL, &info), -EINVAL, "nor info");
	a = must_have(binned, 1);
	TAP_EQ(hmem_allocation_get_info(a, NULL), -EINVAL, "nor without a place for it");
	info.size = 1;
	TAP_EQ(hmem_allocation_get_info(a, &info), -EINVAL, "or a struct of one byte");
	TAP_EQ(hmem_free(binned, hmem_allocation_data(a)), 0, "freed behind its back");
	TAP_EQ(hmem_allocation_free(a), -EALREADY, "which is seen");
}

static void test_adopt(void)
{
	static char mine[100];
	char *block = hmem_malloc(binned, 100);
	struct hmem_allocation *a;

	TAP_EQ(hmem_allocation_adopt(ctx, NULL, mine, 100, 0, &a), 0, "memory of no interface");
	TAP_OK(hmem_allocation_data(a) == mine && !info_of(a).owns && !info_of(a).interface,
	       "is where it is");
	TAP_EQ(hmem_allocation_resize(a, 200), -EOPNOTSUPP, "gets no larger");
	TAP_EQ(hmem_allocation_move(a, binned), -EOPNOTSUPP, "and does not move");
	TAP_EQ(hmem_allocation_free(a), 0, "its handle is freed");
	TAP_EQ(hmem_allocation_adopt(ctx, binned, mine, 100, HMEM_ALLOCATION_OWNS, &a), -EINVAL,
	       "what is no block of an interface is not taken for one");
	TAP_EQ(hmem_allocation_adopt(ctx, binned, block, 1000, HMEM_ALLOCATION_OWNS, &a), -EINVAL,
	       "nor for a larger one");
	TAP_EQ(hmem_allocation_adopt(ctx, NULL, mine, 100, HMEM_ALLOCATION_OWNS, &a), -EINVAL,
	       "nor is that of none freed with its handle");
	TAP_EQ(hmem_allocation_adopt(ctx, NULL, NULL, 1, 0, &a), -EINVAL, "no memory");
	TAP_EQ(hmem_allocation_adopt(ctx, NULL, mine, 0, 0, &a), -EINVAL, "no bytes");
	TAP_EQ(hmem_allocation_adopt(ctx, NULL, mine, SIZE_MAX, 0, &a), -EINVAL, "too many");
	TAP_EQ(hmem_allocation_adopt(NULL, NULL, mine, 1, 0, &a), -EINVAL, "no context");
	TAP_EQ(hmem_allocation_adopt(ctx, binned, block, 100, 0, &a), 0, "a block, for a while");
	TAP_EQ(hmem_allocation_free(a), 0, "is given up");
	TAP_EQ(stats_of(binned).blocks, 1, "and stays");
	TAP_EQ(hmem_allocation_adopt(ctx, binned, block, 100, HMEM_ALLOCATION_OWNS, &a), 0, "or for good");
	TAP_EQ(hmem_allocation_free(a), 0, "is freed");
	TAP_EQ(stats_of(binned).blocks, 0, "with its handle");
	block = hmem_malloc(bump, 100);
	TAP_EQ(hmem_allocation_adopt(ctx, bump, block, 100, HMEM_ALLOCATION_OWNS, &a), 0,
	       "bump does not know its blocks");
	TAP_EQ(hmem_allocation_free(a), 0, "and frees none");
}

static void test_slices(void)
{
	struct hmem_allocation *a = must_have(binned, 1000), *s, *t, *none;

	count_up(a);
	s = must_slice(a, 100, 500);
	t = must_slice(s, 100, 400);
	TAP_OK(bytes_of(s) == bytes_of(a) + 100 && bytes_of(t) == bytes_of(a) + 200,
	       "slices are where their owner is");
	TAP_OK(info_of(t).owner == a && info_of(a).slices == 2 && !info_of(t).owns &&
		       info_of(t).bytes == 400,
	       "a slice of a slice is one of the same owner");
	TAP_EQ(hmem_allocation_slice(a, 500, 501, &none), -ERANGE, "none reaches beyond");
	TAP_EQ(hmem_allocation_slice(t, 1, 400, &none), -ERANGE, "or beyond a slice");
	TAP_EQ(hmem_allocation_slice(a, SIZE_MAX, 2, &none), -ERANGE, "or round the end");
	TAP_EQ(hmem_allocation_slice(a, 0, 0, &none), -EINVAL, "or has nothing");
	TAP_EQ(hmem_allocation_slice(NULL, 0, 1, &none), -EINVAL, "or is of nothing");
	TAP_EQ(hmem_allocation_slice(a, 0, 1, NULL), -EINVAL, "or without a place");
	TAP_EQ(hmem_allocation_free(a), -EBUSY, "what has slices is not freed");
	TAP_OK(strstr(hmem_last_error(ctx), "has 2 slices; free them first"), "as is said");
	TAP_EQ(hmem_allocation_resize(a, 5000), -EBUSY, "or resized");
	TAP_EQ(hmem_allocation_move(a, elsewhere), -EBUSY, "or moved");
	TAP_EQ(hmem_allocation_resize(s, 10), -EOPNOTSUPP, "nor is a slice");
	TAP_EQ(hmem_allocation_move(s, elsewhere), -EOPNOTSUPP, "which stays");
	TAP_EQ(hmem_allocation_free(s), 0, "one is freed");
	TAP_EQ(hmem_allocation_free(t), 0, "and the other");
	TAP_EQ(hmem_allocation_move(a, elsewhere), 0, "then it moves");
	TAP_OK(counts_up(a, 1000) && info_of(a).interface == elsewhere, "with what is in it");
	TAP_OK(!stats_of(binned).blocks && stats_of(elsewhere).blocks == 1, "and leaves nothing behind");
	TAP_EQ(hmem_allocation_move(a, elsewhere), 0, "to where it is");
	TAP_EQ(hmem_allocation_move(a, NULL), -EINVAL, "to nowhere");
	TAP_EQ(hmem_allocation_move(NULL, binned), -EINVAL, "nothing");
	TAP_EQ(hmem_allocation_free(a), 0, "and is freed there");
}

static void test_sizes(void)
{
	struct hmem_allocation *a;
	bool good = true;

	if (hmem_allocation_new(binned, 10, 4096, 0, &a))
		tap_bail("%s", hmem_last_error(ctx));
	count_up(a);
	for (size_t bytes = 10; good && bytes < MIB; bytes = bytes * 3 + 1) {
		size_t had = hmem_allocation_bytes(a);

		good = !hmem_allocation_resize(a, bytes) && counts_up(a, had) &&
		       hmem_allocation_bytes(a) == bytes && (uintptr_t)bytes_of(a) % 4096 == 0;
		count_up(a);
	}
	TAP_OK(good, "it grows, keeps what is in it, and its alignment");
	TAP_OK(!hmem_allocation_resize(a, 100) && counts_up(a, 100), "and shrinks");
	TAP_EQ(hmem_allocation_resize(a, 0), -EINVAL, "to something");
	TAP_EQ(hmem_allocation_resize(NULL, 1), -EINVAL, "if it is something");
	TAP_EQ(hmem_allocation_resize(a, SIZE_MAX), -ENOSPC, "to more than there is it does not grow");
	TAP_EQ(hmem_allocation_move(a, bump), 0, "it moves to where blocks have no size");
	TAP_OK(counts_up(a, 100) && info_of(a).usable == 0, "with what is in it");
	TAP_OK(!hmem_allocation_resize(a, 5000) && counts_up(a, 100), "and grows there");
	TAP_EQ(hmem_allocation_resize(a, 9 * MIB), 0, "much");
	TAP_EQ(hmem_allocation_move(a, elsewhere), -ENOSPC, "then there is no room elsewhere");
	TAP_OK(counts_up(a, 100) && info_of(a).interface == bump, "and it stays");
	TAP_EQ(hmem_allocation_free(a), 0, "it is freed");
	TAP_EQ(stats_of(binned).blocks, 0, "nothing is left");
}

/* Rows and planes, by the definition. */
static bool same_shape(const unsigned char *to, const struct hmem_layout *in,
		       const unsigned char *from, const struct hmem_layout *out,
		       const struct hmem_shape *shape, size_t all)
{
	unsigned char *expected = malloc(all);
	bool same;

	if (!expected)
		tap_bail("no memory");
	memset(expected, 0xee, all);
	for (size_t p = 0; p < shape->planes; p++)
		for (size_t r = 0; r < shape->rows; r++)
			for (size_t b = 0; b < shape->bytes; b++)
				expected[in->offset + p * in->plane + r * in->row + b] =
					from[out->offset + p * out->plane + r * out->row + b];
	same = !memcmp(expected, to, all);
	free(expected);
	return same;
}

static void test_shapes(void)
{
	struct hmem_allocation *a = must_have(binned, 60000), *b = must_have(elsewhere, 60000);
	uint64_t random = 5;
	int wrong = 0, late = 0;

	count_up(a);
	for (int i = 0; i < 500; i++) {
		struct hmem_shape shape;
		struct hmem_layout in, out;
		struct hmem_completion *completion;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		shape = (struct hmem_shape){ 1 + random % 50, 1 + (random >> 16) % 20,
					     1 + (random >> 32) % 10 };
		in.row = shape.bytes + (random >> 40) % 9 * !!(i % 3);
		in.plane = in.row * shape.rows + (random >> 44) % 99 * !!(i % 3);
		out.row = shape.bytes + (random >> 48) % 9 * !!(i % 4);
		out.plane = out.row * shape.rows + (random >> 52) % 99 * !!(i % 4);
		in.offset = (random >> 20) % 1000;
		out.offset = (random >> 24) % 1000;
		memset(bytes_of(b), 0xee, 60000);
		if (i % 2) {
			wrong += hmem_copy_shape(b, &in, a, &out, &shape) != 0;
		} else if (hmem_copy_begin(b, &in, a, &out, &shape, &completion)) {
			wrong++;
		} else {
			late += hmem_completion_wait(completion, -1) != 0 ||
				hmem_completion_poll(completion) != 1;
			hmem_completion_unref(completion);
		}
		wrong += !same_shape(bytes_of(b), &in, bytes_of(a), &out, &shape, 60000);
	}
	TAP_EQ(wrong, 0, "rows and planes are copied to where they belong, and nothing else");
	TAP_EQ(late, 0, "and are there when it is waited for");
	hmem_allocation_free(a);
	hmem_allocation_free(b);
}

static void test_copies(void)
{
	struct hmem_allocation *a = must_have(binned, 1000), *b = must_have(elsewhere, 1000), *s;
	const struct hmem_shape rows = { 10, 5, 1 }, none = { 0, 5, 1 }, wrap = { 10, SIZE_MAX, 2 };
	const struct hmem_layout dense = { 0, 5, 0 }, wide = { 0, 300, 0 }, gaps = { 0, 20, 0 };
	struct hmem_completion *completion;

	count_up(a);
	memset(bytes_of(b), 0, 1000);
	TAP_EQ(hmem_copy_bytes(b, 0, a, 0, 1000), 0, "all of it");
	TAP_OK(counts_up(b, 1000), "is copied");
	TAP_EQ(hmem_copy_bytes(a, 7, a, 0, 900), 0, "within one it may overlap");
	TAP_OK(!memcmp(bytes_of(a) + 7, bytes_of(b), 900), "and is what it was");
	s = must_slice(b, 100, 50);
	TAP_EQ(hmem_copy_bytes(s, 0, a, 0, 51), -ERANGE, "not beyond a slice");
	TAP_OK(!hmem_copy_bytes(s, 0, a, 0, 50) && !memcmp(bytes_of(b) + 100, bytes_of(a), 50),
	       "but into it");
	TAP_EQ(hmem_allocation_free(s), 0, "which is freed");
	TAP_EQ(hmem_copy_bytes(b, 1, a, 0, 1000), -ERANGE, "not beyond where it goes");
	TAP_EQ(hmem_copy_bytes(b, 0, a, 1, 1000), -ERANGE, "or where it comes from");
	TAP_EQ(hmem_copy_bytes(b, SIZE_MAX, a, 0, 2), -ERANGE, "or round the end");
	TAP_EQ(hmem_copy_bytes(NULL, 0, a, 0, 1), -EINVAL, "to nothing");
	TAP_EQ(hmem_copy_bytes(a, 0, NULL, 0, 1), -EINVAL, "from nothing");
	TAP_EQ(hmem_copy_shape(b, NULL, a, NULL, NULL), -EINVAL, "of no shape");
	TAP_EQ(hmem_copy_shape(b, NULL, a, NULL, &none), 0, "of nothing");
	TAP_EQ(hmem_copy_shape(b, &dense, a, NULL, &rows), -EINVAL, "rows that overlap");
	TAP_EQ(hmem_copy_shape(b, &wide, a, NULL, &rows), -ERANGE, "rows that reach beyond");
	TAP_EQ(hmem_copy_shape(b, NULL, a, NULL, &wrap), -ERANGE, "rows without end");
	TAP_EQ(hmem_copy_shape(a, &gaps, a, NULL, &rows), -EINVAL, "rows onto themselves");
	TAP_EQ(hmem_copy_begin(b, NULL, a, NULL, &rows, NULL), -EINVAL, "with nothing to wait for");
	TAP_EQ(hmem_copy_begin(b, &wide, a, NULL, &rows, &completion), -ERANGE, "begun in vain");
	TAP_EQ(hmem_copy_begin(NULL, NULL, a, NULL, &rows, &completion), -EINVAL, "to nothing either");
	TAP_EQ(hmem_copy_begin(b, NULL, a, NULL, &none, &completion), 0, "of nothing");
	TAP_EQ(hmem_completion_wait(completion, 60000), 0, "is done as well");
	hmem_completion_unref(completion);
	hmem_completion_unref(NULL);
	TAP_EQ(hmem_completion_poll(NULL), -EINVAL, "there is nothing to ask");
	TAP_EQ(hmem_completion_wait(NULL, 0), -EINVAL, "or to wait for");
	TAP_OK(!hmem_allocation_free(a) && !hmem_allocation_free(b),
	       "after all that went wrong nobody uses them");
}

/*
 * Of many large copies the last one is not done when all are begun; unless this thread was kept
 * from going on, and then it tries again.
 */
static bool sees_one_under_way(struct hmem_allocation *to, struct hmem_allocation *from)
{
	enum { COPIES = 50 };
	struct hmem_completion *completions[COPIES], *last;
	const struct hmem_shape all = { 8 * MIB, 1, 1 };
	int busy = 0;

	for (int i = 0; i < COPIES; i++)
		if (hmem_copy_begin(to, NULL, from, NULL, &all, &completions[i]))
			tap_bail("%s", hmem_last_error(ctx));
	for (int i = 0; i < COPIES - 1; i++)
		hmem_completion_unref(completions[i]);
	last = completions[COPIES - 1];
	busy += hmem_allocation_resize(to, 1) == -EBUSY;
	busy += hmem_allocation_move(from, elsewhere) == -EBUSY;
	busy += hmem_completion_wait(last, 0) == -ETIMEDOUT;
	busy += !hmem_completion_poll(last);
	if (hmem_completion_wait(last, -1) || hmem_completion_poll(last) != 1)
		tap_bail("a copy is never done");
	hmem_completion_unref(last);
	return busy == 4;
}

static void test_under_way(void)
{
	struct hmem_allocation *a = NULL, *b = NULL;
	bool seen = false;

	for (int i = 0; !seen && i < 20; i++) {
		hmem_allocation_free(a);
		hmem_allocation_free(b);
		hmem_interface_reset(bump);
		a = must_have(bump, 8 * MIB);
		b = must_have(bump, 8 * MIB);
		memset(bytes_of(a), i + 1, 8 * MIB);
		seen = sees_one_under_way(b, a);
	}
	TAP_OK(seen, "what is copied is not resized or moved, and is not done");
	TAP_OK(!memcmp(bytes_of(a), bytes_of(b), 8 * MIB), "in the end it is copied");
	TAP_OK(!hmem_allocation_free(a) && !hmem_allocation_free(b), "and can be freed");
}

/* The thread that copies, which waited for the next one when the process forked, is not its. */
static int copies_in_child(struct hmem_allocation *to, struct hmem_allocation *from)
{
	const struct hmem_shape all = { 4096, 1, 1 };
	struct hmem_completion *completion;

	for (int i = 0; i < 200; i++) {
		count_up(from);
		if (hmem_copy_begin(to, NULL, from, NULL, &all, &completion))
			return 1;
		if (hmem_completion_wait(completion, 20000))
			return 2;
		hmem_completion_unref(completion);
		if (!counts_up(to, 4096))
			return 3;
		memset(bytes_of(to), 0, 4096);
	}
	return 0;
}

/* Begun by the parent: 1 where that is told, and they are as if nothing had been begun; 0: it was over. */
static int is_canceled(struct hmem_completion *last, struct hmem_allocation *to,
		       struct hmem_allocation *from)
{
	if (hmem_completion_poll(last) == 1)
		return 0;
	if (hmem_completion_poll(last) != -ECANCELED || hmem_completion_wait(last, -1) != -ECANCELED)
		return 2;
	hmem_completion_unref(last);
	if (hmem_allocation_resize(to, 1) || hmem_allocation_free(to) ||
	    hmem_allocation_move(from, elsewhere))
		return 3;
	return 1;
}

static void test_canceled(void)
{
	const struct hmem_shape all = { 8 * MIB, 1, 1 };
	int status = 0;

	if (SANITIZER == 2) {
		tap_skip("copies of a child's parent", "the sanitizer of races has no such children");
		return;
	}
	for (int i = 0; !status && i < 20; i++) {
		struct hmem_allocation *a = must_have(binned, 8 * MIB), *b = must_have(binned, 8 * MIB);
		struct hmem_completion *completions[20], *last = NULL;
		pid_t child;

		for (int n = 0; n < 20; n++) {
			if (hmem_copy_begin(b, NULL, a, NULL, &all, &completions[n]))
				tap_bail("%s", hmem_last_error(ctx));
			last = completions[n];
		}
		child = fork();
		if (!child) {
			alarm(30);
			_exit(is_canceled(last, b, a));
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			tap_bail("no child");
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
		if (hmem_completion_wait(last, -1))
			tap_bail("a copy is never done");
		for (int n = 0; n < 20; n++)
			hmem_completion_unref(completions[n]);
		if (hmem_allocation_free(a) || hmem_allocation_free(b))
			tap_bail("%s", hmem_last_error(ctx));
	}
	TAP_EQ(status, 1, "what a child's parent had begun is not waited for, nor in its way");
}

static void test_child(void)
{
	struct hmem_allocation *a = must_have(binned, 4096), *b = must_have(binned, 4096);
	int status = -1;
	pid_t child;

	if (SANITIZER == 2) {
		tap_skip("a child of a process with threads starts one",
			 "the sanitizer of races does not have that");
	} else {
		child = fork();
		if (!child) {
			alarm(30);
			_exit(copies_in_child(a, b));
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			tap_bail("no child");
		TAP_EQ(status, 0, "a child copies by a thread of its own");
	}
	TAP_EQ(copies_in_child(a, b), 0, "as its parent goes on to");
	hmem_allocation_free(a);
	hmem_allocation_free(b);
}

/* Those that are copied in another way, where lines begin alike, where not, and overlapping. */
static void test_large_copies(void)
{
	static const size_t offsets[][2] = {
		{ 0, 0 }, { 64, 0 }, { 5, 5 }, { 69, 5 }, { 1, 0 }, { 0, 70 }, { 4096, 63 },
	};
	size_t room = 5 << 20, bytes = (2 << 20) + 13;
	struct hmem_allocation *a = must_have(binned, room), *b = must_have(binned, room);
	char *in = hmem_allocation_data(a), *out = hmem_allocation_data(b);
	char *want = malloc(room);
	bool good = true;

	if (!want)
		tap_bail("no memory");
	for (size_t i = 0; i < room; i++)
		in[i] = (char)(i * 31 + i / 4099);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		memset(out, 'x', room);
		memset(want, 'x', room);
		memcpy(want + offsets[i][0], in + offsets[i][1], bytes);
		good = !hmem_copy_bytes(b, offsets[i][0], a, offsets[i][1], bytes) &&
		       !memcmp(out, want, room) && good;
	}
	TAP_OK(good, "large copies, of lines that begin alike and others");
	for (int back = 0; back < 2; back++)
		for (size_t by = 64; by <= 2 << 20; by *= 32) {
			memcpy(out, in, room);
			memcpy(want, in, room);
			memmove(want + (back ? 0 : by), want + (back ? by : 0), bytes);
			good = !hmem_copy_bytes(b, back ? 0 : by, b, back ? by : 0, bytes) &&
			       !memcmp(out, want, room) && good;
		}
	TAP_OK(good, "and those that overlap");
	free(want);
	hmem_allocation_free(a);
	hmem_allocation_free(b);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	space = must_space(256 * MIB);
	small = must_space(8 * MIB);
	binned = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, 0);
	elsewhere = must_interface(small, HMEM_STRATEGY_BINNED, 0, 0);
	test_handles();
	test_adopt();
	test_slices();
	test_sizes();
	test_shapes();
	test_copies();
	test_under_way();
	test_child();
	test_canceled();
	test_large_copies();
	TAP_EQ(stats_of(binned).blocks + stats_of(elsewhere).blocks, 0, "nothing is left at the end");
	hmem_interface_unref(binned);
	hmem_interface_unref(bump);
	hmem_interface_unref(elsewhere);
	hmem_space_unref(small);
	hmem_space_unref(space);
	hmem_ctx_unref(ctx);
	return tap_done();
}
