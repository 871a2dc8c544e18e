// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: ioctls
 *
 * One table for each device, from number to handler. A struct is copied in before any
 * lock is taken and copied out after all are let go. include/uapi/linux/hmem.h has the
 * rules on sizes.
 */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "poison.h"
#include "tier.h"

union hm_argument {
	__u32 size;
	struct hmem_version version;
	struct hmem_pool_attach attach;
	struct hmem_pool_detach detach;
	struct hmem_pool_drain drain;
	struct hmem_region_create create;
	struct hmem_region_resize resize;
	struct hmem_region_destroy destroy;
	struct hmem_region_query query;
	struct hmem_migrate migrate;
	struct hmem_pin pin;
	struct hmem_policy policy;
	struct hmem_stats stats;
	struct hmem_heat heat;
	struct hmem_wait wait;
	struct hmem_poison poison;
	struct hmem_pool_poison pool_poison;
};

enum hm_who {
	ADMIN,		/* CAP_SYS_ADMIN is needed */
	WRITER,		/* the file is open for writing */
	ANYBODY,
};

/**
 * struct hm_command - one ioctl
 * @cmd: its number
 * @known: size of its struct here
 * @v1: smallest size that is accepted
 * @who: may use it
 * @always: answered with an error as well
 * @fn: handler; @file is a region's or the control device's
 */
struct hm_command {
	unsigned int cmd;
	u32 known;
	u32 v1;
	enum hm_who who;
	bool always;
	int (*fn)(struct file *file, union hm_argument *arg);
};

static struct hm_region *region_of(const struct file *file)
{
	const struct hm_file *f = file->private_data;

	return f->region;
}

static bool name_terminated(const char name[HMEM_NAME_LEN])
{
	return strnlen(name, HMEM_NAME_LEN) < HMEM_NAME_LEN;
}

static int version(struct file *file, union hm_argument *arg)
{
	arg->version = (struct hmem_version) {
		.size = arg->size,
		.abi = HMEM_ABI_VERSION,
		.extent_size = HM_EXTENT_BYTES,
		.max_regions = HM_MEDIA_MAX_REGIONS,
		.providers = 1U << HMEM_PROVIDER_CXL | 1U << HMEM_PROVIDER_RAM,
	};
	return 0;
}

static int pool_attach(struct file *file, union hm_argument *arg)
{
	struct hmem_pool_attach *a = &arg->attach;

	if (a->flags & ~(HMEM_ATTACH_FORMAT | HMEM_ATTACH_CHECK | HMEM_ATTACH_TAKE_OVER) ||
	    !name_terminated(a->name) || !name_terminated(a->source) ||
	    (a->name[0] && !hm_media_name_ok(a->name)))
		return -EINVAL;
	return hm_pool_attach(a);
}

static int pool_detach(struct file *file, union hm_argument *arg)
{
	if (arg->detach.flags || !hm_media_name_ok(arg->detach.name))
		return -EINVAL;
	return hm_pool_detach(&arg->detach);
}

static int pool_drain(struct file *file, union hm_argument *arg)
{
	struct hmem_pool_drain *d = &arg->drain;
	u32 room = d->nr_ranges;

	d->state = 0;
	d->reserved = 0;
	d->left = 0;
	d->moved = 0;
	d->held = U64_MAX;
	memset(d->region, 0, sizeof(d->region));
	d->nr_ranges = 0;
	d->nr_held = 0;
	if (d->flags & ~(HMEM_DRAIN_STATUS | HMEM_DRAIN_STOP) || !hm_media_name_ok(d->name))
		return -EINVAL;
	return hm_pool_drain(d, room);
}

/* Those that the caller's array has; NULL when there is none. To be freed. */
static char (*pool_names(const struct hmem_region_create *c))[HMEM_NAME_LEN]
{
	char (*names)[HMEM_NAME_LEN];
	int error = 0;

	if (!c->nr_pools)
		return NULL;
	names = kvcalloc(c->nr_pools, sizeof(*names), GFP_KERNEL);
	if (!names)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(names, u64_to_user_ptr(c->pools), c->nr_pools * sizeof(*names)))
		error = -EFAULT;
	for (u32 i = 0; i < c->nr_pools && !error; i++)
		if (!hm_media_name_ok(names[i]))
			error = -EINVAL;
	if (!error)
		return names;
	kvfree(names);
	return ERR_PTR(error);
}

static int pool_poison(struct file *file, union hm_argument *arg)
{
	const struct hmem_pool_poison *p = &arg->pool_poison;

	if (p->flags || !p->bytes || !hm_media_name_ok(p->name))
		return -EINVAL;
	return hm_pool_poison(&arg->pool_poison);
}

