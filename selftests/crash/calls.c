// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls that are explored, and with what they are called.
 */
#include <stdio.h>
#include <string.h>

#include "media.h"
#include "call_table.h"

const char *name_of(unsigned int number)
{
	static char names[NAMES][HMEM_OBJECT_NAME_MAX + 1];
	static const unsigned int lengths[] = { 1, 8, 23, HMEM_OBJECT_NAME_MAX };
	unsigned int bytes = number < 4 ? lengths[number] : 3 + number % 9;
	char *name = names[number];

	if (!*name) {
		memset(name, 'a' + (int)(number % 26), bytes);
		name[bytes / 2] = (char)('0' + number % 48);
	}
	return name;
}

/* --- all of them --------------------------------------------------------------------- */

/* sequences.c knows the first two. */
enum {
	PUT, DELETE, PUBLISH, CANCEL, EDIT, TX_PUTS, TX_PUT_DELETE, TX_DELETES, TX_ABORT, TX_ADD,
	TX_WRITE, TX_WRITES, RENAME, SWAP, GROW, IMPORT, COPY, LOOK, CREATE, OPEN, CLOSE, DESTROY,
	CREATE_BESIDE, DESTROY_BESIDE, EDIT_WRITTEN, TX_ADDS,
};

const struct call calls[] = {
	[PUT] = { "put", run_put, model_put },
	[DELETE] = { "delete", run_delete, model_delete },
	[PUBLISH] = { "publish", run_publish, model_put },
	[CANCEL] = { "cancel", run_cancel, model_nothing },
	[TX_PUTS] = { "transaction of two puts", run_tx_puts, model_tx_puts, true },
	[TX_PUT_DELETE] = { "transaction of put and delete", run_tx_put_delete,
			    model_tx_put_delete, true },
	[TX_DELETES] = { "transaction of two deletes", run_tx_deletes, model_tx_deletes, true },
	[TX_ADD] = { "transaction that changes in place", run_tx_add, model_tx_add, true, true },
	[TX_WRITE] = { "transaction that writes", run_tx_write, model_tx_write, true, true },
	[TX_WRITES] = { "transaction of two writes", run_tx_writes, model_tx_writes, true, true },
	[RENAME] = { "rename", run_rename, model_rename, true, true },
	[SWAP] = { "swap", run_swap, model_swap, true, true },
	[TX_ABORT] = { "transaction given up", run_tx_abort, model_nothing },
	[GROW] = { "grow", run_grow, model_nothing },
	[EDIT] = { "edit", run_edit, model_edit },
	[IMPORT] = { "import", run_import, model_nothing, true },
	[EDIT_WRITTEN] = { "edit of what is written to", run_edit_written, model_edit },
	[TX_ADDS] = { "transaction that changes two in place", run_tx_adds, model_tx_writes, true, true },
	[COPY] = { "copy and publish", run_copy, model_put },
	[LOOK] = { "look", run_look, model_nothing },
	[CREATE] = { "create", .whole = WHOLE_CREATE, .wide = true },
	[OPEN] = { "open", .whole = WHOLE_OPEN },
	[CLOSE] = { "close", .whole = WHOLE_CLOSE },
	[DESTROY] = { "destroy", .whole = WHOLE_DESTROY, .wide = true },
	[CREATE_BESIDE] = { "create another", .whole = WHOLE_CREATE_BESIDE, .wide = true },
	[DESTROY_BESIDE] = { "destroy another", .whole = WHOLE_DESTROY_BESIDE, .wide = true },
};
const unsigned int nr_calls = sizeof(calls) / sizeof(calls[0]);

#define C HMEM_PUT_CREATE
#define R HMEM_PUT_REPLACE

