// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Provider "anon": memory of this process, for trying things out where nothing is set
 * up. What stands behind the colon is a label; it finds nothing again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctx.h"
#include "descriptor.h"
#include "file_limit.h"
#include "mapping.h"
#include "provider.h"

struct anon {
	int fd;
	char label[64];
};

/* @bytes is at most INT64_MAX. */
static int set_size(struct hmem_ctx *ctx, const struct anon *anon, uint64_t bytes)
{
	uint64_t page = hmem_page_size(), rounded = (bytes + page - 1) & ~(page - 1);
	struct stat st;
	int err;

	/* A memory file is a file to the limit, too; what shrinks is never beyond it. */
	if (hmem_beyond_file_limit(rounded) && !fstat(anon->fd, &st) &&
	    rounded > (uint64_t)st.st_size)
		return hmem_fail(ctx, -EFBIG,
				 "anon:%s: %" PRIu64 " bytes are more than ulimit -f of this "
				 "process allows",
				 anon->label, bytes);
	if (rounded > INT64_MAX)
		err = -EFBIG;
	else
		err = ftruncate(anon->fd, (off_t)rounded) ? -errno : 0;
	if (err == -EFBIG || err == -EINVAL)
		return hmem_fail(ctx, -EINVAL,
				 "anon:%s: %" PRIu64 " bytes is more than can be mapped",
				 anon->label, bytes);
	if (err)
		return hmem_fail(ctx, err, "anon:%s: no %" PRIu64 " bytes: %s", anon->label, bytes,
				 strerror(-err));
	return 0;
}

static int anon_create(struct hmem_ctx *ctx, const char *name,
		       const struct hmem_region_options *options, void **state)
{
	char shown[sizeof(((struct anon *)0)->label) + 8];
	struct anon *anon;
	int err;

	if (!state)
		return hmem_fail(ctx, -EINVAL,
				 "anon:%s: without a handle it would be gone at once; ask for one",
				 name);
	if (!options->bytes)
		return hmem_fail(ctx, -EINVAL, "anon:%s: a region has at least one byte", name);
	anon = calloc(1, sizeof(*anon));
	if (!anon)
		return hmem_fail(ctx, -ENOMEM, "no memory for a handle on anon:%s", name);
	snprintf(anon->label, sizeof(anon->label), "%s", name);
	/* Shown by the kernel in /proc/PID/maps. */
	snprintf(shown, sizeof(shown), "hmem:%s", anon->label);
	anon->fd = hmem_descriptor_keep(memfd_create(shown, MFD_CLOEXEC));
	if (anon->fd < 0) {
		err = -errno;
		hmem_fail(ctx, err, "anon:%s: no memory file: %s", name, strerror(-err));
		free(anon);
		return err;
	}
	err = set_size(ctx, anon, options->bytes);
	if (err) {
		close(anon->fd);
		free(anon);
		return err;
	}
	*state = anon;
	return 0;
}

static int anon_open(struct hmem_ctx *ctx, const char *name, unsigned int flags, void **state)
{
	(void)flags;
	(void)state;
	return hmem_fail(ctx, -EOPNOTSUPP,
			 "anon:%s: anonymous memory is found by its handle only; create it, or use "
			 "a file: or hmem: region to share it",
			 name);
}

static void anon_close(struct hmem_ctx *ctx, void *state)
{
	struct anon *anon = state;

	(void)ctx;
	close(anon->fd);
	free(anon);
}

static int anon_map(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		    void **address)
{
	struct anon *anon = state;
	int err = hmem_mapping_new(anon->fd, offset, length, PROT_READ | PROT_WRITE, MAP_SHARED,
				   HMEM_MAPPING_ALIGN, address);

	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of anon:%s: %s", length, anon->label,
				 strerror(-err));
	/* Large pages where the system gives them for the asking; without them it works too. */
	madvise(*address, length, MADV_HUGEPAGE);
	return 0;
}

static int anon_resize(struct hmem_ctx *ctx, void *state, uint64_t bytes)
{
	return set_size(ctx, state, bytes);
}

static int anon_get_info(struct hmem_ctx *ctx, void *state, struct hmem_region_info *info)
{
	struct anon *anon = state;
	struct stat st;

	if (fstat(anon->fd, &st)) {
		int err = -errno;

		return hmem_fail(ctx, err, "asking for the size of anon:%s: %s", anon->label,
				 strerror(-err));
	}
	info->bytes = (uint64_t)st.st_size;
	info->granularity = hmem_page_size();
	info->caps = HMEM_CAP_RESIZE;
	info->uid = st.st_uid;
	info->gid = st.st_gid;
	info->mode = 0600;
	return 0;
}

static int anon_get_info_by_name(struct hmem_ctx *ctx, const char *name,
				 struct hmem_region_info *info)
{
	(void)info;
	return anon_open(ctx, name, 0, NULL);
}

static int anon_fd(struct hmem_ctx *ctx, void *state)
{
	struct anon *anon = state;

	(void)ctx;
	return anon->fd;
}

static int anon_map_at(struct hmem_ctx *ctx, void *state, uint64_t offset, size_t length,
		    void *address)
{
	struct anon *anon = state;
	int err = hmem_mapping_at(anon->fd, offset, length, PROT_READ | PROT_WRITE, MAP_SHARED, address);

	if (err)
		return hmem_fail(ctx, err, "mapping %zu bytes of anon:%s: %s", length, anon->label,
				 strerror(-err));
	return 0;
}

const struct hmem_provider_ops hmem_provider_anon = {
	.size = sizeof(struct hmem_provider_ops),
	.scheme = "anon",
	.create = anon_create,
	.open = anon_open,
	.close = anon_close,
	.map = anon_map,
	.resize = anon_resize,
	.get_info = anon_get_info,
	.get_info_by_name = anon_get_info_by_name,
	.fd = anon_fd,
	.map_at = anon_map_at,
};
