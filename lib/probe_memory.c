// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory of a layer, to be measured: pages of a node, a region of a pool or of a provider that is
 * made for it, a file without a name, or a region or a device that is there, which is only read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctx.h"
#include "descriptor.h"
#include "file_limit.h"
#include "mapping.h"
#include "probe.h"

/* Nodes that a kernel can be built for. */
#define NODES_MAX 1024

/* Pages that are asked which node they are of. */
#define ASKED 64

/* What is touched between two times that the caller hears of it. */
#define TOUCHED ((uint64_t)16 << 20)

bool hmem_probe_reads_only(const struct hmem_layer_info *layer)
{
	return layer->kind == HMEM_LAYER_REGION || layer->kind == HMEM_LAYER_DAX;
}

/* Each page gets memory now, and something in it, so that no two can be merged with zeroes. */
static void touch(const struct hmem_probe_memory *memory)
{
	for (uint64_t done = 0; done < memory->bytes && !memory->read_only;) {
		uint64_t some = memory->bytes - done < TOUCHED ? memory->bytes - done : TOUCHED;

		memset(memory->at + done, 0x5a, some);
		done += some;
		hmem_progress(memory->ctx, "preparing", done, memory->bytes);
	}
}

static int map_failed(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, uint64_t bytes,
		      int err)
{
	return hmem_fail(ctx, err, "probing %s: %" PRIu64 " bytes cannot be mapped: %s",
			 layer->name, bytes, strerror(-err));
}

/* --- a node's -------------------------------------------------------------------------- */

/*
 * Preferred, and not bound: where a node is full a process that is bound to it is killed for want
 * of memory, and this one is told so.
 */
static int prefer(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, bool only_node,
		  const struct hmem_probe_memory *memory)
{
	unsigned long nodes[NODES_MAX / (8 * sizeof(long))] = { 0 };
	const size_t bits = 8 * sizeof(*nodes), nid = (size_t)layer->nid;

	if (nid >= NODES_MAX)
		return hmem_fail(ctx, -ENODEV, "probing %s: there is no node %zu", layer->name,
				 nid);
	nodes[nid / bits] = 1ul << nid % bits;
	if (!syscall(SYS_mbind, memory->at, memory->bytes, MPOL_PREFERRED, nodes, NODES_MAX + 1,
		     0) || only_node)
		return 0;
	return hmem_fail(ctx, errno == ENOSYS ? -EOPNOTSUPP : -errno,
			 "probing %s: mbind(2) to node %zu: %s", layer->name, nid, strerror(errno));
}

/* Where did the pages come from? */
static int check_nodes(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, bool only_node,
		       const struct hmem_probe_memory *memory)
{
	void *pages[ASKED];
	int nodes[ASKED];

	if (only_node)
		return 0;
	for (uint64_t i = 0; i < ASKED; i++)
		pages[i] = memory->at + memory->bytes / ASKED * i;
	if (syscall(SYS_move_pages, 0, (unsigned long)ASKED, pages, NULL, nodes, 0))
		return hmem_fail(ctx, errno == ENOSYS ? -EOPNOTSUPP : -errno,
				 "probing %s: which node its pages are of cannot be asked: %s",
				 layer->name, strerror(errno));
	for (size_t i = 0; i < ASKED; i++)
		if (nodes[i] != layer->nid)
			return hmem_fail(ctx, -ENOSPC,
					 "probing %s: its node has no room for %" PRIu64
					 " bytes, some came from node %d", layer->name,
					 memory->bytes, nodes[i]);
	return 0;
}

/* Bytes behind "what:" in a line of smaps, or 0. */
static uint64_t count_in(const char *line, const char *what)
{
	size_t length = strlen(what);

	return strncmp(line, what, length) ? 0 : strtoull(line + length, NULL, 10) * 1024;
}

/* Of the mapping in huge pages, as the kernel counts them; 0 where it does not. */
static uint64_t huge_bytes(const struct hmem_probe_memory *memory)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	uintptr_t first = (uintptr_t)memory->at, last = first + memory->bytes, begin = 0, end = 0;
	uint64_t bytes = 0;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		uintptr_t from, to;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
			begin = from;
			end = to;
		} else if (begin >= first && end <= last)
			bytes += count_in(line, "AnonHugePages:");
	}
	if (smaps)
		fclose(smaps);
	return bytes;
}

static int of_node(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, bool only_node,
		   struct hmem_probe_memory *memory)
{
	void *at;
	int err = hmem_mapping_new(-1, 0, memory->bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, HMEM_MAPPING_ALIGN,
				   &at);

	if (err)
		return map_failed(ctx, layer, memory->bytes, err);
	memory->at = at;
	/* Neither can fail in a way that matters: no huge pages is what huge_bytes tells. */
	madvise(at, memory->bytes, MADV_HUGEPAGE);
	/* A process that is forked now has no part of it, and copies nothing. */
	madvise(at, memory->bytes, MADV_DONTFORK);
	err = prefer(ctx, layer, only_node, memory);
	if (!err) {
		touch(memory);
		err = check_nodes(ctx, layer, only_node, memory);
	}
	if (!err)
		memory->huge_bytes = huge_bytes(memory);
	return err;
}

/* --- regions --------------------------------------------------------------------------- */

