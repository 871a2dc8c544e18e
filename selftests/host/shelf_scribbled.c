// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands on the shelf of a live writer's own (his slot, the blocks of his transactions, his
 * undo records and commits) becomes anything, as another process can do that may write to the
 * shelf: between his calls, and at any time during them. It may cost errors, and what was on the
 * shelf, but no access outside of it, which would be the end of the process, and no call that does
 * not end. hmem-test: timeout=300
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "sanitized.h"
#include "shelf_user.h"

#define NAMES		12u
#define VALUE		400u
#define TRANSACTIONS	60u
/* How often a process opens the shelf, which somebody's errors have closed for him. */
#define OPENINGS	6u
#define CALL_SECONDS	60u

/* --- anything ------------------------------------------------------------------------ */

static uint64_t state = 1;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)(any() % n);
}

/* The slot of a process, of those that have none the first. */
static struct slot *slot_of(pid_t pid)
{
	for (unsigned int id = 0; id < media_shelf(&media)->nr_slots; id++)
		if (media_slot(&media, id)->used && media_slot(&media, id)->pid == pid)
			return media_slot(&media, id);
	return media_slot(&media, 0);
}

/* So many bytes at a shelf offset, wherever that leads; NULL: nowhere. */
static uint64_t *there(uint64_t at, size_t bytes)
{
	return at && !(at % sizeof(uint64_t)) && media_at(&media, at) &&
			       media_at(&media, at + bytes - 1) ?
		       media_at(&media, at) :
		       NULL;
}

/* A block in one of the slot's lists, some way down. */
static struct tx_block *block_of(const struct slot *slot)
{
	const uint64_t lists[] = { slot->tx, slot->tx, slot->tx_done, slot->tx_spare };
	struct tx_block *block = (struct tx_block *)there(lists[below(4)], sizeof(*block));

	for (unsigned int n = below(3); n && block && there(block->link, sizeof(*block)); n--)
		block = (struct tx_block *)there(block->link, sizeof(*block));
	return block;
}

/* A word of what a writer goes by. */
static uint64_t *word_of(struct slot *slot)
{
	struct tx_block *block = block_of(slot);
	uint64_t *const lists[] = { &slot->tx, &slot->tx_done, &slot->tx_spare, &slot->unsealed,
				    &slot->freeing, &slot->freeing_end, &slot->commit };
	unsigned int what = below(8);
	uint64_t at, *record;

	if (what == 0)
		return (uint64_t *)slot + below(sizeof(*slot) / sizeof(uint64_t));
	if (what == 1)
		return lists[below(sizeof(lists) / sizeof(lists[0]))];
	if (what == 2)
		return &slot->ring[below(SLOT_RING)];
	if (!block)
		return NULL;
	if (what < 6)
		return (uint64_t *)block + below(sizeof(*block) / sizeof(uint64_t));
	at = below(2) ? block->commit : block->entry[below(TX_ENTRIES)].at;
	record = there(at, 256);
	return record ? record + below(16) : NULL;
}

static uint64_t value_for(const struct slot *slot, uint64_t was)
{
	switch (below(7)) {
	case 0:
		return was ^ 1ull << below(64);
	case 1:
		return was + (uint64_t)SHELF_GRANULE * below(64);
	case 2:
		return any();
	case 3:
		/* Outside of all that is mapped of the shelf, and yet an address. */
		return 1ull << 40 | (any() & 0xffffff0);
	case 4:
		return ((const uint64_t *)slot)[below(sizeof(*slot) / sizeof(uint64_t))];
	case 5:
		/* About where the heap ends. */
		return media_super(&media)->heap_offset +
		       (media_runtime(&media)->heap_chunks << SHELF_CHUNK_SHIFT) -
		       8ull * below(80);
	default:
		return 0;
	}
}

static void scribble(pid_t pid)
{
	struct slot *slot = slot_of(pid);
	uint64_t *word = word_of(slot);

	if (word)
		__atomic_store_n(word, value_for(slot, *word), __ATOMIC_SEQ_CST);
}

/* --- the one whose it is ------------------------------------------------------------- */

/* What he got must be his to look at. */
static void look(const struct hmem_object *object)
{
	const volatile unsigned char *bytes = object->data;

	if (object->bytes)
		(void)(bytes[0] + bytes[object->bytes - 1]);
}

