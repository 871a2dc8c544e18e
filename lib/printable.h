/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is told to people: names and texts of others' in it may be any bytes, and a terminal
 * obeys some of them.
 */
#ifndef LIB_PRINTABLE_H
#define LIB_PRINTABLE_H

#include <stdbool.h>

/* One line, whatever bytes it was made of: a question mark for each that is a control character's. */
static inline void hmem_make_printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		/* U+0080 to U+009F, in UTF-8 */
		bool high = *c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;

		if (*c < ' ' || *c == 127 || high)
			*c = '?';
		if (high)
			*++c = '?';
	}
}

#endif
