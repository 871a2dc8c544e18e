// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: accessed bits
 *
 * Which pages of a split extent were touched since they were looked at last: the accessed bits
 * of all mappings of it, read and cleared. The kernel exports neither a walk along page tables
 * nor a flush of translations, so both are here.
 *
 * A translation that a CPU still has does not set the bit again. Clearing without a flush is what
 * the kernel itself does on x86 (ptep_clear_flush_young() there), since page reclaim wants no more
 * than a hint; a tracker that asks every second would take what is hottest for cold. So the CPUs
 * that run those processes flush once for all extents that were looked at together.
 *
 * Virtual machines and devices that share a process's addresses have translations of their own,
 * which an mmu_notifier has taken away when something is unmapped. What they touch sets no bit
 * here. So no extent stays split that a process maps which has such, or had (the core keeps what
 * they register with): whole ones are probed by unmapping, which they notice.
 *
 * The mapping's i_mmap lock keeps its virtual memory areas, and the upper levels of their page
 * tables, since they are taken from it before they are torn down. The lowest level may go
 * earlier, and is looked at again under its own lock.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/rbtree.h>
#include <linux/smp.h>

#include "tier.h"

#define LINE_ENTRIES	(L1_CACHE_BYTES / sizeof(pte_t))	/* of a page table */

/* What follows is of one architecture. */
#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#include <asm/invpcid.h>
#include <asm/special_insns.h>

/** hm_can_scan - whether accessed bits can be read here */
bool hm_can_scan(void)
{
	return true;
}

static bool is_young(const pte_t *pte)
{
	return pte_flags(READ_ONCE(*pte)) & _PAGE_ACCESSED;
}

/* The CPU may set bits of it meanwhile. */
static bool clear_young(pte_t *pte)
{
	if (!(pte_flags(READ_ONCE(*pte)) & (_PAGE_PRESENT | _PAGE_PROTNONE)))
		return false;
	return test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&pte->pte);
}

/*
 * All translations of user memory, of every address space that the CPU remembers. Without INVPCID
 * it remembers but one unless it has PCIDs; the few that have those alone under-count.
 */
static void flush_translations(void *unused)
{
	if (boot_cpu_has(X86_FEATURE_INVPCID))
		invpcid_flush_all_nonglobals();
	else
		native_write_cr3(__native_read_cr3());
}
#else
bool hm_can_scan(void)
{
	return false;
}

static bool is_young(const pte_t *pte)
{
	return false;
}

static bool clear_young(pte_t *pte)
{
	return false;
}

static void flush_translations(void *unused)
{
}
#endif

static pmd_t *find_pmd(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (pud_none(*pud) || pud_leaf(*pud) || pud_bad(*pud))
		return NULL;
	return pmd_offset(pud, address);
}

/* Whether any of the entries of one cache line is young; most of what is cold is passed over so. */
static bool any_young(const pte_t *pte)
{
	bool any = false;

	for (u32 i = 0; i < LINE_ENTRIES; i++)
		any |= is_young(pte + i);
	return any;
}

/* Pages @page to @end of the extent, whose entries begin at @pte, in one table that is locked. */
static bool scan_entries(pte_t *pte, u32 page, u32 end, u64 *accessed)
{
	bool any = false;

	while (page < end) {
		if (IS_ALIGNED((unsigned long)pte, LINE_ENTRIES * sizeof(*pte)) &&
		    end - page >= LINE_ENTRIES && !any_young(pte)) {
			pte += LINE_ENTRIES;
			page += LINE_ENTRIES;
			continue;
		}
		if (is_young(pte) && clear_young(pte)) {
			accessed[page / 64] |= 1ULL << page % 64;
			any = true;
		}
		pte++;
		page++;
	}
	return any;
}

