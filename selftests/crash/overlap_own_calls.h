/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that change names of their own: what each is to do, and how it is made.
 */
#ifndef SELFTESTS_CRASH_OVERLAP_OWN_CALLS_H
#define SELFTESTS_CRASH_OVERLAP_OWN_CALLS_H

#include <hmem/tx.h>

#include "overlap_model.h"

/*
 * @often: how often of all that are drawn
 * @plan: takes names, and says what they will hold; false: there are none for it
 * @make: what the library returns, -ECANCELED for what was aborted
 */
struct own_call {
	const char *name;
	unsigned int often;
	bool (*plan)(struct change *change);
	int (*make)(struct hmem_shelf *shelf, const struct change *change);
};

const struct own_call *own_call_any(void);

int put_value(struct hmem_shelf *shelf, const char *name, const struct value *value);
/* Puts it, or deletes. */
int tx_change(struct hmem_tx *tx, const char *name, const struct value *value);

#endif
