// SPDX-License-Identifier: GPL-2.0-only
/* Sizes: what is one, what is none, and how one is shown. */
#include <stdint.h>

#include <hmem/size.h>

#include "tap.h"

#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
#define GI ((uint64_t)1 << 30)
#define TI ((uint64_t)1 << 40)
#define PI ((uint64_t)1 << 50)
#define EI ((uint64_t)1 << 60)

static const struct {
	const char *text;
	uint64_t whole;
	int result;
	uint64_t bytes;
} cases[] = {
	{ "1", 0, 0, 1 },
	{ "4096", 0, 0, 4096 },
	{ "00064", 0, 0, 64 },
	{ "1K", 0, 0, KI },
	{ "1KiB", 0, 0, KI },
	{ "64M", 0, 0, 64 * MI },
	{ "64G", 0, 0, 64 * GI },
	{ "64GiB", 0, 0, 64 * GI },
	{ "64g", 0, 0, 64 * GI },
	{ "64.00 GiB", 0, 0, 64 * GI },
	{ "2P", 0, 0, 2 * PI },
	{ "7E", 0, 0, 7 * EI },
	{ "1.5T", 0, 0, TI + TI / 2 },
	{ "0.5K", 0, 0, 512 },
	{ "1.9", 0, 0, 1 },
	{ "0.001K", 0, 0, 1 },
	{ "0.1G", 0, 0, 107374182 },
	{ "7.999999999999999999E", 0, 0, 9223372036854775806 },
	{ "9223372036854775807", 0, 0, INT64_MAX },
	{ "50%", 64 * GI, 0, 32 * GI },
	{ "12.5%", 64 * GI, 0, 8 * GI },
	{ "100%", 64 * GI, 0, 64 * GI },
	{ "33%", 100, 0, 33 },
	{ "0.5%", 1000, 0, 5 },
	{ "99.999999999999999999%", EI, 0, EI - 1 },
	{ "100.000000000000000000%", INT64_MAX, 0, INT64_MAX },
	{ "50%", UINT64_MAX, 0, INT64_MAX },
	{ "all", 12345, 0, 12345 },

	{ "0", 0, -ERANGE, 0 },
	{ "0.5", 0, -ERANGE, 0 },
	{ "0G", 0, -ERANGE, 0 },
	{ "0.0000000001K", 0, -ERANGE, 0 },
	{ "-1", 0, -ERANGE, 0 },
	{ "-64G", 0, -ERANGE, 0 },
	{ "8E", 0, -ERANGE, 0 },
	{ "16E", 0, -ERANGE, 0 },
	{ "9223372036854775808", 0, -ERANGE, 0 },
	{ "18446744073709551616", 0, -ERANGE, 0 },
	{ "340282366920938463463374607431768211457", 0, -ERANGE, 0 },
	{ "340282366920938463463374607431768211457K", 0, -ERANGE, 0 },
	{ "0%", 100, -ERANGE, 0 },
	{ "0.1%", 100, -ERANGE, 0 },
	{ "101%", 100, -ERANGE, 0 },
	/* 2^65 + 50, which is 50 to those who count in 128 bits */
	{ "36893488147419103282%", (uint64_t)1 << 63, -ERANGE, 0 },
	{ "-5%", 100, -ERANGE, 0 },
	{ "all", UINT64_MAX, -ERANGE, 0 },

	{ "", 0, -EINVAL, 0 },
	{ " ", 0, -EINVAL, 0 },
	{ "G", 0, -EINVAL, 0 },
	{ "-", 0, -EINVAL, 0 },
	{ "--1", 0, -EINVAL, 0 },
	{ "+1", 0, -EINVAL, 0 },
	{ " 1", 0, -EINVAL, 0 },
	{ "1 ", 0, -EINVAL, 0 },
	{ "1  G", 0, -EINVAL, 0 },
	{ "1GB", 0, -EINVAL, 0 },
	{ "1Gi", 0, -EINVAL, 0 },
	{ "1GiBs", 0, -EINVAL, 0 },
	{ "1Z", 0, -EINVAL, 0 },
	{ "1,5G", 0, -EINVAL, 0 },
	{ "1.G", 0, -EINVAL, 0 },
	{ ".5G", 0, -EINVAL, 0 },
	{ "1..5G", 0, -EINVAL, 0 },
	{ "1.0000000000000000000G", 0, -EINVAL, 0 },
	{ "0x10", 0, -EINVAL, 0 },
	{ "1e9", 0, -EINVAL, 0 },
	{ "50%", 0, -EINVAL, 0 },
	{ "50%%", 100, -EINVAL, 0 },
	{ "50 %", 100, -EINVAL, 0 },
	{ "all", 0, -EINVAL, 0 },
	{ "ALL", 100, -EINVAL, 0 },
	{ "alls", 100, -EINVAL, 0 },
};

static const struct {
	uint64_t bytes;
	const char *text;
} shown[] = {
	{ 0, "0 B" },
	{ 1, "1 B" },
	{ 1023, "1023 B" },
	{ KI, "1.00 KiB" },
	{ KI + 5, "1.00 KiB" },
	{ KI + 6, "1.01 KiB" },
	{ MI - 1, "1.00 MiB" },
	{ 64 * GI, "64.00 GiB" },
	{ GI + GI / 2, "1.50 GiB" },
	{ GI - 1, "1.00 GiB" },
	{ TI, "1.00 TiB" },
	{ INT64_MAX, "8.00 EiB" },
	{ UINT64_MAX, "16.00 EiB" },
};

int main(void)
{
	char buffer[16], small[4] = "xyz";
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bytes = 4711;
		TAP_EQ(hmem_size_parse(cases[i].text, cases[i].whole, &bytes), cases[i].result,
		       "result of \"%s\"", cases[i].text);
		TAP_EQ(bytes, cases[i].result ? 4711 : cases[i].bytes, "bytes of \"%s\"",
		       cases[i].text);
	}
	TAP_EQ(hmem_size_parse(NULL, 0, &bytes), -EINVAL, "no text");
	TAP_EQ(hmem_size_parse("1", 0, NULL), -EINVAL, "no place for the answer");

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		TAP_STR_EQ(hmem_size_format(shown[i].bytes, buffer, sizeof(buffer)), shown[i].text,
			   "%llu is shown", (unsigned long long)shown[i].bytes);
	TAP_STR_EQ(hmem_size_format(64 * GI, small, sizeof(small)), "64.",
		   "a small buffer is kept");
	TAP_OK(hmem_size_format(1, small, 0) == small && small[0] == '6',
	       "no buffer is left alone");
	for (int shift = 0; shift < 63; shift++) {
		hmem_size_format((uint64_t)1 << shift, buffer, sizeof(buffer));
		if (!TAP_OK(shift < 10 || (!hmem_size_parse(buffer, 0, &bytes) &&
					   bytes == (uint64_t)1 << shift),
			    "2^%d is read as it was written", shift))
			tap_diag("%s", buffer);
	}
	return tap_done();
}
