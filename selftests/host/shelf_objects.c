// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects are put, got, read, deleted: every size, name and alignment; what is refused,
 * with which error, and that a refusal changes nothing; a shelf that is full.
 */
#include "sanitized.h"
#include "shelf_place.h"

static struct hmem_region *region;
static struct hmem_shelf *shelf;

static struct hmem_put_options put_options(unsigned int flags, size_t align)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	options.flags = flags;
	options.align = align;
	return options;
}

static void reopen(void)
{
	need(hmem_shelf_close(shelf), "closing");
	need(hmem_shelf_open(region, "s", NULL, &shelf), "opening again");
}

static uint64_t free_bytes(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.free_bytes;
}

static uint64_t objects(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.objects;
}

static unsigned char *made, *got;
#define LARGEST (9 * MI)

/* Does the name have these bytes of a pattern, both in place and as a copy? */
static bool has(const char *name, size_t bytes, uint64_t seed, size_t align)
{
	struct hmem_object object = { 0 };
	size_t length = 0;
	bool good;

	if (hmem_shelf_get(shelf, name, &object)) {
		tap_diag("%s", hmem_last_error(ctx));
		return false;
	}
	pattern(made, bytes, seed);
	good = object.bytes == bytes && !memcmp(object.data, made, bytes) &&
	       !((uintptr_t)object.data & (align - 1));
	hmem_shelf_release(shelf, &object);
	if (hmem_shelf_read(shelf, name, got, LARGEST, &length))
		return false;
	return good && length == bytes && !memcmp(got, made, bytes);
}

static int put_pattern(const char *name, size_t bytes, uint64_t seed, size_t align)
{
	struct hmem_put_options options = put_options(0, align);

	pattern(made, bytes, seed);
	return hmem_shelf_put(shelf, name, made, bytes, align ? &options : NULL);
}

static void values(void)
{
	static const size_t sizes[] = { 0,     1,      7,	8,	 15,	  16,	   17,
					63,    64,     65,	4095,	 4096,	  32703,   32704,
					32768, 65000,  65471,	65472,	 65503,	  65504,   65505,
					65536, 131072, 1000000, 2 * MI - 32, 2 * MI, 8 * MI + 1 };
	size_t nr = sizeof(sizes) / sizeof(sizes[0]);
	char name[64];
	bool good = true;

	for (size_t i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "size-%zu", sizes[i]);
		good = good && !put_pattern(name, sizes[i], i, 0) && has(name, sizes[i], i, 16);
	}
	TAP_OK(good, "values of %zu sizes, up to %zu bytes", nr, sizes[nr - 1]);
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < nr; i++) {
			snprintf(name, sizeof(name), "size-%zu", sizes[i]);
			good = good && has(name, sizes[i], i, 16);
		}
		TAP_OK(good, "are all there%s", again ? " when it is opened again" : "");
		reopen();
	}
	/* Each replaced by one of another size, larger and smaller. */
	for (size_t i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "size-%zu", sizes[i]);
		good = good && !put_pattern(name, sizes[nr - 1 - i], i + 100, 0);
	}
	for (size_t i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "size-%zu", sizes[i]);
		good = good && has(name, sizes[nr - 1 - i], i + 100, 16);
		good = good && !hmem_shelf_delete(shelf, name);
	}
	TAP_OK(good, "are replaced and deleted");
	TAP_EQ(objects(), 0, "nothing is left");
	TAP_EQ(hmem_shelf_put(shelf, "empty", NULL, 0, NULL), 0, "an empty value from nowhere");
	TAP_OK(has("empty", 0, 0, 1), "is there");
	need(hmem_shelf_delete(shelf, "empty"), "delete");
	TAP_EQ(hmem_shelf_put(shelf, "x", NULL, 1, NULL), -EINVAL, "a byte from nowhere");
	TAP_EQ(hmem_shelf_get(shelf, "x", &(struct hmem_object){ 0 }), -ENOENT, "is not put");
}

