// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How much came from the layer, and telling of it when the program ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hmem/interface.h>

#include "../printable.h"
#include "preload.h"

/* Threads share few, so that they seldom wait for each other's cache line. */
#define PLACES 32

static struct count {
	_Atomic uint64_t here;
	_Atomic uint64_t here_bytes;
	_Atomic uint64_t elsewhere;
	_Atomic uint64_t elsewhere_bytes;
} __attribute__((aligned(64))) counts[PLACES];

static _Atomic uint64_t bad_frees;

/* Where programs that open files by number do not come. */
#define KEPT_MIN 100

/* Many programs have closed stderr by the end; @kept is another descriptor of the same, or -1. */
static struct stat stderr_was;
static int kept = -1;

static struct count *mine(void)
{
	static __thread unsigned int place __attribute__((tls_model("initial-exec")));
	static atomic_uint last;

	if (!place)
		place = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) % PLACES + 1;
	return &counts[place - 1];
}

static void add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void count_here(size_t bytes)
{
	struct count *count = mine();

	add(&count->here, 1);
	add(&count->here_bytes, bytes);
}

void count_elsewhere(size_t bytes)
{
	struct count *count = mine();

	add(&count->elsewhere, 1);
	add(&count->elsewhere_bytes, bytes);
}

void count_bad_free(void)
{
	add(&bad_frees, 1);
}

/* A child tells of itself. */
void count_anew(void)
{
	memset(counts, 0, sizeof(counts));
	atomic_store(&bad_frees, 0);
}

static bool to_stderr(void)
{
	return !strcmp(settings.stats, "stderr");
}

void count_begin(void)
{
	if (to_stderr() && !fstat(STDERR_FILENO, &stderr_was))
		kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, KEPT_MIN);
}

/* What a program has opened in place of it is its own. */
static bool is_stderr(int fd)
{
	struct stat is;

	return fd >= 0 && !fstat(fd, &is) && is.st_dev == stderr_was.st_dev &&
	       is.st_ino == stderr_was.st_ino;
}

/* Return: a descriptor to be closed, or -1. */
static int open_stderr(void)
{
	if (is_stderr(kept))
		return kept;
	if (kept >= 0 && is_stderr(STDERR_FILENO))
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	return -1;
}

/* In @line, of @room bytes; returns its length. */
static int compose(char *line, size_t room)
{
	struct hmem_interface_stats left = { .size = sizeof(left) };
	struct hmem_space_info info = { .size = sizeof(info) };
	uint64_t here = 0, here_bytes = 0, elsewhere = 0, elsewhere_bytes = 0;
	int length;

	for (int i = 0; i < PLACES; i++) {
		here += counts[i].here;
		here_bytes += counts[i].here_bytes;
		elsewhere += counts[i].elsewhere;
		elsewhere_bytes += counts[i].elsewhere_bytes;
	}
	if (source_interface()) {
		hmem_interface_get_stats(source_interface(), &left);
		hmem_space_get_info(source_space(), &info);
	}
	length = snprintf(line, room,
			  "libhmem-malloc: %s[%d]: %s: %" PRIu64 " allocations of %" PRIu64
			  " bytes, at most %" PRIu64 " at once of %" PRIu64 "; left: %" PRIu64
			  " of %" PRIu64 " bytes; for want of room elsewhere: %" PRIu64
			  " of %" PRIu64 " bytes",
			  program_invocation_short_name, getpid(), settings.layer, here, here_bytes,
			  info.peak, info.bytes, left.blocks, left.bytes, elsewhere,
			  elsewhere_bytes);
	if (bad_frees && length < (int)room)
		length += snprintf(line + length, room - (size_t)length, "; bad frees: %" PRIu64,
				   bad_frees);
	if (*source_why_not() && length < (int)room)
		length += snprintf(line + length, room - (size_t)length, "; there is no space: %s",
				   source_why_not());
	return length < (int)room ? length : (int)room - 1;
}

void count_tell(void)
{
	int fd, length, error = errno;
	ssize_t written;
	char line[4096];

	/* Nor of a program that had nothing to ask for. */
	if (!*settings.stats || (!source_space() && !*source_why_not()))
		return;
	fd = to_stderr() ? open_stderr() :
			   open(settings.stats, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd >= 0) {
		length = compose(line, sizeof(line) - 1);
		hmem_make_printable(line);
		line[length] = '\n';
		/* At once, so that lines of several processes are not mixed. */
		written = write(fd, line, (size_t)length + 1);
		(void)written;
		close(fd);
	}
	errno = error;
}
