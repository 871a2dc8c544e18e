// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measuring layers: which memory it takes and gives back, that content of others is only read, that
 * the figures are those of memory, who is told of them, and what is refused.
 *
 * Layers that this machine has not are put in hmem_layer_iterate()'s mouth, and their memory is
 * that of a provider of this test.
 */
#include "faults_memory.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)

/* --- what is played -------------------------------------------------------------------- */

OVERRIDE int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	REAL(int, "sched_getaffinity", pid_t, size_t, cpu_set_t *);

	if (fails("sched_getaffinity"))
		return -1;
	if (fails("processors")) {
		memset(set, 0, size);
		return 0;
	}
	return real(pid, size, set);
}

static struct hmem_layer_info played[12];
static size_t n_played;

int hmem_layer_iterate(struct hmem_ctx *c, int initiator,
		       int (*fn)(void *arg, const struct hmem_layer_info *info), void *arg)
{
	REAL(int, "hmem_layer_iterate", struct hmem_ctx *, int,
	     int (*)(void *, const struct hmem_layer_info *), void *);
	int err = real(c, initiator, fn, arg);

	for (size_t i = 0; c && !err && i < n_played; i++)
		err = fn(arg, &played[i]);
	return err;
}

static struct hmem_layer_info *play(uint32_t kind, const char *name, const char *provider, int nid)
{
	struct hmem_layer_info *layer = &played[n_played++];

	*layer = (struct hmem_layer_info)HMEM_LAYER_INFO_INIT;
	layer->kind = kind;
	layer->nid = nid;
	layer->initiator = 0;
	layer->capacity = (struct hmem_figure){ 1 << 30, HMEM_ORIGIN_KERNEL, 0 };
	snprintf(layer->name, sizeof(layer->name), "%s", name);
	snprintf(layer->provider, sizeof(layer->provider), "%s", provider);
	return layer;
}

/* --- a provider ------------------------------------------------------------------------ */

static unsigned int created, opened, closed, destroyed, maps;
static char made[256], of_pool[64];
static uint64_t bytes_made;
static bool cannot_destroy, short_of_memory;
static unsigned int taken_names;
static int state_of_it;

static int toy_create(struct hmem_ctx *c, const char *name,
		      const struct hmem_region_options *options, void **state)
{
	if (taken_names && taken_names--)
		return hmem_set_error(c, -EEXIST, "there is a region \"%s\"", name);
	created++;
	snprintf(made, sizeof(made), "%s", name);
	snprintf(of_pool, sizeof(of_pool), "%s", options->pool ? options->pool : "");
	bytes_made = (options->bytes + MIB - 1) / MIB * MIB;
	*state = &state_of_it;
	return 0;
}

static int toy_open(struct hmem_ctx *c, const char *name, unsigned int flags, void **state)
{
	(void)name;
	if (flags != HMEM_OPEN_READ_ONLY)
		return hmem_set_error(c, -EPERM, "opened for writing");
	opened++;
	bytes_made = 8 * MIB;
	*state = &state_of_it;
	return 0;
}

static void toy_close(struct hmem_ctx *c, void *state)
{
	(void)c;
	(void)state;
	closed++;
}