static const char *name_of(size_t bytes)
{
	static char name[4097];

	memset(name, 'n', sizeof(name));
	name[bytes] = '\0';
	return name;
}

static void names(void)
{
	struct hmem_object object = { .bytes = 4711 };
	size_t length;
	bool good = true;

	for (size_t i = 1; i <= 1023; i++)
		good = good && !put_pattern(name_of(i), i % 100, i, 0);
	TAP_OK(good, "names of 1 to 1023 bytes that begin the same");
	reopen();
	for (size_t i = 1; i <= 1023; i++)
		good = good && has(name_of(i), i % 100, i, 16);
	TAP_OK(good, "lead to what each was put with");
	for (size_t i = 1; i <= 1023; i++)
		good = good && !hmem_shelf_delete(shelf, name_of(i));
	TAP_OK(good && !objects(), "and are deleted");
	for (size_t i = 1024; i <= 4096; i += 3072) {
		TAP_EQ(hmem_shelf_put(shelf, name_of(i), "x", 1, NULL), -ENAMETOOLONG,
		       "a name of %zu bytes is not put", i);
		TAP_EQ(hmem_shelf_get(shelf, name_of(i), &object), -ENAMETOOLONG, "nor got");
		TAP_EQ(hmem_shelf_read(shelf, name_of(i), got, 1, &length), -ENAMETOOLONG,
		       "nor read");
		TAP_EQ(hmem_shelf_delete(shelf, name_of(i)), -ENAMETOOLONG, "nor deleted");
	}
	TAP_EQ(hmem_shelf_put(shelf, "", "x", 1, NULL), -EINVAL, "an empty name is not put");
	TAP_EQ(hmem_shelf_put(shelf, NULL, "x", 1, NULL), -EINVAL, "nor none");
	TAP_EQ(hmem_shelf_get(shelf, "", &object), -EINVAL, "nor got");
	TAP_EQ(hmem_shelf_read(shelf, "", got, 1, &length), -EINVAL, "nor read");
	TAP_EQ(hmem_shelf_delete(shelf, NULL), -EINVAL, "nor deleted");
	TAP_EQ(object.bytes, 4711, "nothing is written where nothing was got");
	for (unsigned int c = 1; c < 256; c++) {
		char odd[4] = { (char)c, 'x', (char)c, 0 };

		good = good && !hmem_shelf_put(shelf, odd, &c, sizeof(c), NULL);
	}
	for (unsigned int c = 1; c < 256; c++) {
		char odd[4] = { (char)c, 'x', (char)c, 0 };

		good = good && !hmem_shelf_get(shelf, odd, &object) &&
		       !memcmp(object.data, &c, sizeof(c));
		hmem_shelf_release(shelf, &object);
		good = good && !hmem_shelf_delete(shelf, odd);
	}
	TAP_OK(good, "any byte may be in a name");
}

static void alignments(void)
{
	struct hmem_put_options options;
	bool good = true;
	char name[64];

	for (size_t align = 1; align <= HMEM_ALIGN_MAX; align *= 2) {
		for (size_t i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "align-%zu-%zu", align, i);
			good = good && !put_pattern(name, i * 3000 + 1, align + i, align);
		}
	}
	for (int again = 0; again < 2; again++) {
		for (size_t align = 1; align <= HMEM_ALIGN_MAX; align *= 2) {
			for (size_t i = 0; i < 3; i++) {
				snprintf(name, sizeof(name), "align-%zu-%zu", align, i);
				good = good && has(name, i * 3000 + 1, align + i, align);
			}
		}
		TAP_OK(good, "values aligned to up to 2 MiB%s", again ? ", opened again" : "");
		reopen();
	}
	for (size_t align = 1; align <= HMEM_ALIGN_MAX; align *= 2)
		for (size_t i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "align-%zu-%zu", align, i);
			good = good && !hmem_shelf_delete(shelf, name);
		}
	TAP_OK(good && !objects(), "are deleted");
	for (size_t i = 0; i < 4; i++) {
		static const size_t wrong[] = { 3, 24, HMEM_ALIGN_MAX * 2, (size_t)1 << 63 };

		options = put_options(0, wrong[i]);
		TAP_EQ(hmem_shelf_put(shelf, "x", "x", 1, &options), -EINVAL,
		       "an alignment of %zu", wrong[i]);
	}
}

