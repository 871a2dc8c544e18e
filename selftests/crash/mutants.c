// SPDX-License-Identifier: GPL-2.0-only
/*
 * One write-back, one fence, one checksum or one order at a time is taken away from the
 * library, and the explorer must find out.
 *
 * The places are those that a first run comes by: a call of write-back or fence, an
 * atomic store to a line in which others wait, which then overtakes them, and what makes a
 * checksum.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore.h"
#include "machine.h"
#include "media.h"
#include "mutants.h"
#include "recovered.h"
#include "sequences.h"
#include "trace.h"

static const char *const kinds[SITE_KINDS] = {
	[SITE_WRITE_BACK] = "no write-back",
	[SITE_FENCE] = "no fence",
	[SITE_STORE] = "too early a store",
	[SITE_CHECKSUM] = "no checksum",
};

/*
 * Faults that no loss of power shows, or that are found elsewhere. @nth: of those of the kind in the
 * function, from 1 on; 0: all of them.
 */
static const struct {
	enum site_kind kind;
	unsigned int nth;
	const char *function;
	const char *why;
} equivalent[] = {
	{ SITE_WRITE_BACK, 0, "write_empty", "what was there was not this shelf's" },
	{ SITE_WRITE_BACK, 0, "remove_mapped", "the rack does not lead there any more" },
	{ SITE_FENCE, 0, "remove_mapped", "the rack does not lead there any more" },
	{ SITE_WRITE_BACK, 0, "leave_clean", "a runtime of another boot is never taken for ours" },
	{ SITE_WRITE_BACK, 0, "clean_leave", "only after a death in a call that takes a new chunk or block of "
					     "numbers, and a put there when it was closed and opened" },
	{ SITE_WRITE_BACK, 0, "restore_mark", "only for a damaged mark; host/shelf_image" },
	{ SITE_WRITE_BACK, 0, "heap_reset_frontier", "without a frontier all chunks are looked at" },
	{ SITE_FENCE, 2, "take_locked", "limbo_empty() fences before anybody writes to the same "
					"objects, as here nobody does in between" },
	{ SITE_FENCE, 0, "slot_settle", "recovery seals as well, and limbo_empty() fences before memory "
					"is free" },
	{ SITE_WRITE_BACK, 0, "rack_peek", "only after a death between two looks at it of who opens it" },
	{ SITE_FENCE, 0, "rack_peek", "only after a death between two looks at it of who opens it" },
	{ SITE_FENCE, 0, "write_back_found", "on lines recovery's own fence follows" },
	{ SITE_CHECKSUM, 0, "sealed_head", "against damage, not power cuts; host/shelf_image" },
	{ SITE_CHECKSUM, 0, "seal_of", "against damage: the superblock's fence comes after it" },
	{ SITE_CHECKSUM, 0, "chunk_crc", "against damage, not power cuts; host/shelf_image" },
	{ SITE_CHECKSUM, 0, "frontier_word", "a word is never torn; against damage: host/shelf_image" },
	{ SITE_CHECKSUM, 0, "ceiling_word", "a word is never torn; against damage: host/shelf_image" },
	{ SITE_STORE, 0, "heap_reset_frontier", "without a frontier all chunks are looked at" },
	{ SITE_STORE, 0, "heap_raise_frontier", "a word that is alone" },
	{ SITE_STORE, 0, "raise_ceiling", "a word that is alone" },
	{ SITE_STORE, 0, "record_lay", "the checksum covers all that should come before it" },
	{ SITE_STORE, 0, "publish_locked", "the checksum covers all that should come before it" },
	{ SITE_STORE, 0, "apply", "link, index and slots: recovery reads none of them" },
	{ SITE_STORE, 0, "redo_again", "link, index and slots: recovery reads none of them" },
	{ SITE_STORE, 0, "ring_to_list", "link: recovery does not read it" },
	{ SITE_STORE, 0, "list_reclaim", "link: recovery does not read it" },
	{ SITE_STORE, 0, "word_to_list", "link and slots: recovery reads neither" },
	{ SITE_STORE, 0, "bucket_take", "index: recovery does not read it" },
	{ SITE_STORE, 0, "bucket_drop", "index: recovery does not read it" },
	{ SITE_STORE, 0, "seal_chain", "index: the superblock's fence comes after it" },
	{ SITE_STORE, 0, "disown_range", "one word, and nothing of that record waits" },
	{ SITE_STORE, 0, "claim_first", "memory that was only reserved is no record" },
	{ SITE_STORE, 0, "unseal", "index: recovery does not read it" },
	{ SITE_STORE, 0, "bucket_unseal", "index: recovery does not read it" },
	{ SITE_STORE, 0, "enter", "index: recovery does not read it" },
	{ SITE_STORE, 0, "bury_all", "index: recovery does not read it" },
	{ SITE_STORE, 0, "types_settle", "index: recovery does not read it" },
	{ SITE_STORE, 0, "add_entry", "index: recovery does not read it" },
	{ SITE_STORE, 0, "compact", "index: recovery does not read it" },
	{ SITE_STORE, 0, "remove_moved", "index: recovery does not read it" },
	{ SITE_STORE, 0, "bucket_take_noted", "index and slots: recovery reads none of them" },
	{ SITE_STORE, 0, "block_new", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "tx_commit_take", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "disown", "link and blocks: recovery reads none of them" },
	{ SITE_STORE, 0, "unlock", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "give_block", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "give_undo", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "block_give", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "tx_reclaim", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "own_locked", "link and blocks: recovery reads none of them" },
	{ SITE_STORE, 0, "make_undo", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "commit_void", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "cover_commits", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "do_tx_write", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "resolve", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "writes_cover", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "writes_apply", "a transaction's block: recovery does not read it" },
	{ SITE_STORE, 0, "show", "index: recovery does not read it" },
	{ SITE_STORE, 0, "look_at", "link: nobody who owned it is there any more" },
	{ SITE_STORE, 0, "build", "order of names: recovery makes it anew" },
	{ SITE_STORE, 0, "link_in", "order of names: recovery makes it anew" },
	{ SITE_STORE, 0, "ordered_add", "order of names: recovery makes it anew" },
	{ SITE_STORE, 0, "ordered_make_node", "order of names: recovery makes it anew" },
	{ SITE_STORE, 0, "ordered_remove", "order of names: recovery makes it anew" },
	{ SITE_STORE, 0, "take_out_locked", "order of names: recovery makes it anew" },
	{ SITE_STORE, 0, "ordered_seal", "order of names: the superblock's fence comes after it" },
	{ SITE_STORE, 0, "writer_seal", "one word, and nothing of that record waits" },
	{ SITE_STORE, 0, "restore_mark", "only for a damaged mark; host/shelf_image" },
	{ SITE_STORE, 0, "grow", "runtime: recovery does not read it" },
	{ SITE_STORE, 0, "record_move", "one word, and nothing of that record waits" },
	{ SITE_STORE, 0, "seal", "one word, and nothing of that record waits" },
	{ SITE_STORE, 0, "record_unmake", "the mark and the state: without either it is no record" },
};

