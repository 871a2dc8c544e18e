// SPDX-License-Identifier: GPL-2.0-only
/*
 * CXL memory as system RAM, without hmem.ko: spaces of layer "cxl" and of DRAM beside it, and the
 * kernel is asked on which node each of their pages is.
 *
 * hmem-test: topology=numa1 alone kernels=newest long=lts timeout=180
 */
#include "pools.h"
#include "spaces.h"

#define PIECE (2 * MI)
#define PAGES (PIECE / 4096)

static struct hmem_layer_info dram = { .size = sizeof(dram) }, cxl = { .size = sizeof(cxl) };

/* --- where pages are ----------------------------------------------------------------- */

/* Pages of a piece that are on node @nid; those that nothing has touched are on none. */
static unsigned int pages_on(char *piece, int nid)
{
	void *pages[PAGES];
	int nodes[PAGES];
	unsigned int n = 0;

	for (size_t i = 0; i < PAGES; i++)
		pages[i] = piece + i * 4096;
	if (syscall(SYS_move_pages, 0, PAGES, pages, NULL, nodes, 0))
		tap_bail("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < PAGES; i++)
		n += nodes[i] == nid;
	return n;
}

/* A letter for each 2 MiB: d, c or '.' when all of it is on DRAM, CXL memory, or not there. */
static const char *drawn(char *from, uint64_t bytes)
{
	static char text[129];
	size_t n = bytes / PIECE;

	if (n >= sizeof(text))
		tap_bail("so much is not drawn");
	for (size_t i = 0; i < n; i++) {
		unsigned int near = pages_on(from + i * PIECE, dram.nid);
		unsigned int far = pages_on(from + i * PIECE, cxl.nid);

		text[i] = near == PAGES ? 'd' : far == PAGES ? 'c' : near + far ? '?' : '.';
	}
	text[n] = '\0';
	return text;
}

static uint64_t bytes_on(char *from, uint64_t bytes, int nid)
{
	uint64_t n = 0;

	for (uint64_t at = 0; at < bytes; at += PIECE)
		n += 4096ull * pages_on(from + at, nid);
	return n;
}

static struct hmem_layer_info layer_now(const char *name)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	struct hmem_layer_info info = { .size = sizeof(info) };
	size_t one = 1;

	wanted.name = name;
	if (hmem_layer_select(ctx, &wanted, &info, &one))
		tap_bail("%s", hmem_last_error(ctx));
	return info;
}

/* --- a space, all of which is one block ---------------------------------------------- */

struct whole {
	struct hmem_space *space;
	struct hmem_interface *interface;
	char *at;
	uint64_t bytes;
};

static struct whole must_whole(const struct hmem_space_options *options)
{
	struct hmem_space_info info = { .size = sizeof(info) };
	struct whole w = { .space = must_space_of(options) };

	w.interface = must_interface(w.space, HMEM_STRATEGY_GENERAL);
	if (hmem_space_get_info(w.space, &info))
		tap_bail("%s", hmem_last_error(ctx));
	w.bytes = info.bytes;
	w.at = hmem_malloc(w.interface, w.bytes);
	if (!w.at)
		tap_bail("no block of all the space");
	return w;
}

static void whole_end(struct whole *w)
{
	hmem_interface_unref(w->interface);
	hmem_space_unref(w->space);
}

static struct hmem_space_options on(const char *layer, uint64_t bytes, uint32_t flags)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	options.layer = layer;
	options.bytes = bytes;
	options.flags = flags;
	return options;
}

static void test_layer(void)
{
	TAP_OK(cxl.kind == HMEM_LAYER_CXL && dram.kind == HMEM_LAYER_DRAM && cxl.nid != dram.nid,
	       "the node of CXL memory is a layer (%s, of %s)", cxl.name, cxl.device);
	TAP_OK(!(cxl.flags & (HMEM_LAYER_LOCAL | HMEM_LAYER_CPUS | HMEM_LAYER_FORBIDDEN)) &&
		       dram.flags & HMEM_LAYER_LOCAL && !cxl.provider[0],
	       "of system RAM, and not the nearest");
}

/* --- its pages ----------------------------------------------------------------------- */

static void test_space(void)
{
	struct hmem_space_options options = on("cxl", 16 * MI, 0);
	struct whole w = must_whole(&options);
	int status;
	pid_t pid;

	TAP_STR_EQ(drawn(w.at, w.bytes), "........", "nothing is taken before it is touched");
	memset(w.at, 1, w.bytes);
	TAP_STR_EQ(drawn(w.at, w.bytes), "cccccccc", "what is touched is CXL memory");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		memset(w.at, 2, w.bytes);
		_exit(bytes_on(w.at, w.bytes, cxl.nid) != w.bytes);
	}
	TAP_OK(waitpid(pid, &status, 0) == pid && !status && w.at[0] == 1,
	       "so is a child's copy of it");
	whole_end(&w);
	options.flags = HMEM_SPACE_POPULATE;
	w = must_whole(&options);
	TAP_STR_EQ(drawn(w.at, w.bytes), "cccccccc", "and what is taken at once");
	whole_end(&w);
}

