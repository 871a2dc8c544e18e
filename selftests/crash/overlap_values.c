// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "overlap_values.h"

/* Up to the first word of the rest. */
#define SMALLEST	24u

static uint64_t last_word;

uint64_t value_word(void)
{
	return ++last_word;
}

struct value value_new(void)
{
	uint64_t word = value_word();

	return (struct value){ true, word, word, word };
}

size_t value_bytes(const struct value *value)
{
	static const size_t bytes[] = { 32, 64, 104, 200, 1000, SMALLEST, 8 * VALUE_WORDS };

	return bytes[value->rest % (sizeof(bytes) / sizeof(bytes[0]))];
}

bool value_same(const struct value *one, const struct value *other)
{
	if (!one->there || !other->there)
		return one->there == other->there;
	return one->first == other->first && one->second == other->second &&
	       one->rest == other->rest;
}

void value_fill(const struct value *value, uint64_t *words)
{
	for (size_t i = 2; i < value_bytes(value) / 8; i++)
		words[i] = value->rest;
	words[0] = value->first;
	words[1] = value->second;
}

/* One in three has a type, some of them the same. */
void value_options(const struct value *value, struct hmem_put_options *options, char *type)
{
	*options = (struct hmem_put_options)HMEM_PUT_OPTIONS_INIT;
	if (value->rest % 3)
		return;
	options->type_bytes = (size_t)snprintf(type, VALUE_TYPE, "type%u",
					       (unsigned int)(value->rest / 18));
	options->type = type;
}

bool value_is_whole(const uint64_t *words, size_t bytes)
{
	struct value value = { .there = true };

	if (bytes < SMALLEST)
		return false;
	value.rest = words[2];
	if (bytes != value_bytes(&value))
		return false;
	for (size_t i = 2; i < bytes / 8; i++)
		if (words[i] != value.rest)
			return false;
	return true;
}

int value_read(struct hmem_shelf *shelf, const char *name, struct value *value)
{
	uint64_t words[VALUE_WORDS + 1];
	size_t bytes;
	int err = hmem_shelf_read(shelf, name, words, sizeof(words), &bytes);

	memset(value, 0, sizeof(*value));
	if (err)
		return err == -ENOENT ? 0 : err;
	if (!value_is_whole(words, bytes))
		return -EBADMSG;
	*value = (struct value){ true, words[0], words[1], words[2] };
	return 0;
}

const char *value_text(const struct value *value, char *text)
{
	if (value->there)
		snprintf(text, VALUE_TEXT, "%llu.%llu.%llu", (unsigned long long)value->first,
			 (unsigned long long)value->second, (unsigned long long)value->rest);
	else
		snprintf(text, VALUE_TEXT, "none");
	return text;
}
