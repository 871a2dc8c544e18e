// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lines.h"
#include "say.h"
#include "shelf_persist.h"

#define LINE		64u
#define MAPPINGS	4096u

/* A line as it was when it was written back, and how many had been before. */
struct line {
	size_t at;
	uint64_t order;
	unsigned char bytes[LINE];
};

struct mapping {
	uintptr_t start;
	uintptr_t end;
	size_t offset;
};

void (*lines_hook)(enum lines_event event);

/*
 * @durable: the file, of which the @order-th write-back has come last to each line
 * @present: the file as it is
 */
static struct {
	pthread_mutex_t lock;
	char path[256];
	size_t bytes;
	unsigned char *durable;
	const unsigned char *present;
	uint64_t *order;
	uint64_t written_back;
	struct mapping mapping[MAPPINGS];
	unsigned int nr_mappings;
} lines = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Written back by this thread since its last fence. */
static __thread struct line *waiting;
static __thread size_t nr_waiting, waiting_room;
static __thread bool ignored;

static void add_mapping(const char *text)
{
	struct mapping *mapping = &lines.mapping[lines.nr_mappings];
	unsigned long start, end, offset;

	if (!strstr(text, lines.path) || sscanf(text, "%lx-%lx %*s %lx", &start, &end, &offset) != 3)
		return;
	if (lines.nr_mappings++ == MAPPINGS)
		bail("%s is mapped too often", lines.path);
	mapping->start = start;
	mapping->end = end;
	mapping->offset = offset;
}

void lines_map(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char text[512];

	if (!maps)
		bail("/proc/self/maps: %s", strerror(errno));
	pthread_mutex_lock(&lines.lock);
	lines.nr_mappings = 0;
	while (fgets(text, sizeof(text), maps))
		add_mapping(text);
	pthread_mutex_unlock(&lines.lock);
	fclose(maps);
}

void lines_begin(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat))
		bail("%s: %s", path, strerror(errno));
	snprintf(lines.path, sizeof(lines.path), "%s", path);
	lines.bytes = (size_t)stat.st_size;
	lines.present = mmap(NULL, lines.bytes, PROT_READ, MAP_SHARED, fd, 0);
	lines.durable = malloc(lines.bytes);
	lines.order = calloc(lines.bytes / LINE, sizeof(*lines.order));
	if (lines.present == MAP_FAILED || !lines.durable || !lines.order)
		bail("no memory");
	memcpy(lines.durable, lines.present, lines.bytes);
	close(fd);
	lines_map();
}

bool lines_ignore(bool ignore)
{
	bool was = ignored;

	ignored = ignore;
	return was;
}

size_t lines_bytes(void)
{
	return lines.bytes;
}

/* False: it is not of the file. */
static bool find_line(uintptr_t address, size_t *at)
{
	for (unsigned int i = 0; i < lines.nr_mappings; i++) {
		const struct mapping *mapping = &lines.mapping[i];

		if (address >= mapping->start && address < mapping->end) {
			*at = address - mapping->start + mapping->offset;
			return true;
		}
	}
	return false;
}

static void make_room(void)
{
	size_t room = waiting_room ? 2 * waiting_room : 1024;
	struct line *more;

	if (nr_waiting < waiting_room)
		return;
	more = realloc(waiting, room * sizeof(*more));
	if (!more)
		bail("no memory");
	waiting = more;
	waiting_room = room;
}

static void add_line(uintptr_t address)
{
	struct line *line;
	size_t at;

	if (!find_line(address, &at)) {
		lines_map();
		if (!find_line(address, &at))
			return;
	}
	make_room();
	line = &waiting[nr_waiting++];
	line->at = at;
	line->order = __atomic_add_fetch(&lines.written_back, 1, __ATOMIC_SEQ_CST);
	memcpy(line->bytes, (const void *)address, LINE);
}

static void tell(enum lines_event event)
{
	if (lines_hook)
		lines_hook(event);
}

void hmem_trace_write_back(const void *at, size_t bytes)
{
	uintptr_t end = (uintptr_t)at + bytes;

	if (!lines.durable || ignored)
		return;
	for (uintptr_t line = (uintptr_t)at & ~(uintptr_t)(LINE - 1); line < end; line += LINE)
		add_line(line);
	tell(LINES_WRITTEN_BACK);
}

/* What was written back later by another thread, and is durable, stays. */
static void make_durable(const struct line *line)
{
	uint64_t *order = &lines.order[line->at / LINE];

	if (line->order < *order)
		return;
	*order = line->order;
	memcpy(lines.durable + line->at, line->bytes, LINE);
}

void hmem_trace_fence(void)
{
	if (!lines.durable || ignored)
		return;
	tell(LINES_FENCE);
	pthread_mutex_lock(&lines.lock);
	for (size_t i = 0; i < nr_waiting; i++)
		make_durable(&waiting[i]);
	nr_waiting = 0;
	pthread_mutex_unlock(&lines.lock);
	tell(LINES_FENCED);
}

void lines_left(unsigned char *image, unsigned int percent, uint64_t seed)
{
	pthread_mutex_lock(&lines.lock);
	memcpy(image, lines.durable, lines.bytes);
	pthread_mutex_unlock(&lines.lock);
	for (size_t at = 0; percent && at < lines.bytes; at += LINE) {
		if (!memcmp(image + at, lines.present + at, LINE))
			continue;
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		if ((seed >> 33) % 100 < percent)
			memcpy(image + at, lines.present + at, LINE);
	}
}
