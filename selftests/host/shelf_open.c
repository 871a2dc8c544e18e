// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves are created, opened, closed and described: what is refused, with which error,
 * and that a refusal leaves everything as it was.
 */
#include "sanitized.h"
#include "shelf_crc.h"
#include "shelf_place.h"

static struct hmem_shelf *const untouched = (struct hmem_shelf *)&ctx;

/* Creating fails with @error, a sentence, and without a handle. */
#define REFUSED(error, region, name, options, ...)                                            \
	do {                                                                                  \
		struct hmem_shelf *refused = untouched;                                       \
		hmem_set_error(ctx, 0, "%s", "");                                             \
		TAP_EQ(hmem_shelf_create(region, name, options, &refused), error, __VA_ARGS__);\
		TAP_OK(refused == untouched && *hmem_last_error(ctx), "with a sentence only"); \
	} while (0)

static struct hmem_shelf_options of(uint64_t bytes)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.bytes = bytes;
	return options;
}

static char long_name[4097];

static const char *name_of(size_t bytes)
{
	memset(long_name, 'n', sizeof(long_name));
	long_name[bytes] = '\0';
	return long_name;
}

static void names(struct hmem_region *region)
{
	struct hmem_shelf_options options = of(MI);
	struct hmem_shelf *shelf, *again = untouched;

	REFUSED(-EINVAL, region, NULL, &options, "a shelf without a name");
	REFUSED(-EINVAL, region, "", &options, "an empty name");
	REFUSED(-EINVAL, region, "a/b", &options, "a name with a slash");
	TAP_OK(strstr(hmem_last_error(ctx), "a/b") && strstr(hmem_last_error(ctx), "REGION/SHELF"),
	       "it says why: %s", hmem_last_error(ctx));
	REFUSED(-EINVAL, region, "/", &options, "a slash for a name");
	REFUSED(-ENAMETOOLONG, region, name_of(64), &options, "a name of 64 bytes");
	REFUSED(-ENAMETOOLONG, region, name_of(4096), &options, "a name of 4096 bytes");
	TAP_EQ(hmem_shelf_open(region, name_of(64), NULL, &again), -ENAMETOOLONG,
	       "nor can one be opened");
	TAP_EQ(hmem_shelf_open(region, "", NULL, &again), -EINVAL, "nor one without");
	TAP_EQ(hmem_shelf_open(region, name_of(63), NULL, &again), -ENOENT,
	       "there is none of 63 bytes");
	TAP_OK(again == untouched, "no handle comes of it");
	need(hmem_shelf_create(region, name_of(63), &options, &shelf), "63 bytes");
	REFUSED(-EEXIST, region, name_of(63), &options, "a name twice");
	TAP_EQ(hmem_shelf_close(shelf), 0, "the first is closed");
	REFUSED(-EEXIST, region, name_of(63), &options, "closed it is still there");
	TAP_EQ(hmem_shelf_open(region, name_of(62), NULL, &again), -ENOENT,
	       "a name that begins the same is another");
	TAP_EQ(hmem_shelf_open(region, name_of(63), NULL, &shelf), 0, "63 bytes can be opened");
	hmem_shelf_close(shelf);
	need(hmem_shelf_create(region, "\xff\x01 \\\n", &options, &shelf), "odd bytes");
	hmem_shelf_close(shelf);
	TAP_EQ(hmem_shelf_open(region, "\xff\x01 \\\n", NULL, &shelf), 0, "any bytes are a name");
	hmem_shelf_close(shelf);
}

static int is_slashed(void *found, const struct hmem_shelf_info *info)
{
	*(bool *)found |= !strcmp(info->name, "a/b");
	return 0;
}

