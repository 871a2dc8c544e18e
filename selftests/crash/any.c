// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>

#include "any.h"

static uint64_t random_state;

void any_begin(unsigned long seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned int i = 0; i < 8; i++)
		any(2);
}

unsigned int any(unsigned int end)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(random_state >> 33) % end;
}
