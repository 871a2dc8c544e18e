/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that hmem builds on, and no other file has one.
 */
#ifndef HM_COMPAT_H
#define HM_COMPAT_H

#include <linux/crc32.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/userfaultfd_k.h>
#include <linux/version.h>

/* Where struct folio_batch is: the header got its name later. */
#if __has_include(<linux/folio_batch.h>)
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

/* CRC32C as everybody defines it: initial value and result inverted. */
static inline u32 hm_crc32c(const void *data, size_t length)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
	return ~crc32c(~0U, data, length);
#else
	/* crc32c() lives in a module of its own before 6.15, and insmod loads none. */
	return ~__crc32c_le(~0U, data, length);
#endif
}

/*
 * Map the 2 MiB folio that is locked by the caller at once. Before 6.15 no such function is
 * exported: the core maps the folio that .fault returns, which costs it a page table that
 * it then does not need.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
#define HM_CAN_INSERT_PMD 1
static inline vm_fault_t hm_insert_pmd(struct vm_fault *vmf, struct folio *folio)
{
	return vmf_insert_folio_pmd(vmf, folio, false);
}
#else
#define HM_CAN_INSERT_PMD 0
static inline vm_fault_t hm_insert_pmd(struct vm_fault *vmf, struct folio *folio)
{
	return VM_FAULT_FALLBACK;
}
#endif

/*
 * Map one page, whose folio the caller has locked, and nothing else of that folio. The core maps a
 * single page where there is a page table already; from 6.15 on all of a folio that is in reach,
 * unless userfaultfd has the mapping, whose markers only the core can deal with.
 *
 * Return: VM_FAULT_NOPAGE: it is mapped; VM_FAULT_LOCKED: the core will do it; or an error.
 */
#define HM_MAPS_WHOLE	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0))

static inline vm_fault_t hm_map_page(struct vm_fault *vmf, struct page *page)
{
	/*
	 * Never as a write: a guard page that was put there meanwhile would make the core warn. The
	 * store comes again.
	 */
#if HM_MAPS_WHOLE
	if (folio_test_large(page_folio(page)) && !userfaultfd_armed(vmf->vma))
		return vmf_insert_page_mkwrite(vmf, page, false);
#endif
	if (folio_test_large(page_folio(page)) && pmd_none(pmdp_get_lockless(vmf->pmd)) &&
	    apply_to_page_range(vmf->vma->vm_mm, vmf->address & PAGE_MASK, PAGE_SIZE, NULL, NULL))
		return VM_FAULT_OOM;
	vmf->page = page;
	return VM_FAULT_LOCKED;
}

/* Whether what .fault returned would now be mapped with all of its folio, which must not be. */
static inline bool hm_would_map_whole(const struct vm_fault *vmf, bool alone)
{
	struct folio *folio = page_folio(vmf->page);

	return HM_MAPS_WHOLE && !vmf->pte && folio_test_large(folio) &&
	       (alone || folio_test_has_hwpoisoned(folio)) && !userfaultfd_armed(vmf->vma);
}

/*
 * madvise(MADV_DONTNEED) takes an emptied page table away before it ends the translations that were
 * in it (6.14 and later, CONFIG_PT_RECLAIM). Meanwhile someone can still store through one, and who
 * goes by page tables finds nothing there, while unmap_mapping_range() ends all translations of a
 * process in which another such call is under way.
 */
#define HM_TABLES_GO_FIRST	IS_ENABLED(CONFIG_PT_RECLAIM)

/*
 * Charge what this task allocates to another cgroup; returns the one from before. That is
 * set_active_memcg() for a task: of what that needs for interrupts nothing is exported.
 */
static inline struct mem_cgroup *hm_charge_to(struct mem_cgroup *memcg)
{
	struct mem_cgroup *before = NULL;

#ifdef CONFIG_MEMCG
	before = current->active_memcg;
	current->active_memcg = memcg;
#endif
	return before;
}

/* The function that list_lru_walk calls for each item; it was told of the lock once. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define HM_LRU_WALK(name) \
	enum lru_status name(struct list_head *item, struct list_lru_one *list, void *arg)
#else
#define HM_LRU_WALK(name) \
	enum lru_status name(struct list_head *item, struct list_lru_one *list, \
			     spinlock_t *lock, void *arg)
#endif

#endif /* HM_COMPAT_H */