/* A shelf with a name that is not given any more. */
static void slashed(enum place place)
{
	struct hmem_shelf_options options = of(MI);
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	bool found = false;
	struct media media;

	if (!place_path(place))
		return;
	region = place_new(place, 16 * MI);
	need(hmem_shelf_create(region, "a_b", &options, &shelf), "a shelf");
	need(hmem_shelf_put(shelf, "object", "value", 5, NULL), "an object");
	need(hmem_shelf_close(shelf), "closing it");
	media_map(&media, place_path(place));
	for (unsigned int i = 0; i < RACK_COPIES; i++) {
		unsigned char *copy = media.file + i * RACK_COPY_BYTES;

		((struct rack_shelf *)(copy + sizeof(struct rack_header)))->name[1] = '/';
		rack_fix(copy);
	}
	media_unmap(&media);
	TAP_EQ(hmem_shelf_iterate(region, is_slashed, &found), 0, "a shelf of an earlier version");
	TAP_OK(found, "is listed, whatever its name");
	TAP_EQ(hmem_shelf_open(region, "a/b", NULL, &shelf), 0, "and can be opened");
	TAP_EQ(hmem_shelf_delete(shelf, "object"), 0, "and used");
	TAP_EQ(hmem_shelf_close(shelf), 0, "and closed");
	TAP_EQ(hmem_shelf_destroy(region, "a/b"), 0, "and destroyed");
	hmem_region_close(region);
}

static void sizes(struct hmem_region *region)
{
	static const uint64_t wrong[] = { 0,		    1ull << 63,	  ~0ull,
					  (1ull << 43) + 1, 3ull << 57,	  (1ull << 58) + MI,
					  (1ull << 63) + 1, ~0ull - MI };
	struct hmem_shelf_options options;
	struct hmem_shelf *shelf;
	int err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		options = of(wrong[i]);
		REFUSED(-EINVAL, region, "size", &options, "%#llx bytes",
			(unsigned long long)wrong[i]);
	}
	options = of(GI);
	REFUSED(-ENOSPC, region, "size", &options, "more than the region");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (wrong[i] == ~0ull)
			continue;
		options = of(wrong[i]);
		options.flags = HMEM_SHELF_GROSS;
		REFUSED(-ENOSPC, region, "size", &options, "%#llx bytes of the region",
			(unsigned long long)wrong[i]);
	}
	options = of(2 * MI);
	options.max_bytes = MI;
	REFUSED(-EINVAL, region, "size", &options, "more than it may grow to");
	options = of(MI);
	options.slots = 1024;
	REFUSED(-EINVAL, region, "size", &options, "1024 slots");
	options.slots = ~0u;
	REFUSED(-EINVAL, region, "size", &options, "2^32 - 1 slots");
	options.slots = 1;
	options.max_bytes = ~0ull;
	shelf = untouched;
	err = hmem_shelf_create(region, "one", &options, &shelf);
	if (SANITIZED(false, false, err == -ENOMEM)) {
		tap_skip("all that a shelf can grow to",
			 "the sanitizer of races takes the address space that this needs");
		TAP_OK(shelf == untouched && strstr(hmem_last_error(ctx), "address space"),
		       "which is said, and gives no handle");
		options.max_bytes = 16 * MI;
		need(hmem_shelf_create(region, "one", &options, &shelf), "less, under that name");
	} else {
		TAP_EQ(err, 0, "one slot, and all that it can grow to");
	}
	TAP_EQ(hmem_shelf_put(shelf, "x", "1", 1, NULL), 0, "it can be used");
	hmem_shelf_close(shelf);
	options = of(1);
	options.slots = 1023;
	options.max_bytes = 16 * MI;
	TAP_EQ(hmem_shelf_create(region, "most", &options, &shelf), 0, "1023 slots, one byte");
	TAP_EQ(hmem_shelf_put(shelf, "x", "1", 1, NULL), 0, "it can be used");
	hmem_shelf_close(shelf);
	/* What failed took nothing: there is room for this one. */
	options = of(16 * MI);
	TAP_EQ(hmem_shelf_create(region, "size", &options, &shelf), 0, "the name is still free");
	hmem_shelf_close(shelf);
}