/* On the shelf that they are called on, names 0 and 1 are there, the others are not. */
const struct step steps[] = {
	{ &calls[PUT], .name = 0, .bytes = 8, .seed = 1 },
	{ &calls[PUT], .name = 0, .bytes = 16, .seed = 2 },
	{ &calls[PUT], .name = 0, .bytes = 0, .seed = 3 },
	{ &calls[PUT], .name = 0, .bytes = 100, .seed = 4, .flags = R },
	{ &calls[PUT], .name = 0, .bytes = 24, .seed = 5, .actor = 1 },
	{ &calls[PUT], .name = 1, .bytes = 40, .seed = 6 },
	{ &calls[PUT], .name = 1, .bytes = 1, .seed = 7, .actor = 1 },
	{ &calls[PUT], .name = 2, .bytes = 8, .seed = 8, .flags = C },
	{ &calls[PUT], .name = 2, .bytes = 33, .seed = 9, .actor = 1 },
	{ &calls[PUT], .name = 2, .bytes = 64, .align = 64, .seed = 10 },
	{ &calls[PUT], .name = 2, .bytes = 17, .align = 4096, .seed = 11 },
	{ &calls[PUT], .name = 2, .bytes = 70000, .seed = 12 },
	{ &calls[PUT], .name = 3, .bytes = 10, .seed = 13 },
	{ &calls[PUT], .name = 0, .bytes = 8, .seed = 14, .flags = C },
	{ &calls[PUT], .name = 2, .bytes = 8, .seed = 15, .flags = R },
	{ &calls[DELETE], .name = 0 },
	{ &calls[DELETE], .name = 1, .actor = 1 },
	{ &calls[DELETE], .name = 2 },
	{ &calls[PUBLISH], .name = 0, .bytes = 40, .seed = 16 },
	{ &calls[PUBLISH], .name = 2, .bytes = 90, .seed = 17, .flags = C, .actor = 1 },
	{ &calls[PUBLISH], .name = 1, .bytes = 8, .seed = 18, .flags = C },
	{ &calls[CANCEL], .name = 2, .bytes = 200, .seed = 19 },
	{ &calls[TX_PUTS], .name = 0, .other = 1, .bytes = 16, .seed = 16 },
	{ &calls[TX_PUTS], .name = 0, .other = 2, .bytes = 40, .seed = 17, .actor = 1 },
	{ &calls[TX_PUTS], .name = 2, .other = 3, .bytes = 100, .align = 64, .seed = 18 },
	{ &calls[TX_PUTS], .name = 1, .other = 2, .bytes = 70000, .seed = 19, .flags = R },
	{ &calls[TX_PUT_DELETE], .name = 0, .other = 1, .bytes = 8, .seed = 20 },
	{ &calls[TX_PUT_DELETE], .name = 2, .other = 0, .bytes = 24, .seed = 21, .actor = 1 },
	{ &calls[TX_PUT_DELETE], .name = 1, .other = 2, .bytes = 24, .seed = 22 },
	{ &calls[TX_DELETES], .name = 0, .other = 1 },
	{ &calls[TX_ABORT], .name = 0, .bytes = 30, .seed = 23 },
	{ &calls[PUT], .name = 0, .bytes = 8, .seed = 24, .type = 1 },
	{ &calls[PUT], .name = 2, .bytes = 30, .seed = 25, .type = 1, .actor = 1 },
	{ &calls[PUT], .name = 1, .bytes = 11, .seed = 26, .type = 2 },
	{ &calls[PUBLISH], .name = 2, .bytes = 50, .seed = 27, .type = 2 },
	{ &calls[TX_PUTS], .name = 0, .other = 2, .bytes = 20, .seed = 28, .type = 1 },
	{ &calls[GROW], .bytes = 3 },
	{ &calls[GROW], .bytes = 4, .actor = 1 },
	{ &calls[IMPORT], .name = 0 },
	{ &calls[IMPORT], .actor = 1 },
	{ &calls[EDIT], .name = 0, .seed = 20 },
	{ &calls[EDIT], .name = 1, .seed = 21, .actor = 1 },
	{ &calls[EDIT], .name = 2, .seed = 22 },
	{ &calls[EDIT_WRITTEN], .name = 0, .seed = 35 },
	{ &calls[TX_ADD], .name = 0, .other = 0, .seed = 24 },
	{ &calls[TX_ADD], .name = 0, .other = 1, .bytes = 9, .seed = 25, .actor = 1 },
	{ &calls[TX_ADD], .name = 1, .other = 2, .bytes = 9, .seed = 26, .flags = R },
	{ &calls[TX_WRITE], .name = 0, .other = 0, .seed = 30 },
	{ &calls[TX_WRITE], .name = 0, .other = 2, .bytes = 9, .seed = 31, .actor = 1 },
	{ &calls[TX_WRITE], .name = 1, .other = 1, .seed = 32, .flags = C },
	{ &calls[TX_WRITES], .name = 0, .other = 1, .seed = 33, .actor = 1 },
	{ &calls[RENAME], .name = 0, .other = 2 },
	{ &calls[RENAME], .name = 1, .other = 0, .flags = R, .actor = 1 },
	{ &calls[RENAME], .name = 2, .other = 3, .flags = C },
	{ &calls[SWAP], .name = 0, .other = 1, .actor = 1 },
	{ &calls[COPY], .name = 2, .bytes = 190, .seed = 34, .type = 1 },
	{ &calls[LOOK], .name = 0, .other = 1 },
	{ &calls[CREATE], .name = 0 },
	{ &calls[OPEN], .name = 0 },
	{ &calls[OPEN], .flags = HMEM_SHELF_READ_ONLY },
	{ &calls[OPEN], .flags = HMEM_SHELF_EXCLUSIVE | HMEM_SHELF_TAKE_OVER | HMEM_SHELF_REPAIR },
	{ &calls[CLOSE], .name = 0 },
	{ &calls[DESTROY], .name = 0 },
	{ &calls[CREATE], .flags = HMEM_SHELF_GROSS | HMEM_SHELF_ORDERED },
	{ &calls[CREATE_BESIDE], .name = 0 },
	{ &calls[DESTROY_BESIDE], .name = 0 },
};
const unsigned int nr_steps = sizeof(steps) / sizeof(steps[0]);