/* @nth: which of its kind in its function */
static const char *why_equivalent(const struct site *site, unsigned int nth)
{
	for (size_t i = 0; i < sizeof(equivalent) / sizeof(equivalent[0]); i++)
		if (equivalent[i].kind == site->kind &&
		    (!equivalent[i].nth || equivalent[i].nth == nth) &&
		    !strcmp(equivalent[i].function, site->function))
			return equivalent[i].why;
	return NULL;
}

/* What the table has and no call came by, for whatever reason: it is not known to be no fault. */
static void tell_unreached(const struct site *list, unsigned int nr)
{
	for (size_t i = 0; i < sizeof(equivalent) / sizeof(equivalent[0]); i++) {
		unsigned int site = 0;

		while (site < nr && (list[site].kind != equivalent[i].kind ||
				     strcmp(list[site].function, equivalent[i].function) != 0))
			site++;
		if (site == nr)
			printf("# %s in %s: no call comes by\n", kinds[equivalent[i].kind],
			       equivalent[i].function);
	}
}

/* One line for what belongs together, and in the order of the source. */
static int compare(const void *a, const void *b)
{
	const struct site *x = a, *y = b;
	int by_file = strcmp(x->file, y->file);

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (by_file)
		return by_file;
	return x->line < y->line ? -1 : x->line > y->line;
}

