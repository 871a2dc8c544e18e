// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on handles, by one thread and by four: allocations of all strategies in several
 * spaces are made, sliced, resized, moved and copied, at once and by a thread of the library. Of
 * each there is a copy in memory of the test, made by the definition of what was called; that is in
 * it, wherever it went, and what contradicts what is under way, or outlives it, is refused.
 *
 * HMEM_TEST_SEED repeats a run, HMEM_TEST_CALLS says how many calls a thread makes.
 */
#include <hmem/hmem.h>

#include <pthread.h>

#include "../sanitized.h"
#include "allocation_model.h"
#include "copy_model.h"

#define THREADS 4
#define ROUNDS	8	/* so often all stand still */

static pthread_mutex_t apart_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t still;
static unsigned long calls;
static atomic_ulong done, moved, copied;

static int some_place(uint64_t *random)
{
	int at = (int)(next_random(random) % PLACES);

	return places[at].interface ? at : BINNED;
}

/* --- calls on one -------------------------------------------------------------------- */

static int adopt(struct thing *thing, size_t bytes)
{
	struct hmem_interface *of = thing->at == NOWHERE ? NULL : places[thing->at].interface;
	void *memory = of ? hmem_malloc(of, bytes) : malloc(bytes);
	int err = memory ? 0 : -errno;

	thing->align = 1;
	thing->alien = of ? NULL : memory;
	if (!err)
		err = hmem_allocation_adopt(ctx, of, memory, bytes, of ? HMEM_ALLOCATION_OWNS : 0,
					    &thing->handle);
	return err;
}

static void begin(struct thing *thing, uint64_t *random)
{
	uint32_t flags = next_random(random) % 2 ? HMEM_ALLOCATION_ZERO : 0;
	size_t align = next_random(random) % 2 ? 16u << next_random(random) % 6 : 0;
	bool is_adopted = next_random(random) % 8 == 0;
	int err;

	thing->bytes = some_bytes(random, 1, LARGEST);
	thing->at = is_adopted && next_random(random) % 2 ? NOWHERE : some_place(random);
	thing->to = thing->at;
	thing->align = align ? align : 16;
	if (is_adopted)
		err = adopt(thing, thing->bytes);
	else
		err = hmem_allocation_new(places[thing->at].interface, thing->bytes, align, flags,
					  &thing->handle);
	if (err) {
		must_hold(no_room(err), "not allocated, and not for want of room: %d", err);
		thing->handle = NULL;
		return;
	}
	if (thing->at != NOWHERE)
		atomic_fetch_add(&places[thing->at].blocks, 1);
	must_have_room(thing, thing->bytes);
	if (!is_adopted && flags) {
		memset(thing->has, 0, thing->bytes);
		look(thing, "zeroing");
	}
	write_some(thing, 0, thing->bytes, random);
}

static void end(struct thing *thing)
{
	int err = hmem_allocation_free(thing->handle);

	if (too_early(thing, err, "freeing"))
		return;
	must_hold(err == (thing->nr_slices ? -EBUSY : 0), "freeing returns %d", err);
	if (err)
		return;
	if (thing->at != NOWHERE && thing->at != BUMP)
		atomic_fetch_sub(&places[thing->at].blocks, 1);
	thing->handle = NULL;
	free(thing->alien);
	free(thing->has);
	thing->alien = thing->has = NULL;
}

static void slice(struct thing *thing, uint64_t *random)
{
	unsigned int n = thing->nr_slices, of = (unsigned int)next_random(random) % (n + 1);
	bool is_whole = of == n;
	size_t from = is_whole ? 0 : thing->slices[of].offset;
	size_t most = is_whole ? thing->bytes : thing->slices[of].bytes;
	size_t offset = next_random(random) % most;
	size_t bytes = 1 + next_random(random) % (most - offset + !(next_random(random) % 16));
	struct hmem_allocation *new;
	int err = hmem_allocation_slice(is_whole ? thing->handle : thing->slices[of].handle, offset,
					bytes, &new);

	if (thing->is_moved && err != -ERANGE && too_early(thing, err, "slicing"))
		return;
	must_hold(err == (bytes > most - offset ? -ERANGE : 0), "slicing returns %d", err);
	if (err)
		return;
	thing->slices[n].handle = new;
	thing->slices[n].offset = from + offset;
	thing->slices[n].bytes = bytes;
	thing->nr_slices++;
}

static void unslice(struct thing *thing, unsigned int n)
{
	must_hold(!hmem_allocation_free(thing->slices[n].handle), "a slice is not freed");
	thing->slices[n] = thing->slices[--thing->nr_slices];
}