static void structs(struct hmem_region *region)
{
	struct {
		struct hmem_shelf_options options;
		unsigned char more[8];
	} longer = { .options = of(MI) };
	struct hmem_shelf_options options = of(MI);
	struct {
		struct hmem_shelf_info info;
		unsigned char more[8];
	} info = { .info = { .size = sizeof(info.info) - 1 } };
	struct hmem_shelf *shelf, *other;

	REFUSED(-EINVAL, region, "struct", NULL, "no options");
	TAP_EQ(hmem_shelf_create(region, "struct", &options, NULL), -EINVAL, "no place for it");
	TAP_EQ(hmem_shelf_open(region, "struct", NULL, NULL), -EINVAL, "nor when it is opened");
	TAP_EQ(hmem_shelf_create(NULL, "struct", &options, &shelf), -EINVAL, "no region");
	TAP_EQ(hmem_shelf_open(NULL, "struct", NULL, &shelf), -EINVAL, "nor when it is opened");
	options.size = 0;
	REFUSED(-EINVAL, region, "struct", &options, "options without a size");
	options.size = sizeof(options) - 1;
	REFUSED(-EINVAL, region, "struct", &options, "options one byte short");
	longer.options.size = sizeof(longer.options) + 1;
	longer.more[0] = 1;
	REFUSED(-E2BIG, region, "struct", &longer.options, "options one byte longer, not zero");
	options.size = sizeof(options);
	options.flags = HMEM_SHELF_READ_ONLY;
	REFUSED(-EINVAL, region, "struct", &options, "created read-only");
	options.flags = 1u << 31;
	REFUSED(-EINVAL, region, "struct", &options, "an unknown flag");
	longer.more[0] = 0;
	TAP_EQ(hmem_shelf_create(region, "struct", &longer.options, &shelf), 0,
	       "options one byte longer, zero");
	TAP_EQ(hmem_shelf_open(region, "struct", &options, &other), -EINVAL,
	       "an unknown flag when it is opened");
	options.flags = HMEM_SHELF_ORDERED;
	TAP_EQ(hmem_shelf_open(region, "struct", &options, &other), -EINVAL,
	       "order is chosen when it is created");

	TAP_EQ(hmem_shelf_get_info(shelf, &info.info), -EINVAL, "an info one byte short");
	TAP_EQ(hmem_shelf_get_info(shelf, NULL), -EINVAL, "no info");
	TAP_EQ(hmem_shelf_get_info(NULL, &info.info), -EINVAL, "an info of nothing");
	info.info.size = sizeof(info);
	memset(info.more, 5, sizeof(info.more));
	TAP_EQ(hmem_shelf_get_info(shelf, &info.info), 0, "a longer info");
	TAP_OK(!memcmp(info.more, "\0\0\0\0\0\0\0", 8), "what is not known is zero");
	hmem_shelf_close(shelf);
	TAP_EQ(hmem_shelf_close(NULL), 0, "nothing is closed");
}

