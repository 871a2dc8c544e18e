// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that write to shelves and keep account of it. hmem-test: helper
 *
 *	shelf_writers run REGION JOURNAL MS SEED	four processes, two on each shelf
 *	shelf_writers verify REGION JOURNAL [REPORT]	does it hold what was acknowledged?
 *	shelf_writers recover REGION JOURNAL		recover both from their records, again and again
 *
 * REGION has two shelves, "plain" and "ordered". JOURNAL is a file or a region's device: in it
 * every writer notes what it is about to do and what was acknowledged. While they write, what
 * was acknowledged is also told on stdout, "acked NAME TIMES", and comes back as REPORT: the
 * journal must know of at least as many.
 *
 * A name must have the version that was acknowledged last, or the one that was under way; in
 * every case one that was written, and all of it. MS 0: until killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hmem/hmem.h>
#include <hmem/shelf.h>

#define WRITERS		4
#define SHELVES		2
#define OWN		40
#define SHARED		8		/* of those on one shelf */
#define MAX_VALUE	(48u << 10)
#define MAGIC		0x72657772746c6873ull

/* What is to be with a name. Version 0: there is none. */
struct own {
	uint32_t acked;
	uint32_t flying;
	uint32_t is_flying;
	uint32_t times;		/* acknowledged so far */
};

struct journal {
	uint64_t magic;
	uint64_t runs;
	struct {
		uint32_t version;	/* the last that was used */
		struct own own[OWN];
	} writer[WRITERS];
	uint64_t seen[SHELVES][SHARED];	/* version of the shelf's own counting */
};

struct value {
	uint64_t magic;
	uint32_t writer;
	uint32_t name;
	uint32_t version;
	uint32_t bytes;
	uint64_t words[];
};

static const char *const shelf_names[SHELVES] = { "plain", "ordered" };
static struct journal *journal;
static struct hmem_ctx *ctx;
static struct hmem_region *region;
static struct hmem_shelf *shelf;
static uint64_t random_state;
static union {
	struct value value;
	unsigned char bytes[MAX_VALUE];
} buffer;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	printf("wrong: ");
	vprintf(format, ap);
	printf(" (last error: %s)\n", ctx ? hmem_last_error(ctx) : "");
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static unsigned int any(unsigned int below)
{
	random_state += 0x9e3779b97f4a7c15ull;
	return (unsigned int)(mix(random_state) >> 33) % below;
}

/* --- names and values ---------------------------------------------------------------- */

/* A writer's own come first, then those that all on its shelf have in common. */
static const char *name_of(unsigned int writer, unsigned int name)
{
	static char text[40];

	if (name < OWN)
		snprintf(text, sizeof(text), "own-%u-%u", writer, name);
	else
		snprintf(text, sizeof(text), "shared-%u", name - OWN);
	return text;
}

static size_t value_bytes(unsigned int writer, unsigned int name, uint32_t version)
{
	uint64_t h = mix(((uint64_t)writer << 48 | (uint64_t)name << 32 | version) + MAGIC);
	unsigned int kind = (unsigned int)(h >> 40) % 100;
	size_t range = kind < 85 ? 200 : kind < 98 ? 3000 : MAX_VALUE - sizeof(struct value);

	return sizeof(struct value) + (h & 0xffffffff) % range;
}

static uint64_t value_word(unsigned int writer, unsigned int name, uint32_t version, size_t i)
{
	return mix((uint64_t)writer << 56 | (uint64_t)name << 32 | version) + i * MAGIC;
}

static size_t value_make(unsigned int writer, unsigned int name, uint32_t version)
{
	size_t bytes = value_bytes(writer, name, version);

	memset(&buffer, 0, (bytes + 7) & ~(size_t)7);
	buffer.value = (struct value){ MAGIC, writer, name, version, (uint32_t)bytes };
	for (size_t i = 0; i < (bytes - sizeof(buffer.value)) / 8; i++)
		buffer.value.words[i] = value_word(writer, name, version, i);
	return bytes;
}

/* What a name holds, which must be something that was written; false: nothing. */
static bool value_read(unsigned int writer, unsigned int name)
{
	const struct value *v = &buffer.value;
	size_t bytes;
	int err = hmem_shelf_read(shelf, name_of(writer, name), &buffer, sizeof(buffer), &bytes);

	if (err == -ENOENT)
		return false;
	if (err)
		fail("reading %s: %d", name_of(writer, name), err);
	if (bytes < sizeof(*v) || v->magic != MAGIC || v->bytes != bytes || v->name != name ||
	    v->writer >= WRITERS || (name < OWN && v->writer != writer) || !v->version ||
	    v->version > journal->writer[v->writer].version ||
	    bytes != value_bytes(v->writer, name, v->version))
		fail("%s is nothing that was written", name_of(writer, name));
	for (size_t i = 0; i < (bytes - sizeof(*v)) / 8; i++)
		if (v->words[i] != value_word(v->writer, name, v->version, i))
			fail("%s was not written whole", name_of(writer, name));
	return true;
}

