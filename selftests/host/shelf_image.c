// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every bit of a small shelf is flipped, one at a time, on a shelf that has to be recovered
 * and on a clean one: opening it is an error, or all objects are there. Never does one go
 * silently; what may change is the value of an object that is its owner's to change, and
 * what may vanish is a writer's last record, which cannot be told from a torn one.
 */
#include <hmem/hmem.h>

#include "sanitized.h"
#include "shelf_media.h"

#define OBJECTS 9
#define HEAP_BYTES (128u << 10)
#define REGION_BYTES (512u << 10)

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static struct media media;
static char path[64], region_name[80];
static unsigned int step;
static unsigned char dirty_image[REGION_BYTES], clean_image[REGION_BYTES];

/* @at: of its record in the image that is tried; 0 when it is not to be there */
static struct object {
	char name[40];
	unsigned char value[400];
	size_t bytes;
	size_t align;
	uint64_t at;
} objects[OBJECTS] = {
	{ "a", "", 1, 0, 0 },		 { "second", "", 8, 0, 0 },
	{ "nothing", "", 0, 0, 0 },	 { "aligned", "", 40, 256, 0 },
	{ "gone", "", 20, 0, 0 },	 { "replaced", "", 100, 0, 0 },
	{ "longer than the others are", "", 33, 0, 0 },
	{ "large", "", 390, 0, 0 },	 { "last", "", 24, 0, 0 },
};

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %s", what, hmem_last_error(ctx));
}

static void put(struct hmem_shelf *shelf, struct object *o, unsigned char with)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	for (size_t i = 0; i < o->bytes; i++)
		o->value[i] = (unsigned char)(with + 7 * i);
	options.align = o->align;
	need(hmem_shelf_put(shelf, o->name, o->value, o->bytes, &options), o->name);
}

static void build(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = HEAP_BYTES;
	options.max_bytes = 1 << 20;
	options.slots = 2;
	need(hmem_shelf_create(region, "shelf", &options, &shelf), "create");
	for (unsigned int i = 0; i < OBJECTS; i++)
		put(shelf, &objects[i], (unsigned char)(17 * i + 3));
	for (unsigned int i = 0; i < 3; i++)
		put(shelf, &objects[5], (unsigned char)(99 + i));
	need(hmem_shelf_delete(shelf, "gone"), "delete");
	objects[4].name[0] = '\0';
	put(shelf, &objects[8], 200);
	memcpy(dirty_image, media.file, REGION_BYTES);
	need(hmem_shelf_close(shelf), "close");
	memcpy(clean_image, media.file, REGION_BYTES);
}

/* --- what a shelf has to say --------------------------------------------------------- */

enum outcome {
	RIGHT,		/* all is there, or what is not may be so */
	REFUSED,	/* -EUCLEAN or -EPROTONOSUPPORT */
	WRONG,
};

struct flip {
	size_t byte;		/* of the region */
	unsigned int bit;
	const struct object *hit;	/* whose record it is in */
	bool in_value;
};

static enum outcome wrong(const struct flip *flip, const char *what, const char *name, int err)
{
	tap_diag("byte %#zx bit %u%s%s: %s: %s: %d", flip->byte, flip->bit,
		 flip->hit ? " of " : "", flip->hit ? flip->hit->name : "", name, what, err);
	return WRONG;
}

/* @lost: this one may be missing. */
static enum outcome look(struct hmem_shelf *shelf, const struct flip *flip,
			 const struct object *lost, bool clean)
{
	enum outcome outcome = RIGHT;
	unsigned char value[400];

	for (unsigned int i = 0; i < OBJECTS; i++) {
		const struct object *o = &objects[i];
		size_t bytes = 0, differ = 0;
		int err;

		if (!*o->name)
			continue;
		err = hmem_shelf_read(shelf, o->name, value, sizeof(value), &bytes);
		if (err == -EUCLEAN && clean) {
			outcome = REFUSED;
			continue;
		}
		if (err == -ENOENT && o == lost)
			continue;
		if (err || bytes != o->bytes)
			return wrong(flip, "cannot be read", o->name, err);
		for (size_t j = 0; j < bytes; j++)
			differ += (size_t)__builtin_popcount(value[j] ^ o->value[j]);
		if (differ > 1 || (differ && (o != flip->hit || !flip->in_value)))
			return wrong(flip, "is not what it was", o->name, (int)differ);
	}
	if (!hmem_shelf_read(shelf, "gone", value, sizeof(value), &(size_t){ 0 }))
		return wrong(flip, "is back", "gone", 0);
	return outcome;
}