static void info(struct hmem_region *region, enum place place)
{
	struct hmem_shelf_info one = { .size = sizeof(one) }, two = { .size = sizeof(two) };
	struct hmem_shelf_options options = of(3 * MI);
	struct hmem_shelf *shelf, *other;

	options.max_bytes = 64 * MI;
	need(hmem_shelf_create(region, "info", &options, &shelf), "info");
	need(hmem_shelf_get_info(shelf, &one), "info");
	TAP_STR_EQ(one.name, "info", "its name");
	TAP_EQ(one.bytes, 3 * MI, "its size");
	TAP_EQ(one.max_bytes, 64 * MI, "what it may grow to");
	TAP_OK(one.free_bytes <= one.bytes && one.free_bytes > one.bytes - 64 * KI,
	       "nearly all of it is free");
	TAP_OK(!one.objects && !one.ordered && !one.dirty_shutdowns, "nothing is on it");
	TAP_EQ(one.durability, place_syncs(place) ? HMEM_DURABLE_MSYNC : HMEM_DURABLE_NONE,
	       "how durable it is");
	need(hmem_shelf_put(shelf, "a", "x", 1, NULL), "put");
	need(hmem_shelf_put(shelf, "b", "x", 1, NULL), "put");
	need(hmem_shelf_delete(shelf, "a"), "delete");
	need(hmem_shelf_open(region, "info", NULL, &other), "another handle");
	need(hmem_shelf_get_info(other, &two), "info");
	TAP_EQ(two.objects, 1, "one object, seen from another handle");
	TAP_EQ(two.fences, 0, "which made no fence");
	TAP_OK(!memcmp(one.uuid, two.uuid, 16), "the same shelf");
	need(hmem_shelf_put(other, "c", "x", 1, NULL), "put");
	need(hmem_shelf_get_info(shelf, &one), "info");
	TAP_EQ(one.objects, 2, "what the other put counts here as well");
	hmem_shelf_close(other);
	hmem_shelf_close(shelf);
	need(hmem_shelf_create(region, "another", &options, &shelf), "another");
	need(hmem_shelf_get_info(shelf, &two), "info");
	TAP_OK(memcmp(one.uuid, two.uuid, 16), "another shelf is another");
	hmem_shelf_close(shelf);
}

/* What two handles of one shelf, or of one region, keep from one another. */
static void several(struct hmem_region *region)
{
	struct hmem_shelf_options options = of(MI);
	struct hmem_shelf *shelf[121], *handle = untouched;
	struct hmem_object object;
	unsigned int made;
	char name[16];

	options.slots = 1;
	options.max_bytes = MI;
	options.bytes = 64 * KI;
	for (made = 0; made < 121; made++) {
		snprintf(name, sizeof(name), "shelf-%u", made);
		if (hmem_shelf_create(region, name, &options, &shelf[made]))
			break;
		need(hmem_shelf_put(shelf[made], "name", name, strlen(name), NULL), "put");
	}
	TAP_EQ(made, 120, "120 shelves in a region");
	REFUSED(-ENOSPC, region, "shelf-120", &options, "and not one more");
	for (unsigned int i = 0; i < made; i++) {
		int length = snprintf(name, sizeof(name), "shelf-%u", i);

		if (hmem_shelf_get(shelf[i], "name", &object) || object.bytes != (size_t)length ||
		    memcmp(object.data, name, object.bytes)) {
			TAP_OK(false, "%s has what was put on it", name);
			break;
		}
		hmem_shelf_release(shelf[i], &object);
		if (i & 1)
			need(hmem_shelf_close(shelf[i]), "close");
	}
	TAP_EQ(hmem_shelf_open(region, "shelf-17", NULL, &handle), 0, "one is opened again");
	TAP_EQ(hmem_shelf_get(handle, "name", &object), 0, "and has its object");
	TAP_OK(object.bytes == 8 && !memcmp(object.data, "shelf-17", 8), "not another's");
	hmem_shelf_close(handle);
	for (unsigned int i = 0; i < made; i += 2)
		hmem_shelf_close(shelf[i]);
}

static void exclusive(struct hmem_region *region)
{
	struct hmem_shelf_options options = of(MI), alone = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf, *other = untouched;

	alone.flags = HMEM_SHELF_EXCLUSIVE;
	options.flags = HMEM_SHELF_EXCLUSIVE;
	need(hmem_shelf_create(region, "alone", &options, &shelf), "alone");
	TAP_EQ(hmem_shelf_open(region, "alone", NULL, &other), -EBUSY, "created to be alone");
	TAP_EQ(hmem_shelf_open(region, "alone", &alone, &other), -EBUSY, "so no other may either");
	TAP_EQ(hmem_shelf_put(shelf, "x", "1", 1, NULL), 0, "the first goes on");
	hmem_shelf_close(shelf);
	need(hmem_shelf_open(region, "alone", NULL, &shelf), "open");
	TAP_EQ(hmem_shelf_open(region, "alone", &alone, &other), -EBUSY, "somebody has it open");
	TAP_OK(other == untouched, "no handle comes of it");
	hmem_shelf_close(shelf);
	TAP_EQ(hmem_shelf_open(region, "alone", &alone, &other), 0, "nobody has it open");
	TAP_EQ(hmem_shelf_open(region, "alone", NULL, &shelf), -EBUSY, "now somebody has");
	hmem_shelf_close(other);
}

