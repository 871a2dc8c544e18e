// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * CRC32C by the processor's instruction where it has one, else by a table; and much of it at once
 * by what crc32c_wide.c does, where that can be.
 *
 * The instruction takes three cycles and one can begin each cycle, so long buffers are
 * done as three streams. Their remainders are combined by multiplying with x^(8n)
 * modulo the polynomial, n being how many bytes follow: done here by a table of what
 * shifting by a fixed block does to each byte of the remainder.
 */
#include <pthread.h>
#include <string.h>

#include "crc32c.h"
#include "crc32c_wide.h"

#define POLYNOMIAL 0x82f63b78u

#define BLOCK 1024u	/* bytes of each of the three streams */
#define LINE  64u

/* From so many bytes on the wide way is the faster one. */
#define WIDE_FROM 1024u

static uint32_t table[256];
static uint32_t shift_one[4][256], shift_two[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t by_table(uint32_t crc, const unsigned char *data, size_t bytes)
{
	while (bytes--)
		crc = crc >> 8 ^ table[(crc ^ *data++) & 0xff];
	return crc;
}

/* A remainder times an operator, which is what becomes of each of its bits. */
static uint32_t times(const uint32_t operator[32], uint32_t crc)
{
	uint32_t product = 0;

	for (; crc; crc &= crc - 1)
		product ^= operator[__builtin_ctz(crc)];
	return product;
}

/* Every process makes them: what a block of zeroes does is what a byte does, squared. */
static void make_tables(void)
{
	uint32_t zeroes[32], square[32];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		table[i] = crc;
	}
	for (int bit = 0; bit < 32; bit++)
		zeroes[bit] = (1u << bit) >> 8 ^ table[(1u << bit) & 0xff];
	for (uint32_t bytes = 1; bytes < BLOCK; bytes *= 2) {
		for (int bit = 0; bit < 32; bit++)
			square[bit] = times(zeroes, zeroes[bit]);
		memcpy(zeroes, square, sizeof(zeroes));
	}
	for (int byte = 0; byte < 4; byte++)
		for (uint32_t i = 0; i < 256; i++) {
			shift_one[byte][i] = times(zeroes, i << 8 * byte);
			shift_two[byte][i] = times(zeroes, shift_one[byte][i]);
		}
}

#ifdef __x86_64__

#include <nmmintrin.h>

static uint32_t shift(uint32_t (*by)[256], uint32_t crc)
{
	return by[0][crc & 0xff] ^ by[1][crc >> 8 & 0xff] ^ by[2][crc >> 16 & 0xff] ^
	       by[3][crc >> 24];
}

