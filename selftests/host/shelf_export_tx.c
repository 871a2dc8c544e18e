// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports and transactions that write to objects: such a commit stores where the values are, which
 * an export reads after its instant.
 *
 * A page of a value is taken away in the mapping of whoever is to stop at it, the one who commits or
 * the one who exports. He goes on when the other one has been seen to wait, or to give up.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include <hmem/export.h>

#include "shelf_user.h"

#define BYTES 8192u

static struct user user, hasty;
static sem_t arrived, go_on;
static unsigned char *page;

/* --- who is stopped ------------------------------------------------------------------ */

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if ((unsigned char *)((uintptr_t)info->si_addr & ~4095ul) != page)
		abort();
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	sem_post(&arrived);
	while (sem_wait(&go_on))
		;
}

static void await(sem_t *what)
{
	while (sem_wait(what))
		;
}

/* The first page of an object's value, as @handle has it mapped. */
static void take_away(struct user *handle, const char *name, int protection)
{
	struct hmem_object object;

	need(hmem_shelf_get(handle->shelf, name, &object), name);
	page = object.data;
	hmem_shelf_release(handle->shelf, &object);
	if ((uintptr_t)page & 4095 || mprotect(page, 4096, protection))
		tap_bail("no page with the value of %s", name);
}

/* --- transactions -------------------------------------------------------------------- */

static int write_both(struct user *handle, const char *text)
{
	struct hmem_object x, y;
	struct hmem_tx *tx;

	need(hmem_shelf_get(handle->shelf, "x", &x), "x");
	need(hmem_shelf_get(handle->shelf, "y", &y), "y");
	need(hmem_tx_begin(handle->shelf, &tx), "beginning");
	need(hmem_tx_write(tx, &x, 0, text, 3), "writing to x");
	need(hmem_tx_write(tx, &y, 0, text, 3), "writing to y");
	hmem_shelf_release(handle->shelf, &x);
	hmem_shelf_release(handle->shelf, &y);
	return hmem_tx_commit(tx);
}

/* What the call in a thread of its own returned. */
struct late {
	pthread_t thread;
	struct user *user;
	struct hmem_export_result result;
	int err;
	int ended;
};

static void *write_late(void *arg)
{
	struct late *late = arg;

	late->err = write_both(late->user, "new");
	return NULL;
}

static void begin(struct late *late, void *(*fn)(void *arg), struct user *handle)
{
	*late = (struct late){ .user = handle, .result.size = sizeof(late->result) };
	if (pthread_create(&late->thread, NULL, fn, late))
		tap_bail("a thread");
}

/* --- exports ------------------------------------------------------------------------- */

static struct {
	unsigned char data[8 * BYTES];
	size_t bytes;
	size_t read;
} stream;

static int to_memory(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	if (bytes > sizeof(stream.data) - stream.bytes)
		return -EFBIG;
	memcpy(stream.data + stream.bytes, data, bytes);
	stream.bytes += bytes;
	return 0;
}

static long from_memory(void *arg, void *data, size_t bytes)
{
	(void)arg;
	if (bytes > stream.bytes - stream.read)
		bytes = stream.bytes - stream.read;
	memcpy(data, stream.data + stream.read, bytes);
	stream.read += bytes;
	return (long)bytes;
}

static int export(struct user *handle, struct hmem_export_result *result)
{
	stream.bytes = stream.read = 0;
	return hmem_shelf_export(handle->shelf, NULL, to_memory, NULL, result);
}

static void *export_late(void *arg)
{
	struct late *late = arg;

	late->err = export(late->user, &late->result);
	__atomic_store_n(&late->ended, 1, __ATOMIC_RELEASE);
	return NULL;
}

static int note_fuzzy(void *arg, const struct hmem_imported *imported)
{
	if (imported->fuzzy)
		((bool *)arg)[imported->name[0] - 'x'] = true;
	return 0;
}

/* Of the stream: what x and y are, with a mark behind what is fuzzy. */
static const char *streamed(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_import *import;
	struct hmem_shelf *copy;
	static char text[32];
	bool fuzzy[3] = { false };
	char x[BYTES], y[BYTES];
	size_t bytes;

	stream.read = 0;
	options.bytes = 1u << 20;
	need(hmem_shelf_create(user.region, "copy", &options, &copy), "a shelf");
	need(hmem_import_open(ctx, from_memory, NULL, &import), "the stream");
	need(hmem_import_run(import, copy, 0, note_fuzzy, fuzzy, NULL), "importing");
	hmem_import_close(import);
	need(hmem_shelf_read(copy, "x", x, sizeof(x), &bytes), "x");
	need(hmem_shelf_read(copy, "y", y, sizeof(y), &bytes), "y");
	need(hmem_shelf_close(copy), "closing");
	need(hmem_shelf_destroy(user.region, "copy"), "destroying");
	snprintf(text, sizeof(text), "%.3s%s %.3s%s", x, fuzzy[0] ? "*" : "", y, fuzzy[1] ? "*" : "");
	return text;
}

