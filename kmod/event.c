// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: events
 *
 * What happens to a region and its users may want to know. The last HM_EVENTS are kept, each
 * with a number. A reader says which number it has seen; so everybody has all events, nobody
 * takes them from others, and who was too slow learns how many were lost.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "core.h"

#define HM_EVENTS	64U

/**
 * struct hm_events - the events of a region
 * @lock: a leaf; protects what follows
 * @last: number of the newest, counting from 1
 * @ring: the newest; number n is at n % HM_EVENTS
 * @wait: who waits for one, or for the region to die
 */
struct hm_events {
	spinlock_t lock;
	u64 last;
	struct hmem_event ring[HM_EVENTS];
	wait_queue_head_t wait;
};

/** hm_events_alloc - for a new region; NULL: no memory */
struct hm_events *hm_events_alloc(void)
{
	struct hm_events *events = kzalloc(sizeof(*events), GFP_KERNEL);

	if (!events)
		return NULL;
	spin_lock_init(&events->lock);
	init_waitqueue_head(&events->wait);
	return events;
}

/** hm_event - something happened; from any context that may take a spinlock */
void hm_event(struct hm_region *region, enum hmem_event_type type, u64 offset, u64 bytes)
{
	struct hm_events *events = region->events;

	spin_lock(&events->lock);
	events->last++;
	events->ring[events->last % HM_EVENTS] = (struct hmem_event){
		.seq = events->last, .type = type, .offset = offset, .bytes = bytes,
	};
	spin_unlock(&events->lock);
	wake_up_all(&events->wait);
}

/** hm_events_wake - the region is dead now: nobody waits for more of it */
void hm_events_wake(struct hm_region *region)
{
	wake_up_all(&region->events->wait);
}

/** hm_events_last - the number of the newest event */
u64 hm_events_last(struct hm_region *region)
{
	return READ_ONCE(region->events->last);
}

/* Event @seq or the oldest after it that is still there; false when there is none. */
static bool next_event(struct hm_events *events, u64 seq, struct hmem_event *event)
{
	bool found;

	spin_lock(&events->lock);
	if (events->last >= HM_EVENTS)
		seq = max(seq, events->last - HM_EVENTS + 1);
	found = seq <= events->last;
	if (found)
		*event = events->ring[seq % HM_EVENTS];
	spin_unlock(&events->lock);
	return found;
}

/* Until there is an event after @seq, time is up or the region is dead. */
static int wait_for_event(struct hm_region *region, u64 seq, u64 timeout_ns)
{
	struct hm_events *events = region->events;
	long ticks = MAX_SCHEDULE_TIMEOUT;

	if (timeout_ns != U64_MAX)
		ticks = min_t(u64, nsecs_to_jiffies64(timeout_ns) + !!timeout_ns,
			      MAX_SCHEDULE_TIMEOUT - 1);
	ticks = wait_event_interruptible_timeout(events->wait,
						 READ_ONCE(events->last) > seq ||
						 READ_ONCE(region->dead), ticks);
	return ticks < 0 ? -EINTR : 0;
}

/* Events after arg->seq go to the caller's array, as many as fit. */
static int give_events(struct hm_file *file, struct hmem_wait *arg)
{
	struct hmem_event __user *user = u64_to_user_ptr(arg->events);
	struct hm_events *events = file->region->events;
	struct hmem_event event;
	u32 n = 0;

	while (n < arg->nr_events && next_event(events, arg->seq + 1, &event)) {
		if (copy_to_user(user + n, &event, sizeof(event)))
			return -EFAULT;
		arg->lost += event.seq - arg->seq - 1;
		arg->seq = event.seq;
		n++;
	}
	arg->nr_events = n;
	WRITE_ONCE(file->seen, arg->seq);
	return 0;
}

/** hm_events_get - HMEM_REGION_WAIT */
int hm_events_get(struct hm_file *file, struct hmem_wait *arg)
{
	struct hm_region *region = file->region;
	u64 last = hm_events_last(region);
	int error;

	arg->lost = 0;
	if (READ_ONCE(region->dead))
		return -ENODEV;
	if (arg->seq > last)
		return -ERANGE;
	if (!arg->nr_events) {
		arg->seq = last;
		WRITE_ONCE(file->seen, last);
		return 0;
	}
	error = wait_for_event(region, arg->seq, arg->timeout_ns);
	if (error)
		return error;
	if (READ_ONCE(region->dead))
		return -ENODEV;
	return give_events(file, arg);
}

/** hm_events_poll - poll(2): EPOLLPRI while there are events that this file has not seen */
__poll_t hm_events_poll(struct hm_file *file, struct file *filp, struct poll_table_struct *table)
{
	struct hm_region *region = file->region;
	__poll_t mask = DEFAULT_POLLMASK;

	poll_wait(filp, &region->events->wait, table);
	if (READ_ONCE(region->dead))
		return mask | EPOLLERR | EPOLLHUP;
	if (hm_events_last(region) > READ_ONCE(file->seen))
		mask |= EPOLLPRI;
	return mask;
}
