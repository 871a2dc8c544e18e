// SPDX-License-Identifier: GPL-2.0-only
/*
 * What objects hold that are gone lies about in free memory, and recovery looks at all of that. It
 * may be another shelf, or made by somebody who wants it to be taken for a record of this one
 * and knows all that a shelf tells of itself: it is nothing, neither a record nor a damaged one.
 * And so is what by chance has nothing of a record but the mark.
 */
#include <sys/random.h>

#include "shelf_crc.h"
#include "shelf_user.h"

static struct user user;
static char image[96];
static unsigned int findings;

/* In place of the system's: the same shelves each time, so that no chance comes in. */
ssize_t getrandom(void *to, size_t bytes, unsigned int flags)
{
	static uint64_t state = 88172645463325252ull;
	unsigned char *byte = to;

	(void)flags;
	for (size_t i = 0; i < bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		byte[i] = (unsigned char)(state >> 24);
	}
	return (ssize_t)bytes;
}

static int count(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	/* There may be very many. */
	if (findings++ < 10)
		tap_diag("%s at %#llx: %s", finding->part, (unsigned long long)finding->offset,
			 finding->text);
	return 0;
}

/* The region's file as it is now, as one in which the power went. */
static void cut_power(struct user *other)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	char name[128];
	FILE *out = fopen(image, "w");
	int err;

	if (!out || fwrite(media.file, 1, media.bytes, out) != media.bytes || fclose(out))
		tap_bail("writing %s", image);
	snprintf(name, sizeof(name), "file:%s", image);
	findings = 0;
	options.found = count;
	need(hmem_region_open(ctx, name, 0, &other->region), "opening the copy");
	err = hmem_shelf_open(other->region, "one", &options, &other->shelf);
	TAP_EQ(err, 0, "it is recovered: %s", err ? hmem_last_error(ctx) : "nothing wrong");
	if (err)
		other->shelf = NULL;
	TAP_OK(!findings, "and nothing is said to be damaged");
}

static void end_copy(struct user *other)
{
	if (other->shelf) {
		TAP_EQ(hmem_shelf_check(other->shelf, count, NULL), 0, "and all is in order");
		hmem_shelf_close(other->shelf);
	}
	hmem_region_close(other->region);
	unlink(image);
}

/* What was deleted before is erased and free then. */
static void go_on(void)
{
	for (int i = 0; i < 200; i++)
		need(put(&user, "often", i, 40), "putting");
}

/* --- another shelf in an object ------------------------------------------------------- */

#define OBJECTS 20000u

static void test_image(void)
{
	struct user other;
	unsigned char *copy;
	size_t bytes;
	char name[32];

	make(&user, 4, 4u << 20, 100);
	for (unsigned int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		need(put(&user, name, (int)i, 64), "filling");
	}
	bytes = media.bytes;
	copy = malloc(bytes);
	if (!copy)
		tap_bail("no memory");
	memcpy(copy, media.file, bytes);
	unmake(&user);

	make(&user, 4, 2 * bytes, 100);
	need(put(&user, "kept", 'k', 100), "putting");
	need(hmem_shelf_put(user.shelf, "backup", copy, bytes, NULL), "a region as an object");
	free(copy);
	TAP_EQ(hmem_shelf_check(user.shelf, count, NULL), 0, "another shelf in an object");
	need(hmem_shelf_delete(user.shelf, "backup"), "deleting");
	go_on();
	TAP_EQ(hmem_shelf_check(user.shelf, count, NULL), 0, "and in what is free");
	cut_power(&other);
	end_copy(&other);
	unmake(&user);
}

/* --- made on purpose ------------------------------------------------------------------ */

/* What the one who makes it up knows. */
enum known {
	KNOWS_UUID,
	KNOWS_KEY,	/* but the mark is wrong in two places */
};

/* A record of "balance" at @at, inside of an object's value. */
static void forge(uint64_t at, enum record_state state, enum known known)
{
	uint64_t key = media_key(&media);
	struct record *r = media_at(&media, at);

	memset(r, 0, sizeof(*r));
	r->state = state;
	r->kind = RECORD_OBJECT;
	r->name_bytes = 7;
	r->value_bytes = 9;
	r->seq = 1ull << 40;
	r->align_shift = SHELF_GRANULE_SHIFT;
	memcpy(r + 1, "1000000EUbalance", 16);
	record_fix_for(&media, known == KNOWS_UUID ? key ^ media_shelf(&media)->secret : key, at);
	if (known == KNOWS_UUID)
		return;
	r->mark_low ^= 1;
	r->mark_high ^= 1;
}