static void options_of_put(void)
{
	struct hmem_put_options create = put_options(HMEM_PUT_CREATE, 0);
	struct hmem_put_options replace = put_options(HMEM_PUT_REPLACE, 0);
	struct hmem_put_options both = put_options(HMEM_PUT_CREATE | HMEM_PUT_REPLACE, 0);
	struct hmem_put_options odd = put_options(1u << 30, 0);
	struct {
		struct hmem_put_options options;
		unsigned char more[8];
	} longer = { .options = HMEM_PUT_OPTIONS_INIT };
	struct hmem_object object;
	uint64_t first;

	TAP_EQ(hmem_shelf_put(shelf, "x", "1", 1, &replace), -ENOENT, "replace what is not there");
	TAP_EQ(hmem_shelf_put(shelf, "x", "2", 1, &create), 0, "create it");
	TAP_EQ(hmem_shelf_put(shelf, "x", "3", 1, &create), -EEXIST, "and not twice");
	need(hmem_shelf_get(shelf, "x", &object), "get");
	TAP_OK(object.bytes == 1 && *(char *)object.data == '2', "it is the first");
	first = object.version;
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_put(shelf, "x", "44", 2, &replace), 0, "replace it");
	need(hmem_shelf_get(shelf, "x", &object), "get");
	TAP_OK(object.bytes == 2 && !memcmp(object.data, "44", 2), "it is the new one");
	TAP_OK(object.version > first, "its version has grown");
	first = object.version;
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_delete(shelf, "x"), "delete");
	TAP_EQ(hmem_shelf_put(shelf, "x", "1", 1, &replace), -ENOENT, "deleted is not there");
	TAP_OK(hmem_shelf_put(shelf, "x", "1", 1, &both) < 0, "both at once are never right");
	TAP_EQ(hmem_shelf_put(shelf, "x", "5", 1, &create), 0, "create it again");
	need(hmem_shelf_get(shelf, "x", &object), "get");
	TAP_OK(object.version > first, "its version has grown since before it was deleted");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_put(shelf, "x", "6", 1, &odd), -EINVAL, "an unknown flag");
	create.size = 0;
	TAP_EQ(hmem_shelf_put(shelf, "y", "6", 1, &create), -EINVAL, "options without a size");
	create.size = sizeof(create) - 1;
	TAP_EQ(hmem_shelf_put(shelf, "y", "6", 1, &create), -EINVAL, "options one byte short");
	longer.options.size = sizeof(longer.options) + 1;
	longer.more[0] = 1;
	TAP_EQ(hmem_shelf_put(shelf, "y", "6", 1, &longer.options), -E2BIG,
	       "options one byte longer, not zero");
	longer.more[0] = 0;
	TAP_EQ(hmem_shelf_put(shelf, "y", "6", 1, &longer.options), 0,
	       "options one byte longer, zero");
	TAP_EQ(objects(), 2, "two objects came of it");
	need(hmem_shelf_delete(shelf, "x"), "delete");
	need(hmem_shelf_delete(shelf, "y"), "delete");
}