static struct hmem_space_options of(const struct hmem_space_part *parts, uint32_t n,
				    uint64_t bytes, uint32_t flags)
{
	struct hmem_space_options options = on(NULL, bytes, flags);

	options.parts = parts;
	options.nr_parts = n;
	return options;
}

static void test_parts(void)
{
	struct hmem_space_part parts[] = { { .layer = "dram", .bytes = 6 * MI },
					   { .layer = "cxl", .bytes = 10 * MI } };
	struct hmem_space_options options = of(parts, 2, 0, 0);
	struct whole w = must_whole(&options);

	memset(w.at, 1, w.bytes);
	TAP_STR_EQ(drawn(w.at, w.bytes), "dddccccc", "parts of a space are where they should be");
	whole_end(&w);
	parts[0].bytes = parts[1].bytes = 0;
	parts[0].weight = 1;
	parts[1].weight = 3;
	options = of(parts, 2, 24 * MI, HMEM_SPACE_INTERLEAVE | HMEM_SPACE_POPULATE);
	w = must_whole(&options);
	TAP_STR_EQ(drawn(w.at, w.bytes), "dcccdcccdccc", "interleaved, by weights that are given");
	whole_end(&w);
}

/* The weights are those of the bandwidths, which QEMU's firmware does not tell of. */
static void test_measured(void)
{
	struct hmem_layer_probe_options quick = HMEM_LAYER_PROBE_OPTIONS_INIT;
	struct hmem_space_part parts[] = { { .layer = "dram" }, { .layer = "cxl" } };
	struct hmem_space_options options = of(parts, 2, 0, HMEM_SPACE_INTERLEAVE);
	struct hmem_layer_info both[2] = { dram, cxl };
	struct hmem_space *none;
	char expected[128] = "";
	uint8_t weights[2];
	struct whole w;

	options.bytes = 64 * MI;
	TAP_EQ(hmem_space_create(ctx, "unknown", &options, &none), -ENODATA,
	       "without bandwidths there are no weights");
	quick.milliseconds = 100;
	quick.bytes = 8 * MI;
	for (int i = 0; i < 2; i++)
		if (hmem_layer_probe(ctx, both[i].name, &quick, &both[i], NULL))
			tap_bail("%s", hmem_last_error(ctx));
	if (hmem_layer_weights(ctx, both, 2, weights))
		tap_bail("%s", hmem_last_error(ctx));
	tap_diag("weights %u:%u", weights[0], weights[1]);
	options.bytes = 2 * PIECE * (weights[0] + weights[1]);
	/* An emulated machine measures anything. */
	if (options.bytes > 120 * PIECE)
		options.bytes = 120 * PIECE;
	for (size_t i = 0; i < options.bytes / PIECE; i++)
		expected[i] = i % (weights[0] + weights[1]) < weights[0] ? 'd' : 'c';
	w = must_whole(&options);
	memset(w.at, 1, w.bytes);
	TAP_STR_EQ(drawn(w.at, w.bytes), expected,
		   "interleaved, by the bandwidths that were measured");
	whole_end(&w);
}

/* --- a node that is full ------------------------------------------------------------- */

/* The kernel keeps some of what is free to itself, and would end a process for it. */
static void test_last_page(void)
{
	struct hmem_space_options options = on("cxl", layer_now("cxl").free.value & -PIECE,
					       HMEM_SPACE_POPULATE);
	struct hmem_space *none;

	TAP_EQ(hmem_space_create(ctx, "all", &options, &none), -ENOSPC,
	       "all that is free, to its last page, is too much, and nobody is ended for it");
	TAP_OK(strstr(hmem_last_error(ctx), "cannot give all of its part") != NULL,
	       "which is said");
	TAP_OK(layer_now("cxl").free.value > options.bytes / 2, "and it is free again");
}

