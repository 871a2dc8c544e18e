/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands of the kernel contract as a table: a legal argument for each, what must
 * be there before it is legal, and how its effect is seen.
 */
#ifndef SELFTESTS_GUEST_UAPI_TABLE_H
#define SELFTESTS_GUEST_UAPI_TABLE_H

#include <stddef.h>

#include "fixture.h"
#include "near.h"

#define PAGE		4096
#define POOL		"up"
#define REGION		"ur"

static int control, region_fd = -1;

/* The longest of the structs, and room behind it for what this kernel does not know. */
union argument {
	__u32 size;
	struct hmem_version version;
	struct hmem_pool_attach attach;
	struct hmem_pool_detach detach;
	struct hmem_pool_drain drain;
	struct hmem_region_create create;
	struct hmem_region_resize resize;
	struct hmem_region_destroy destroy;
	struct hmem_region_query info;
	struct hmem_migrate migrate;
	struct hmem_pin pin;
	struct hmem_policy policy;
	struct hmem_stats stats;
	struct hmem_heat heat;
	struct hmem_wait wait;
	struct hmem_poison poison;
	struct hmem_pool_poison pool_poison;
	unsigned char bytes[2048];
};

static inline void fill_version(union argument *a)
{
	a->version = (struct hmem_version){ .size = sizeof(a->version) };
}

static inline void fill_attach(union argument *a)
{
	a->attach = (struct hmem_pool_attach){ .size = sizeof(a->attach),
					       .provider = HMEM_PROVIDER_RAM,
					       .bytes = 2 * EXTENT, .nid = -1, .name = POOL };
}

static inline void fill_detach(union argument *a)
{
	a->detach = (struct hmem_pool_detach){ .size = sizeof(a->detach), .name = POOL };
}

static inline void fill_drain(union argument *a)
{
	a->drain = (struct hmem_pool_drain){ .size = sizeof(a->drain), .name = POOL };
}

static inline void fill_create(union argument *a)
{
	a->create = (struct hmem_region_create){ .size = sizeof(a->create), .bytes = EXTENT,
						 .mode = 0600, .name = REGION, .pool = POOL };
}

static inline void fill_resize(union argument *a)
{
	a->resize = (struct hmem_region_resize){ .size = sizeof(a->resize), .bytes = 2 * EXTENT,
						 .name = REGION };
}

static inline void fill_destroy(union argument *a)
{
	a->destroy = (struct hmem_region_destroy){ .size = sizeof(a->destroy), .name = REGION };
}

static inline void fill_info(union argument *a)
{
	a->info = (struct hmem_region_query){ .size = sizeof(a->info) };
}

static inline void fill_migrate(union argument *a)
{
	a->migrate = (struct hmem_migrate){ .size = sizeof(a->migrate), .bytes = EXTENT,
					    .place = HMEM_NEAR };
}

static inline void fill_policy(union argument *a)
{
	a->policy = (struct hmem_policy){ .size = sizeof(a->policy),
					  .flags = HMEM_POLICY_NEAR_MAX, .near_max = 2 * EXTENT };
}

static inline void fill_stats(union argument *a)
{
	a->stats = (struct hmem_stats){ .size = sizeof(a->stats) };
}

static inline void fill_pin(union argument *a)
{
	a->pin = (struct hmem_pin){ .size = sizeof(a->pin), .bytes = EXTENT, .place = HMEM_NEAR };
}

static inline void fill_heat(union argument *a)
{
	a->heat = (struct hmem_heat){ .size = sizeof(a->heat) };
}

static inline void fill_wait(union argument *a)
{
	a->wait = (struct hmem_wait){ .size = sizeof(a->wait) };
}

static inline void fill_poison(union argument *a)
{
	a->poison = (struct hmem_poison){ .size = sizeof(a->poison) };
}

static inline void fill_pool_poison(union argument *a)
{
	a->pool_poison = (struct hmem_pool_poison){ .size = sizeof(a->pool_poison),
						    .bytes = 1, .name = POOL };
}

/* What has to be there before a command is legal. */
enum stage { NOTHING, A_POOL, A_REGION, AN_OPEN_REGION, A_TOUCHED_REGION };

#define NO_MEMBER	((size_t)-1)

