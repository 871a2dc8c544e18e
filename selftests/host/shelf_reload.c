// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whoever has the region mapped can change the header of a record while a call is at it: what
 * was checked and what is used then must be the same, or the caller's own memory is at stake.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "../../lib/shelf_format.h"

#include "shelf_streams.h"

static struct record *header_of(const void *value)
{
	return (struct record *)((uintptr_t)value - sizeof(struct record));
}

/* --- exporting ----------------------------------------------------------------------- */

static unsigned char *victim;
static char told[2000];
static uint64_t written;

/* The first that is written of the stream comes after all headers were checked. */
static int change_later(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	if (!written) {
		header_of(victim)->name_bytes = SHELF_NAME_MAX;
		header_of(victim)->value_bytes = 1ull << 40;
		*victim ^= 1;
	}
	written += bytes;
	return 0;
}

static void keep_name(void *arg, const char *name)
{
	(void)arg;
	snprintf(told, sizeof(told), "%s", name);
}

static void while_exporting(unsigned int flags)
{
	struct hmem_export_result result = { .size = sizeof(result) };
	struct hmem_export_options options = HMEM_EXPORT_OPTIONS_INIT;
	struct hmem_shelf *shelf = shelf_make("a", flags, 12 << 20);
	static unsigned char large[3 << 20];
	struct hmem_object object;

	written = 0;
	*told = '\0';
	put_text(shelf, "victim", "what it was");
	need(hmem_shelf_put(shelf, "large", large, sizeof(large), NULL), "large");
	need(hmem_shelf_get(shelf, "victim", &object), "victim");
	victim = (unsigned char *)(uintptr_t)object.data;
	options.fuzzy = keep_name;
	TAP_EQ(hmem_shelf_export(shelf, &options, change_later, NULL, &result), 0,
	       "a header that becomes a lie while its shelf is exported%s",
	       flags ? ", in order" : "");
	TAP_OK(result.objects == 2 && result.bytes == sizeof(large) + strlen("what it was"),
	       "is not looked at again");
	/* It is fuzzy when its turn came after that of the large one: as the hash key wills. */
	TAP_OK(!*told || !strcmp(told, "victim"), "and what is fuzzy has its name");
	header_of(victim)->name_bytes = 6;
	header_of(victim)->value_bytes = strlen("what it was");
	*victim ^= 1;
	hmem_shelf_release(shelf, &object);
	shelf_end(shelf, "a");
}

/* --- publishing ---------------------------------------------------------------------- */

static _Atomic(struct record *) reserved;
static atomic_bool stop;

static void *change(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		struct record *r = atomic_load(&reserved);
		unsigned char *length;

		if (!r)
			continue;
		/* A byte of the value's length, in which there is nothing else that would be undone. */
		length = (unsigned char *)r + 8 + 4;
		__atomic_store_n(length, 0xff, __ATOMIC_SEQ_CST);
		__atomic_store_n(length, 0, __ATOMIC_SEQ_CST);
		atomic_compare_exchange_strong(&reserved, &r, r);
	}
	return NULL;
}

static void while_publishing(void)
{
	struct hmem_shelf *shelf = shelf_make("b", 0, 12 << 20);
	time_t end = time(NULL) + 2;
	unsigned int failed = 0, other = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, change, NULL))
		tap_bail("no thread");
	while (time(NULL) < end) {
		void *data;
		int err;

		need(hmem_shelf_reserve(shelf, "object", 100, NULL, &data), "reserving");
		atomic_store(&reserved, header_of(data));
		do
			err = hmem_shelf_publish(shelf, data, 0);
		while (err == -EUCLEAN && ++failed && time(NULL) <= end);
		atomic_store(&reserved, NULL);
		other += err && err != -EUCLEAN;
		if (err)
			break;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	TAP_OK(!other, "a header that others write over is published, or is found to be damaged");
	tap_diag("damaged %u times", failed);
	hmem_shelf_close(shelf);
	need(hmem_shelf_destroy(region, "b"), "destroying");
}

int main(void)
{
	streams_begin("shelf-reload");
	while_exporting(0);
	while_exporting(HMEM_SHELF_ORDERED);
#ifdef __SANITIZE_THREAD__
	tap_skip("a header that others write over is published", "a race by intention");
	(void)&while_publishing;
#else
	while_publishing();
#endif
	return streams_end();
}