/* --- writing ------------------------------------------------------------------------- */

static void shelf_begin(unsigned int number)
{
	int err = hmem_shelf_open(region, shelf_names[number], NULL, &shelf);

	if (err)
		fail("opening shelf %s: %d", shelf_names[number], err);
}

static void begin(struct own *own, uint32_t version)
{
	own->flying = version;
	__atomic_store_n(&own->is_flying, 1, __ATOMIC_SEQ_CST);
}

static void end(struct own *own)
{
	__atomic_store_n(&own->acked, own->flying, __ATOMIC_SEQ_CST);
	__atomic_store_n(&own->times, own->times + 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&own->is_flying, 0, __ATOMIC_SEQ_CST);
}

static void update(unsigned int writer)
{
	unsigned int name = any(OWN + SHARED);
	struct own *own = name < OWN ? &journal->writer[writer].own[name] : NULL;
	bool put = any(100) < 75;
	uint32_t version = put ? __atomic_add_fetch(&journal->writer[writer].version, 1,
						    __ATOMIC_SEQ_CST) : 0;
	size_t bytes = put ? value_make(writer, name, version) : 0;
	int err;

	if (own)
		begin(own, version);
	err = put ? hmem_shelf_put(shelf, name_of(writer, name), &buffer, bytes, NULL) :
		    hmem_shelf_delete(shelf, name_of(writer, name));
	if (err == -ENOENT && !put && (!own || !own->acked))
		err = 0;
	if (err)
		fail("%s %s: %d", put ? "putting" : "deleting", name_of(writer, name), err);
	if (own)
		end(own);
}

static void compare(unsigned int writer, unsigned int name)
{
	struct own *own = &journal->writer[writer].own[name];
	uint32_t found = value_read(writer, name) ? buffer.value.version : 0;

	if (found != own->acked && !(own->is_flying && found == own->flying))
		fail("%s has version %u; acknowledged %u, under way %u", name_of(writer, name),
		     found, own->acked, own->is_flying ? own->flying : own->acked);
	own->acked = found;
	__atomic_store_n(&own->is_flying, 0, __ATOMIC_SEQ_CST);
}

__attribute__((noreturn)) static void write_on(unsigned int writer, uint64_t seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	random_state = mix(seed + writer);
	shelf_begin(writer % SHELVES);
	for (;;) {
		unsigned int what = any(1000);

		if (what < 900) {
			update(writer);
		} else if (what < 998) {
			compare(writer, any(OWN));
		} else {
			if (hmem_shelf_close(shelf))
				fail("closing the shelf");
			shelf_begin(writer % SHELVES);
		}
	}
}

/* Tell what has been acknowledged since the last time. */
static void report(uint32_t told[WRITERS][OWN])
{
	for (unsigned int w = 0; w < WRITERS; w++)
		for (unsigned int i = 0; i < OWN; i++) {
			uint32_t times = __atomic_load_n(&journal->writer[w].own[i].times,
							 __ATOMIC_ACQUIRE);

			if (times != told[w][i])
				printf("acked %s %u\n", name_of(w, i), times);
			told[w][i] = times;
		}
	fflush(stdout);
}

static int run(unsigned int ms, uint64_t seed)
{
	const struct timespec pause = { 0, 5000000 };
	static uint32_t told[WRITERS][OWN];
	pid_t pids[WRITERS];
	int status, bad = 0;

	journal->runs++;
	for (unsigned int w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		if (pids[w] < 0)
			fail("fork: %s", strerror(errno));
		if (!pids[w])
			write_on(w, mix(seed) + journal->runs);
	}
	for (unsigned int waited = 0; !ms || waited < ms; waited += 5) {
		report(told);
		nanosleep(&pause, NULL);
		if (waitpid(-1, &status, WNOHANG) > 0)
			fail("a writer ended");
	}
	for (unsigned int w = 0; w < WRITERS; w++)
		kill(pids[w], SIGKILL);
	for (unsigned int w = 0; w < WRITERS; w++)
		if (waitpid(pids[w], &status, 0) < 0 || !WIFSIGNALED(status))
			bad = 1;
	report(told);
	return bad;
}

