// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: moves that nobody waits for
 *
 * HMEM_MIGRATE_ASYNC: a file's range is moved by a worker while its caller goes on. One range of a
 * file at once; an event says that it ended, and HMEM_MIGRATE_STATUS what became of it.
 *
 * The worker takes turns: each file's range gets on by HM_TURN and stands in line again, and one
 * range moves at once, so that who opens many files has no more of the machine's time, and nobody
 * waits for the end of a long one. What a worker does counts for nobody's CPU controller.
 */
#include <linux/slab.h>

#include "tier.h"

#define HM_TURN		(16ULL << HM_EXTENT_SHIFT)

static struct workqueue_struct *hm_movers;

/** hm_movers_init - 0 or -ENOMEM */
int hm_movers_init(void)
{
	hm_movers = alloc_workqueue("hmem_move", WQ_UNBOUND, 1);
	return hm_movers ? 0 : -ENOMEM;
}

/** hm_movers_exit - when no file is open any more */
void hm_movers_exit(void)
{
	destroy_workqueue(hm_movers);
}

/*
 * A turn. Nobody else changes what is told of a range while it is moved. Where the work cannot stand
 * in line again somebody is just stopping it.
 */
static void move_on(struct work_struct *work)
{
	struct hm_mover *mover = container_of(work, struct hm_mover, work);
	struct hm_region *region = container_of(mover, struct hm_file, mover)->region;
	struct hmem_migrate arg = mover->arg;
	u64 end = arg.offset + arg.bytes;
	int error = hm_tier_move(region, &arg, min(end, arg.next + HM_TURN));
	bool over = error || arg.next >= end;

	spin_lock(&mover->lock);
	mover->arg = arg;
	mover->error = error;
	mover->running = !over;
	spin_unlock(&mover->lock);
	if (!over)
		queue_work(hm_movers, work);
	else
		hm_tier_moved(region, &arg, true);
}

/** hm_mover_init - of a new file: it moves nothing */
void hm_mover_init(struct hm_mover *mover)
{
	spin_lock_init(&mover->lock);
	INIT_WORK(&mover->work, move_on);
}

/** hm_mover_stop - what is moved stays where it is now, and the range ends there */
void hm_mover_stop(struct hm_mover *mover)
{
	struct hm_region *region = container_of(mover, struct hm_file, mover)->region;
	struct hmem_migrate arg;
	bool stopped;

	cancel_work_sync(&mover->work);
	spin_lock(&mover->lock);
	stopped = mover->running;
	mover->running = false;
	if (stopped)
		mover->arg.bytes = mover->arg.next - mover->arg.offset;
	arg = mover->arg;
	spin_unlock(&mover->lock);
	if (stopped)
		hm_tier_moved(region, &arg, true);
}

/* HMEM_MIGRATE_ASYNC */
static int begin(struct hm_region *region, struct hm_mover *mover, struct hmem_migrate *arg)
{
	int error = hm_tier_range(region, arg);

	if (error)
		return error;
	if (READ_ONCE(region->dead))
		return -ENODEV;
	spin_lock(&mover->lock);
	if (mover->running) {
		spin_unlock(&mover->lock);
		return -EBUSY;
	}
	mover->running = true;
	mover->error = 0;
	mover->arg = *arg;
	spin_unlock(&mover->lock);
	queue_work(hm_movers, &mover->work);
	return 0;
}

/* HMEM_MIGRATE_STATUS */
static int tell(struct hm_mover *mover, struct hmem_migrate *arg)
{
	struct hmem_migrate told;
	int error;

	spin_lock(&mover->lock);
	told = mover->arg;
	error = mover->error;
	spin_unlock(&mover->lock);
	if (!told.size)
		return -ENOENT;
	told.size = arg->size;
	told.flags = arg->flags;
	*arg = told;
	return error;
}

/** hm_mover_migrate - HMEM_REGION_MIGRATE with one of its flags */
int hm_mover_migrate(struct hm_file *file, struct hmem_migrate *arg)
{
	if (arg->flags == HMEM_MIGRATE_ASYNC)
		return begin(file->region, &file->mover, arg);
	if (arg->offset || arg->bytes || arg->place)
		return -EINVAL;
	if (arg->flags == HMEM_MIGRATE_STOP)
		hm_mover_stop(&file->mover);
	return tell(&file->mover, arg);
}
