// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filling reserved memory by hmem_shelf_copy(): whatever the pieces, what is published is what
 * was copied; and HMEM_PUT_COPIED has nothing of a value written back, which is what it is for.
 */
#include <signal.h>
#include <sys/mman.h>

#include "shelf_place.h"

static struct hmem_region *region;
static struct hmem_shelf *shelf;
static unsigned char value[200000];

static void begin(enum place place, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	tap_diag("in %s, flags %#x", place_names[place], flags);
	region = place_new(place, 24 * MI);
	options.bytes = 16 * MI;
	options.flags = flags;
	need(hmem_shelf_create(region, "s", &options, &shelf), "creating a shelf");
}

static void end(void)
{
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "the shelf is in order");
	need(hmem_shelf_close(shelf), "closing");
	hmem_region_close(region);
}

static unsigned char *reserve(const char *name, size_t bytes, size_t align)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	void *data;

	options.align = align;
	need(hmem_shelf_reserve(shelf, name, bytes, &options, &data), "reserve");
	return data;
}

static bool has(const char *name, size_t bytes)
{
	struct hmem_object object;
	bool good = !hmem_shelf_get(shelf, name, &object) && object.bytes == bytes &&
		    !memcmp(object.data, value, bytes);

	hmem_shelf_release(shelf, &object);
	return good;
}

/* In pieces that begin and end anywhere, and some of which are many pages. */
static void pieces(size_t bytes, size_t align, size_t step)
{
	unsigned char *data = reserve("pieces", bytes, align);
	bool good = true;

	for (size_t at = 0, piece = step; at < bytes; at += piece, piece = piece * 3 + 1) {
		if (piece > bytes - at)
			piece = bytes - at;
		good = good && !hmem_shelf_copy(shelf, data + at, value + at, piece);
	}
	TAP_OK(good && !hmem_shelf_publish(shelf, data, HMEM_PUT_COPIED) && has("pieces", bytes),
	       "%zu bytes, aligned to %zu, of which the first %zu are copied first", bytes, align, step);
}

static void refused(void)
{
	unsigned char *data = reserve("refused", 4096, 0);
	char other[16];

	TAP_EQ(hmem_shelf_copy(NULL, data, value, 1), -EINVAL, "no shelf");
	TAP_EQ(hmem_shelf_copy(shelf, NULL, value, 1), -EINVAL, "to nowhere");
	TAP_EQ(hmem_shelf_copy(shelf, data, NULL, 1), -EINVAL, "from nowhere");
	TAP_EQ(hmem_shelf_copy(shelf, other, value, 1), -EINVAL, "to memory of the caller's");
	TAP_OK(strstr(hmem_last_error(ctx), "reserved"), "and is told what it has to be");
	TAP_EQ(hmem_shelf_copy(shelf, data, value, SIZE_MAX / 2), -EINVAL, "far beyond the shelf");
	TAP_EQ(hmem_shelf_copy(shelf, data, value, SIZE_MAX), -EINVAL, "and around the address space");
	TAP_EQ(hmem_shelf_copy(shelf, data, NULL, 0), 0, "nothing, from nowhere");
	TAP_EQ(hmem_shelf_put(shelf, "refused", value, 1, &(struct hmem_put_options){
			       .size = sizeof(struct hmem_put_options), .flags = HMEM_PUT_COPIED }),
	       -EINVAL, "a put copies by itself");
	need(hmem_shelf_cancel(shelf, data), "cancel");
}

/*
 * In a process of its own: the pages of the value cannot be reached when it is published. Only
 * those that have nothing else in them: the header lies in front of the first.
 */
static int publish_unreachable(unsigned int flags)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		unsigned char *data;

		signal(SIGSEGV, SIG_DFL);
		need(hmem_ctx_new(&ctx), "a context");
		begin(PLACE_SHM, HMEM_SHELF_FLUSH);
		data = reserve("away", 64 << 10, 4096);
		need(hmem_shelf_copy(shelf, data, value, 64 << 10), "copy");
		if (mprotect(data, 64 << 10, PROT_NONE))
			_exit(2);
		_exit(hmem_shelf_publish(shelf, data, flags) ? 3 : 0);
	}
	if (waitpid(child, &status, 0) != child)
		tap_bail("waiting for a process");
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void not_written_back(void)
{
	TAP_EQ(publish_unreachable(HMEM_PUT_COPIED), 0, "what was copied is not written back");
	TAP_EQ(publish_unreachable(0), -SIGSEGV, "unless that is not told");
}

static void read_only(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	unsigned char *data = reserve("x", 10, 0);
	struct hmem_shelf *other;

	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "s", &options, &other), "opening to read");
	TAP_EQ(hmem_shelf_copy(other, data, value, 10), -EROFS, "read-only");
	need(hmem_shelf_close(other), "closing");
	need(hmem_shelf_cancel(shelf, data), "cancel");
}

int main(void)
{
	static const size_t sizes[] = { 1, 63, 1023, 1024, 5000, 65536, sizeof(value) };

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (unsigned char)(i * 2654435761u >> 13);
	/* Of this process, which removes it. */
	place_path(PLACE_SHM);
	not_written_back();
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++) {
		begin(place, place == PLACE_SHM ? HMEM_SHELF_FLUSH : 0);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			pieces(sizes[i], 0, 1);
			pieces(sizes[i], 4096, 1000);
			pieces(sizes[i], 64, sizes[i]);
		}
		refused();
		if (place != PLACE_ANON)
			read_only();
		end();
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
