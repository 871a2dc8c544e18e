// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: hmem
 *
 * CXL memory, claimed as pools, carved into named regions that map as ordinary shared
 * memory. This file brings the parts up and takes them down; core.h says how they hang
 * together.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "near.h"
#include "poison.h"
#include "store.h"
#include "tier.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

DEFINE_SRCU(hm_srcu);
struct workqueue_struct *hm_wq;

static struct miscdevice hm_control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hmem!control",
	.nodename = "hmem/control",
	.mode = 0600,
	.fops = &hm_control_fops,
};

static int __init hm_init(void)
{
	int error = -ENOMEM;

	hm_wq = alloc_workqueue("hmem", WQ_UNBOUND, 0);
	if (!hm_wq)
		return error;
	error = hm_movers_init();
	if (error)
		goto workqueue;
	error = hm_inodes_init();
	if (error)
		goto movers;
	error = hm_pressure_init();
	if (error)
		goto inodes;
	error = hm_pools_init();
	if (error)
		goto pressure;
	error = hm_withheld_init();
	if (error)
		goto pools;
	error = hm_regions_init();
	if (error)
		goto withheld;
	error = hm_poison_init();
	if (error)
		goto regions;
	error = misc_register(&hm_control);
	if (error)
		goto poison;
	return 0;

poison:
	hm_poison_exit();
regions:
	hm_regions_exit();
withheld:
	hm_withheld_exit();
pools:
	hm_pools_exit();
pressure:
	hm_pressure_exit();
inodes:
	hm_inodes_exit();
movers:
	hm_movers_exit();
workqueue:
	destroy_workqueue(hm_wq);
	return error;
}

static void __exit hm_exit(void)
{
	misc_deregister(&hm_control);
	/* The CXL bus is heard until the last claim is given back, and trackers run as long. */
	hm_pools_release();
	hm_cxl_exit();
	hm_poison_exit();
	hm_near_share_exit();
	hm_batches_exit();
	hm_movers_exit();
	destroy_workqueue(hm_wq);
	hm_regions_exit();
	hm_withheld_exit();
	hm_pools_exit();
	hm_pressure_exit();
	hm_inodes_exit();
}

module_init(hm_init);
module_exit(hm_exit);

MODULE_DESCRIPTION("CXL memory in named, mmap-able regions");
MODULE_AUTHOR("The hmem authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(HM_VERSION);