static bool is_whole(const char *text, const char *value)
{
	return strlen(text) == 7 && !strncmp(text, value, 3) && !strncmp(text + 4, value, 3);
}

/* What is not marked is old. */
static bool is_old(const char *text)
{
	for (unsigned int i = 0; i < 2; i++) {
		bool marked = text[3] == '*';

		if (!marked && strncmp(text, "old", 3) != 0)
			return false;
		text += 4 + marked;
	}
	return true;
}

/* --- the tests ----------------------------------------------------------------------- */

static void prepare(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	char value[BYTES] = "old";
	const char *names[] = { "x", "y", "z" };

	make(&user, 8, 1u << 20, 60000);
	need(join(&hasty, "one", 10), "a second handle");
	options.align = 4096;
	for (unsigned int i = 0; i < 3; i++)
		need(hmem_shelf_put(user.shelf, names[i], value, sizeof(value), &options), names[i]);
}

static void finish(void)
{
	leave(&hasty);
	unmake(&user);
}

/* Somebody has stored half of what his transaction writes. */
static void test_half_stored(void)
{
	struct late writer, exporter;
	struct user other;

	prepare();
	need(join(&other, "one", 60000), "a third handle");
	take_away(&user, "y", PROT_READ);
	begin(&writer, write_late, &user);
	await(&arrived);
	TAP_EQ(export(&hasty, NULL), -EBUSY, "half of a transaction is stored: an export waits for it");
	TAP_OK(strstr(hmem_last_error(ctx), "transaction"), "%s", hmem_last_error(ctx));
	begin(&exporter, export_late, &other);
	/* It has come to where it waits, or if it does not wait, to its end. */
	while (!__atomic_load_n(&media_runtime(&media)->read_lock, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&exporter.ended, __ATOMIC_ACQUIRE))
		sched_yield();
	sem_post(&go_on);
	pthread_join(writer.thread, NULL);
	pthread_join(exporter.thread, NULL);
	TAP_OK(!writer.err && !exporter.err, "when that goes on, both do");
	TAP_OK(!exporter.result.fuzzy && is_whole(streamed(), "new"), "and it is in it as a whole: %s",
	       streamed());
	leave(&other);
	finish();
}

/* An export has begun to read the values, and somebody commits. */
static void test_while_reading(void)
{
	struct late writer, exporter;
	struct user other;

	prepare();
	need(join(&other, "one", 60000), "a third handle");
	take_away(&other, "z", PROT_NONE);
	begin(&exporter, export_late, &other);
	await(&arrived);
	TAP_EQ(write_both(&hasty, "bad"), -EBUSY, "values are being read: who writes to them waits");
	TAP_EQ(put(&hasty, "z", 'z', 100), 0, "who replaces one does not");
	begin(&writer, write_late, &user);
	sem_post(&go_on);
	pthread_join(exporter.thread, NULL);
	pthread_join(writer.thread, NULL);
	TAP_OK(!writer.err && !exporter.err, "when they have been, both go on");
	TAP_OK(is_old(streamed()), "what was not there at the instant is marked: %s", streamed());
	leave(&other);
	finish();
}

__attribute__((noreturn)) static void die_half_stored(void)
{
	struct user me;

	if (hmem_ctx_new(&ctx) || join(&me, "one", 0))
		_exit(1);
	take_away(&me, "y", PROT_READ);
	signal(SIGSEGV, SIG_DFL);
	_exit(write_both(&me, "new"));
}

static void test_killed(void)
{
	pid_t pid;
	int status;

	prepare();
	pid = fork();
	if (!pid)
		die_half_stored();
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		tap_bail("the one who was to die ended with %#x", status);
	TAP_EQ(export(&hasty, NULL), 0, "somebody died when he had stored half of it");
	TAP_OK(is_whole(streamed(), "new"), "the export has it as a whole: %s", streamed());
	finish();
}

static void test_reader_killed(void)
{
	pid_t pid;
	int status;

	prepare();
	pid = fork();
	if (!pid) {
		struct user me;

		if (hmem_ctx_new(&ctx) || join(&me, "one", 0))
			_exit(1);
		take_away(&me, "z", PROT_NONE);
		signal(SIGSEGV, SIG_DFL);
		_exit(export(&me, NULL));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		tap_bail("the one who was to die ended with %#x", status);
	TAP_EQ(write_both(&hasty, "new"), 0, "an export that died while it read keeps nobody");
	TAP_EQ(export(&hasty, NULL), 0, "nor another one");
	TAP_OK(is_whole(streamed(), "new"), "%s", streamed());
	finish();
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	users_begin("shelf-export-tx");
	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	sigaction(SIGSEGV, &action, NULL);
	test_half_stored();
	test_while_reading();
	test_killed();
	test_reader_killed();
	hmem_ctx_unref(ctx);
	return tap_done();
}
