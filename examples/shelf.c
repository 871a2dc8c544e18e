// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Named objects on a shelf, from a shell:
 *
 *	shelf REGION put NAME TEXT
 *	shelf REGION get NAME
 *	shelf REGION delete NAME
 *	shelf REGION list
 *
 * REGION is such as file:/dev/shm/notes, which is made when it is not there, or hmem:notes.
 */
#include <errno.h>
#include <hmem/hmem.h>
#include <stdio.h>
#include <string.h>

static int open_region(struct hmem_ctx *ctx, const char *name, struct hmem_region **region)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	int err = hmem_region_open(ctx, name, 0, region);

	options.bytes = 16 << 20;
	return err == -ENOENT ? hmem_region_create(ctx, name, &options, region) : err;
}

static int open_shelf(struct hmem_region *region, struct hmem_shelf **shelf)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	int err = hmem_shelf_open(region, "notes", NULL, shelf);

	options.bytes = 8 << 20;
	return err == -ENOENT ? hmem_shelf_create(region, "notes", &options, shelf) : err;
}

static int list(struct hmem_shelf *shelf)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	int err = hmem_cursor_open(shelf, NULL, 0, &cursor);

	if (err)
		return err;
	while ((err = hmem_cursor_next(cursor, &entry)) > 0)
		printf("%s, %zu bytes\n", entry.name, entry.bytes);
	hmem_cursor_close(cursor);
	return err;
}

static int get(struct hmem_shelf *shelf, const char *name)
{
	struct hmem_object object;
	int err = hmem_shelf_get(shelf, name, &object);

	if (err)
		return err;
	/* In place: no copy was made, and nobody changes it until it is released. */
	fwrite(object.data, 1, object.bytes, stdout);
	putchar('\n');
	hmem_shelf_release(shelf, &object);
	return 0;
}

static int run(struct hmem_shelf *shelf, int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[2], "put"))
		return hmem_shelf_put(shelf, argv[3], argv[4], strlen(argv[4]), NULL);
	if (argc == 4 && !strcmp(argv[2], "get"))
		return get(shelf, argv[3]);
	if (argc == 4 && !strcmp(argv[2], "delete"))
		return hmem_shelf_delete(shelf, argv[3]);
	if (argc == 3 && !strcmp(argv[2], "list"))
		return list(shelf);
	fprintf(stderr, "usage: shelf REGION put NAME TEXT | get NAME | delete NAME | list\n");
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	struct hmem_ctx *ctx;
	int err, closed;

	if (argc < 3 || hmem_ctx_new(&ctx))
		return 1;
	err = open_region(ctx, argv[1], &region);
	if (!err) {
		err = open_shelf(region, &shelf);
		hmem_region_close(region);
	}
	if (!err) {
		err = run(shelf, argc, argv);
		if (err)
			fprintf(stderr, "%s\n", hmem_last_error(ctx));
		closed = hmem_shelf_close(shelf);
		if (!err)
			err = closed;
	} else {
		fprintf(stderr, "%s\n", hmem_last_error(ctx));
	}
	hmem_ctx_unref(ctx);
	return err != 0;
}