static void read_only(struct hmem_region *region, enum place place)
{
	struct hmem_shelf_options options = of(MI), reader = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_shelf *shelf, *other;
	struct hmem_region *opened;
	struct hmem_object object;
	size_t length = 0;
	char buffer[8];

	need(hmem_shelf_create(region, "seen", &options, &shelf), "seen");
	need(hmem_shelf_put(shelf, "x", "12345", 5, NULL), "put");
	reader.flags = HMEM_SHELF_READ_ONLY;
	opened = hmem_region_ref(region);
	if (place_path(place)) {
		hmem_region_close(opened);
		need(hmem_region_open(ctx, place_path(place), HMEM_OPEN_READ_ONLY, &opened),
		     "a region to be read");
		TAP_EQ(hmem_shelf_create(opened, "no", &options, &other), -EROFS,
		       "in a region opened read-only no shelf is made");
		reader.flags = HMEM_SHELF_EXCLUSIVE;
		TAP_EQ(hmem_shelf_open(opened, "seen", &reader, &other), -EROFS,
		       "nor can one be had alone");
		TAP_OK(strstr(hmem_last_error(ctx), "opened read-only; open the region for writing"),
		       "which is said, with what to do");
		reader.flags = HMEM_SHELF_READ_ONLY;
		TAP_EQ(hmem_shelf_open(opened, "seen", NULL, &other), 0, "but one is read");
		TAP_EQ(hmem_shelf_put(other, "x", "1", 1, NULL), -EROFS, "and not written");
		hmem_shelf_close(other);
	}
	TAP_EQ(hmem_shelf_open(opened, "seen", &reader, &other), 0, "a read-only handle");
	TAP_EQ(hmem_shelf_read(other, "x", buffer, sizeof(buffer), &length), 0, "reads copies");
	TAP_OK(length == 5 && !memcmp(buffer, "12345", 5), "of what is there");
	TAP_EQ(hmem_shelf_get(other, "x", &object), -EROFS, "but pins nothing");
	TAP_EQ(hmem_shelf_put(other, "x", "1", 1, NULL), -EROFS, "puts nothing");
	TAP_EQ(hmem_shelf_delete(other, "x"), -EROFS, "deletes nothing");
	need(hmem_shelf_put(shelf, "x", "678", 3, NULL), "put");
	TAP_EQ(hmem_shelf_read(other, "x", buffer, sizeof(buffer), &length), 0, "reads again");
	TAP_OK(length == 3 && !memcmp(buffer, "678", 3), "what was put in the meantime");
	TAP_EQ(hmem_shelf_read(other, "y", buffer, sizeof(buffer), &length), -ENOENT, "or nothing");
	need(hmem_shelf_get_info(other, &info), "info");
	TAP_EQ(info.fences, 0, "reading makes no fence");
	TAP_EQ(hmem_shelf_close(other), 0, "it is closed");
	hmem_shelf_close(shelf);
	hmem_region_close(opened);
}