/* What resizing and moving say if it cannot be done to this one at all. */
static int cannot_change(const struct thing *thing)
{
	return thing->at == NOWHERE ? -EOPNOTSUPP : thing->nr_slices ? -EBUSY : 0;
}

static void resize(struct thing *thing, uint64_t *random)
{
	size_t bytes = some_bytes(random, 1, LARGEST), had = thing->bytes;
	int err = hmem_allocation_resize(thing->handle, bytes);

	if (thing->at != NOWHERE && too_early(thing, err, "resizing"))
		return;
	settle(thing);
	if (!cannot_change(thing) && err && no_room(err)) {
		look(thing, "having not been resized");
		return;
	}
	must_hold(err == cannot_change(thing), "resizing returns %d", err);
	if (err)
		return;
	/* Which does not know that it has enough. */
	if (thing->at == BUMP)
		atomic_fetch_add(&places[BUMP].blocks, 1);
	thing->bytes = bytes < had ? bytes : had;
	must_hold(hmem_allocation_bytes(thing->handle) == bytes, "it is not as large as asked for");
	must_hold(!memcmp(hmem_allocation_data(thing->handle), thing->has, thing->bytes),
		  "something else is in it after resizing");
	must_have_room(thing, bytes);
	thing->bytes = bytes;
	if (bytes > had)
		write_some(thing, had, bytes - had, random);
}

static void move(struct thing *thing, uint64_t *random)
{
	int to = some_place(random), err;

	err = hmem_allocation_move(thing->handle, places[to].interface);
	if (thing->at != NOWHERE && too_early(thing, err, "moving"))
		return;
	settle(thing);
	if (!cannot_change(thing) && err && no_room(err)) {
		look(thing, "having not been moved");
		return;
	}
	must_hold(err == cannot_change(thing), "moving returns %d", err);
	if (err)
		return;
	thing->to = to;
	settled(thing);
	look(thing, "moving");
	atomic_fetch_add(&moved, 1);
}

static void begin_move(struct thing *thing, uint64_t *random)
{
	struct hmem_completion *completion;
	int to = some_place(random), err;

	err = hmem_allocation_move_begin(thing->handle, places[to].interface, &completion);
	if (thing->at != NOWHERE && too_early(thing, err, "beginning to move"))
		return;
	settle(thing);
	if (!cannot_change(thing) && err && no_room(err)) {
		look(thing, "having not begun to move");
		return;
	}
	must_hold(err == cannot_change(thing), "beginning to move returns %d", err);
	if (err)
		return;
	thing->to = to;
	thing->is_moved = true;
	depend(thing, new_begun(completion));
	atomic_fetch_add(&moved, 1);
}

/* While it is copied or moved, too: it is somewhere, and who asks is told, or that it moves. */
static void ask(struct thing *thing)
{
	struct hmem_allocation_info info = { .size = sizeof(info) };
	int err;

	must_hold(hmem_allocation_data(thing->handle), "it is nowhere: %s", hmem_last_error(ctx));
	must_hold(hmem_allocation_bytes(thing->handle) == thing->bytes, "it has another size");
	err = hmem_allocation_get_info(thing->handle, &info);
	if (err == -EBUSY && thing->is_moved)
		return;
	must_hold(!err && info.bytes == thing->bytes, "what is known of it is %d", err);
}

/* --- calls on two -------------------------------------------------------------------- */

static struct copy_side some_side(struct thing *thing, uint64_t *random)
{
	unsigned int n = (unsigned int)next_random(random) % (thing->nr_slices + 1);
	struct copy_side side = { thing->handle, thing->has, 0, thing->bytes, { 0, 0, 0 } };

	if (n < thing->nr_slices) {
		side.handle = thing->slices[n].handle;
		side.from = thing->slices[n].offset;
		side.bytes = thing->slices[n].bytes;
	}
	return side;
}

/* Others may be under way: they are made in the order in which they are begun. */
static int begin_copy(struct thing *to, struct copy_side *in, struct thing *from,
		      struct copy_side *out, const struct hmem_shape *shape)
{
	struct hmem_completion *completion;
	struct begun *begun;
	int err;

	err = hmem_copy_begin(in->handle, &in->layout, out->handle, &out->layout, shape,
			      &completion);
	if (err)
		return err;
	/* It was over, or this would be -EBUSY. */
	if (to->is_moved)
		too_early(to, err, "beginning to copy");
	if (from->is_moved)
		too_early(from, err, "beginning to copy");
	begun = new_begun(completion);
	depend(to, begun);
	if (from != to)
		depend(from, begun);
	return 0;
}