void step_random(struct step *step)
{
	uint64_t what = chance();

	*step = (struct step){ .call = &calls[chance_of(nr_calls)], .seed = 100 };
	step->seed += (unsigned int)chance_of(4000);
	step->name = (unsigned int)(what % 5);
	step->other = (unsigned int)(what >> 8 & 0xff) % 5;
	step->bytes = (unsigned int)(what >> 16 & 0xff) % 72;
	if (!(what >> 24 & 0x3f))
		step->bytes = 60000 + (unsigned int)chance_of(30000);
	else if (!(what >> 24 & 0x7))
		step->bytes = (unsigned int)chance_of(3000);
	if (!(what >> 32 & 0xf))
		step->align = 16u << (what >> 40 & 7);
	if (!(what >> 48 & 0xf))
		step->flags = what >> 52 & 1 ? C : R;
	step->actor = (what >> 54 & 3) == 3 ? 1 + (what >> 56 & 1) : 0;
	step->type = chance_of(4) ? 0 : 1 + (unsigned int)chance_of(2);
	if ((step->call->whole || step->call == &calls[GROW]) && what >> 57 & 7)
		step->call = &calls[PUT];
	else if (step->call->whole)
		step->flags = step->call == &calls[CREATE] ?
				      chance_of(2) * HMEM_SHELF_GROSS + chance_of(2) * HMEM_SHELF_ORDERED :
				      chance_of(4) ? 0 : HMEM_SHELF_REPAIR;
	else if (step->call == &calls[GROW])
		step->bytes = 2 + (what >> 60) % 4;
}

void step_print(const struct step *step, unsigned int process)
{
	printf("#   %s name %u, other %u, %u bytes, align %u, flags %u, seed %u, type %u, by %u of %u\n",
	       step->call->name, step->name, step->other, step->bytes, step->align, step->flags,
	       step->seed, step->type, step->actor, process);
}