static int show(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx: %s: %s", finding->part, (unsigned long long)finding->offset,
		 finding->name ? finding->name : "", finding->text);
	return 0;
}

static int open_with(unsigned int flags, struct hmem_shelf **shelf)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.flags = flags;
	return hmem_shelf_open(region, "shelf", &options, shelf);
}

/* After an error: recovered from the records, if need be without the damaged one. */
static enum outcome again(const struct flip *flip)
{
	const struct object *lost = NULL;
	struct hmem_shelf *shelf;
	enum outcome outcome;
	int err = open_with(0, &shelf);

	if (err == -EUCLEAN && flip->hit) {
		lost = flip->hit;
		err = open_with(HMEM_SHELF_REPAIR, &shelf);
	}
	if (err)
		return wrong(flip, "cannot be opened even with repair", "shelf", err);
	outcome = look(shelf, flip, lost, false);
	if (outcome == RIGHT && hmem_shelf_check(shelf, show, NULL))
		outcome = wrong(flip, "is not in order after repair", "shelf", 0);
	err = hmem_shelf_close(shelf);
	return err ? wrong(flip, "cannot be closed after repair", "shelf", err) : outcome;
}

static enum outcome use(struct hmem_shelf *shelf, const struct flip *flip, bool clean,
			const struct object *lost)
{
	enum outcome outcome = look(shelf, flip, lost, clean);
	int err;

	if (outcome == WRONG)
		return outcome;
	err = hmem_shelf_put(shelf, "more", "0123456789abcdef", 16, NULL);
	if (!err)
		err = hmem_shelf_delete(shelf, "more");
	if (err == -EUCLEAN && clean)
		return REFUSED;
	if (err)
		return wrong(flip, "cannot be updated", "shelf", err);
	if (outcome == RIGHT && hmem_shelf_check(shelf, clean ? NULL : show, NULL))
		return clean ? REFUSED : wrong(flip, "is not in order", "shelf", 0);
	return outcome;
}

/* With the image in place, one bit of it flipped. */
static enum outcome try(const struct flip *flip, bool clean)
{
	/* The last record is not sealed on the dirty image: it may be as if it never was. */
	const struct object *last = flip->hit == &objects[8] && !clean ? flip->hit : NULL;
	struct hmem_shelf *shelf;
	enum outcome outcome;
	int err = open_with(0, &shelf);

	if (err == -EPROTONOSUPPORT)
		return REFUSED;
	if (err == -EUCLEAN)
		return flip->hit ? (again(flip) == RIGHT ? REFUSED : WRONG) : REFUSED;
	if (err)
		return wrong(flip, "cannot be opened", "shelf", err);
	outcome = use(shelf, flip, clean, last);
	err = hmem_shelf_close(shelf);
	if (outcome == REFUSED) {
		if (!err && !flip->hit)
			return wrong(flip, "was left clean", "shelf", 0);
		return again(flip) == RIGHT ? REFUSED : WRONG;
	}
	if (err)
		return wrong(flip, "cannot be closed", "shelf", err);
	return outcome;
}

/* --- what is flipped ----------------------------------------------------------------- */

static void flip_one(const unsigned char *image, struct flip *flip, bool clean,
		     unsigned int *count)
{
	memcpy(media.file, image, REGION_BYTES);
	media.file[flip->byte] ^= (unsigned char)(1u << flip->bit);
	count[try(flip, clean)]++;
}

static void flip_range(const unsigned char *image, const void *from, size_t bytes, bool clean,
		       const char *what)
{
	unsigned int count[3] = { 0, 0, 0 };
	size_t first = (size_t)((const unsigned char *)from - media.file);

	for (size_t byte = first; byte < first + bytes; byte += step)
		for (unsigned int bit = 0; bit < 8; bit++)
			flip_one(image, &(struct flip){ byte, bit, NULL, false }, clean, count);
	TAP_OK(!count[WRONG], "%s, %s: %u harmless, %u refused", clean ? "clean" : "to recover",
	       what, count[RIGHT], count[REFUSED]);
}