/* --- looking ------------------------------------------------------------------------- */

static int show_finding(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	printf("found: %s at %#llx: %s: %s\n", finding->part, (unsigned long long)finding->offset,
	       finding->name ? finding->name : "", finding->text);
	return 0;
}

/* Versions of a name never go back, over all that happens to the shelf. */
static void look_at_shared(unsigned int number)
{
	for (unsigned int i = 0; i < SHARED; i++) {
		struct hmem_object object;
		int err = hmem_shelf_get(shelf, name_of(0, OWN + i), &object);

		if (err == -ENOENT)
			continue;
		if (err || object.version < journal->seen[number][i])
			fail("shared-%u: %d, version %llu after %llu", i, err,
			     (unsigned long long)object.version,
			     (unsigned long long)journal->seen[number][i]);
		journal->seen[number][i] = object.version;
		hmem_shelf_release(shelf, &object);
		value_read(0, OWN + i);
	}
}

static unsigned int listed(void)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	unsigned int n = 0;

	if (hmem_cursor_open(shelf, "own-", 0, &cursor))
		fail("listing");
	while (hmem_cursor_next(cursor, &entry) > 0)
		n++;
	hmem_cursor_close(cursor);
	return n;
}

static void verify_shelf(unsigned int number)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	unsigned int there = 0, n;

	shelf_begin(number);
	if (hmem_shelf_get_info(shelf, &info))
		fail("info");
	for (unsigned int w = number; w < WRITERS; w += SHELVES)
		for (unsigned int i = 0; i < OWN; i++) {
			compare(w, i);
			there += journal->writer[w].own[i].acked != 0;
		}
	look_at_shared(number);
	n = listed();
	if (n != there)
		fail("shelf %s lists %u objects, of %u", shelf_names[number], n, there);
	if (hmem_shelf_check(shelf, show_finding, NULL))
		fail("shelf %s is not intact", shelf_names[number]);
	if (hmem_shelf_close(shelf))
		fail("closing the shelf");
	printf("shelf %s: %u objects as acknowledged, durability %d, dirty shutdowns %llu\n",
	       shelf_names[number], there, (int)info.durability,
	       (unsigned long long)info.dirty_shutdowns);
}

static int verify(const char *report_file)
{
	FILE *f = report_file ? fopen(report_file, "re") : NULL;
	unsigned int writer, name, times;
	uint64_t all = 0;

	if (report_file && !f)
		fail("%s: %s", report_file, strerror(errno));
	while (f && fscanf(f, " acked own-%u-%u %u", &writer, &name, &times) == 3)
		if (writer >= WRITERS || name >= OWN ||
		    journal->writer[writer].own[name].times < times)
			fail("the acknowledgement of %s is gone", name_of(writer, name));
	if (f && !feof(f))
		fail("%s is no report", report_file);
	if (f)
		fclose(f);
	for (unsigned int number = 0; number < SHELVES; number++)
		verify_shelf(number);
	for (unsigned int w = 0; w < WRITERS; w++)
		for (unsigned int i = 0; i < OWN; i++)
			all += journal->writer[w].own[i].times;
	printf("verified: %llu updates acknowledged so far\n", (unsigned long long)all);
	return 0;
}

/* Until killed. */
__attribute__((noreturn)) static void recover(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.flags = HMEM_SHELF_REPAIR;
	for (unsigned int number = 0;; number = (number + 1) % SHELVES) {
		int err = hmem_shelf_open(region, shelf_names[number], &options, &shelf);

		if (!err)
			err = hmem_shelf_close(shelf);
		if (err)
			fail("recovering shelf %s: %d", shelf_names[number], err);
	}
}

int main(int argc, char **argv)
{
	const char *verb = argc > 3 ? argv[1] : "";
	bool writing = !strcmp(verb, "run") && argc == 6;
	bool recovering = !strcmp(verb, "recover") && argc == 4;
	int fd;

	if (!writing && !recovering && (strcmp(verb, "verify") != 0 || argc > 5))
		return 129;
	fd = open(argv[3], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", argv[3], strerror(errno));
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (journal == MAP_FAILED)
		fail("%s: %s", argv[3], strerror(errno));
	close(fd);
	if (journal->magic != MAGIC) {
		memset(journal, 0, sizeof(*journal));
		journal->magic = MAGIC;
	}
	if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, argv[2], 0, &region))
		fail("opening region %s", argv[2]);
	if (recovering)
		recover();
	return writing ? run((unsigned int)atoi(argv[4]), strtoull(argv[5], NULL, 0)) :
			 verify(argc == 5 ? argv[4] : NULL);
}
