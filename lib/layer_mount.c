// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layers of file systems that map their memory into programs (fsdax), found among the mounts of
 * this process: those that do so for every file. Where each file decides (dax=inode) none is
 * known before it is made.
 */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "ctx.h"
#include "layers.h"
#include "sysfs.h"

static bool is_dax(const struct mntent *mount)
{
	const char *option = hasmntopt(mount, "dax");

	/* famfs has nothing but. */
	if (!strcmp(mount->mnt_type, "famfs"))
		return true;
	return option && (!strncmp(option, "dax=always", 10) || option[3] == '\0' || option[3] == ',');
}

/* The device below, such as pmem0. */
static void learn_of_device(struct hmem_layers *layers, const char *name,
			    struct hmem_layer_info *layer)
{
	char dir[PATH_MAX];
	uint64_t sectors;

	snprintf(layer->device, sizeof(layer->device), "%s", name);
	if (hmem_sysfs_path(layers->ctx, dir, "/sys/class/block/%s", name))
		return;
	if (!hmem_sysfs_u64(dir, "size", 10, &sectors) && sectors <= UINT64_MAX / 512)
		layer->capacity = hmem_figure(sectors * 512, HMEM_ORIGIN_KERNEL);
	if (!strncmp(name, "pmem", 4))
		layer->flags |= HMEM_LAYER_PERSISTENT;
	if (!hmem_sysfs_path(layers->ctx, dir, "/sys/class/block/%s/device", name) &&
	    hmem_sysfs_int(dir, "numa_node", &layer->nid))
		layer->nid = -1;
	layer->distance = hmem_layers_distance(layers, layer->nid);
}

static int add_mount(struct hmem_layers *layers, const struct mntent *mount)
{
	struct hmem_layer_info *layer = hmem_layers_add(layers);
	struct statvfs fs;

	if (!layer)
		return -ENOMEM;
	layer->kind = HMEM_LAYER_FSDAX;
	layer->flags = HMEM_LAYER_SHAREABLE;
	snprintf(layer->name, sizeof(layer->name), "fsdax:%s", mount->mnt_dir);
	snprintf(layer->provider, sizeof(layer->provider), "file");
	if (!strncmp(mount->mnt_fsname, "/dev/", 5))
		learn_of_device(layers, mount->mnt_fsname + 5, layer);
	/* What is mounted here is not what was mounted where the tree comes from. */
	if (!*layers->ctx->sysroot && !statvfs(mount->mnt_dir, &fs)) {
		layer->capacity = hmem_figure((uint64_t)fs.f_blocks * fs.f_frsize,
					      HMEM_ORIGIN_KERNEL);
		layer->free = hmem_figure((uint64_t)fs.f_bavail * fs.f_frsize, HMEM_ORIGIN_KERNEL);
	}
	return 0;
}

int hmem_layers_of_mounts(struct hmem_layers *layers)
{
	char path[PATH_MAX], line[PATH_MAX];
	struct mntent mount;
	FILE *mounts;
	int err = hmem_sysfs_path(layers->ctx, path, "/proc/self/mounts");

	if (err)
		return err;
	mounts = setmntent(path, "re");
	if (!mounts) {
		/* Without /proc nothing is known of them. */
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
			return 0;
		err = -errno;
		return hmem_fail(layers->ctx, err, "what is mounted cannot be read from %s: %s", path,
				 strerror(-err));
	}
	while (!err && getmntent_r(mounts, &mount, line, sizeof(line)))
		/* A path that cannot be told whole is no name. */
		if (is_dax(&mount) && strlen(mount.mnt_dir) <= HMEM_LAYER_NAME_MAX - 6)
			err = add_mount(layers, &mount);
	endmntent(mounts);
	return err;
}
