// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: references that the core holds back
 *
 * The core gives some references back only when it has collected a few, one batch for each CPU:
 * thirty-one of them, and until then it has them for as long as that CPU has nothing else to do.
 * A small folio that is mapped in a locked mapping (mlock(2), mlockall(2)) has one in the batch
 * of the CPU that mapped it, and one in that of the CPU that unmapped it (mm/mlock.c, since 5.18;
 * in 6.12 and 7.3 it is the same). PG_mlocked goes with the second batch, which may be emptied
 * before the first: in 6.12 by the unmapping itself, when that gives back what it has unmapped.
 * So a page that is held by a batch need not have it. Large folios are in no batch, and near pages
 * of split extents are on no LRU list, whose batches they would be in otherwise.
 *
 * Such a reference is no pin, though it looks like one. The batches of this CPU are emptied at
 * once; those of the others by a work item on each. Before a page is mapped in a locked mapping,
 * or found with PG_mlocked, there is no reason to: then it is done four times a second at the most,
 * for pages that were locked when they were mapped already and unlocked again before they were
 * looked at, and only while somebody wants a page that is held.
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "near.h"

/* Between two rounds that nobody waits for. */
#define HM_PAUSE	(HZ / 50)
#define HM_PAUSE_RARE	(HZ / 4)
/* For a round: a CPU that does not come to it is not waited for any longer under a lock. */
#define HM_PATIENCE	(HZ / 4)

static void empty_all(struct work_struct *work);
static DECLARE_DELAYED_WORK(hm_emptying, empty_all);
static DECLARE_WAIT_QUEUE_HEAD(hm_emptied);

/* Rounds begun, and ended; and when the last one was. */
static unsigned long hm_begun, hm_ended, hm_last;
/* A page was, or is about to be, mapped in a locked mapping. */
static bool hm_locked;

/* Releasing a batch, here an empty one, empties those of this CPU: mlock's are among them. */
static long empty_here(void *unused)
{
	struct folio_batch none;

	folio_batch_init(&none);
	__folio_batch_release(&none);
	return 0;
}

/* A CPU that goes offline empties its own. */
static void empty_all(struct work_struct *work)
{
	unsigned long round = hm_begun + 1;
	int cpu;

	/* Who read it before may have seen references that come into a batch later. */
	smp_store_mb(hm_begun, round); /* as said above */
	cpus_read_lock();
	for_each_online_cpu(cpu)
		work_on_cpu(cpu, empty_here, NULL);
	cpus_read_unlock();
	WRITE_ONCE(hm_last, jiffies);
	smp_store_release(&hm_ended, round); /* after it was done */
	wake_up_all(&hm_emptied);
}

/* Ticks until a round may begin. */
static unsigned long pause_left(unsigned long pause)
{
	unsigned long next = READ_ONCE(hm_last) + pause;

	return READ_ONCE(hm_ended) && time_before(jiffies, next) ? next - jiffies : 0;
}

/** hm_batches_expect - a small folio is mapped in a locked mapping, or will be next */
void hm_batches_expect(void)
{
	if (!READ_ONCE(hm_locked))
		WRITE_ONCE(hm_locked, true);
}

/**
 * hm_batches_empty - a folio has more references than it should: perhaps of batches
 *
 * Those of this CPU are emptied. May be called under folio locks, and in reclaim.
 *
 * Return: whether it is worth another look.
 */
bool hm_batches_empty(const struct folio *folio)
{
	if (folio_test_large(folio))
		return false;
	if (folio_test_mlocked(folio))
		hm_batches_expect();
	if (READ_ONCE(hm_locked))
		empty_here(NULL);
	return READ_ONCE(hm_locked);
}

/** hm_batches_kick - the same for all CPUs, a little later; nobody waits for it */
void hm_batches_kick(const struct folio *folio)
{
	if (!folio_test_large(folio))
		queue_delayed_work(hm_wq, &hm_emptying,
				   pause_left(READ_ONCE(hm_locked) ? HM_PAUSE : HM_PAUSE_RARE));
}

/**
 * hm_batches_wait - the batches of all CPUs are emptied
 *
 * For who has just found that a small folio is held. Under folio locks, so that nobody maps it
 * again meanwhile; not in reclaim.
 *
 * Return: whether it is worth another look.
 */
bool hm_batches_wait(void)
{
	unsigned long round;

	if (!READ_ONCE(hm_locked) && pause_left(HM_PAUSE_RARE))
		return false;
	smp_mb();	/* a round that has not begun yet meets all that was seen before */
	round = READ_ONCE(hm_begun) + 1;
	mod_delayed_work(hm_wq, &hm_emptying, 0);
	return wait_event_timeout(hm_emptied, (long)(smp_load_acquire(&hm_ended) - round) >= 0,
				  HM_PATIENCE);
}

/** hm_batches_exit - no region is left, and so nobody who asks */
void hm_batches_exit(void)
{
	disable_delayed_work_sync(&hm_emptying);
}