static bool is_first(const struct site *list, unsigned int i)
{
	for (unsigned int j = 0; j < i; j++)
		if (site_is_same(&list[j], &list[i]))
			return false;
	return true;
}

static unsigned int nth_of(const struct site *list, unsigned int i)
{
	unsigned int nth = 1;

	for (unsigned int j = 0; j < i; j++)
		nth += is_first(list, j) && list[j].kind == list[i].kind &&
		       !strcmp(list[j].function, list[i].function);
	return nth;
}

/* --- who comes by ---------------------------------------------------------------------- */

/* For each sequence the places that it comes by. */
static const struct sequence *sequence_of;
static unsigned int nr_sequences;
static uint8_t (*comes_by)[MOST_SITES / 8];

/* The whole list, with the library as it is, and no power cuts but those that are part of it. */
static bool note_places(void)
{
	bool good = true;

	explore_dry = true;
	sequence_of = sequences_all(&nr_sequences);
	comes_by = calloc(nr_sequences, sizeof(*comes_by));
	for (unsigned int i = 0; comes_by && i < nr_sequences && good; i++) {
		sites_round = i + 1;
		good = sequence_run(&sequence_of[i]);
		for (unsigned int site = 0; site < nr_sites; site++)
			if (sites[site].round == sites_round)
				comes_by[i][site / 8] |= (uint8_t)(1u << site % 8);
	}
	explore_dry = false;
	recovered_some = 3;
	return comes_by && good;
}

static bool is_come_by(unsigned int sequence, const struct site *place)
{
	for (unsigned int site = 0; site < nr_sites; site++)
		if (comes_by[sequence][site / 8] >> site % 8 & 1 && site_is_same(&sites[site], place))
			return true;
	return false;
}

/* --- one fault ------------------------------------------------------------------------- */

/* States of one instant: few at first, as another sequence may show it at once. */
static const struct {
	uint64_t limit, samples;
} depths[] = { { 1u << 5, 16 }, { 1u << 12, 1024 } };
#define DEPTHS (sizeof(depths) / sizeof(depths[0]))

/* What it is that they show, one sort of sequences after the other. */
static const struct {
	enum sequence_sort from, to;
} sorts[] = {
	{ SEQUENCE_NONE, SEQUENCE_PAIR },
	{ SEQUENCE_DEATH, SEQUENCE_RANDOM },
	{ SEQUENCE_PAIR, SEQUENCE_DEATH },
	{ SEQUENCE_RANDOM, SEQUENCE_SORTS },
};
#define SORTS (sizeof(sorts) / sizeof(sorts[0]))

/*
 * Those that come by, up to so many states: the short ones in their order, others in one that mixes
 * what they do. False: found.
 */
static bool explore_sort(const bool *comes, unsigned int sort, uint64_t most)
{
	/* It has no divisor in common with their number: each is met once. */
	unsigned int stride = sort ? 7919 : 1;

	for (unsigned int i = 0, at = 0; i < nr_sequences && explore_counts.distinct < most;
	     i++, at = (at + stride) % nr_sequences)
		if (sequence_of[at].sort >= sorts[sort].from && sequence_of[at].sort < sorts[sort].to &&
		    comes[at] && !sequence_run(&sequence_of[at]))
			return false;
	return true;
}

/* Then some at random. */
static bool explore_faulty(const bool *comes, uint64_t states)
{
	const unsigned int parts = DEPTHS * SORTS + 1;

	for (unsigned int depth = 0; depth < DEPTHS; depth++) {
		explore_limit = depths[depth].limit;
		explore_samples = depths[depth].samples;
		for (unsigned int sort = 0; sort < SORTS; sort++)
			if (!explore_sort(comes, sort, states * (depth * SORTS + sort + 1) / parts))
				return false;
	}
	for (uint64_t seed = 1000; explore_counts.distinct < states; seed++)
		if (!explore_random(seed))
			return false;
	return true;
}