static void reading(void)
{
	struct hmem_object object, other, nothing = { 0 };
	size_t length = 4711;

	memset(got, 'z', 100);
	TAP_EQ(hmem_shelf_read(shelf, "x", got, 100, &length), -ENOENT, "read what is not there");
	TAP_EQ(hmem_shelf_get(shelf, "x", &object), -ENOENT, "get what is not there");
	TAP_EQ(hmem_shelf_delete(shelf, "x"), -ENOENT, "delete what is not there");
	TAP_OK(strstr(hmem_last_error(ctx), "x"), "the sentence names it: %s",
	       hmem_last_error(ctx));
	need(hmem_shelf_put(shelf, "x", "12345678", 8, NULL), "put");
	TAP_EQ(hmem_shelf_read(shelf, "x", got, 7, &length), -ERANGE, "a buffer too small");
	TAP_EQ(length, 8, "says how much it takes");
	TAP_EQ(got[0], 'z', "and nothing is written to it");
	TAP_EQ(hmem_shelf_read(shelf, "x", NULL, 0, &length), -ERANGE, "no buffer: the length");
	TAP_EQ(hmem_shelf_read(shelf, "x", NULL, 8, &length), -EINVAL, "a buffer that is none");
	TAP_EQ(hmem_shelf_read(shelf, "x", got, 8, NULL), -EINVAL, "no place for the length");
	TAP_EQ(hmem_shelf_read(shelf, "x", got, 8, &length), 0, "a buffer that is just enough");
	TAP_OK(!memcmp(got, "12345678z", 9), "gets it, and not a byte more");
	TAP_EQ(hmem_shelf_get(shelf, "x", NULL), -EINVAL, "no place for the object");
	TAP_EQ(hmem_shelf_get(NULL, "x", &object), -EINVAL, "no shelf to get from");
	TAP_EQ(hmem_shelf_read(NULL, "x", got, 8, &length), -EINVAL, "nor to read from");
	TAP_EQ(hmem_shelf_put(NULL, "x", "1", 1, NULL), -EINVAL, "nor to put on");
	TAP_EQ(hmem_shelf_delete(NULL, "x"), -EINVAL, "nor to delete from");

	/* What is pinned stays what it is, whatever becomes of the name. */
	need(hmem_shelf_get(shelf, "x", &object), "get");
	TAP_OK(!object.type && !object.type_bytes, "it has no type");
	need(hmem_shelf_put(shelf, "x", "abcdefgh", 8, NULL), "put");
	need(hmem_shelf_get(shelf, "x", &other), "get");
	need(hmem_shelf_delete(shelf, "x"), "delete");
	for (unsigned int i = 0; i < 5000; i++) {
		need(hmem_shelf_put(shelf, "y", "--------", 8, NULL), "put");
		if (i % 100 == 0)
			need(hmem_shelf_delete(shelf, "y"), "delete");
	}
	TAP_OK(!memcmp(object.data, "12345678", 8), "what was got stays after it was replaced");
	TAP_OK(!memcmp(other.data, "abcdefgh", 8), "and after it was deleted");
	hmem_shelf_release(shelf, &object);
	hmem_shelf_release(shelf, &object);
	hmem_shelf_release(shelf, &other);
	hmem_shelf_release(shelf, &nothing);
	hmem_shelf_release(shelf, NULL);
	TAP_OK(!object.pin && !other.pin, "released once and twice");
	need(hmem_shelf_delete(shelf, "y"), "delete");
}

/* More objects than a thread can hold. */
static void too_many_pins(void)
{
	static struct hmem_object held[100000];
	struct hmem_object one;
	unsigned int nr = 0;
	int err = 0;

	need(hmem_shelf_put(shelf, "x", "1", 1, NULL), "put");
	while (nr < 100000 && !(err = hmem_shelf_get(shelf, "x", &held[nr])))
		nr++;
	TAP_EQ(err, -EMFILE, "a thread holds no more than %u objects", nr);
	TAP_OK(nr >= 100, "which are many");
	hmem_shelf_release(shelf, &held[nr / 2]);
	TAP_EQ(hmem_shelf_get(shelf, "x", &one), 0, "one released, one got");
	TAP_EQ(hmem_shelf_get(shelf, "x", &held[nr / 2]), -EMFILE, "and no more");
	hmem_shelf_release(shelf, &one);
	while (nr--)
		hmem_shelf_release(shelf, &held[nr]);
	need(hmem_shelf_delete(shelf, "x"), "delete");
}