/* What one does who may read the file, and no more: the status says how far he came. */
static int as_stranger(const char *path, int told, int go_on)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	char value[16] = "", byte;
	size_t bytes;

	if (setgid(65534) || setuid(65534) || hmem_ctx_new(&ctx))
		return 1;
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	if (hmem_region_open(ctx, path, 0, &region) != -EACCES)
		return 2;
	if (hmem_region_open(ctx, path, HMEM_OPEN_READ_ONLY, &region))
		return 3;
	options.flags = HMEM_SHELF_EXCLUSIVE;
	if (hmem_shelf_open(region, "s", &options, &shelf) != -EROFS)
		return 4;
	options.flags = HMEM_SHELF_READ_ONLY;
	if (hmem_shelf_open(region, "s", &options, &shelf))
		return 5;
	if (hmem_shelf_read(shelf, "x", value, sizeof(value), &bytes) || strcmp(value, "old"))
		return 6;
	/* Meanwhile its owner replaces it, and makes the shelf larger. */
	if (write(told, "", 1) != 1 || read(go_on, &byte, 1) != 1)
		return 7;
	if (hmem_shelf_read(shelf, "x", value, sizeof(value), &bytes) || strcmp(value, "new"))
		return 8;
	if (hmem_shelf_read(shelf, "far", NULL, 0, &bytes) != -ERANGE || bytes != 100 * KI)
		return 9;
	if (hmem_shelf_put(shelf, "y", "y", 1, NULL) != -EROFS ||
	    hmem_shelf_delete(shelf, "x") != -EROFS || hmem_shelf_grow(shelf, 4 * MI) != -EROFS)
		return 10;
	return hmem_shelf_close(shelf) ? 11 : 0;
}

static void other_user(enum place place)
{
	static char large[100 * KI];
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options how = HMEM_SHELF_OPTIONS_INIT;
	int told[2], go_on[2], status = -1;
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	char path[64], name[32], byte;
	pid_t pid;

	if (place != PLACE_SHM)
		return;
	if (getuid()) {
		tap_skip("a shelf of another user", "only root can be somebody else");
		return;
	}
	/* Not where a test's own files are: nobody else may look there. */
	snprintf(path, sizeof(path), "/dev/shm/hmem-shelf-open-%d", (int)getpid());
	options.bytes = 16 * MI;
	options.mode = 0644;
	how.bytes = MI;
	how.max_bytes = 8 * MI;
	need(hmem_region_create(ctx, path, &options, &region), "a region");
	need(hmem_shelf_create(region, "s", &how, &shelf), "a shelf");
	need(hmem_shelf_put(shelf, "x", "old", 4, NULL), "an object");
	if (pipe(told) || pipe(go_on))
		tap_bail("a pipe");
	pid = fork();
	if (!pid)
		_exit(as_stranger(path, told[1], go_on[0]));
	close(told[1]);
	if (read(told[0], &byte, 1) == 1) {
		need(hmem_shelf_put(shelf, "x", "new", 4, NULL), "replacing it");
		need(hmem_shelf_grow(shelf, 4 * MI), "growing");
		for (unsigned int i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "%u", i);
			need(hmem_shelf_put(shelf, i < 19 ? name : "far", large, sizeof(large), NULL),
			     name);
		}
		if (write(go_on[1], "", 1) != 1)
			tap_bail("the pipe");
	}
	waitpid(pid, &status, 0);
	TAP_EQ(status, 0, "who may only read another user's shelf reads what its owner puts, and no more");
	close(told[0]);
	close(go_on[0]);
	close(go_on[1]);
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong with it");
	need(hmem_shelf_close(shelf), "closing");
	hmem_region_close(region);
	unlink(path);
}