static void copy(struct thing *to, struct thing *from, uint64_t *random)
{
	struct copy_side in = some_side(to, random), out = some_side(from, random);
	struct hmem_shape shape = some_shape(random, in.bytes < out.bytes ? in.bytes : out.bytes);
	bool waits = next_random(random) % 2, is_moved;
	int err, expected;

	if (waits) {
		settle(to);
		settle(from);
	}
	is_moved = to->is_moved || from->is_moved;
	in.layout = some_layout(random, &shape, in.bytes);
	out.layout = some_layout(random, &shape, out.bytes);
	expected = copy_expected(&shape, &in, &out);
	err = waits ? hmem_copy_shape(in.handle, &in.layout, out.handle, &out.layout, &shape) :
		      begin_copy(to, &in, from, &out, &shape);
	if (err == -EBUSY && is_moved) {
		atomic_fetch_add(&busy, 1);
		return;
	}
	must_hold(err == expected, "copying returns %d, not %d", err, expected);
	if (err)
		return;
	copy_apply(&shape, &in, &out);
	atomic_fetch_add(&copied, 1);
}

/* --- what a program does wrong ------------------------------------------------------- */

/* In checked mode, where nobody else has the interface: else the address could be somebody's. */
static void outlive(uint64_t *random)
{
	bool is_bump = next_random(random) % 2;
	struct hmem_interface *of = is_bump ? apart_bump : apart_binned;
	struct hmem_allocation *owner, *slice, *other;

	pthread_mutex_lock(&apart_lock);
	if (hmem_allocation_new(of, 1 + next_random(random) % 5000, 0, 0, &owner) ||
	    hmem_allocation_slice(owner, 0, 1, &slice))
		tap_bail("%s", hmem_last_error(ctx));
	must_hold(hmem_allocation_free(owner) == -EBUSY, "an owner is freed before its slice");
	must_hold(!(is_bump ? hmem_interface_reset(of) :
			      hmem_free(of, hmem_allocation_data(owner))),
		  "memory is not freed behind the back of its handle");
	must_hold(!hmem_allocation_data(slice), "a slice is somewhere when its owner is gone");
	must_hold(hmem_allocation_slice(slice, 0, 1, &other) == -EALREADY, "and is sliced");
	must_hold(hmem_copy_bytes(slice, 0, owner, 0, 1) == -EALREADY, "and is copied");
	must_hold(!hmem_allocation_free(slice), "and is not freed");
	must_hold(hmem_allocation_resize(owner, 10000) == -EALREADY, "what is gone is resized");
	must_hold(hmem_allocation_move(owner, is_bump ? apart_binned : apart_bump) == -EALREADY,
		  "or moved");
	must_hold(hmem_allocation_free(owner) == -EALREADY, "or freed twice");
	pthread_mutex_unlock(&apart_lock);
}

/* --- all of it ----------------------------------------------------------------------- */

static void call_one(struct thing *thing, uint64_t *random)
{
	switch (next_random(random) % 16) {
	case 0:
	case 1:
		settle_or_not(thing, random);
		end(thing);
		break;
	case 2:
	case 3:
		if (thing->nr_slices < SLICES)
			slice(thing, random);
		break;
	case 4:
	case 5:
	case 6:
		if (thing->nr_slices)
			unslice(thing, (unsigned int)next_random(random) % thing->nr_slices);
		break;
	case 7:
	case 8:
		settle_or_not(thing, random);
		resize(thing, random);
		break;
	case 9:
	case 10:
		settle_or_not(thing, random);
		move(thing, random);
		break;
	case 11:
	case 12:
		settle_or_not(thing, random);
		begin_move(thing, random);
		break;
	case 13:
		ask(thing);
		break;
	case 14:
		settle(thing);
		write_some(thing, 0, thing->bytes, random);
		break;
	default:
		settle(thing);
		look(thing, "some time");
	}
}

static void call(uint64_t *random)
{
	struct thing *one = &things[next_random(random) % THINGS];
	struct thing *two = &things[next_random(random) % THINGS];

	if (next_random(random) % 64 == 0)
		outlive(random);
	if (next_random(random) % 3)
		two = one;
	pthread_mutex_lock(one < two ? &one->lock : &two->lock);
	if (one != two)
		pthread_mutex_lock(one < two ? &two->lock : &one->lock);
	if (!one->handle)
		begin(one, random);
	else if (two->handle && (one != two || next_random(random) % 8 == 0))
		copy(one, two, random);
	else
		call_one(one, random);
	if (one != two)
		pthread_mutex_unlock(&two->lock);
	pthread_mutex_unlock(&one->lock);
	atomic_fetch_add(&done, 1);
}