/* @end lies behind @address in the same table; @page is the number of the first in the extent. */
static bool scan_table(struct mm_struct *mm, unsigned long address, unsigned long end, u32 page,
		       u64 *accessed)
{
	pmd_t *slot = find_pmd(mm, address), pmd;
	bool any = false;
	spinlock_t *lock;
	pte_t *pte;

	if (!slot)
		return false;
	rcu_read_lock();
	pmd = pmdp_get_lockless(slot);
	if (pmd_none(pmd) || !pmd_present(pmd) || pmd_leaf(pmd) || pmd_bad(pmd))
		goto out;
	pte = pte_offset_kernel(&pmd, address);
	lock = pte_lockptr(mm, &pmd);
	spin_lock(lock);
	if (pmd_same(pmd, pmdp_get_lockless(slot))) {
		u32 pages = (end - address) >> PAGE_SHIFT;

		any = scan_entries(pte, page, page + pages, accessed);
	}
	spin_unlock(lock);
out:
	rcu_read_unlock();
	return any;
}

/* The part of an area that maps pages @first to @last of the region. */
static void scan_area(struct vm_area_struct *vma, pgoff_t first, pgoff_t last, u64 *accessed,
		      struct cpumask *cpus)
{
	pgoff_t from = max(first, vma->vm_pgoff);
	pgoff_t to = min(last, vma->vm_pgoff + vma_pages(vma) - 1) + 1;
	unsigned long address, end, next;

	if (from >= to)
		return;
	address = vma->vm_start + ((from - vma->vm_pgoff) << PAGE_SHIFT);
	end = address + ((to - from) << PAGE_SHIFT);
	for (; address < end; address = next) {
		next = pmd_addr_end(address, end);
		if (scan_table(vma->vm_mm, address, next, from - first, accessed))
			cpumask_or(cpus, cpus, mm_cpumask(vma->vm_mm));
		from += (next - address) >> PAGE_SHIFT;
	}
}

static struct vm_area_struct *area_of(struct rb_node *node)
{
	return rb_entry(node, struct vm_area_struct, shared.rb);
}

/* Whether anything below a node may reach page @first: each knows how far they go. */
static bool reaches(struct rb_node *node, pgoff_t first)
{
	return node && area_of(node)->shared.rb_subtree_last >= first;
}

/* The first area that has any of these pages: the tree is one of intervals, by their beginning. */
static struct rb_node *first_area(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct rb_node *node = mapping->i_mmap.rb_root.rb_node;

	while (reaches(node, first)) {
		struct vm_area_struct *vma = area_of(node);

		if (reaches(node->rb_left, first))
			node = node->rb_left;
		else if (vma->vm_pgoff > last)
			break;
		else if (vma->vm_pgoff + vma_pages(vma) > first)
			return node;
		else
			node = node->rb_right;
	}
	return NULL;
}

/**
 * hm_scan - read and clear the accessed bits of a split extent
 * @index: number of the extent in the region
 * @accessed: HM_POLICY_WORDS words; the bit of each page that was touched is set in them
 * @cpus: those that may have translations of it are set in it, for hm_scan_flush()
 *
 * The extent's home is locked.
 *
 * Return: whether these bits tell of all touches.
 */
bool hm_scan(struct hm_region *region, u32 index, u64 *accessed, struct cpumask *cpus)
{
	struct address_space *mapping = region->inode->i_mapping;
	pgoff_t first = (pgoff_t)index << HM_EXTENT_ORDER, last = first + HM_EXTENT_PAGES - 1;
	struct rb_node *node;
	bool all = true;

	memset(accessed, 0, HM_POLICY_WORDS * sizeof(*accessed));
	i_mmap_lock_read(mapping);
	for (node = first_area(mapping, first, last); node && area_of(node)->vm_pgoff <= last;
	     node = rb_next(node)) {
		struct vm_area_struct *vma = area_of(node);

		/* The tree goes by where they begin: some end before. */
		if (vma->vm_pgoff + vma_pages(vma) <= first)
			continue;
		scan_area(vma, first, last, accessed, cpus);
		all &= !mm_has_notifiers(vma->vm_mm);
	}
	i_mmap_unlock_read(mapping);
	return all;
}

/** hm_scan_flush - who touches what was looked at sets its accessed bit from now on */
void hm_scan_flush(struct cpumask *cpus)
{
	if (cpumask_empty(cpus))
		return;
	on_each_cpu_mask(cpus, flush_translations, NULL, true);
	cpumask_clear(cpus);
}