static void region_first(enum place place)
{
	struct hmem_region *region = place_new(place, 128 * MI);
	struct hmem_shelf_options options = of(MI);
	struct hmem_shelf *shelf = place_shelf(region, MI);
	struct hmem_object object;

	hmem_region_close(region);
	TAP_EQ(hmem_shelf_put(shelf, "x", "12345", 5, NULL), 0, "the shelf holds its region");
	TAP_EQ(hmem_shelf_get(shelf, "x", &object), 0, "which stays mapped");
	hmem_shelf_release(shelf, &object);
	hmem_shelf_close(shelf);

	region = place_new(place, 4096);
	REFUSED(-ENOSPC, region, "x", &options, "a region of a page");
	TAP_EQ(hmem_shelf_open(region, "x", NULL, &shelf), -ENOSPC, "has no shelves either");
	hmem_region_close(region);
	region = place_new(place, MI);
	TAP_EQ(hmem_shelf_open(region, "x", NULL, &shelf), -ENOENT, "a blank region has none");
	hmem_region_close(region);
}

static void something_else(enum place place)
{
	static const struct {
		size_t at;
		const char *what;
	} cases[] = { { 0, "in the first byte" }, { 32 * KI, "in the second copy" } };
	struct hmem_shelf_options options = of(MI);
	struct hmem_shelf *shelf = untouched;
	unsigned char *memory;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hmem_region *region = place_new(place, 8 * MI);

		need(hmem_region_map(region, 0, MI, (void **)&memory, NULL), "map");
		memory[cases[i].at] = 1;
		REFUSED(-EUCLEAN, region, "x", &options, "something else %s", cases[i].what);
		TAP_EQ(hmem_shelf_open(region, "x", NULL, &shelf), -EUCLEAN, "nor is one opened");
		TAP_EQ(memory[cases[i].at], 1, "it is still there");
		hmem_region_unmap(region, memory, MI);
		hmem_region_close(region);
	}
}

/* A child of fork(2) has nothing of it, and may open it for itself. */
static void child(struct hmem_region *region)
{
	struct hmem_shelf_options options = of(MI);
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_shelf *shelf, *own;
	struct hmem_object object;
	int status = -1;
	char buffer[8];
	size_t length;
	pid_t pid;

	need(hmem_shelf_create(region, "fork", &options, &shelf), "fork");
	need(hmem_shelf_put(shelf, "x", "1", 1, NULL), "put");
	need(hmem_shelf_get(shelf, "x", &object), "get");
	pid = fork();
	if (!pid) {
		int failed = 0;

		failed |= (hmem_shelf_put(shelf, "x", "2", 1, NULL) != -ECHILD) << 0;
		failed |= (hmem_shelf_get(shelf, "x", &object) != -ECHILD) << 1;
		failed |= (hmem_shelf_read(shelf, "x", buffer, 8, &length) != -ECHILD) << 2;
		failed |= (hmem_shelf_delete(shelf, "x") != -ECHILD) << 3;
		failed |= (hmem_shelf_get_info(shelf, &info) != -ECHILD) << 4;
		failed |= (hmem_shelf_close(shelf) != 0) << 5;
		failed |= (hmem_shelf_open(region, "fork", NULL, &own) != 0) << 6;
		if (!failed)
			failed |= (hmem_shelf_put(own, "y", "2", 1, NULL) || hmem_shelf_close(own))
				  << 7;
		_exit(failed);
	}
	TAP_OK(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "a child of fork ends");
	TAP_EQ(WEXITSTATUS(status), 0,
	       "every call of it is -ECHILD, until it opens the shelf for itself");
	TAP_EQ(*(char *)object.data, '1', "what the parent pinned is there");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_get(shelf, "y", &object), 0, "and so is what the child put");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_put(shelf, "x", "3", 1, NULL), 0, "the parent goes on");
	TAP_EQ(hmem_shelf_close(shelf), 0, "and closes it");
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++) {
		struct hmem_region *region = place_new(place, 256 * MI);

		tap_diag("in %s", place_names[place]);
		names(region);
		sizes(region);
		structs(region);
		info(region, place);
		exclusive(region);
		read_only(region, place);
		child(region);
		hmem_region_close(region);
		region = place_new(place, 64 * MI);
		several(region);
		hmem_region_close(region);
		other_user(place);
		region_first(place);
		something_else(place);
		slashed(place);
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
