// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: inodes
 *
 * Every region owns an inode that no path leads to. Its address space collects the
 * mappings of all processes, whichever device node they opened, and its i_size tells
 * the core how far the largest mappings may go.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/writeback.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "core.h"

#define HM_SUPER_MAGIC	0x686d656d	/* "hmem" */

static struct vfsmount *hm_mount;

static int hm_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, HM_SUPER_MAGIC) ? 0 : -ENOMEM;
}

static struct file_system_type hm_fs_type = {
	.name = "hmem",
	/* No owner: the mount would keep the module that holds it from going. */
	.init_fs_context = hm_init_fs_context,
	.kill_sb = kill_anon_super,
};

static const struct address_space_operations hm_aops = {
	.dirty_folio = noop_dirty_folio,
};

struct inode *hm_inode_new(void)
{
	struct inode *inode = alloc_anon_inode(hm_mount->mnt_sb);

	if (IS_ERR(inode))
		return inode;
	inode->i_mapping->a_ops = &hm_aops;
	return inode;
}

int hm_inodes_init(void)
{
	hm_mount = kern_mount(&hm_fs_type);
	return PTR_ERR_OR_ZERO(hm_mount);
}

void hm_inodes_exit(void)
{
	kern_unmount(hm_mount);
}