static int region_create(struct file *file, union hm_argument *arg)
{
	struct hmem_region_create *c = &arg->create;
	const u32 ways = HMEM_CREATE_SPREAD | HMEM_CREATE_FILL;
	char (*names)[HMEM_NAME_LEN];
	u32 way = c->flags & ways;
	int error;

	if (c->flags & ~(ways | HMEM_CREATE_LONG_TERM_PINS) || way == ways || c->reserved ||
	    c->reserved2 || c->nr_pools > HM_MAX_PARTS || (!c->nr_pools && c->pools) ||
	    (c->nr_pools && (!way || c->pool[0])) || c->mode & ~0777 || !c->bytes ||
	    c->bytes > LLONG_MAX ||
	    !hm_media_name_ok(c->name) || !name_terminated(c->pool) ||
	    (c->pool[0] && !hm_media_name_ok(c->pool)) ||
	    !uid_valid(make_kuid(&init_user_ns, c->uid)) ||
	    !gid_valid(make_kgid(&init_user_ns, c->gid)))
		return -EINVAL;
	names = pool_names(c);
	if (IS_ERR(names))
		return PTR_ERR(names);
	error = hm_region_create(c, names);
	kvfree(names);
	return error;
}

static int region_resize(struct file *file, union hm_argument *arg)
{
	struct hmem_region_resize *r = &arg->resize;

	if (r->flags || !r->bytes || r->bytes > LLONG_MAX || !hm_media_name_ok(r->name))
		return -EINVAL;
	return hm_region_resize(r);
}

static int region_destroy(struct file *file, union hm_argument *arg)
{
	if (arg->destroy.flags || !hm_media_name_ok(arg->destroy.name))
		return -EINVAL;
	return hm_region_destroy(&arg->destroy);
}

static int region_query(struct file *file, union hm_argument *arg)
{
	if (arg->query.flags)
		return -EINVAL;
	return hm_region_query(region_of(file), &arg->query);
}

static int region_migrate(struct file *file, union hm_argument *arg)
{
	struct hmem_migrate *m = &arg->migrate;

	if (m->flags & ~(HMEM_MIGRATE_ASYNC | HMEM_MIGRATE_STATUS | HMEM_MIGRATE_STOP) ||
	    hweight32(m->flags) > 1 || m->reserved || m->place > HMEM_NEAR ||
	    !IS_ALIGNED(m->offset | m->bytes, HM_EXTENT_BYTES))
		return -EINVAL;
	if (m->flags)
		return hm_mover_migrate(file->private_data, m);
	return hm_tier_migrate(region_of(file), m);
}

static int region_pin(struct file *file, union hm_argument *arg)
{
	struct hmem_pin *p = &arg->pin;

	p->next = p->offset;
	if (p->flags & ~HMEM_PIN_RELEASE || p->reserved ||
	    p->place > (p->flags & HMEM_PIN_RELEASE ? HMEM_HOME : HMEM_NEAR) ||
	    !IS_ALIGNED(p->offset | p->bytes, HM_EXTENT_BYTES))
		return -EINVAL;
	return hm_tier_pin(region_of(file), p);
}

