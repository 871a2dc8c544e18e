// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: a region as a file
 *
 * What a process can do with /dev/hmem/NAME. It behaves as a file in memory does: shared
 * mappings of ordinary pages, read(2), write(2) and lseek(2), a fixed size that only
 * HMEM_REGION_RESIZE changes. Every mapping belongs to the region's own address space.
 */
#include <linux/file.h>
#include <linux/libnvdimm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "near.h"
#include "poison.h"
#include "tier.h"
#include "trace.h"

static struct hm_region *file_region(const struct file *file)
{
	const struct hm_file *f = file->private_data;

	return f->region;
}

static int hm_open(struct inode *inode, struct file *file)
{
	struct hm_region *region = container_of(inode->i_cdev, struct hm_region, cdev);
	struct hm_file *f;
	bool dead;

	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->region = region;
	hm_mover_init(&f->mover);
	spin_lock(&hm_open_lock);
	dead = region->dead;
	if (!dead) {
		region->open++;
		region->opens++;
	}
	spin_unlock(&hm_open_lock);
	if (dead) {
		kfree(f);
		return -ENODEV;
	}

	get_device(&region->dev);
	f->seen = hm_events_last(region);
	file->private_data = f;
	file->f_mapping = region->inode->i_mapping;
	file->f_mode |= FMODE_CAN_ODIRECT;
	return 0;
}

/*
 * Let one file's count go, unless it is the last and pages of the region are pinned. The
 * pages are looked at without the lock; whoever opened the region meanwhile may have pinned
 * some and closed it again, so then they are looked at once more.
 */
static bool close_unless_pinned(struct hm_region *region)
{
	unsigned int opens;

	spin_lock(&hm_open_lock);
	while (region->open == 1 && !region->dead) {
		opens = region->opens;
		spin_unlock(&hm_open_lock);
		if (hm_extents_pinned(region, 0))
			return false;
		spin_lock(&hm_open_lock);
		if (opens == region->opens)
			break;
	}
	region->open--;
	spin_unlock(&hm_open_lock);
	return true;
}

/*
 * Pages may stay pinned after the last file is gone (in a pipe, in a device's queue).
 * They keep the region in use, and the module with it, until they are let go.
 */
void hm_region_linger(struct work_struct *work)
{
	struct hm_region *region = container_of(work, struct hm_region, linger.work);

	if (!close_unless_pinned(region)) {
		queue_delayed_work(hm_wq, &region->linger, HZ / 10);
		return;
	}
	put_device(&region->dev);
	module_put(THIS_MODULE);
}

static int hm_release(struct inode *inode, struct file *file)
{
	struct hm_region *region = file_region(file);
	struct hm_file *f = file->private_data;

	hm_mover_stop(&f->mover);
	kfree(f);
	if (close_unless_pinned(region)) {
		put_device(&region->dev);
	} else {
		__module_get(THIS_MODULE);
		queue_delayed_work(hm_wq, &region->linger, HZ / 10);
	}
	return 0;
}

