/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fills a region with a pattern, or checks that it is there:
 *
 *	pattern [--create SIZE] [--seed N] NAME fill|verify...
 *
 *	pattern hmem:db fill                       a region of hmem.ko
 *	pattern hmem:db verify                     by another process, or after a reboot
 *	pattern --create 64M file:/dev/shm/db fill the same without a device
 *	pattern --create 64M anon: fill verify     the same without even a file
 *
 * Nothing here knows what kind of memory it works on: the name says it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/hmem.h>

static uint64_t seed = 1;

/* What belongs at the word with this index. */
static uint64_t word_at(uint64_t index)
{
	uint64_t x = (index + seed) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}

static int fail(struct hmem_ctx *ctx, const char *what)
{
	fprintf(stderr, "pattern: %s: %s\n", what, hmem_last_error(ctx));
	return EXIT_FAILURE;
}

static int fill(struct hmem_ctx *ctx, struct hmem_region *region)
{
	size_t length, i;
	uint64_t *words;
	void *address;

	if (hmem_region_map(region, 0, 0, &address, &length))
		return fail(ctx, "map");
	words = address;
	for (i = 0; i < length / sizeof(*words); i++)
		words[i] = word_at(i);
	/* On memory that forgets, this does nothing. */
	if (hmem_region_persist(region, address, length))
		return fail(ctx, "persist");
	printf("filled %zu bytes\n", length);
	return hmem_region_unmap(region, address, length) ? fail(ctx, "unmap") : EXIT_SUCCESS;
}

static int verify(struct hmem_ctx *ctx, struct hmem_region *region)
{
	const uint64_t *words;
	size_t length, i;
	void *address;

	if (hmem_region_map(region, 0, 0, &address, &length))
		return fail(ctx, "map");
	words = address;
	for (i = 0; i < length / sizeof(*words); i++) {
		if (words[i] != word_at(i)) {
			fprintf(stderr, "pattern: byte %zu: found %016llx, expected %016llx\n",
				i * sizeof(*words), (unsigned long long)words[i],
				(unsigned long long)word_at(i));
			return EXIT_FAILURE;
		}
	}
	printf("verified %zu bytes\n", length);
	return hmem_region_unmap(region, address, length) ? fail(ctx, "unmap") : EXIT_SUCCESS;
}

static int usage(void)
{
	fputs("usage: pattern [--create SIZE] [--seed N] NAME fill|verify...\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;
	bool only_reads = true;
	struct hmem_ctx *ctx;
	const char *name;
	int i, status;

	if (hmem_ctx_new(&ctx))
		return EXIT_FAILURE;
	for (i = 1; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--create") ||
			 hmem_size_parse(argv[i + 1], 0, &options.bytes))
			return usage();
	}
	if (argc - i < 2)
		return usage();
	name = argv[i++];
	for (int verb = i; verb < argc; verb++) {
		if (!strcmp(argv[verb], "fill"))
			only_reads = false;
		else if (strcmp(argv[verb], "verify"))
			return usage();
	}

	if (options.bytes)
		status = hmem_region_create(ctx, name, &options, &region);
	else
		status = hmem_region_open(ctx, name, only_reads ? HMEM_OPEN_READ_ONLY : 0, &region);
	if (status)
		return fail(ctx, name);
	for (; i < argc && !status; i++)
		status = !strcmp(argv[i], "fill") ? fill(ctx, region) : verify(ctx, region);

	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	return status;
}