static int toy_map(struct hmem_ctx *c, void *state, uint64_t offset, size_t length, void **address)
{
	/* A write to what is open read-only ends this test. */
	void *at = mmap(NULL, length, created ? PROT_READ | PROT_WRITE : PROT_READ,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (offset || at == MAP_FAILED || short_of_memory) {
		if (at != MAP_FAILED)
			munmap(at, length);
		return hmem_set_error(c, -ENOMEM, "no map");
	}
	maps++;
	*address = at;
	return 0;
}

static int toy_unmap(struct hmem_ctx *c, void *state, void *address, size_t length)
{
	(void)c;
	(void)state;
	maps--;
	return munmap(address, length);
}

static int toy_destroy(struct hmem_ctx *c, const char *name)
{
	if (cannot_destroy)
		return hmem_set_error(c, -EBUSY, "cannot");
	destroyed += !strcmp(name, made);
	return 0;
}

static int toy_get_info(struct hmem_ctx *c, void *state, struct hmem_region_info *info)
{
	(void)c;
	(void)state;
	info->bytes = bytes_made;
	info->granularity = MIB;
	return 0;
}

static const struct hmem_provider_ops toy = {
	.size = sizeof(toy),
	.scheme = "toy",
	.create = toy_create,
	.open = toy_open,
	.close = toy_close,
	.map = toy_map,
	.unmap = toy_unmap,
	.destroy = toy_destroy,
	.get_info = toy_get_info,
};

/* --- measuring ------------------------------------------------------------------------- */

static struct hmem_layer_probe_options options = HMEM_LAYER_PROBE_OPTIONS_INIT;
static struct hmem_layer_info layer;
static struct hmem_layer_probed how;

static int probe(const char *name)
{
	layer = (struct hmem_layer_info){ .size = sizeof(layer) };
	how = (struct hmem_layer_probed){ .size = sizeof(how) };
	return hmem_layer_probe(ctx, name, &options, &layer, &how);
}

static bool is_measured(const struct hmem_figure *figure)
{
	return figure->origin == HMEM_ORIGIN_PROBE && figure->value;
}

static bool writes_measured(void)
{
	return how.flags & HMEM_LAYER_PROBED_WRITES && is_measured(&layer.write_bandwidth);
}

static char heard[256];
static uint64_t last_done, last_total;
static bool went_back;

static void hear(void *arg, const char *doing, uint64_t done, uint64_t total)
{
	(void)arg;
	if (!strstr(heard, doing)) {
		snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%s ", doing);
		last_done = 0;
	}
	went_back = went_back || done < last_done || done > total;
	last_done = done;
	last_total = total;
}

static struct hmem_layer_info known;

static int learn(void *arg, const struct hmem_layer_info *info)
{
	if (!strcmp(info->name, arg))
		known = *info;
	return 0;
}

static uint64_t memory_latency;
static char here[32];

/* As it is done without a word: this machine's memory. */
static void this_machine(void)
{
	size_t nr = 1;

	hmem_ctx_set_progress(ctx, hear, NULL);
	layer.size = sizeof(layer);
	how.size = sizeof(how);
	TAP_EQ(hmem_layer_probe(ctx, "dram", NULL, &layer, &how), 0, "this machine's DRAM: %s",
	       hmem_last_error(ctx));
	hmem_ctx_set_progress(ctx, NULL, NULL);
	TAP_STR_EQ(heard, "preparing measuring ", "it is told what goes on");
	TAP_OK(last_done == 1000 && last_total == 1000 && !went_back, "up to the second that it takes");
	snprintf(here, sizeof(here), "%.31s", layer.name);
	TAP_OK(!strncmp(here, "dram:", 5) && layer.capacity.value, "it is the nearest: %s", here);
	TAP_OK(is_measured(&layer.read_latency) && is_measured(&layer.read_bandwidth) &&
		       writes_measured(),
	       "reads and writes are measured");
	tap_diag("%llu ns, %llu and %llu bytes a second", (unsigned long long)layer.read_latency.value,
		 (unsigned long long)layer.read_bandwidth.value,
		 (unsigned long long)layer.write_bandwidth.value);
	memory_latency = layer.read_latency.value;
	TAP_OK(how.bytes >= 16 * MIB && how.bytes >= 2 * how.cache_bytes &&
		       !(how.bytes & (how.bytes - 1)) && how.huge_bytes <= how.bytes,
	       "more than the caches have: %llu KiB", (unsigned long long)how.bytes / KIB);
	TAP_OK(how.threads && threads_seen == 1 + 2 * how.threads && processors_seen == threads_seen,
	       "%u threads, each on one processor", how.threads);
	TAP_OK(how.repetitions >= 3 && how.repetitions % 2 && how.milliseconds >= 900,
	       "a median, over a second");

	TAP_EQ(hmem_layer_iterate(ctx, -1, learn, here), 0, "looking at layers then");
	TAP_OK(known.read_latency.value == memory_latency && is_measured(&known.read_latency) &&
		       known.write_bandwidth.value == layer.write_bandwidth.value,
	       "tells what was measured");
	known.size = sizeof(known);
	TAP_OK(!hmem_layer_select(ctx, NULL, &known, &nr) && is_measured(&known.read_bandwidth),
	       "so does choosing");

	options.bytes = 64 * KIB;
	options.milliseconds = 30;
	options.threads = 1;
	TAP_EQ(probe(here), 0, "what fits into the caches, when it is asked for");
	TAP_OK(how.bytes == 64 * KIB && how.threads == 1, "by one thread");
	TAP_OK(layer.read_latency.value * 2 < memory_latency, "is faster: %llu ns to %llu",
	       (unsigned long long)layer.read_latency.value, (unsigned long long)memory_latency);
	known.size = 0;
	TAP_OK(!hmem_layer_iterate(ctx, -1, learn, here) &&
		       known.read_latency.value == layer.read_latency.value,
	       "the last measurement counts");
	TAP_EQ(hmem_layer_probe(ctx, here, &options, NULL, NULL), 0, "nobody need be told");
}

static void others(void)
{
	char name[HMEM_LAYER_NAME_MAX + 1];

	options.bytes = 3 * MIB + 1;
	play(HMEM_LAYER_POOL, "pool:p", "toy", -1);
	TAP_EQ(probe("pool"), 0, "a pool: %s", hmem_last_error(ctx));
	TAP_OK(created == 1 && closed == 1 && destroyed == 1 && !maps && !strcmp(of_pool, "p"),
	       "a region is made on it, and goes again");
	TAP_OK(!strncmp(made, "hmem-probe.", 11), "its name tells: %s", made);
	TAP_OK(how.bytes == 4 * MIB && writes_measured(), "in units of the provider, with writes");
	taken_names = 2;
	TAP_EQ(probe("pool:p"), 0, "where its name is taken");
	TAP_OK(strstr(made, ".2") && destroyed == 2, "it has another: %s", made);
	cannot_destroy = true;
	hmem_set_error(ctx, 0, "%s", "");
	TAP_EQ(probe("pool:p"), 0, "one that cannot be destroyed was measured all the same");
	TAP_STR_EQ(hmem_last_error(ctx), "", "which is no error");
	cannot_destroy = false;
	short_of_memory = true;
	TAP_EQ(probe("pool:p"), -ENOMEM, "one that cannot be mapped is not");
	TAP_OK(created == closed && destroyed == 3 && !strcmp(hmem_last_error(ctx), "no map"),
	       "it goes as well");
	short_of_memory = false;

	play(HMEM_LAYER_OTHER, "card:0", "toy", -1);
	TAP_EQ(probe("card"), 0, "a registered layer");
	TAP_OK(created == 5 && destroyed == 4 && !*of_pool && writes_measured(), "is a region, too");

	created = 0;
	play(HMEM_LAYER_REGION, "toy:db", "toy", -1);
	TAP_EQ(probe("toy:db"), 0, "a region: %s", hmem_last_error(ctx));
	TAP_OK(opened == 1 && !created && !maps && destroyed == 4, "is opened read-only, and stays");
	TAP_OK(is_measured(&layer.read_latency) && is_measured(&layer.read_bandwidth) &&
		       !layer.write_bandwidth.origin && !how.flags,
	       "its writes are not measured");
	options.bytes = 0;
	TAP_EQ(probe("toy:db"), 0, "all of a large one");
	TAP_EQ(how.bytes, 8 * MIB, "or what there is");
	played[n_played - 1].capacity.value = 8 * MIB;
	TAP_EQ(probe("toy:db"), -ENOSPC, "one that the caches hold is not measured");
	TAP_OK(strstr(hmem_last_error(ctx), "8.00 MiB can be measured"), "as is said");
	options.bytes = 1 * MIB;
	TAP_EQ(probe("toy:db"), 0, "unless that is wanted");

	snprintf(name, sizeof(name), "fsdax:%.200s", scratch());
	play(HMEM_LAYER_FSDAX, name, "file", -1);
	TAP_EQ(probe(played[n_played - 1].name), 0, "a file system: %s", hmem_last_error(ctx));
	TAP_OK(writes_measured() && how.bytes == 1 * MIB, "with its writes");
	TAP_EQ(rmdir(scratch()), 0, "no file is left there");
	TAP_EQ(probe(played[n_played - 1].name), -ENOENT, "one that is gone");
	mkdir(scratch(), 0755);
}

static void refused(const char *name, int error, const char *says)
{
	TAP_EQ(probe(name), error, "\"%s\" is refused", name);
	TAP_OK(strstr(hmem_last_error(ctx), says), "and why: %s", hmem_last_error(ctx));
	TAP_OK(!layer.capacity.origin && !how.bytes, "nothing is written");
}

static void wrong(void)
{
	struct hmem_layer_info info = HMEM_LAYER_INFO_INIT;

	options.bytes = 64 * KIB;
	TAP_EQ(hmem_layer_probe(NULL, here, &options, NULL, NULL), -EINVAL, "no context");
	TAP_EQ(hmem_layer_probe(ctx, NULL, &options, NULL, NULL), -EINVAL, "no name");
	refused("", -EINVAL, "which layer");
	refused("dram:999", -ENOENT, "there is no layer \"dram:999\"");
	options.size = 1;
	refused(here, -EINVAL, "member size is 1");
	options.size = sizeof(options);
	info.size = 3;
	TAP_EQ(hmem_layer_probe(ctx, here, &options, &info, NULL), -EINVAL, "an info of no size");
	how.size = 3;
	TAP_EQ(hmem_layer_probe(ctx, here, &options, NULL, &how), -EINVAL, "nor how");
	options.reserved = 1;
	refused(here, -EINVAL, "reserved");
	options.reserved = 0;
	options.initiator = -2;
	refused(here, -EINVAL, "no node -2");
	options.initiator = 1000;
	refused(here, -ENODEV, "NUMA node 1000");
	options.initiator = -1;
	options.bytes = 64 * KIB - 1;
	refused(here, -EINVAL, "too few");
	options.bytes = UINT64_MAX;
	refused(here, -EINVAL, "more than any memory");
	options.bytes = 1ull << 50;
	refused(here, -ENOSPC, "can be had");
	options.bytes = 64 * KIB;
	options.threads = 100000;
	refused(here, -EINVAL, "this process may use");
	options.threads = 1;

	play(HMEM_LAYER_CXL, "cxl:77", "", 77)->flags = HMEM_LAYER_FORBIDDEN;
	refused("cxl:77", -EPERM, "the cpuset of this process");
	played[n_played - 1].flags = 0;
	refused("cxl:77", -EINVAL, "mbind(2) to node 77");
	played[n_played - 1].nid = 1024;
	refused("cxl:77", -ENODEV, "no node 1024");
	played[n_played - 1].flags = HMEM_LAYER_FORBIDDEN;
	play(HMEM_LAYER_CXL, "cxl:0", "", 0);
	TAP_EQ(probe("cxl"), 0, "of a kind the nearest that may be used");
	TAP_STR_EQ(layer.name, "cxl:0", "is measured");
	played[n_played - 1].distance = (struct hmem_figure){ 20, HMEM_ORIGIN_SLIT, 0 };
	play(HMEM_LAYER_CXL, "cxl:1", "", 0)->distance =
		(struct hmem_figure){ 17, HMEM_ORIGIN_SLIT, 0 };
	TAP_OK(!probe("cxl") && !strcmp(layer.name, "cxl:1"), "the nearer one of two");
	play(HMEM_LAYER_OTHER, "nowhere", "", -1);
	refused("nowhere", -EOPNOTSUPP, "nobody says where its memory is");
	play(HMEM_LAYER_DRAM, "dram:full", "", 0);
	node_of_pages = 3;
	refused("dram:full", -ENOSPC, "some came from node 3");
	node_of_pages = -1;
	played[n_played - 1].free = (struct hmem_figure){ 60 * KIB, HMEM_ORIGIN_KERNEL, 0 };
	refused("dram:full", -ENOSPC, "61440 can be had");
	victim = "processors";
	countdown = 1;
	refused(here, -EPERM, "no processor of node");
	victim = NULL;
	hmem_ctx_set_sysroot(ctx, scratch());
	refused(here, -EOPNOTSUPP, "there are files, and no memory");
	known = (struct hmem_layer_info){ 0 };
	scratch_write("proc/meminfo", "MemTotal: 1024 kB\n");
	TAP_OK(!hmem_layer_iterate(ctx, -1, learn, here) && !known.read_latency.origin,
	       "what was measured here is not of the machine below a sysroot");
	hmem_ctx_set_sysroot(ctx, NULL);
}

/* --- faults ---------------------------------------------------------------------------- */

static int probe_here(void)
{
	return probe("dram:full");
}

static int probe_file(void)
{
	for (size_t i = 0; i < n_played; i++)
		if (played[i].kind == HMEM_LAYER_FSDAX)
			return probe(played[i].name);
	return 1;
}

static void faults(void)
{
	options.milliseconds = 1;
	played[n_played - 1].free.value = 1 << 30;
	inject("a node", probe_here, "mmap", ENOMEM, SOME_HARMLESS);
	inject("a node", probe_here, "mbind", EPERM, 0);
	inject("a node", probe_here, "mbind", ENOSYS, -EOPNOTSUPP);
	inject("a node", probe_here, "move_pages", EPERM, 0);
	inject("a node", probe_here, "move_pages", ENOSYS, -EOPNOTSUPP);
	inject("a node", probe_here, "pthread_create", EAGAIN, 0);
	inject("a node", probe_here, "sched_getaffinity", EPERM, 0);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	/* Their own start of a thread takes memory for granted. */
	inject("a node", probe_here, "alloc", ENOMEM, SOME_HARMLESS);
#endif
	inject("a file system", probe_file, "posix_fallocate", ENOSPC, 0);
	inject("a file system", probe_file, "open", EROFS, SOME_HARMLESS);
	inject("a file system", probe_file, "mmap", ENOMEM, SOME_HARMLESS);
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_provider_register(ctx, &toy))
		tap_bail("no context");
	scratch();
	this_machine();
	others();
	wrong();
	faults();
	hmem_ctx_unref(ctx);
	return tap_done();
}