static uint64_t word_at(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* The same, storing what it takes: each word is read once. */
__attribute__((target("sse4.2"))) static uint32_t copy_by_cpu(uint32_t crc, unsigned char *to,
							      const unsigned char *from,
							      size_t bytes)
{
	uint64_t a = crc;

	for (; bytes >= 8; from += 8, to += 8, bytes -= 8) {
		uint64_t word = word_at(from);

		a = _mm_crc32_u64(a, word);
		memcpy(to, &word, sizeof(word));
	}
	crc = (uint32_t)a;
	for (; bytes; bytes--) {
		unsigned char byte = *from++;

		crc = _mm_crc32_u8(crc, byte);
		*to++ = byte;
	}
	return crc;
}

/* A line past the caches, and to where it can be summed up: the source is read once. */
static inline void stream_line(unsigned char *to, const unsigned char *from, unsigned char *copy)
{
#ifdef HMEM_PERSIST_TRACE
	memcpy(copy, from, LINE);
	memcpy(to, copy, LINE);
#else
	for (unsigned int i = 0; i < LINE; i += 16) {
		__m128i part = _mm_loadu_si128((const __m128i *)(from + i));

		_mm_stream_si128((__m128i *)(to + i), part);
		_mm_store_si128((__m128i *)(copy + i), part);
	}
#endif
}

__attribute__((target("sse4.2"))) static size_t stream_by_cpu(uint32_t *crc, unsigned char *to,
							      const unsigned char *from,
							      size_t bytes)
{
	unsigned char copy[3][LINE] __attribute__((aligned(16)));
	uint64_t a = *crc;
	size_t done;

	for (done = 0; bytes - done >= 3 * BLOCK; done += 3 * BLOCK) {
		uint64_t b = 0, c = 0;

		for (size_t line = done; line < done + BLOCK; line += LINE) {
			for (unsigned int i = 0; i < 3; i++)
				stream_line(to + line + i * BLOCK, from + line + i * BLOCK, copy[i]);
			for (unsigned int i = 0; i < LINE; i += 8) {
				a = _mm_crc32_u64(a, word_at(copy[0] + i));
				b = _mm_crc32_u64(b, word_at(copy[1] + i));
				c = _mm_crc32_u64(c, word_at(copy[2] + i));
			}
		}
		a = shift(shift_two, (uint32_t)a) ^ shift(shift_one, (uint32_t)b) ^ c;
	}
	for (; bytes - done >= LINE; done += LINE) {
		stream_line(to + done, from + done, copy[0]);
		for (unsigned int i = 0; i < LINE; i += 8)
			a = _mm_crc32_u64(a, word_at(copy[0] + i));
	}
	*crc = (uint32_t)a;
	return done;
}

__attribute__((target("sse4.2"))) static uint32_t by_cpu(uint32_t crc, const unsigned char *data,
							 size_t bytes)
{
	uint64_t a = crc;

	while (bytes >= 3 * BLOCK) {
		uint64_t b = 0, c = 0;

		for (size_t i = 0; i < BLOCK; i += 8) {
			a = _mm_crc32_u64(a, word_at(data + i));
			b = _mm_crc32_u64(b, word_at(data + BLOCK + i));
			c = _mm_crc32_u64(c, word_at(data + 2 * BLOCK + i));
		}
		a = shift(shift_two, (uint32_t)a) ^ shift(shift_one, (uint32_t)b) ^ c;
		data += 3 * BLOCK;
		bytes -= 3 * BLOCK;
	}
	for (; bytes >= 8; data += 8, bytes -= 8)
		a = _mm_crc32_u64(a, word_at(data));
	crc = (uint32_t)a;
	for (; bytes; data++, bytes--)
		crc = _mm_crc32_u8(crc, *data);
	return crc;
}

static int has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

#else

static uint32_t copy_by_cpu(uint32_t crc, unsigned char *to, const unsigned char *from,
			    size_t bytes)
{
	memcpy(to, from, bytes);
	return by_table(crc, to, bytes);
}

static size_t stream_by_cpu(uint32_t *crc, unsigned char *to, const unsigned char *from, size_t bytes)
{
	(void)crc;
	(void)to;
	(void)from;
	(void)bytes;
	return 0;
}

static uint32_t by_cpu(uint32_t crc, const unsigned char *data, size_t bytes)
{
	return by_table(crc, data, bytes);
}

static int has_instruction(void)
{
	return 0;
}

#endif

uint32_t hmem_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	if (bytes >= WIDE_FROM && hmem_crc32c_wide_here()) {
		size_t done = hmem_crc32c_wide(&crc, NULL, data, bytes);

		return by_cpu(crc, (const unsigned char *)data + done, bytes - done);
	}
	if (has_instruction() && bytes < 3 * BLOCK)
		return by_cpu(crc, data, bytes);
	pthread_once(&once, make_tables);
	return has_instruction() ? by_cpu(crc, data, bytes) : by_table(crc, data, bytes);
}

uint32_t hmem_crc32c_copy(uint32_t crc, void *to, const void *from, size_t bytes)
{
	const unsigned char *source = from;
	unsigned char *target = to;

	/* In pieces that stay in the first-level cache between the two. */
	for (; bytes >= 3 * BLOCK; source += 3 * BLOCK, target += 3 * BLOCK, bytes -= 3 * BLOCK) {
		memcpy(target, source, 3 * BLOCK);
		crc = hmem_crc32c(crc, target, 3 * BLOCK);
	}
	if (has_instruction())
		return copy_by_cpu(crc, target, source, bytes);
	memcpy(target, source, bytes);
	return hmem_crc32c(crc, target, bytes);
}

size_t hmem_crc32c_stream(uint32_t *crc, void *to, const void *from, size_t bytes)
{
	size_t done = 0;

	if (!has_instruction() || (uintptr_t)to % LINE)
		return 0;
	if (bytes >= WIDE_FROM && hmem_crc32c_wide_here())
		done = hmem_crc32c_wide(crc, to, from, bytes);
	else if (bytes >= 3 * BLOCK)
		pthread_once(&once, make_tables);
	return done + stream_by_cpu(crc, (unsigned char *)to + done,
				    (const unsigned char *)from + done, bytes - done);
}
