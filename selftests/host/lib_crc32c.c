// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each way of computing a CRC32C says what the definition says, of any number of bytes,
 * wherever they lie and whatever came before; and copies what it is to copy.
 */
#include "../../lib/crc32c.c"
#include "../../lib/crc32c_wide.c"

#include "tap.h"

#define MOST 7000u

static unsigned char from[MOST + 64], to[MOST + 128] __attribute__((aligned(64)));

/* Bit by bit, as the polynomial has it. */
static uint32_t defined(uint32_t crc, const unsigned char *data, size_t bytes)
{
	while (bytes--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return crc;
}

typedef size_t way(uint32_t *crc, const unsigned char *data, size_t bytes);

static size_t any(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	*crc = hmem_crc32c(*crc, data, bytes);
	return bytes;
}

static size_t table_way(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	pthread_once(&once, make_tables);
	*crc = by_table(*crc, data, bytes);
	return bytes;
}

static size_t cpu_way(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	pthread_once(&once, make_tables);
	*crc = by_cpu(*crc, data, bytes);
	return bytes;
}

static size_t wide_way(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	return hmem_crc32c_wide(crc, NULL, data, bytes);
}

static size_t wide_stream(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	return hmem_crc32c_wide(crc, to, data, bytes);
}

static size_t copy_way(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	*crc = hmem_crc32c_copy(*crc, to, data, bytes);
	return bytes;
}

static size_t stream_way(uint32_t *crc, const unsigned char *data, size_t bytes)
{
	return hmem_crc32c_stream(crc, to, data, bytes);
}

/* @unit: it may leave less than that to be done */
static void test(const char *name, way *how, bool copies, size_t unit)
{
	bool good = true;

	for (size_t bytes = 0; bytes <= MOST && good; bytes += bytes < 1100 ? 1 : 61) {
		const unsigned char *data = from + bytes % 61;
		uint32_t crc = (uint32_t)(bytes * 2654435761u), wanted;
		size_t done;

		wanted = crc;
		memset(to, 0, sizeof(to));
		done = how(&crc, data, bytes);
		wanted = defined(wanted, data, done);
		good = done <= bytes && bytes - done < unit && crc == wanted &&
		       (!copies || (!memcmp(to, data, done) && !to[done]));
		if (!good)
			tap_diag("%zu of %zu bytes: %#x, not %#x", done, bytes, crc, wanted);
	}
	TAP_OK(good, "%s", name);
}

int main(void)
{
	uint64_t state = 1;

	/* Never a zero, so that it is seen where a copy ends. */
	for (size_t i = 0; i < sizeof(from); i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		from[i] = (unsigned char)(state >> 56 | 1);
	}
	TAP_EQ(hmem_crc32c(~0u, "123456789", 9) ^ ~0u, 0xe3069283u, "the check value of RFC 3720's CRC");
	test("whatever is fastest here", any, false, 1);
	test("by a table", table_way, false, 1);
	test("copying", copy_way, true, 1);
	if (has_instruction()) {
		test("by the instruction", cpu_way, false, 1);
		test("past the caches", stream_way, true, LINE);
	} else {
		tap_skip("by the instruction", "this processor has none");
		tap_skip("past the caches", "this processor has no instruction for it");
	}
	if (hmem_crc32c_wide_here()) {
		test("wide", wide_way, false, CRC32C_WIDE_BYTES);
		test("wide and past the caches", wide_stream, true, CRC32C_WIDE_BYTES);
	} else {
		tap_skip("wide", "this processor has no AVX-512 and VPCLMULQDQ");
		tap_skip("wide and past the caches", "this processor has no AVX-512 and VPCLMULQDQ");
	}
	return tap_done();
}