static vm_fault_t fault_error(struct page *page)
{
	switch (PTR_ERR(page)) {
	case -ENOMEM:
		return VM_FAULT_OOM;
	case -EHWPOISON:
		return VM_FAULT_HWPOISON;
	case -EAGAIN:
		/*
		 * Comes again, until whoever holds the page lets go. A fault of the kernel's own
		 * would do so for ever though the process has been killed.
		 */
		schedule_timeout_killable(1);
		return fatal_signal_pending(current) ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
	}
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct hm_plain_vm_ops;

/*
 * Mappings of a region that may have no near copies, or is for long-term pins, are plain: whoever
 * has a page of it mapped stores without being seen. So there every fault counts as a store, and a
 * fault to read maps what may be written as well.
 */
static bool is_plain(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &hm_plain_vm_ops && vma->vm_flags & VM_MAYWRITE;
}

static struct page *fault_page(struct hm_region *region, struct vm_fault *vmf, bool *alone)
{
	struct page *page;
	int srcu;

	srcu = srcu_read_lock(&hm_srcu);
	/* To a store it comes to anyway, and here nobody has a reference to what is to go. */
	if (is_plain(vmf->vma) || vmf->flags & FAULT_FLAG_WRITE)
		page = hm_extent_get_to_store(region, vmf->pgoff, NULL, alone);
	else
		page = hm_extent_get(region, vmf->pgoff, alone);
	srcu_read_unlock(&hm_srcu, srcu);
	return page;
}

static void let_go(struct page *page)
{
	folio_unlock(page_folio(page));
	folio_put(page_folio(page));
}

static vm_fault_t hm_fault(struct vm_fault *vmf)
{
	struct hm_region *region = file_region(vmf->vma->vm_file);
	vm_fault_t ret = VM_FAULT_LOCKED;
	struct page *page;
	bool alone;

	page = fault_page(region, vmf, &alone);
	if (IS_ERR(page)) {
		ret = fault_error(page);
	} else {
		atomic64_inc(&region->faults);
		if (alone && unlikely(vmf->vma->vm_flags & VM_LOCKED))
			hm_batches_expect();
		if (alone || unlikely(folio_test_has_hwpoisoned(page_folio(page))))
			ret = hm_map_page(vmf, page);
		else
			vmf->page = page;
		if (ret != VM_FAULT_LOCKED)
			let_go(page);
	}
	trace_hmem_fault(region, vmf, ret);
	return ret;
}

/*
 * Somebody is about to store to a page that is mapped read-only, or will be mapped next.
 * What is mapped may have been moved since the core looked.
 */
static vm_fault_t hm_page_mkwrite(struct vm_fault *vmf)
{
	struct hm_region *region = file_region(vmf->vma->vm_file);
	struct page *page;
	vm_fault_t ret;
	bool alone;
	int srcu;

	srcu = srcu_read_lock(&hm_srcu);
	page = hm_extent_get_to_store(region, vmf->pgoff, page_folio(vmf->page), &alone);
	srcu_read_unlock(&hm_srcu, srcu);
	if (PTR_ERR(page) == -EAGAIN) {
		/* Nothing is mapped any more: it waits in the next fault, without a reference. */
		ret = VM_FAULT_NOPAGE;
	} else if (IS_ERR(page)) {
		ret = fault_error(page);
	} else if (page != vmf->page || hm_would_map_whole(vmf, alone)) {
		let_go(page);
		ret = VM_FAULT_NOPAGE;
	} else {
		/* The core has its own reference to what it asked about. */
		folio_put(page_folio(page));
		ret = VM_FAULT_LOCKED;
	}
	trace_hmem_fault(region, vmf, ret);
	return ret;
}

/*
 * The short way to a 2 MiB mapping, where the kernel exports it. The page table entry is
 * looked at again under the folio's lock: a fault that went the other way may have put a
 * table there meanwhile, and then this one follows it.
 *
 * Never as a write: another thread may put a table there before the page table's lock is
 * taken, and a write over that is a warning. In a plain mapping there is no difference. A
 * mapping that is there and may not be written is split by the core, and comes again as
 * nothing.
 */
static vm_fault_t hm_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct hm_region *region = file_region(vmf->vma->vm_file);
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	struct page *page;
	bool alone;

	if (order != HM_EXTENT_ORDER || (write && !is_plain(vmf->vma)) ||
	    !thp_vma_suitable_order(vmf->vma, vmf->address & ~(HM_EXTENT_BYTES - 1), order))
		return VM_FAULT_FALLBACK;
	page = fault_page(region, vmf, &alone);
	if (IS_ERR(page)) {
		ret = fault_error(page);
	} else {
		pmd_t pmd = pmdp_get_lockless(vmf->pmd);

		if (alone || unlikely(folio_test_has_hwpoisoned(page_folio(page))))
			ret = VM_FAULT_FALLBACK;
		else if (pmd_none(pmd))
			ret = hm_insert_pmd(vmf, page_folio(page));
		else if (pmd_trans_huge(pmd) && !write)
			ret = VM_FAULT_NOPAGE;
		if (!(ret & VM_FAULT_FALLBACK))
			atomic64_inc(&region->faults);
		let_go(page);
	}
	if (!(ret & VM_FAULT_FALLBACK))
		trace_hmem_fault(region, vmf, ret);
	return ret;
}