static void test_full(void)
{
	uint64_t before = layer_now("cxl").free.value, left, most = (before - 64 * MI) & -PIECE;
	struct hmem_space_options options = on("cxl", most, HMEM_SPACE_POPULATE);
	struct whole hog = must_whole(&options), w;
	struct hmem_space *none;
	uint64_t far;

	left = layer_now("cxl").free.value;
	TAP_OK(left > 48 * MI && left < 80 * MI, "a space has all but 64 MiB of the node (%llu)",
	       (unsigned long long)left);
	options = on("cxl", 192 * MI, HMEM_SPACE_POPULATE);
	TAP_EQ(hmem_space_create(ctx, "large", &options, &none), -ENOSPC,
	       "what it has not is refused beforehand");
	TAP_OK(strstr(hmem_last_error(ctx), cxl.name) &&
		       strstr(hmem_last_error(ctx), "bytes free, not"),
	       "by what the layer has");
	TAP_OK(layer_now("cxl").free.value + MI > left, "and nothing of it is taken");

	options.flags = HMEM_SPACE_PREFER;
	w = must_whole(&options);
	memset(w.at, 1, w.bytes);
	far = bytes_on(w.at, w.bytes, cxl.nid);
	TAP_OK(far > left / 2 && far < w.bytes, "preferred, it has most of what is left (%llu)",
	       (unsigned long long)far);
	TAP_EQ(bytes_on(w.at, w.bytes, dram.nid), w.bytes - far, "and DRAM for the rest");
	whole_end(&w);
	options.flags |= HMEM_SPACE_POPULATE;
	w = must_whole(&options);
	far = bytes_on(w.at, w.bytes, cxl.nid);
	TAP_OK(far > left / 2 && far < w.bytes &&
		       bytes_on(w.at, w.bytes, dram.nid) == w.bytes - far,
	       "likewise when it is taken at once");
	whole_end(&w);
	whole_end(&hog);
	TAP_OK(layer_now("cxl").free.value + 8 * MI > before,
	       "at the end the node has its memory back");
}

/* --- allocations --------------------------------------------------------------------- */

static struct hmem_allocation *must_allocation(struct hmem_interface *interface, uint64_t bytes)
{
	struct hmem_allocation *allocation;

	if (hmem_allocation_new(interface, bytes, PIECE, 0, &allocation))
		tap_bail("%s", hmem_last_error(ctx));
	return allocation;
}

/* Each page has its number, and something of @seed. */
static void fill(struct hmem_allocation *allocation, unsigned int seed)
{
	char *at = hmem_allocation_data(allocation);

	for (uint64_t page = 0; page < hmem_allocation_bytes(allocation) / 4096; page++)
		memset(at + page * 4096, (int)(page * 7 + seed), 4096);
}

static bool is_filled(struct hmem_allocation *allocation, unsigned int seed)
{
	const char *at = hmem_allocation_data(allocation);

	for (uint64_t i = 0; i < hmem_allocation_bytes(allocation); i++)
		if (at[i] != (char)(i / 4096 * 7 + seed))
			return false;
	return true;
}

static const char *drawn_of(struct hmem_allocation *allocation)
{
	return drawn(hmem_allocation_data(allocation), hmem_allocation_bytes(allocation));
}

static void test_allocations(void)
{
	struct hmem_space *near = must_space("dram", 32 * MI, 0);
	struct hmem_space *far = must_space("cxl", 32 * MI, 0);
	struct hmem_interface *on_near = must_interface(near, HMEM_STRATEGY_GENERAL);
	struct hmem_interface *on_far = must_interface(far, HMEM_STRATEGY_GENERAL);
	struct hmem_allocation *a = must_allocation(on_near, 8 * MI);
	struct hmem_allocation *b = must_allocation(on_far, 8 * MI);

	TAP_EQ(use(on_far), 0, "blocks of CXL memory hold what is written to them");
	fill(a, 1);
	TAP_EQ(hmem_copy_bytes(b, 0, a, 0, 8 * MI), 0,
	       "an allocation is copied from DRAM to CXL memory");
	TAP_OK(is_filled(b, 1) && !strcmp(drawn_of(b), "cccc"), "and is there");
	fill(b, 2);
	TAP_EQ(hmem_copy_bytes(a, 0, b, 0, 8 * MI), 0, "and back");
	TAP_OK(is_filled(a, 2) && !strcmp(drawn_of(a), "dddd"), "to where it was");
	hmem_allocation_free(b);

	TAP_EQ(hmem_allocation_move(a, on_far), 0, "an allocation moves from DRAM to CXL memory");
	TAP_OK(is_filled(a, 2), "with what is in it");
	TAP_STR_EQ(drawn_of(a), "cccc", "all of it");
	TAP_EQ(hmem_allocation_move(a, on_near), 0, "and back");
	TAP_OK(is_filled(a, 2) && !strcmp(drawn_of(a), "dddd"), "to DRAM");
	hmem_allocation_free(a);
	hmem_interface_unref(on_near);
	hmem_interface_unref(on_far);
	hmem_space_unref(near);
	hmem_space_unref(far);
}

int main(void)
{
	char node[16] = "";

	if (system("modprobe kmem"))
		tap_skip_all("this kernel has no kmem");
	if (cxl_fixture("online", "", node, sizeof(node)) || !*node)
		tap_bail("no CXL memory comes online");
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	dram = layer_now("dram");
	cxl = layer_now("cxl");
	TAP_EQ(cxl.nid, atoi(node), "layer cxl is the node");
	test_layer();
	test_last_page();
	test_space();
	test_parts();
	test_measured();
	test_full();
	test_allocations();
	hmem_ctx_unref(ctx);
	/* Its memory stays online: this guest ends here. */
	return tap_done();
}
