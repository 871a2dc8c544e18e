// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names: which provider one selects, and every way for a name to be wrong. The
 * sysroot has a control device, so that what is wrong is the name and not the module.
 */
#include <hmem/hmem.h>

#include "sysroot.h"

static struct hmem_ctx *ctx;
static char long_name[4200];

static const char *x(const char *before, size_t count)
{
	strcpy(long_name, before);
	memset(long_name + strlen(before), 'x', count);
	long_name[strlen(before) + count] = '\0';
	return long_name;
}

/* Nothing is written on failure, and there is a sentence that says why. */
static void refused(const char *name, int error, const char *sentence, const char *what)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *mark = (struct hmem_region *)&options, *region = mark;
	struct hmem_region_info info = { .size = sizeof(info), .bytes = 4711 };
	const char *got;

	options.bytes = 4096;
	TAP_EQ(hmem_region_open(ctx, name, 0, &region), error, "open: %s", what);
	got = hmem_last_error(ctx);
	if (!TAP_OK(strstr(got, sentence), "the message of %s", what))
		tap_diag("\"%s\" lacks \"%s\"", got, sentence);
	TAP_EQ(hmem_region_create(ctx, name, &options, &region), error, "create: %s", what);
	TAP_EQ(hmem_region_destroy(ctx, name), error, "destroy: %s", what);
	TAP_EQ(hmem_region_get_info_by_name(ctx, name, &info), error, "info: %s", what);
	TAP_OK(region == mark && info.bytes == 4711, "nothing is written: %s", what);
}

/* Names that are well-formed, and find nothing. */
static void absent(const char *name, int error, const char *sentence)
{
	struct hmem_region *region;

	TAP_EQ(hmem_region_open(ctx, name, 0, &region), error, "\"%.20s\" finds nothing", name);
	if (!TAP_OK(strstr(hmem_last_error(ctx), sentence), "\"%.20s\" was looked for", name))
		tap_diag("\"%s\" lacks \"%s\"", hmem_last_error(ctx), sentence);
}

int main(void)
{
	char name[] = "hmem:a?b";

	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	scratch_write("dev/hmem/control", "");

	refused(NULL, -EINVAL, "empty", "no name");
	refused("", -EINVAL, "empty", "the empty name");
	refused("nvme:db", -EINVAL, "hmem: dax: file: anon:", "an unknown scheme");
	refused("HMEM:db", -EINVAL, "\"HMEM\"", "a scheme in capitals");
	refused("hmem:", -EINVAL, "empty", "no region behind the colon");
	refused("file:", -EINVAL, "path", "no path behind the colon");
	refused("hmem:.hidden", -EINVAL, "begin", "a leading dot");
	refused("hmem:..", -EINVAL, "begin", "two dots");
	refused("-rf", -EINVAL, "begin", "a leading dash");
	refused("hmem:control", -EINVAL, "taken", "the control device");
	refused("hmem:a/b", -EINVAL, "file:PATH", "a slash");
	refused("hmem:../../etc/passwd", -EINVAL, "begin", "a way out");
	refused("a/../b", -EINVAL, "letters", "a way around");
	refused("1:2", -EINVAL, "letters", "a colon that ends no scheme");
	refused(":", -EINVAL, "letters", "a colon alone");
	refused("caf\303\251", -EINVAL, "letters", "a letter that is not ASCII");
	refused("two words", -EINVAL, "letters", "a space");
	refused(x("", 64), -ENAMETOOLONG, "63", "64 bytes");
	refused(x("hmem:", 64), -ENAMETOOLONG, "63", "64 bytes behind a scheme");
	refused(x("hmem:", 4096), -ENAMETOOLONG, "255", "4096 bytes behind a scheme");
	refused(x("", 4096), -ENAMETOOLONG, "255", "4096 bytes");
	refused(x("file:/", 4096), -ENAMETOOLONG, "255", "a path of 4096 bytes");
	refused(x("file:/", 250), -ENAMETOOLONG, "255", "a name of 256 bytes");
	refused(x("nvme:", 4096), -ENAMETOOLONG, "255", "an unknown scheme and 4096 bytes");
	refused(x("", 4096), -ENAMETOOLONG, "255", "a scheme of 4096 letters");

	for (int c = 1; c < 256; c++) {
		struct hmem_region *region;
		bool good;

		if (c == ':' || c == '/')
			continue;
		good = strchr("._-", c) || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		       (c >= 'A' && c <= 'Z');
		name[6] = (char)c;
		TAP_EQ(hmem_region_open(ctx, name, 0, &region), good ? -ENOENT : -EINVAL,
		       "byte %d in a name", c);
	}

	absent("db", -ENOENT, "no region db");
	absent("hmem:db", -ENOENT, "no region db");
	absent("0", -ENOENT, "no region 0");
	absent("_x.y-z", -ENOENT, "no region _x.y-z");
	absent("controls", -ENOENT, "no region controls");
	absent(x("", 63), -ENOENT, "no region xxx");
	absent("/no/such/file", -ENOENT, "file:/no/such/file");
	absent("./no-such-file", -ENOENT, "file:./no-such-file");
	absent("../no-such-file", -ENOENT, "file:../no-such-file");
	absent("file:no-such-file", -ENOENT, "file:no-such-file");
	absent("file:hmem:x", -ENOENT, "file:hmem:x");
	absent(x("file:", 250), -ENOENT, "file:xxx");
	absent("dax:", -EINVAL, "dax:/dev/dax0.0");
	absent("dax:dax7.1", -ENOENT, "/dev/dax7.1");
	absent("dax:/dev/dax7.1", -ENOENT, "/dev/dax7.1");
	absent("anon:db", -EOPNOTSUPP, "handle");

	unlink(scratch_path("dev/hmem/control"));
	absent("db", -ENODEV, "not loaded");
	refused("hmem:", -EINVAL, "empty", "a bad name without the module");
	hmem_ctx_unref(ctx);
	return tap_done();
}
