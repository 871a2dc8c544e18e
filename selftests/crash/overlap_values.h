/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values of which each tells from which call it is: two words that may be written alone, and the
 * rest, from which their size and their type follow. No two are the same.
 */
#ifndef SELFTESTS_CRASH_OVERLAP_VALUES_H
#define SELFTESTS_CRASH_OVERLAP_VALUES_H

#include <hmem/shelf.h>

#include <stdbool.h>
#include <stdint.h>

#define VALUE_WORDS	625u
#define VALUE_TYPE	32u
#define VALUE_TEXT	80u

struct value {
	bool there;
	uint64_t first;
	uint64_t second;
	uint64_t rest;
};

/* What nobody has stored before. */
uint64_t value_word(void);
struct value value_new(void);
size_t value_bytes(const struct value *value);
bool value_same(const struct value *one, const struct value *other);
void value_fill(const struct value *value, uint64_t *words);
/* @type: VALUE_TYPE bytes, which the options may point to */
void value_options(const struct value *value, struct hmem_put_options *options, char *type);
/* 0, also when there is none; an error; -EBADMSG: it is no value. */
int value_read(struct hmem_shelf *shelf, const char *name, struct value *value);
/* The rest of what is there is as it was when it was put. */
bool value_is_whole(const uint64_t *words, size_t bytes);
/* For people. @text: VALUE_TEXT bytes. */
const char *value_text(const struct value *value, char *text);

#endif