static void flip_record(const unsigned char *image, const struct object *o, bool clean)
{
	unsigned int count[3] = { 0, 0, 0 };
	struct record r;
	uint64_t value, end;

	memcpy(media.file, image, REGION_BYTES);
	memcpy(&r, media_at(&media, o->at), sizeof(r));
	value = media_value_offset(o->at, &r);
	end = value + r.value_bytes + r.name_bytes;
	for (uint64_t at = o->at; at < end; at += step)
		for (unsigned int bit = 0; bit < 8; bit++) {
			struct flip flip = { 0, bit, o, at >= value && at < value + r.value_bytes };

			memcpy(media.file, image, REGION_BYTES);
			flip.byte = (size_t)((unsigned char *)media_at(&media, at) - media.file);
			flip_one(image, &flip, clean, count);
		}
	TAP_OK(!count[WRONG], "%s, record of %s: %u harmless, %u refused",
	       clean ? "clean" : "to recover", o->name, count[RIGHT], count[REFUSED]);
}

static void flips(const unsigned char *image, bool clean)
{
	struct shelf_super *super;

	memcpy(media.file, image, REGION_BYTES);
	super = media_super(&media);
	for (unsigned int i = 0; i < OBJECTS; i++)
		objects[i].at = *objects[i].name ? media_find(&media, objects[i].name) : 0;
	flip_range(image, media.file, 64 + 104 + 2 * 16, clean, "table");
	flip_range(image, media.file + RACK_COPY_BYTES, 64 + 104 + 2 * 16, clean,
		   "other copy of the table");
	flip_range(image, media_at(&media, 0), sizeof(*super), clean, "superblock");
	flip_range(image, media_at(&media, SUPER_COPY_BYTES), sizeof(*super), clean,
		   "other copy of the superblock");
	flip_range(image, media_at(&media, SHELF_FRONTIER_OFFSET), 8, clean, "frontier");
	flip_range(image, media_at(&media, SHELF_CEILING_OFFSET), 8, clean, "ceiling");
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].at)
			flip_record(image, &objects[i], clean);
	if (!clean)
		return;
	flip_range(image, media_at(&media, super->summary.segments[0]), 16 * sizeof(struct bucket),
		   true, "index");
	flip_range(image, media_chunk(&media, 0), sizeof(struct chunk), true, "map of a chunk");
	flip_range(image, media_runtime(&media), 64, true, "runtime");
}

/*
 * A byte of a sealed header in which more than one bit is wrong: that is told, unless the mark is
 * hit or the state has become that of a record which may have been torn, or of none.
 */
static void bytes_of_header(const unsigned char *image)
{
	const struct object *o = &objects[0];
	unsigned int silent = 0, odd = 0, told = 0;

	for (unsigned int byte = 4; byte < 24; byte++)
		for (unsigned int x = 1; x < 256; x += 2 + byte % 3) {
			struct record was, *r;
			struct hmem_shelf *shelf;
			bool excused;
			int err;

			memcpy(media.file, image, REGION_BYTES);
			r = media_at(&media, o->at);
			was = *r;
			((unsigned char *)r)[byte] ^= (unsigned char)x;
			excused = r->mark_high != was.mark_high || r->mark_low != was.mark_low ||
				  r->state == RECORD_FREE || r->state == RECORD_PENDING ||
				  r->state == RECORD_BORN || r->state == RECORD_MEMBER;
			odd += was.state != RECORD_SEALED;
			err = open_with(0, &shelf);
			if (!err) {
				silent += !excused &&
					  hmem_shelf_read(shelf, o->name, NULL, 0, &(size_t){ 0 }) ==
						  -ENOENT;
				hmem_shelf_close(shelf);
			}
			told += err == -EUCLEAN;
		}
	TAP_EQ(odd, 0, "a sealed record");
	TAP_EQ(silent, 0, "of several wrong bits in a byte of its header none loses it in silence");
	TAP_OK(told > 800, "%u are told of", told);
}

struct told {
	uint64_t at;
	unsigned int findings;
};

static int hear(void *arg, const struct hmem_shelf_finding *finding)
{
	struct told *told = arg;

	told->findings += finding->offset == told->at && !strcmp(finding->part, "record");
	return 0;
}