static int region_policy(struct file *file, union hm_argument *arg)
{
	const u32 sets = HMEM_POLICY_NEAR_MAX | HMEM_POLICY_MODE | HMEM_POLICY_KNOB;
	struct hmem_policy *p = &arg->policy;

	if (p->flags & ~(sets | HMEM_POLICY_KNOB_INDEX) ||
	    (p->flags & HMEM_POLICY_KNOB && p->flags & HMEM_POLICY_KNOB_INDEX) ||
	    (p->flags & HMEM_POLICY_KNOB && !p->knob[0]) ||
	    (p->flags & HMEM_POLICY_MODE && p->mode > HMEM_POLICY_AUTO) ||
	    strnlen(p->knob, sizeof(p->knob)) == sizeof(p->knob))
		return -EINVAL;
	if (p->flags & sets && !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return hm_tier_policy(region_of(file), p);
}

static int region_heat(struct file *file, union hm_argument *arg)
{
	const struct hmem_heat *h = &arg->heat;

	if (h->flags || !IS_ALIGNED(h->offset | h->bytes | h->cell, PAGE_SIZE))
		return -EINVAL;
	return hm_heat_get(region_of(file), &arg->heat);
}

static int region_stats(struct file *file, union hm_argument *arg)
{
	if (arg->stats.flags)
		return -EINVAL;
	return hm_tier_stats(region_of(file), &arg->stats);
}

static int region_wait(struct file *file, union hm_argument *arg)
{
	if (arg->wait.flags || arg->wait.reserved)
		return -EINVAL;
	return hm_events_get(file->private_data, &arg->wait);
}

static int region_poison(struct file *file, union hm_argument *arg)
{
	const struct hmem_poison *p = &arg->poison;

	if (p->flags || p->reserved || p->reserved2 || p->op > HMEM_POISON_CLEAR ||
	    !IS_ALIGNED(p->offset | p->bytes, PAGE_SIZE) ||
	    (p->op != HMEM_POISON_LIST && (!p->bytes || p->nr_ranges)))
		return -EINVAL;
	if (p->op == HMEM_POISON_REPORT && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (p->op == HMEM_POISON_CLEAR && !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return hm_region_poison(region_of(file), &arg->poison);
}

#define COMMAND(number, type, constant, who, handler) \
	{ number, sizeof(struct type), constant##_SIZE_V1, who, false, handler }

static const struct hm_command control_commands[] = {
	COMMAND(HMEM_VERSION, hmem_version, HMEM_VERSION, ANYBODY, version),
	COMMAND(HMEM_POOL_ATTACH, hmem_pool_attach, HMEM_POOL_ATTACH, ADMIN, pool_attach),
	COMMAND(HMEM_POOL_DETACH, hmem_pool_detach, HMEM_POOL_DETACH, ADMIN, pool_detach),
	COMMAND(HMEM_POOL_POISON, hmem_pool_poison, HMEM_POOL_POISON, ADMIN, pool_poison),
	{ HMEM_POOL_DRAIN, sizeof(struct hmem_pool_drain), HMEM_POOL_DRAIN_SIZE_V1, ADMIN, true,
	  pool_drain },
	COMMAND(HMEM_REGION_CREATE, hmem_region_create, HMEM_REGION_CREATE, ADMIN,
		region_create),
	COMMAND(HMEM_REGION_RESIZE, hmem_region_resize, HMEM_REGION_RESIZE, ADMIN,
		region_resize),
	COMMAND(HMEM_REGION_DESTROY, hmem_region_destroy, HMEM_REGION_DESTROY, ADMIN,
		region_destroy),
};

static const struct hm_command region_commands[] = {
	COMMAND(HMEM_REGION_QUERY, hmem_region_query, HMEM_REGION_QUERY, ANYBODY, region_query),
	COMMAND(HMEM_REGION_MIGRATE, hmem_migrate, HMEM_REGION_MIGRATE, WRITER, region_migrate),
	{ HMEM_REGION_PIN, sizeof(struct hmem_pin), HMEM_REGION_PIN_SIZE_V1, WRITER, true,
	  region_pin },
	COMMAND(HMEM_REGION_POLICY, hmem_policy, HMEM_REGION_POLICY, ANYBODY, region_policy),
	COMMAND(HMEM_REGION_STATS, hmem_stats, HMEM_REGION_STATS, ANYBODY, region_stats),
	COMMAND(HMEM_REGION_HEAT, hmem_heat, HMEM_REGION_HEAT, ANYBODY, region_heat),
	COMMAND(HMEM_REGION_WAIT, hmem_wait, HMEM_REGION_WAIT, ANYBODY, region_wait),
	{ HMEM_REGION_POISON, sizeof(struct hmem_poison), HMEM_REGION_POISON_SIZE_V1, ANYBODY, true,
	  region_poison },
};

static long run_command(const struct hm_command *commands, size_t count, unsigned int cmd,
			unsigned long user, struct file *file)
{
	const struct hm_command *c = commands;
	void __user *uptr = (void __user *)user;
	union hm_argument arg;
	u32 size;
	int error;

	while (c < commands + count && c->cmd != cmd)
		c++;
	if (c == commands + count)
		return -ENOTTY;
	if (c->who == ADMIN && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (c->who == WRITER && !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (get_user(size, (u32 __user *)uptr))
		return -EFAULT;
	if (size < c->v1)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(&arg, 0, sizeof(arg));
	error = copy_struct_from_user(&arg, c->known, uptr, size);
	if (error)
		return error;
	/* The caller could have changed it since. */
	arg.size = size;
	error = c->fn(file, &arg);
	if (error && !c->always)
		return error;
	return copy_to_user(uptr, &arg, min(size, c->known)) ? -EFAULT : error;
}

static long hm_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return run_command(control_commands, ARRAY_SIZE(control_commands), cmd, arg, file);
}

long hm_region_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return run_command(region_commands, ARRAY_SIZE(region_commands), cmd, arg, file);
}

const struct file_operations hm_control_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = hm_control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
