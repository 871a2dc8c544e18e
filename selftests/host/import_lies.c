// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams that lie, imported (import_lies.h): those that the fuzzer found worth keeping, and what
 * dice make of them. HMEM_SEED repeats a run, HMEM_ROUNDS makes it longer, HMEM_CORPUS names
 * another directory.
 */
#include <time.h>

#include "corpus.h"
#include "sanitized.h"
#include "import_lies.h"

#define KEPT_MAX 256

static uint64_t state;

static uint64_t dice(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

static struct kept {
	size_t bytes;
	uint8_t data[CORPUS_MOST];
} kept[KEPT_MAX];
static unsigned int nr;

static void keep(const unsigned char *input, size_t bytes)
{
	import_try(input, bytes);
	if (nr == KEPT_MAX)
		return;
	memcpy(kept[nr].data, input, bytes);
	kept[nr++].bytes = bytes;
}

/* A few bytes of it are others, some of its end is missing, or it is read in another way. */
static void change(struct kept *one)
{
	static const uint8_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 16, 21 };

	for (unsigned int i = 1 + (unsigned int)(dice() % 6); i; i--) {
		uint64_t d = dice();
		size_t at = d % one->bytes;

		switch (d >> 32 & 7) {
		case 0:
			one->data[0] ^= (uint8_t)(1u << (d >> 40 & 7));
			break;
		case 1:
			if (!(d >> 40 & 7))
				one->bytes = at + 1;
			break;
		case 2:
			memmove(one->data + at, one->data + (d >> 40) % one->bytes,
				one->bytes - (at > (d >> 40) % one->bytes ? at :
							(d >> 40) % one->bytes));
			break;
		case 3: case 4:
			one->data[at] = edges[d >> 40 & 7];
			break;
		default:
			one->data[at] ^= (uint8_t)(1u << (d >> 40 & 7));
			break;
		}
	}
}

int main(void)
{
	const char *seed = getenv("HMEM_SEED"), *rounds = getenv("HMEM_ROUNDS");
	unsigned long times = rounds ? strtoul(rounds, NULL, 0) :
				       sanitized("streams that lie", 6000, 3, 20);

	state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	tap_diag("seed %llu", (unsigned long long)state);
	state |= 1ull << 63;
	import_begin();
	corpus_each("import", keep);
	TAP_OK(nr, "%u streams that the fuzzer found worth keeping", nr);
	for (unsigned long i = 0; nr && i < times; i++) {
		struct kept one = kept[dice() % nr];

		if (!one.bytes)
			continue;
		change(&one);
		import_try(one.data, one.bytes);
	}
	TAP_OK(nr, "%lu that dice made of them", times);
	import_end();
	return tap_done();
}