static const struct command {
	const char *name;
	unsigned long number;
	size_t length, length_v1;
	void (*fill)(union argument *a);
	enum stage needs;
	size_t flags;		/* where the flags are, and which are known */
	__u32 flags_known;
	bool writes;		/* has outputs besides the size */
	size_t names[2];	/* names that must be well formed */
} commands[] = {
	{ "VERSION", HMEM_VERSION, sizeof(struct hmem_version), HMEM_VERSION_SIZE_V1,
	  fill_version, NOTHING, NO_MEMBER, 0, true, { NO_MEMBER, NO_MEMBER } },
	{ "POOL_ATTACH", HMEM_POOL_ATTACH, sizeof(struct hmem_pool_attach),
	  HMEM_POOL_ATTACH_SIZE_V1, fill_attach, NOTHING,
	  offsetof(struct hmem_pool_attach, flags),
	  HMEM_ATTACH_FORMAT | HMEM_ATTACH_CHECK | HMEM_ATTACH_TAKE_OVER, true,
	  { offsetof(struct hmem_pool_attach, name), NO_MEMBER } },
	{ "POOL_DETACH", HMEM_POOL_DETACH, sizeof(struct hmem_pool_detach),
	  HMEM_POOL_DETACH_SIZE_V1, fill_detach, A_POOL,
	  offsetof(struct hmem_pool_detach, flags), 0, false,
	  { offsetof(struct hmem_pool_detach, name), NO_MEMBER } },
	{ "POOL_POISON", HMEM_POOL_POISON, sizeof(struct hmem_pool_poison),
	  HMEM_POOL_POISON_SIZE_V1, fill_pool_poison, A_POOL,
	  offsetof(struct hmem_pool_poison, flags), 0, true,
	  { offsetof(struct hmem_pool_poison, name), NO_MEMBER } },
	{ "POOL_DRAIN", HMEM_POOL_DRAIN, sizeof(struct hmem_pool_drain), HMEM_POOL_DRAIN_SIZE_V1,
	  fill_drain, A_POOL, offsetof(struct hmem_pool_drain, flags),
	  HMEM_DRAIN_STATUS | HMEM_DRAIN_STOP, true,
	  { offsetof(struct hmem_pool_drain, name), NO_MEMBER } },
	{ "REGION_CREATE", HMEM_REGION_CREATE, sizeof(struct hmem_region_create),
	  HMEM_REGION_CREATE_SIZE_V1, fill_create, A_POOL,
	  offsetof(struct hmem_region_create, flags),
	  HMEM_CREATE_SPREAD | HMEM_CREATE_FILL | HMEM_CREATE_LONG_TERM_PINS, true,
	  { offsetof(struct hmem_region_create, name),
	    offsetof(struct hmem_region_create, pool) } },
	{ "REGION_RESIZE", HMEM_REGION_RESIZE, sizeof(struct hmem_region_resize),
	  HMEM_REGION_RESIZE_SIZE_V1, fill_resize, A_REGION,
	  offsetof(struct hmem_region_resize, flags), 0, true,
	  { offsetof(struct hmem_region_resize, name), NO_MEMBER } },
	{ "REGION_DESTROY", HMEM_REGION_DESTROY, sizeof(struct hmem_region_destroy),
	  HMEM_REGION_DESTROY_SIZE_V1, fill_destroy, A_REGION,
	  offsetof(struct hmem_region_destroy, flags), 0, false,
	  { offsetof(struct hmem_region_destroy, name), NO_MEMBER } },
	{ "REGION_QUERY", HMEM_REGION_QUERY, sizeof(struct hmem_region_query),
	  HMEM_REGION_QUERY_SIZE_V1, fill_info, AN_OPEN_REGION,
	  offsetof(struct hmem_region_query, flags), 0, true, { NO_MEMBER, NO_MEMBER } },
	{ "REGION_MIGRATE", HMEM_REGION_MIGRATE, sizeof(struct hmem_migrate),
	  HMEM_REGION_MIGRATE_SIZE_V1, fill_migrate, A_TOUCHED_REGION,
	  offsetof(struct hmem_migrate, flags),
	  HMEM_MIGRATE_ASYNC | HMEM_MIGRATE_STATUS | HMEM_MIGRATE_STOP, true,
	  { NO_MEMBER, NO_MEMBER } },
	{ "REGION_PIN", HMEM_REGION_PIN, sizeof(struct hmem_pin), HMEM_REGION_PIN_SIZE_V1,
	  fill_pin, A_TOUCHED_REGION, offsetof(struct hmem_pin, flags), HMEM_PIN_RELEASE, true,
	  { NO_MEMBER, NO_MEMBER } },
	{ "REGION_POLICY", HMEM_REGION_POLICY, sizeof(struct hmem_policy),
	  HMEM_REGION_POLICY_SIZE_V1, fill_policy, AN_OPEN_REGION,
	  offsetof(struct hmem_policy, flags),
	  HMEM_POLICY_NEAR_MAX | HMEM_POLICY_MODE | HMEM_POLICY_KNOB | HMEM_POLICY_KNOB_INDEX, true,
	  { NO_MEMBER, NO_MEMBER } },
	{ "REGION_STATS", HMEM_REGION_STATS, sizeof(struct hmem_stats),
	  HMEM_REGION_STATS_SIZE_V1, fill_stats, AN_OPEN_REGION,
	  offsetof(struct hmem_stats, flags), 0, true, { NO_MEMBER, NO_MEMBER } },
	{ "REGION_HEAT", HMEM_REGION_HEAT, sizeof(struct hmem_heat),
	  HMEM_REGION_HEAT_SIZE_V1, fill_heat, AN_OPEN_REGION,
	  offsetof(struct hmem_heat, flags), 0, true, { NO_MEMBER, NO_MEMBER } },
	{ "REGION_WAIT", HMEM_REGION_WAIT, sizeof(struct hmem_wait),
	  HMEM_REGION_WAIT_SIZE_V1, fill_wait, AN_OPEN_REGION,
	  offsetof(struct hmem_wait, flags), 0, true, { NO_MEMBER, NO_MEMBER } },
	{ "REGION_POISON", HMEM_REGION_POISON, sizeof(struct hmem_poison),
	  HMEM_REGION_POISON_SIZE_V1, fill_poison, AN_OPEN_REGION,
	  offsetof(struct hmem_poison, flags), 0, true, { NO_MEMBER, NO_MEMBER } },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The ground that refused commands have left as it was, for the next one. */
static const struct command *staged;

static inline void stage_leave(void)
{
	if (region_fd >= 0)
		close(region_fd);
	region_fd = -1;
	sweep(control);
	staged = NULL;
}

static inline void stage_enter(enum stage stage)
{
	if (staged)
		stage_leave();
	if (stage >= A_POOL)
		must(pool_attach_ram(control, POOL, 2 * EXTENT), "attach a pool");
	if (stage >= A_REGION)
		must(region_create(control, REGION, POOL, EXTENT), "create a region");
	if (stage >= AN_OPEN_REGION)
		region_fd = must_open(REGION, O_RDWR);
	if (stage == A_TOUCHED_REGION) {
		must(near_max_set(region_fd, EXTENT), "set near_max");
		if (pwrite(region_fd, "x", 1, 0) != 1)
			tap_bail("write: %s", strerror(errno));
	}
}

/* True when the command is seen to have taken effect; always false for those that only ask. */
static inline bool took_effect(const struct command *c)
{
	switch (c->number) {
	case HMEM_POOL_ATTACH:
		return pool_free(POOL) >= 0;
	case HMEM_POOL_POISON:
		return pool_free(POOL) == (int64_t)EXTENT;
	case HMEM_POOL_DETACH:
		return pool_free(POOL) < 0;
	case HMEM_POOL_DRAIN:
		return sysfs_number("hmem_pool", POOL, "draining") == 1;
	case HMEM_REGION_CREATE:
		return sysfs_number("hmem", REGION, "size") >= 0;
	case HMEM_REGION_RESIZE:
		return sysfs_number("hmem", REGION, "size") != (int64_t)EXTENT;
	case HMEM_REGION_DESTROY:
		return sysfs_number("hmem", REGION, "size") < 0;
	case HMEM_REGION_MIGRATE:
	case HMEM_REGION_PIN:
		return near_stats(region_fd).near;
	case HMEM_REGION_POLICY:
		return near_stats(region_fd).near_max;
	}
	return false;
}

static inline bool has_effect(const struct command *c)
{
	return c->number != HMEM_VERSION && c->number != HMEM_REGION_QUERY &&
	       c->number != HMEM_REGION_STATS && c->number != HMEM_REGION_HEAT &&
	       c->number != HMEM_REGION_WAIT && c->number != HMEM_REGION_POISON;
}

/* Gives one argument to one command; -EDOM when it was refused and yet done, or the reverse. */
static inline int submit(const struct command *c, void *argument)
{
	int rc;

	if (staged != c)
		stage_enter(c->needs);
	staged = c;
	rc = hmem_ioctl(c->needs >= AN_OPEN_REGION ? region_fd : control, c->number, argument);
	if (rc && took_effect(c)) {
		tap_diag("%s answered %d, and was done all the same", c->name, rc);
		rc = -EDOM;
	} else if (!rc && has_effect(c) && !took_effect(c)) {
		tap_diag("%s succeeded without effect", c->name);
		rc = -EDOM;
	}
	if (rc >= 0 || rc == -EDOM)
		stage_leave();
	return rc;
}

#endif