/* In a process of its own: what the explorer says, to @out. */
static void run_faulty(const struct site *site, uint64_t states, FILE *out)
{
	bool *comes = calloc(nr_sequences, sizeof(*comes));

	if (!comes || !freopen("/dev/null", "w", stdout))
		_exit(2);
	sites_forked();
	machines_forked();
	media_forked();
	for (unsigned int i = 0; i < nr_sequences; i++)
		comes[i] = is_come_by(i, site);
	fault = *site;
	has_fault = true;
	/* What was made with the checksum shows nothing but that there was one. */
	if (site->kind == SITE_CHECKSUM)
		explore_init();
	if (explore_faulty(comes, states))
		fprintf(out, "%llu\n", (unsigned long long)explore_counts.distinct);
	else
		fprintf(out, "+%s\n", explore_wrong);
	fflush(out);
	_exit(0);
}

/* --- all of them ------------------------------------------------------------------------ */

static mutant_verdict verdict_to;

__attribute__((format(printf, 2, 3))) static void verdict(bool good, const char *format, ...)
{
	char text[1600];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	verdict_to(good, text);
}

struct trial {
	const struct site *site;
	const char *why;
	FILE *answer;
	pid_t pid;
};

/* A fault that is none gets a few states, too. */
static bool begin_trial(struct trial *trial, uint64_t states)
{
	int ends[2];

	fflush(stdout);
	if (pipe(ends))
		return false;
	trial->pid = fork();
	if (!trial->pid) {
		close(ends[0]);
		run_faulty(trial->site, trial->why ? states / 10 : states, fdopen(ends[1], "w"));
	}
	close(ends[1]);
	trial->answer = fdopen(ends[0], "r");
	return trial->pid > 0 && trial->answer;
}

static struct mutants results;

static void end_trial(const struct trial *trial)
{
	const struct site *site = trial->site;
	char answer[1200] = "";
	bool caught;
	int status;

	if (!fgets(answer, sizeof(answer), trial->answer))
		snprintf(answer, sizeof(answer), "?");
	fclose(trial->answer);
	waitpid(trial->pid, &status, 0);
	answer[strcspn(answer, "\n")] = '\0';
	caught = *answer == '+';
	if (trial->why) {
		results.none++;
		verdict(!caught && *answer != '?', "%s in %s (%s:%u) is no fault: %s%s%s",
			kinds[site->kind], site->function, site->file, site->line, trial->why,
			caught ? "; yet " : "", caught ? answer + 1 : "");
		return;
	}
	results.caught += caught;
	results.missed += !caught;
	verdict(caught, "%s in %s (%s:%u): %s%s", kinds[site->kind], site->function, site->file,
		site->line, caught ? "caught by " : "not caught, states: ",
		caught ? answer + 1 : answer);
}

static bool is_wanted(const struct site *list, unsigned int i, const char *function)
{
	return is_first(list, i) && !list[i].through && strncmp(list[i].file, "shelf", 5) == 0 &&
	       (!function || !strcmp(function, list[i].function));
}

struct mutants mutants(uint64_t states, const char *function, mutant_verdict to)
{
	static struct site list[MOST_SITES];
	static struct trial trials[MOST_SITES];
	unsigned int nr = 0, ended = 0;
	long at_once = sysconf(_SC_NPROCESSORS_ONLN);
	bool good;

	verdict_to = to;
	sites_wanted = true;
	good = note_places();
	verdict(good, "without a fault nothing is found");
	if (!good) {
		explore_print();
		return results;
	}
	results.sequences = nr_sequences;
	memset(&explore_counts, 0, sizeof(explore_counts));
	memcpy(list, sites, sizeof(sites));
	qsort(list, nr_sites, sizeof(list[0]), compare);
	for (unsigned int i = 0; i < nr_sites; i++) {
		if (!is_wanted(list, i, function))
			continue;
		trials[nr] = (struct trial){
			.site = &list[i], .why = why_equivalent(&list[i], nth_of(list, i)),
		};
		if (!begin_trial(&trials[nr], states)) {
			verdict(false, "a process of its own");
			break;
		}
		if (++nr - ended >= (unsigned int)at_once)
			end_trial(&trials[ended++]);
	}
	while (ended < nr)
		end_trial(&trials[ended++]);
	if (!function)
		tell_unreached(list, nr_sites);
	return results;
}
