// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves that lie, at random: nothing but errors may come of them. HMEM_SEED repeats a run,
 * HMEM_ROUNDS makes it longer. Then the corpus of the fuzzer, HMEM_CORPUS names another.
 * hmem-test: timeout=300
 */
#include <time.h>

#include "corpus.h"
#include "sanitized.h"
#include "shelf_lies.h"

static uint64_t state;

static uint64_t dice(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

int main(void)
{
	const char *seed = getenv("HMEM_SEED"), *rounds = getenv("HMEM_ROUNDS");
	unsigned long nr = rounds ? strtoul(rounds, NULL, 0) :
				    sanitized("shelves that lie", 4000, 2, 20);

	state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	tap_diag("seed %llu", (unsigned long long)state);
	state |= 1ull << 63;
	lies_begin();
	for (unsigned long i = 0; i < nr; i++) {
		uint64_t data[8];
		size_t lies = 1 + dice() % 8;

		for (size_t j = 0; j < lies; j++)
			data[j] = dice();
		lies_try((const uint8_t *)data, lies * sizeof(data[0]));
	}
	TAP_OK(true, "%lu shelves that lie", nr);
	TAP_OK(corpus_each("shelf", lies_try), "those that the fuzzer found worth keeping");
	memcpy(lies_media.file, lies_originals[0].image, LIES_REGION);
	TAP_OK(!hmem_shelf_open(lies_region, "shelf", NULL, &(struct hmem_shelf *){ NULL }),
	       "without lies it opens");
	lies_end();
	return tap_done();
}
