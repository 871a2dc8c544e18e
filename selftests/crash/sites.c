// SPDX-License-Identifier: GPL-2.0-only
/*
 * Places in the library, by their names; and what happens at those where a checksum is made.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace.h"

struct site sites[MOST_SITES];
unsigned int nr_sites;
struct site fault;
bool has_fault;
bool sites_wanted;
unsigned int sites_round;

/* One addr2line for all questions. */
static FILE *ask, *answer;

void sites_forked(void)
{
	ask = NULL;
}

static void begin_asking(void)
{
	int to[2], from[2];
	char path[512];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	if (pipe(to) || pipe(from)) {
		perror("pipe");
		exit(2);
	}
	if (!fork()) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		execlp("addr2line", "addr2line", "-f", "-e", path, (char *)NULL);
		perror("addr2line");
		_exit(2);
	}
	close(to[0]);
	close(from[1]);
	ask = fdopen(to[1], "w");
	answer = fdopen(from[0], "r");
}

static void name(struct site *site)
{
	char line[1024], *at;

	if (!ask)
		begin_asking();
	fprintf(ask, "%#lx\n", (unsigned long)site->pc - 1);
	fflush(ask);
	if (!fgets(line, sizeof(line), answer)) {
		fprintf(stderr, "addr2line does not answer\n");
		exit(2);
	}
	line[strcspn(line, ".\n")] = '\0'; /* parts of a function have names with a dot */
	snprintf(site->function, sizeof(site->function), "%.63s",
		 strncmp(line, "traced_", 7) ? line : line + 7);
	if (!fgets(line, sizeof(line), answer))
		exit(2);
	at = strrchr(line, ':');
	if (at) {
		*at = '\0';
		site->line = (unsigned int)atoi(at + 1);
	}
	at = strrchr(line, '/');
	snprintf(site->file, sizeof(site->file), "%.63s", at ? at + 1 : line);
}

const struct site *site_at(enum site_kind kind, const void *pc)
{
	static unsigned short last[1024];
	unsigned short *at = &last[((uintptr_t)pc >> 1 ^ (unsigned int)kind << 6) % 1024];

	if (*at < nr_sites && sites[*at].pc == pc && sites[*at].kind == kind) {
		sites[*at].round = sites_round;
		return &sites[*at];
	}
	for (unsigned int i = 0; i < nr_sites; i++)
		if (sites[i].pc == pc && sites[i].kind == kind) {
			sites[i].round = sites_round;
			*at = (unsigned short)i;
			return &sites[i];
		}
	if (nr_sites == MOST_SITES)
		abort();
	sites[nr_sites] = (struct site){ .kind = kind, .pc = pc, .round = sites_round };
	name(&sites[nr_sites]);
	sites[nr_sites].through =
		(kind == SITE_FENCE && !strcmp(sites[nr_sites].function, "fence")) ||
		(kind == SITE_WRITE_BACK &&
		 (!strcmp(sites[nr_sites].function, "write_back") ||
		  !strcmp(sites[nr_sites].function, "persist_write_back_found")));
	return &sites[nr_sites++];
}

bool site_is_same(const struct site *a, const struct site *b)
{
	return a->kind == b->kind && a->line == b->line && !strcmp(a->file, b->file);
}

/* --- checksums ----------------------------------------------------------------------- */

/*
 * Both copies of the library make checksums here. A dropped one covers nothing. Who makes it
 * and who verifies it must agree, so places that make the same one have one name.
 */
static const struct {
	const char *function;
	const char *what;
} same[] = {
	{ "record_store_value", "value" },
	{ "fill", "value" },
	{ "record_value_crc", "value" },
};

static const char *checksum_of(const struct site *site)
{
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (!strcmp(site->function, same[i].function))
			return same[i].what;
	return NULL;
}

static bool is_dropped(const void *pc)
{
	const struct site *site;
	const char *what;

	if (!sites_wanted || (has_fault && fault.kind != SITE_CHECKSUM))
		return false;
	site = site_at(SITE_CHECKSUM, pc);
	if (!has_fault)
		return false;
	what = checksum_of(site);
	if (what)
		return checksum_of(&fault) && !strcmp(what, checksum_of(&fault));
	return site_is_same(site, &fault);
}

#define CHECKSUMS(prefix)								\
	uint32_t __real_##prefix##hmem_crc32c(uint32_t crc, const void *data, size_t bytes); \
	uint32_t __wrap_##prefix##hmem_crc32c(uint32_t crc, const void *data, size_t bytes); \
	uint32_t __wrap_##prefix##hmem_crc32c(uint32_t crc, const void *data, size_t bytes) \
	{										\
		return is_dropped(__builtin_return_address(0)) ?			\
			       crc : __real_##prefix##hmem_crc32c(crc, data, bytes);	\
	}										\
	uint32_t __real_##prefix##hmem_crc32c_copy(uint32_t crc, void *to,		\
						   const void *from, size_t bytes);	\
	uint32_t __wrap_##prefix##hmem_crc32c_copy(uint32_t crc, void *to,		\
						   const void *from, size_t bytes);	\
	uint32_t __wrap_##prefix##hmem_crc32c_copy(uint32_t crc, void *to,		\
						   const void *from, size_t bytes)	\
	{										\
		uint32_t made = __real_##prefix##hmem_crc32c_copy(crc, to, from, bytes); \
											\
		return is_dropped(__builtin_return_address(0)) ? crc : made;		\
	}
CHECKSUMS()
CHECKSUMS(traced_)