/* Nothing is as it was but the mark. The state is none of a record that may have been torn. */
static void garble(struct record *r, unsigned int word, uint64_t *state)
{
	struct record was = *r;

	do {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		memcpy((char *)r + word * sizeof(*state), state, sizeof(*state));
		r->mark_low = was.mark_low;
		r->mark_high = was.mark_high;
	} while (r->state == RECORD_FREE || r->state == RECORD_PENDING ||
		 r->state == RECORD_BORN || r->state == RECORD_MEMBER);
}

/*
 * A word of a sealed header that is garbage, but for the mark. (More than one is not found: of what
 * objects held that are gone, too much would look like that.)
 */
static void words_of_header(const unsigned char *image)
{
	uint64_t state = 88172645463325252ull;

	for (unsigned int word = 0; word < 3; word++) {
		unsigned int tried = 0, told = 0;

		/* The last is not sealed. */
		for (unsigned int i = 0; i < OBJECTS - 1; i++)
			for (unsigned int n = 0; *objects[i].name && n < 100; n++, tried++) {
				struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
				struct told here = { objects[i].at, 0 };
				struct hmem_shelf *shelf;
				int err;

				memcpy(media.file, image, REGION_BYTES);
				garble(media_at(&media, here.at), word, &state);
				options.found = hear;
				options.found_arg = &here;
				err = hmem_shelf_open(region, "shelf", &options, &shelf);
				if (!err)
					hmem_shelf_close(shelf);
				told += err == -EUCLEAN && here.findings == 1;
			}
		TAP_EQ(told, tried, "garbage in word %u of a header is told of, each time", word);
	}
}

/* Noise in all that recovery must not read. */
static void make_noise(unsigned char *image)
{
	uint64_t state = 88172645463325252ull;
	unsigned char *from, *to;

	memcpy(media.file, image, REGION_BYTES);
	from = media_at(&media, SHELF_RUNTIME_OFFSET);
	to = (unsigned char *)media_chunk(&media, HEAP_BYTES >> SHELF_CHUNK_SHIFT);
	for (; from < to; from++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		*from = (unsigned char)state;
	}
	memcpy(image, media.file, REGION_BYTES);
}

/* --- whole files --------------------------------------------------------------------- */

static int open_image(const unsigned char *image)
{
	struct hmem_shelf *shelf;
	int err;

	(void)image;
	err = open_with(0, &shelf);
	if (!err) {
		err = look(shelf, &(struct flip){ 0, 0, NULL, false }, NULL, true);
		need(hmem_shelf_close(shelf), "close");
	}
	return err;
}

static void truncated(void)
{
	static const size_t sizes[] = { 0, 4096, RACK_BYTES, 128 << 10, REGION_BYTES - 65536,
					REGION_BYTES - 1 };
	char name[96], file[80];

	snprintf(file, sizeof(file), "%s-short", path);
	snprintf(name, sizeof(name), "file:%s", file);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct hmem_region *part = NULL;
		struct hmem_shelf *shelf;
		FILE *out = fopen(file, "w");
		int err;

		if (!out || fwrite(clean_image, 1, sizes[i], out) != sizes[i] || fclose(out))
			tap_bail("writing %s", file);
		err = hmem_region_open(ctx, name, 0, &part);
		if (!err)
			err = hmem_shelf_open(part, "shelf", NULL, &shelf);
		TAP_OK(err < 0, "a file cut to %zu bytes: %s", sizes[i], strerror(-err));
		if (!err)
			hmem_shelf_close(shelf);
		hmem_region_close(part);
		unlink(file);
	}
}

int main(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	/* Volatile where that is possible: it is opened a hundred thousand times. */
	snprintf(path, sizeof(path), "%s/hmem-shelf-image-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	step = sanitized_step("flipped bytes", 7, 61);
	need(hmem_ctx_new(&ctx), "context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	options.bytes = REGION_BYTES;
	need(hmem_region_create(ctx, region_name, &options, &region), "region");
	media_map(&media, path);
	build();
	make_noise(dirty_image);
	memcpy(media.file, dirty_image, REGION_BYTES);
	TAP_EQ(open_image(dirty_image), 0, "the dirty image is good");
	memcpy(media.file, clean_image, REGION_BYTES);
	TAP_EQ(open_image(clean_image), 0, "the clean image is good");
	flips(dirty_image, false);
	bytes_of_header(dirty_image);
	words_of_header(dirty_image);
	flips(clean_image, true);
	truncated();
	media_unmap(&media);
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	unlink(path);
	return tap_done();
}
