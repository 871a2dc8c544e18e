/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the table of calls consists of: how each is made on the traced copy of the library, and
 * what it does to the model.
 */
#ifndef SELFTESTS_CRASH_CALL_TABLE_H
#define SELFTESTS_CRASH_CALL_TABLE_H

#include "calls.h"

/* On objects; object_calls.c. */
int run_put(struct hmem_shelf *shelf, const struct step *step);
int run_delete(struct hmem_shelf *shelf, const struct step *step);
int run_publish(struct hmem_shelf *shelf, const struct step *step);
int run_copy(struct hmem_shelf *shelf, const struct step *step);
int run_cancel(struct hmem_shelf *shelf, const struct step *step);
int run_rename(struct hmem_shelf *shelf, const struct step *step);
int run_swap(struct hmem_shelf *shelf, const struct step *step);
int run_grow(struct hmem_shelf *shelf, const struct step *step);
int run_import(struct hmem_shelf *shelf, const struct step *step);
int run_edit(struct hmem_shelf *shelf, const struct step *step);
int model_put(struct contents *contents, const struct step *step);
int model_delete(struct contents *contents, const struct step *step);
int model_nothing(struct contents *contents, const struct step *step);
int model_rename(struct contents *contents, const struct step *step);
int model_swap(struct contents *contents, const struct step *step);
int model_edit(struct contents *contents, const struct step *step);

/* Alignment and type of what a step puts. */
void options_of(const struct step *step, struct hmem_put_options *options);
/* Of so many bytes those that are changed in place at once. */
size_t word_of(size_t bytes);

/* Transactions; tx_calls.c. */
int run_tx_puts(struct hmem_shelf *shelf, const struct step *step);
int run_tx_put_delete(struct hmem_shelf *shelf, const struct step *step);
int run_tx_deletes(struct hmem_shelf *shelf, const struct step *step);
int run_tx_abort(struct hmem_shelf *shelf, const struct step *step);
int run_tx_add(struct hmem_shelf *shelf, const struct step *step);
int run_tx_write(struct hmem_shelf *shelf, const struct step *step);
int run_tx_writes(struct hmem_shelf *shelf, const struct step *step);
int run_tx_adds(struct hmem_shelf *shelf, const struct step *step);
int run_edit_written(struct hmem_shelf *shelf, const struct step *step);
int model_tx_puts(struct contents *contents, const struct step *step);
int model_tx_put_delete(struct contents *contents, const struct step *step);
int model_tx_deletes(struct contents *contents, const struct step *step);
int model_tx_add(struct contents *contents, const struct step *step);
int model_tx_write(struct contents *contents, const struct step *step);
int model_tx_writes(struct contents *contents, const struct step *step);

/* All calls that change nothing; shelf_calls.c. */
int run_look(struct hmem_shelf *shelf, const struct step *step);

#endif