static int map_region(struct hmem_ctx *ctx, const struct hmem_layer_info *layer,
		      struct hmem_probe_memory *memory)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	uint64_t unit, bytes = memory->bytes;
	size_t mapped = 0;
	void *at;
	int err = hmem_region_get_info(memory->region, &info);

	if (err)
		return err;
	unit = info.granularity ? info.granularity : hmem_page_size();
	bytes = (bytes + unit - 1) / unit * unit;
	/* 0: all of it. */
	err = hmem_region_map(memory->region, 0, bytes >= info.bytes ? 0 : bytes, &at, &mapped);
	if (err)
		return err;
	memory->at = at;
	memory->bytes = mapped;
	if (mapped < HMEM_PROBE_LEAST)
		return hmem_fail(ctx, -ENOSPC, "probing %s: %zu bytes are too few to measure",
				 layer->name, mapped);
	touch(memory);
	return 0;
}

static int of_region(struct hmem_ctx *ctx, const struct hmem_layer_info *layer,
		     struct hmem_probe_memory *memory)
{
	int err = hmem_region_open(ctx, layer->name, HMEM_OPEN_READ_ONLY, &memory->region);

	return err ? err : map_region(ctx, layer, memory);
}

static int make_region(struct hmem_ctx *ctx, const struct hmem_layer_info *layer,
		       struct hmem_probe_memory *memory)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	int err = -EEXIST;

	options.flags = HMEM_CREATE_EXCLUSIVE;
	options.bytes = memory->bytes;
	if (layer->kind == HMEM_LAYER_POOL)
		options.pool = layer->name + strlen("pool:");
	/* One that was left behind by a process of our number has its name. */
	for (unsigned int n = 0; err == -EEXIST && n < 100; n++) {
		snprintf(memory->made, sizeof(memory->made), "%s:hmem-probe.%d.%u", layer->provider,
			 (int)getpid(), n);
		err = hmem_region_create(ctx, memory->made, &options, &memory->region);
	}
	if (err) {
		*memory->made = '\0';
		return err;
	}
	return map_region(ctx, layer, memory);
}

/* --- a file system's ------------------------------------------------------------------- */

static int of_file(struct hmem_ctx *ctx, const struct hmem_layer_info *layer,
		   struct hmem_probe_memory *memory)
{
	const char *dir = layer->name + strlen("fsdax:");
	void *at;
	int fd, err;

	if (hmem_beyond_file_limit(memory->bytes))
		return hmem_fail(ctx, -EFBIG,
				 "probing %s: %" PRIu64 " bytes are more than ulimit -f of this "
				 "process allows", layer->name, memory->bytes);
	fd = hmem_descriptor_keep(open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
	if (fd < 0)
		/* EISDIR: a kernel or a file system that knows no such files. */
		return hmem_fail(ctx, errno == EISDIR ? -EOPNOTSUPP : -errno,
				 "probing %s: no file without a name can be made there: %s",
				 layer->name, strerror(errno));
	err = -posix_fallocate(fd, 0, (off_t)memory->bytes);
	if (err) {
		close(fd);
		return hmem_fail(ctx, err, "probing %s: no %" PRIu64 " bytes: %s", layer->name,
				 memory->bytes, strerror(-err));
	}
	err = hmem_mapping_new(fd, 0, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			       HMEM_MAPPING_ALIGN, &at);
	close(fd);
	if (err)
		return map_failed(ctx, layer, memory->bytes, err);
	memory->at = at;
	touch(memory);
	return 0;
}

static int get(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, bool only_node,
	       struct hmem_probe_memory *memory)
{
	if (hmem_probe_reads_only(layer))
		return of_region(ctx, layer, memory);
	if (layer->kind == HMEM_LAYER_FSDAX)
		return of_file(ctx, layer, memory);
	if (*layer->provider)
		return make_region(ctx, layer, memory);
	if (layer->nid >= 0)
		return of_node(ctx, layer, only_node, memory);
	return hmem_fail(ctx, -EOPNOTSUPP,
			 "probing %s: nobody says where its memory is, neither a provider nor a "
			 "node", layer->name);
}

int hmem_probe_memory_get(struct hmem_ctx *ctx, const struct hmem_layer_info *layer, bool only_node,
			  uint64_t bytes, struct hmem_probe_memory *memory)
{
	int err;

	*memory = (struct hmem_probe_memory){
		.ctx = ctx,
		.bytes = bytes,
		.read_only = hmem_probe_reads_only(layer),
	};
	err = get(ctx, layer, only_node, memory);
	if (err)
		hmem_probe_memory_put(memory);
	return err;
}

void hmem_probe_memory_put(struct hmem_probe_memory *memory)
{
	struct hmem_error why;

	hmem_error_keep(&why);
	if (memory->at && memory->region)
		hmem_region_unmap(memory->region, memory->at, memory->bytes);
	else if (memory->at)
		munmap(memory->at, memory->bytes);
	hmem_region_close(memory->region);
	if (*memory->made) {
		int err = hmem_region_destroy(memory->ctx, memory->made);

		/* A provider that cannot destroy has nothing left once its region is closed. */
		if (err && err != -EOPNOTSUPP)
			hmem_log(memory->ctx, HMEM_LOG_WARNING, "%s is left behind: %s",
				 memory->made, strerror(-err));
	}
	hmem_error_restore(&why);
	*memory = (struct hmem_probe_memory){ 0 };
}
