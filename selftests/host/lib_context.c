// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: references, the log, and whose last error is whose. */
#include <pthread.h>

#include <hmem/hmem.h>

#include "tap.h"

struct lines {
	struct hmem_ctx *ctx;
	int count;
	enum hmem_log_level level;
	char where[64];
	char message[2048];
};

static void keep_line(void *arg, enum hmem_log_level level, const char *where, const char *message)
{
	struct lines *lines = arg;

	lines->count++;
	lines->level = level;
	snprintf(lines->where, sizeof(lines->where), "%s", where);
	snprintf(lines->message, sizeof(lines->message), "%s", message);
}

/* Uses the library, and fails, while it is called by it. */
static void fail_again(void *arg, enum hmem_log_level level, const char *where, const char *message)
{
	struct lines *lines = arg;

	if (!lines->count++)
		hmem_set_error(lines->ctx, -EIO, "the second failure");
	(void)level;
	(void)where;
	(void)message;
}

static void *other_thread(void *arg)
{
	struct hmem_ctx *ctx = arg;
	bool good;

	good = !strcmp(hmem_last_error(ctx), "");
	hmem_set_error(ctx, -EIO, "of the other thread");
	good = good && !strcmp(hmem_last_error(ctx), "of the other thread");
	return good ? ctx : NULL;
}

static void *many_refs(void *arg)
{
	for (int i = 0; i < 10000; i++)
		hmem_ctx_unref(hmem_ctx_ref(arg));
	return NULL;
}

static void last_errors(void)
{
	struct hmem_ctx *ctx, *second;
	char text[3000];
	pthread_t thread;
	void *result;

	TAP_EQ(hmem_ctx_new(NULL), -EINVAL, "a context needs a place");
	if (hmem_ctx_new(&ctx) || hmem_ctx_new(&second))
		tap_bail("no context");
	TAP_STR_EQ(hmem_last_error(ctx), "", "nothing failed yet");
	TAP_STR_EQ(hmem_last_error(NULL), "", "no context, no error");
	TAP_EQ(hmem_set_error(ctx, -EIO, "number %d", 7), -EIO, "the error is handed on");
	TAP_STR_EQ(hmem_last_error(ctx), "number 7", "the sentence is kept");
	TAP_STR_EQ(hmem_last_error(second), "", "another context has none");
	TAP_EQ(hmem_set_error(NULL, -EIO, "nowhere"), -EIO, "an error without a context");
	TAP_EQ(hmem_set_error(second, -EPERM, "second"), -EPERM, "the other context fails");
	TAP_STR_EQ(hmem_last_error(second), "second", "and has a last error");

	hmem_set_error(ctx, -EIO, "of this thread");
	if (pthread_create(&thread, NULL, other_thread, ctx) || pthread_join(thread, &result))
		tap_bail("no thread");
	TAP_OK(result == ctx, "another thread has a last error of its own");
	TAP_STR_EQ(hmem_last_error(ctx), "of this thread", "and leaves ours alone");

	hmem_set_error(ctx, -EIO, "two\nlines, a tab\t, an escape\033[31m and caf\303\251");
	TAP_STR_EQ(hmem_last_error(ctx), "two?lines, a tab?, an escape?[31m and caf\303\251",
		   "a sentence is one line without control characters");
	hmem_set_error(ctx, -EIO, "%s", "a \302\233" "31m and \302\240, \303\233 and \302");
	TAP_STR_EQ(hmem_last_error(ctx), "a ??31m and \302\240, \303\233 and \302",
		   "nor those of two bytes");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	hmem_set_error(ctx, -EIO, "%s", text);
	TAP_EQ(strlen(hmem_last_error(ctx)), 1023, "a long sentence is cut");

	hmem_ctx_unref(ctx);
	for (int i = 0; i < 100; i++) {
		/* Sooner or later at the same address. */
		if (hmem_ctx_new(&ctx))
			tap_bail("no context");
		if (strcmp(hmem_last_error(ctx), ""))
			break;
		hmem_set_error(ctx, -EIO, "stale");
		hmem_ctx_unref(ctx);
		ctx = NULL;
	}
	TAP_OK(!ctx, "a new context does not inherit the error of a dead one");
	hmem_ctx_unref(ctx);
	hmem_ctx_unref(second);
}

static void logs(void)
{
	struct lines lines = { 0 };
	struct hmem_ctx *ctx;

	setenv("HMEM_LOG", "nonsense", 1);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	hmem_set_error(ctx, -EIO, "nobody listens");
	hmem_ctx_set_log(ctx, keep_line, &lines);
	hmem_set_error(ctx, -EIO, "at info");
	TAP_EQ(lines.count, 0, "failures are not logged at the default level");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_INFO);
	hmem_set_error(ctx, -EIO, "at info");
	TAP_EQ(lines.count, 1, "they are logged at info");
	TAP_EQ(lines.level, HMEM_LOG_INFO, "with that level");
	TAP_STR_EQ(lines.message, "at info", "and the sentence");
	hmem_region_open(ctx, "", 0, NULL);
	TAP_STR_EQ(lines.where, "hmem_name_resolve", "the function is named");
	TAP_STR_EQ(lines.message, hmem_last_error(ctx), "the log says what the last error says");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	hmem_set_error(ctx, -EIO, "quiet");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_INFO);
	hmem_ctx_set_log(ctx, NULL, NULL);
	hmem_set_error(ctx, -EIO, "nobody listens");
	TAP_EQ(lines.count, 2, "a higher level and no callback are silent");

	lines = (struct lines){ .ctx = ctx };
	hmem_ctx_set_log(ctx, fail_again, &lines);
	hmem_set_error(ctx, -EPERM, "the first failure");
	TAP_STR_EQ(hmem_last_error(ctx), "the first failure",
		   "a callback that fails does not change the error it is told of");
	hmem_ctx_unref(ctx);

	setenv("HMEM_LOG", "info", 1);
	lines = (struct lines){ 0 };
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	hmem_ctx_set_log(ctx, keep_line, &lines);
	hmem_set_error(ctx, -EIO, "heard");
	TAP_EQ(lines.count, 1, "$HMEM_LOG sets the level");
	hmem_ctx_unref(ctx);
	unsetenv("HMEM_LOG");
}

static void references(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;
	struct hmem_ctx *ctx;
	pthread_t threads[4];

	hmem_ctx_unref(NULL);
	TAP_OK(!hmem_ctx_ref(NULL), "no context is legal");
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	TAP_OK(hmem_ctx_ref(ctx) == ctx, "a reference is the context");
	hmem_ctx_unref(ctx);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, many_refs, ctx))
			tap_bail("no thread");
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);

	options.bytes = 4096;
	TAP_EQ(hmem_region_create(ctx, "anon:", &options, &region), 0, "a region is made");
	hmem_ctx_unref(ctx);
	TAP_EQ(hmem_region_get_info(region, &info), 0, "a region keeps its context alive");
	hmem_region_close(region);

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	TAP_EQ(hmem_ctx_set_sysroot(NULL, "/"), -EINVAL, "a sysroot needs a context");
	TAP_EQ(hmem_ctx_set_sysroot(ctx, "/nowhere"), 0, "a sysroot is set");
	TAP_EQ(hmem_ctx_set_sysroot(ctx, NULL), 0, "and taken back");
	hmem_ctx_unref(ctx);
}

int main(void)
{
	last_errors();
	logs();
	references();
	TAP_OK(strlen(hmem_version()) >= 5 &&
		       strspn(hmem_version(), "0123456789.") == strlen(hmem_version()),
	       "the version is %s", hmem_version());
	return tap_done();
}