static const struct vm_operations_struct hm_plain_vm_ops = {
	.fault = hm_fault,
	.huge_fault = HM_CAN_INSERT_PMD ? hm_huge_fault : NULL,
};

static const struct vm_operations_struct hm_vm_ops = {
	.fault = hm_fault,
	.huge_fault = HM_CAN_INSERT_PMD ? hm_huge_fault : NULL,
	.page_mkwrite = hm_page_mkwrite,
};

/*
 * All mappings of one open file are of one kind: the core joins neighbours without a look at
 * their operations, and which is which must not change by that.
 */
static const struct vm_operations_struct *choose_vm_ops(struct file *file)
{
	struct hm_file *f = file->private_data;
	const struct vm_operations_struct *mine, *first;

	mine = READ_ONCE(f->region->near.max) && !f->region->pins ? &hm_vm_ops : &hm_plain_vm_ops;
	first = cmpxchg(&f->vm_ops, NULL, mine);
	return first ?: mine;
}

static int hm_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct hm_region *region = file_region(file);

	if (READ_ONCE(region->dead))
		return -ENODEV;
	if (!(vma->vm_flags & VM_MAYSHARE)) {
		/* A private copy would be DRAM that the region knows nothing of. */
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	vma->vm_ops = choose_vm_ops(file);
	/* Before any fault, and so before what a copy that such a fault meets looks at. */
	if (is_plain(vma))
		WRITE_ONCE(region->plain, true);
	return 0;
}

/*
 * The part of an I/O that lies in one extent, of a split one in one page. The folio reference, not
 * a lock, keeps the memory in place while user memory is touched.
 */
static ssize_t io_extent(struct hm_region *region, loff_t position, struct iov_iter *iter,
			 bool write)
{
	size_t offset = position & (HM_EXTENT_BYTES - 1), bytes, done;
	pgoff_t pgoff = position >> PAGE_SHIFT;
	struct folio *folio;
	struct page *page;
	void *address;
	bool alone;
	int srcu;

	srcu = srcu_read_lock(&hm_srcu);
	page = write ? hm_extent_get_to_store(region, pgoff, NULL, &alone) :
		       hm_extent_get(region, pgoff, &alone);
	srcu_read_unlock(&hm_srcu, srcu);
	if (IS_ERR(page))
		return PTR_ERR(page) == -EHWPOISON ? -EIO : PTR_ERR(page);
	folio = page_folio(page);
	folio_unlock(folio);
	address = page_address(page) + offset_in_page(position);

	bytes = alone ? PAGE_SIZE - offset_in_page(position) : HM_EXTENT_BYTES - offset;
	bytes = min_t(size_t, iov_iter_count(iter), bytes);
	if (!alone)
		bytes = hm_poison_room(region, position, bytes, folio);
	if (!write) {
		/* Stops at memory that reports an error, and at a buffer that is not there. */
		done = _copy_mc_to_iter(address, bytes, iter);
		if (!done && !fault_in_iov_iter_writeable(iter, 1)) {
			folio_put(folio);
			return -EIO;
		}
	} else if (region->persistent) {
		done = _copy_from_iter_flushcache(address, bytes, iter);
		pmem_wmb();
	} else {
		done = copy_from_iter(address, bytes, iter);
	}
	folio_put(folio);
	return done ?: -EFAULT;
}