static void test_forged(enum record_state state, enum known known, const char *what)
{
	struct hmem_object object;
	char value[16] = "";
	struct user other;
	size_t bytes = 0;

	make(&user, 4, 4u << 20, 100);
	need(hmem_shelf_put(user.shelf, "balance", "100", 3, NULL), "putting");
	need(put(&user, "upload", 0, 4096), "putting");
	need(hmem_shelf_edit(user.shelf, "upload", &object), "editing");
	forge((media_find(&media, "upload") + 1024) & ~(uint64_t)(SHELF_GRANULE - 1), state, known);
	hmem_shelf_release(user.shelf, &object);
	need(hmem_shelf_delete(user.shelf, "upload"), "deleting");
	go_on();
	TAP_EQ(hmem_shelf_check(user.shelf, count, NULL), 0, "%s, by one who knows the %s, deleted",
	       what, known == KNOWS_UUID ? "UUID" : "key and not the mark");
	cut_power(&other);
	if (other.shelf)
		hmem_shelf_read(other.shelf, "balance", value, sizeof(value), &bytes);
	TAP_OK(bytes == 3 && !memcmp(value, "100", 3), "balance is what it was: \"%.*s\"",
	       (int)bytes, value);
	end_copy(&other);
	unmake(&user);
}

/* --- noise ---------------------------------------------------------------------------- */

#define NOISE_BYTES (4u << 20)

/*
 * Of random bytes one granule in 2^29 bears the mark of its place, and a large shelf may have as
 * many: here all of them do. In a shelf of this size one in 2^21 of those would have two words
 * out of three as a record has them.
 */
static void fill_with_noise(uint64_t at, uint64_t end)
{
	uint64_t key = media_key(&media), state = 0x2545f4914f6cdd1dull;

	for (uint64_t word = at; word < end; word += sizeof(state)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(media_at(&media, word), &state, sizeof(state));
	}
	for (; at < end; at += SHELF_GRANULE)
		mark_fix(key, at, media_at(&media, at));
}

/* How many of them are there still? */
static unsigned int noise_marked(uint64_t at, uint64_t end)
{
	uint64_t key = media_key(&media);
	unsigned int marked = 0;

	for (; at < end; at += SHELF_GRANULE) {
		struct record r, right;

		memcpy(&r, media_at(&media, at), sizeof(r));
		right = r;
		mark_fix(key, at, &right);
		marked += r.mark_low == right.mark_low && r.mark_high == right.mark_high;
	}
	return marked;
}

static void test_noise(void)
{
	struct hmem_object object;
	unsigned int marked;
	struct user other;
	uint64_t at, end;

	make(&user, 4, 16u << 20, 100);
	need(put(&user, "kept", 'k', 100), "putting");
	/* More at both ends, for what is stored there later and for the last granule's header. */
	need(put(&user, "noise", 0, NOISE_BYTES + (256u << 10)), "putting");
	need(hmem_shelf_edit(user.shelf, "noise", &object), "editing");
	at = (media_find(&media, "noise") + (128u << 10)) & ~(uint64_t)(SHELF_GRANULE - 1);
	end = at + NOISE_BYTES;
	fill_with_noise(at, end);
	hmem_shelf_release(user.shelf, &object);
	findings = 0;
	TAP_EQ(hmem_shelf_check(user.shelf, count, NULL), 0, "noise with marks in an object");
	need(hmem_shelf_delete(user.shelf, "noise"), "deleting");
	go_on();
	marked = noise_marked(at, end);
	TAP_OK(marked > 1u << 17, "%u granules of free memory bear their mark", marked);
	findings = 0;
	TAP_EQ(hmem_shelf_check(user.shelf, count, NULL), 0, "and none is said to be damaged");
	cut_power(&other);
	if (other.shelf) {
		char value[100];
		size_t bytes = 0;

		hmem_shelf_read(other.shelf, "kept", value, sizeof(value), &bytes);
		TAP_OK(bytes == sizeof(value) && is_all(value, 'k', bytes),
		       "what was kept is there");
	}
	end_copy(&other);
	unmake(&user);
}

int main(void)
{
	static const struct {
		enum record_state state;
		const char *what;
	} forgeries[] = {
		{ RECORD_SEALED, "a sealed record" },	  { RECORD_PENDING, "a record of a put" },
		{ RECORD_BORN, "a published record" },	  { RECORD_TOMB, "a tombstone" },
		{ RECORD_BODY, "the body of a record" },
	};

	snprintf(path, sizeof(path), "%s/hmem-shelf-forged-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	snprintf(image, sizeof(image), "%s-cut", path);
	need(hmem_ctx_new(&ctx), "context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	test_image();
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++)
		for (enum known known = KNOWS_UUID; known <= KNOWS_KEY; known++)
			test_forged(forgeries[i].state, known, forgeries[i].what);
	test_noise();
	hmem_ctx_unref(ctx);
	return tap_done();
}