/* Until nothing fits any more; @bytes each. */
static void fill(size_t bytes)
{
	uint64_t nr = 0, before = objects(), again, i;
	char name[64];
	int err;

	for (;; nr++) {
		snprintf(name, sizeof(name), "full-%zu-%llu", bytes, (unsigned long long)nr);
		err = put_pattern(name, bytes, nr, 0);
		if (err)
			break;
	}
	TAP_EQ(err, -ENOSPC, "full of objects of %zu bytes", bytes);
	tap_diag("%llu objects, %llu bytes free", (unsigned long long)nr,
		 (unsigned long long)free_bytes());
	TAP_OK(strstr(hmem_last_error(ctx), name), "the sentence says what did not fit: %s",
	       hmem_last_error(ctx));
	TAP_EQ(objects() - before, nr, "all of them count");
	TAP_OK(nr * bytes > free_bytes(), "most of it is in use");
	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "full-%zu-%llu", bytes, (unsigned long long)i);
		if (!has(name, bytes, i, 16))
			break;
	}
	TAP_EQ(i, nr, "none is lost");
	/* Every second one makes room, for as many again. */
	for (i = 0; i < nr; i += 2) {
		snprintf(name, sizeof(name), "full-%zu-%llu", bytes, (unsigned long long)i);
		if (hmem_shelf_delete(shelf, name))
			break;
	}
	TAP_OK(i >= nr, "deleting works on a full shelf");
	/* The index may have taken some of it. */
	for (i = 0; i < nr; i += 2) {
		snprintf(name, sizeof(name), "full-%zu-%llu", bytes, (unsigned long long)i);
		if (put_pattern(name, bytes, i + 5, 0))
			break;
	}
	again = i;
	TAP_OK(again >= nr - nr / 50, "and makes room for as many");
	reopen();
	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "full-%zu-%llu", bytes, (unsigned long long)i);
		if (!(i & 1) && i >= again)
			continue;
		if (!has(name, bytes, i & 1 ? i : i + 5, 16) || hmem_shelf_delete(shelf, name))
			break;
	}
	TAP_EQ(i, nr, "opened again, all are there, and deleted");
	TAP_EQ(objects(), before, "nothing else is");
}

static void full(enum place place)
{
	struct hmem_put_options options = put_options(HMEM_PUT_CREATE, 0);
	uint64_t all, after;

	need(hmem_shelf_put(shelf, "kept", "12345", 5, NULL), "put");
	all = free_bytes();
	TAP_EQ(hmem_shelf_put(shelf, "x", made, (size_t)1 << 62, NULL), -ENOSPC,
	       "a value larger than any shelf");
	TAP_EQ(hmem_shelf_put(shelf, "x", made, SIZE_MAX, NULL), -ENOSPC, "the largest value");
	TAP_EQ(hmem_shelf_put(shelf, "x", made, 40 * MI, &options), -ENOSPC,
	       "a value larger than this one");
	fill(MI);
	fill(100000);
	if (!place_syncs(place))
		fill(1000);
	need(hmem_shelf_read(shelf, "kept", got, 5, &(size_t){ 0 }), "kept");
	TAP_OK(!memcmp(got, "12345", 5), "an object from before is as it was");
	after = free_bytes();
	TAP_OK(after + 2 * MI > all, "the room is back: %llu bytes of %llu",
	       (unsigned long long)after, (unsigned long long)all);
	need(hmem_shelf_delete(shelf, "kept"), "delete");
}

int main(void)
{
	uint64_t filled = sanitized("MiB of a shelf to fill", 32, 1, 4);

	made = malloc(LARGEST);
	got = malloc(LARGEST);
	if (!made || !got || hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++) {
		tap_diag("in %s", place_names[place]);
		region = place_new(place, 160 * MI);
		shelf = place_shelf(region, 128 * MI);
		values();
		names();
		alignments();
		options_of_put();
		reading();
		too_many_pins();
		TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong with it");
		hmem_shelf_close(shelf);
		hmem_region_close(region);

		region = place_new(place, 40 * MI);
		shelf = place_shelf(region, filled * MI);
		full(place);
		TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong with it");
		hmem_shelf_close(shelf);
		hmem_region_close(region);
	}
	hmem_ctx_unref(ctx);
	free(made);
	free(got);
	return tap_done();
}