static void change(const struct user *user, struct hmem_tx *tx, const char *name)
{
	static char value[VALUE];
	struct hmem_object object;
	struct hmem_range range;
	unsigned int what = below(5);

	if (what == 0) {
		hmem_tx_put(tx, name, value, below(VALUE), NULL);
		return;
	}
	if (what == 1) {
		hmem_tx_delete(tx, name);
		return;
	}
	if (hmem_shelf_get(user->shelf, name, &object)) {
		hmem_tx_put(tx, name, value, VALUE, NULL);
		return;
	}
	look(&object);
	range = (struct hmem_range){ &object, 0, object.bytes < 64 ? object.bytes : 64 };
	if (what == 2)
		hmem_tx_write(tx, &object, 0, value, range.bytes);
	else if (!hmem_tx_add(tx, &range, 1))
		memset(object.data, 'x', range.bytes);
	hmem_shelf_release(user->shelf, &object);
}

/* False: the shelf takes no more. @between: somebody stores there between the calls. */
static bool transact(const struct user *user, bool between)
{
	char name[16], other[16];
	struct hmem_tx *tx;

	snprintf(name, sizeof(name), "n%u", below(NAMES));
	snprintf(other, sizeof(other), "n%u", below(NAMES));
	if (!below(4))
		hmem_shelf_put(user->shelf, name, name, below(16), NULL);
	if (!below(8))
		hmem_shelf_delete(user->shelf, name);
	if (!below(8))
		hmem_shelf_swap(user->shelf, name, other);
	if (hmem_tx_begin(user->shelf, &tx))
		return false;
	for (unsigned int n = below(12); n; n--) {
		snprintf(name, sizeof(name), "n%u", below(NAMES));
		change(user, tx, name);
		if (between && !below(40))
			scribble(getpid());
	}
	if (between && !below(8))
		scribble(getpid());
	if (below(3))
		hmem_tx_commit(tx);
	else
		hmem_tx_abort(tx);
	return true;
}

__attribute__((noreturn)) static void work(uint64_t seed, bool between)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct user user;

	state = seed;
	options.wait_ms = 20;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || hmem_ctx_new(&ctx))
		_exit(1);
	hmem_ctx_set_log(ctx, NULL, NULL);
	if (hmem_region_open(ctx, region_name, 0, &user.region))
		_exit(2);
	for (unsigned int n = 0; n < OPENINGS; n++) {
		/* What ends no call of his ends him. */
		alarm(CALL_SECONDS);
		if (hmem_shelf_open(user.region, "one", &options, &user.shelf)) {
			options.flags = HMEM_SHELF_REPAIR;
			continue;
		}
		for (unsigned int i = 0; i < TRANSACTIONS && transact(&user, between); i++)
			;
		hmem_shelf_close(user.shelf);
	}
	_exit(0);
}

/* --- the test ------------------------------------------------------------------------ */

static pid_t begin(uint64_t seed, bool between)
{
	struct user user;
	pid_t child;

	make(&user, 4, 1u << 20, 20);
	for (unsigned int i = 0; i < NAMES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		need(put(&user, name, 'o', VALUE), "putting");
	}
	leave(&user);
	child = fork();
	if (!child)
		work(seed, between);
	if (child < 0)
		tap_bail("no process");
	return child;
}

/* False: the process came to another end than its own. */
static bool ended(int status, uint64_t seed)
{
	bool well = WIFEXITED(status) && !WEXITSTATUS(status);

	if (!well)
		tap_diag("seed %llu: status %#x", (unsigned long long)seed, (unsigned int)status);
	media_unmap(&media);
	need(hmem_region_destroy(ctx, region_name), "destroying");
	return well;
}

static bool goes_well_between(uint64_t seed)
{
	pid_t child = begin(seed, true);
	int status = 0;

	if (waitpid(child, &status, 0) != child)
		tap_bail("a process got lost");
	return ended(status, seed);
}

static bool goes_well_meanwhile(uint64_t seed)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	pid_t child = begin(seed, false);
	int status = 0;

	state = seed;
	while (!waitpid(child, &status, WNOHANG)) {
		scribble(child);
		nanosleep(&pause, NULL);
	}
	return ended(status, seed);
}

static void test(const char *when, bool (*goes_well)(uint64_t seed), unsigned long times)
{
	unsigned long n = 1;

	while (n <= times && goes_well(n * 0x9e3779b97f4a7c15ull))
		n++;
	TAP_OK(n > times, "%lu processes live on when %s", times, when);
}

int main(void)
{
	users_begin("shelf-scribbled");
	test("words of theirs change between their calls", goes_well_between,
	     sanitized("processes", 150, 3, 10));
	test("words of theirs change at any time", goes_well_meanwhile,
	     sanitized("processes", 150, 3, 10));
	hmem_ctx_unref(ctx);
	return tap_done();
}
