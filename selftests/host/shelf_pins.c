// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is pinned is not freed: not by one who lacks memory, frees what another has
 * retired, and stands still in the middle of that while that other retires more, which somebody
 * has pinned only then.
 */
#include "shelf_media.h"
#include "shelf_traced.h"

#define VALUE 3000

static struct media media;

static int put(struct hmem_shelf *shelf, const char *name, int byte)
{
	char value[VALUE];

	memset(value, byte, sizeof(value));
	return hmem_shelf_put(shelf, name, value, sizeof(value), NULL);
}

static void need(int err)
{
	if (err)
		tap_bail("%d, %s", err, hmem_last_error(ctx));
}

/*
 * More than there is: it frees whatever can be freed. Reserving takes no lock on a name, whose
 * bucket the names that are put meanwhile might have as well.
 */
static void put_too_much(unsigned int state, bool ordered)
{
	struct hmem_shelf *shelf = open_again();
	void *data;
	int err;

	(void)state;
	(void)ordered;
	if (put(shelf, "his", 'h'))
		_exit(3);
	raise(SIGSTOP);
	err = hmem_shelf_reserve(shelf, "too much", MIB, NULL, &data);
	_exit(err == -ENOSPC ? 0 : 1);
}

/* Until the other one, who has looked at the pins, has freed a block of ours. */
static void step_into(pid_t child, const struct slot *ours)
{
	uint64_t tail = __atomic_load_n(&ours->ring_tail, __ATOMIC_ACQUIRE);
	int status;

	while (__atomic_load_n(&ours->ring_tail, __ATOMIC_ACQUIRE) == tail)
		if (!traced_step(child, &status))
			tap_bail("the other process ended, and has freed nothing");
}

/* Does anything that is put from now on come to lie there? */
static bool stays(struct hmem_shelf *shelf, const struct hmem_object *object, int byte)
{
	const unsigned char *at = object->data;
	char name[32];
	int err = 0;

	for (unsigned int i = 0; !err; i++) {
		snprintf(name, sizeof(name), "filler %u", i);
		err = put(shelf, name, 'z');
	}
	if (err != -ENOSPC)
		tap_bail("filling it: %d", err);
	for (unsigned int i = 0; i < VALUE; i++)
		if (at[i] != byte)
			return false;
	return true;
}

static void test_late_pin(void)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf = make_empty(false, &region);
	struct hmem_object object;
	struct slot *ours;
	pid_t child;
	int status;

	media_map(&media, path);
	need(put(shelf, "pinned", 'a'));
	ours = media_slot(&media, 0);
	if (!ours->used)
		tap_bail("this thread has another slot");
	for (int i = 0; i < 4; i++)
		need(put(shelf, "replaced", 'r'));
	child = traced_start(put_too_much, 0, false);
	step_into(child, ours);
	need(hmem_shelf_get(shelf, "pinned", &object));
	need(put(shelf, "pinned", 'b'));
	need(put(shelf, "another", 'c'));
	need(put(shelf, "another", 'd'));
	if (ptrace(PTRACE_CONT, child, 0, 0) || waitpid(child, &status, 0) != child)
		tap_bail("the other process does not go on");
	TAP_OK(WIFEXITED(status) && !WEXITSTATUS(status),
	       "one who lacks memory frees what another has retired, and that is not enough");
	TAP_OK(stays(shelf, &object, 'a'),
	       "what was retired and pinned while he was at it keeps its memory");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_check(shelf, tell, NULL), 0, "the shelf is in order");
	need(hmem_shelf_close(shelf));
	hmem_region_close(region);
	media_unmap(&media);
}

int main(void)
{
	traced_begin("shelf_pins");
	test_late_pin();
	return traced_end();
}