/* What was begun is over, and the thread of the library has given back what it had to. */
static void await_all(void)
{
	static char bytes[2];
	const struct hmem_shape one = { 1, 1, 1 };
	const struct hmem_layout second = { 1, 0, 0 };
	struct hmem_completion *completion;
	struct hmem_allocation *last;

	for (int i = 0; i < THINGS; i++)
		settle(&things[i]);
	if (hmem_allocation_adopt(ctx, NULL, bytes, 2, 0, &last) ||
	    hmem_copy_begin(last, &second, last, NULL, &one, &completion) ||
	    hmem_completion_wait(completion, -1))
		tap_bail("%s", hmem_last_error(ctx));
	hmem_completion_unref(completion);
	hmem_allocation_free(last);
}

static void check_counts(void)
{
	for (int i = 0; i < PLACES; i++) {
		struct hmem_interface_stats stats = { .size = sizeof(stats) };
		int64_t blocks = atomic_load(&places[i].blocks);

		if (!places[i].interface)
			continue;
		if (hmem_interface_get_stats(places[i].interface, &stats))
			tap_bail("%s", hmem_last_error(ctx));
		must_hold((int64_t)stats.blocks == blocks, "interface %d has %lld blocks, not %lld",
			  i, (long long)stats.blocks, (long long)blocks);
	}
}

/* All that is in bump goes elsewhere, or is given up. */
static void reset_bump(void)
{
	for (int i = 0; i < THINGS; i++) {
		struct thing *thing = &things[i];

		if (!thing->handle || thing->at != BUMP)
			continue;
		while (thing->nr_slices)
			unslice(thing, 0);
		if (hmem_allocation_move(thing->handle, places[BINNED].interface)) {
			end(thing);
		} else {
			thing->to = BINNED;
			settled(thing);
		}
	}
	must_hold(!hmem_interface_reset(places[BUMP].interface), "bump is not reset");
	atomic_store(&places[BUMP].blocks, 0);
}

static void stand_still(void)
{
	await_all();
	check_counts();
	reset_bump();
	check_counts();
	for (int i = 0; i < THINGS; i++)
		if (things[i].handle)
			look(&things[i], "all others stood still");
}

static void *work(void *arg)
{
	uint64_t random = *(const uint64_t *)arg;

	for (int round = 0; round < ROUNDS; round++) {
		for (unsigned long i = 0; i < calls / ROUNDS; i++)
			call(&random);
		if (pthread_barrier_wait(&still) == PTHREAD_BARRIER_SERIAL_THREAD)
			stand_still();
		pthread_barrier_wait(&still);
	}
	return NULL;
}

static void run(unsigned int threads, uint64_t seed)
{
	pthread_t ids[THREADS];
	uint64_t random[THREADS];

	atomic_store(&model_wrong, 0);
	begin_places();
	pthread_barrier_init(&still, NULL, threads);
	for (unsigned int i = 0; i < threads; i++) {
		random[i] = random_of(seed, i);
		if (pthread_create(&ids[i], NULL, work, &random[i]))
			tap_bail("no thread");
	}
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	for (int i = 0; i < THINGS; i++) {
		while (things[i].nr_slices)
			unslice(&things[i], 0);
		if (things[i].handle)
			end(&things[i]);
	}
	check_counts();
	TAP_EQ(atomic_load(&model_wrong), 0,
	       "%u threads: what is in allocations is what the model says, wherever they went",
	       threads);
	tap_diag("%lu calls: %lu copies, %lu moves, %lu found no room, %lu came too early",
		 atomic_exchange(&done, 0), atomic_exchange(&copied, 0), atomic_exchange(&moved, 0),
		 atomic_exchange(&refused, 0), atomic_exchange(&busy, 0));
	pthread_barrier_destroy(&still);
	end_places();
}

int main(void)
{
	const char *many = getenv("HMEM_TEST_CALLS");
	uint64_t seed = model_seed();

	calls = many ? strtoul(many, NULL, 0) : sanitized("calls", 40000, 4, 8);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (int i = 0; i < THINGS; i++)
		pthread_mutex_init(&things[i].lock, NULL);
	run(1, seed);
	run(THREADS, seed);
	hmem_ctx_unref(ctx);
	return tap_done();
}