static ssize_t hm_io(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct hm_region *region = file_region(iocb->ki_filp);
	loff_t size = i_size_read(region->inode);
	ssize_t done = 0, n = 0;

	if (READ_ONCE(region->dead))
		return -ENODEV;
	if (iocb->ki_pos >= size)
		return write && iov_iter_count(iter) ? -ENOSPC : 0;
	iov_iter_truncate(iter, size - iocb->ki_pos);
	while (iov_iter_count(iter)) {
		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
		n = io_extent(region, iocb->ki_pos, iter, write);
		if (n == -EAGAIN) {	/* until whoever holds the near copy lets go */
			schedule_timeout_killable(1);
			continue;
		}
		if (n == -ENXIO)	/* shrunk meanwhile: this is the end now */
			n = write ? -ENOSPC : 0;
		if (n <= 0)
			break;
		iocb->ki_pos += n;
		done += n;
		cond_resched();
	}
	return done ?: n;
}

static ssize_t hm_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return iov_iter_count(to) ? hm_io(iocb, to, false) : 0;
}

static ssize_t hm_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct hm_region *region = file_region(iocb->ki_filp);

	if (iocb->ki_flags & IOCB_APPEND)
		iocb->ki_pos = i_size_read(region->inode);
	return iov_iter_count(from) ? hm_io(iocb, from, true) : 0;
}

static loff_t hm_llseek(struct file *file, loff_t offset, int whence)
{
	struct hm_region *region = file_region(file);

	return fixed_size_llseek(file, offset, whence, i_size_read(region->inode));
}

/* fsync(2) and msync(2): what was stored through mappings reaches the media. */
static int hm_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct hm_region *region = file_region(file);
	u32 last, index;

	if (READ_ONCE(region->dead))
		return -ENODEV;
	if (!region->persistent)
		return 0;
	last = min_t(u64, end >> HM_EXTENT_SHIFT, U32_MAX - 1);
	for (index = min_t(u64, start >> HM_EXTENT_SHIFT, U32_MAX);; index++) {
		struct hm_extent *extent;
		struct hm_pool *pool = NULL;
		struct folio *home = NULL;
		loff_t from, to;
		u32 place = 0;
		int srcu;

		srcu = srcu_read_lock(&hm_srcu);
		last = min(last, srcu_dereference(region->layout, &hm_srcu)->nr_extents - 1);
		extent = hm_table_next(&region->table, &index);
		if (extent && index <= last)
			home = hm_extent_lock_home(extent);
		if (home) {
			/* A reference keeps it the home. */
			folio_get(home);
			pool = hm_extent_lost(region, extent) ? NULL :
								hm_extent_pool(region, extent);
			place = extent->index;
			folio_unlock(home);
		}
		if (READ_ONCE(region->dead) || (home && !pool)) {
			srcu_read_unlock(&hm_srcu, srcu);
			if (home)
				folio_put(home);
			return -ENODEV;
		}
		srcu_read_unlock(&hm_srcu, srcu);
		if (!extent || index > last)
			return 0;
		if (fatal_signal_pending(current)) {
			if (home)
				folio_put(home);
			return -EINTR;
		}
		if (!home)	/* cut off just now */
			continue;

		from = max_t(loff_t, start, (loff_t)index << HM_EXTENT_SHIFT);
		to = min_t(loff_t, end, ((loff_t)(index + 1) << HM_EXTENT_SHIFT) - 1);
		hm_home_write_back(pool, place, from & (HM_EXTENT_BYTES - 1),
				   to - from + 1);
		folio_put(home);
		cond_resched();
	}
}

static __poll_t hm_poll(struct file *file, struct poll_table_struct *table)
{
	return hm_events_poll(file->private_data, file, table);
}

const struct file_operations hm_region_fops = {
	.owner = THIS_MODULE,
	.open = hm_open,
	.release = hm_release,
	.mmap = hm_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.read_iter = hm_read_iter,
	.write_iter = hm_write_iter,
	.splice_read = copy_splice_read,
	.splice_write = iter_file_splice_write,
	.llseek = hm_llseek,
	.poll = hm_poll,
	.fsync = hm_fsync,
	.unlocked_ioctl = hm_region_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
