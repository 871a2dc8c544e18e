// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sizes as people write them. All in integers: 64.1G has one value, on every machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hmem/size.h>

/* With this many digits the fraction fits in 64 bits, and times 2^60 in 128. */
#define FRACTION_DIGITS_MAX 18

static const char units[] = "KMGTPE";

/* A decimal number: @whole and @fraction / @scale. */
struct number {
	unsigned __int128 whole;
	uint64_t fraction;
	uint64_t scale;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number that @text begins with, and what follows; NULL when it is none. */
static const char *parse_number(const char *text, struct number *number)
{
	*number = (struct number){ .scale = 1 };
	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++)
		/* Stays what it is once it is too large for any unit. */
		if (number->whole <= UINT64_MAX)
			number->whole = number->whole * 10 + (unsigned int)(*text - '0');
	if (*text != '.')
		return text;
	if (!is_digit(*++text))
		return NULL;
	for (int digits = 0; is_digit(*text); text++, digits++) {
		if (digits == FRACTION_DIGITS_MAX)
			return NULL;
		number->fraction = number->fraction * 10 + (unsigned int)(*text - '0');
		number->scale *= 10;
	}
	return text;
}

/* The power of two of "", "K", "KiB", "G"...; -1 when it is no unit. */
static int parse_unit(const char *text)
{
	const char *unit;

	if (!*text)
		return 0;
	unit = strchr(units, *text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
	if (!unit || (text[1] && strcmp(text + 1, "iB") != 0))
		return -1;
	return 10 * (int)(unit - units + 1);
}

static int bounded(unsigned __int128 value, unsigned __int128 most, uint64_t *bytes)
{
	if (!value || value > most)
		return -ERANGE;
	*bytes = (uint64_t)value;
	return 0;
}

int hmem_size_parse(const char *text, uint64_t whole, uint64_t *bytes)
{
	struct number number;
	const char *rest;
	bool negative;
	int shift;

	if (!text || !bytes)
		return -EINVAL;
	if (!strcmp(text, "all"))
		return whole ? bounded(whole, INT64_MAX, bytes) : -EINVAL;
	negative = *text == '-';
	rest = parse_number(text + negative, &number);
	if (!rest)
		return -EINVAL;
	if (!strcmp(rest, "%")) {
		unsigned __int128 part;

		if (!whole)
			return -EINVAL;
		if (negative || number.whole > 100)
			return -ERANGE;
		part = (number.whole * whole +
			(unsigned __int128)number.fraction * whole / number.scale) /
		       100;
		return bounded(part, whole < INT64_MAX ? whole : INT64_MAX, bytes);
	}
	if (*rest == ' ' && rest[1])
		rest++;
	shift = parse_unit(rest);
	if (shift < 0)
		return -EINVAL;
	if (negative || number.whole > INT64_MAX)
		return -ERANGE;
	return bounded((number.whole << shift) +
			       ((unsigned __int128)number.fraction << shift) / number.scale,
		       INT64_MAX, bytes);
}

char *hmem_size_format(uint64_t bytes, char *buffer, size_t length)
{
	unsigned __int128 hundredths;
	const char *unit = units;
	int shift = 10;

	if (bytes < 1024) {
		snprintf(buffer, length, "%" PRIu64 " B", bytes);
		return buffer;
	}
	/* Rounded before it is compared: 1023.999 KiB is 1.00 MiB and not 1024.00 KiB. */
	for (;; unit++, shift += 10) {
		hundredths =
			((unsigned __int128)bytes * 100 + ((uint64_t)1 << (shift - 1))) >> shift;
		if (hundredths < 102400 || !unit[1])
			break;
	}
	snprintf(buffer, length, "%u.%02u %ciB", (unsigned int)(hundredths / 100),
		 (unsigned int)(hundredths % 100), *unit);
	return buffer;
}
