/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The grammar of the kernel contract, for the ioctl fuzzer: each command, each member of its
 * struct, and what is sensible there. A command that is added to linux/hmem.h is added here;
 * host/ioctl_grammar.sh finds what is missing.
 */
#ifndef SELFTESTS_GUEST_IOCTL_GRAMMAR_H
#define SELFTESTS_GUEST_IOCTL_GRAMMAR_H

#include <stddef.h>

#include "kmod.h"

/* What a member is; @known of struct member is said for each. */
enum member_kind {
	OUT,		/* ignored, or 0 */
	RESERVED,	/* 0 */
	FLAGS,		/* bits of @known */
	CHOICE,		/* 0 to @known */
	RANGE,		/* a multiple of the extent size, @known extents at most */
	RAM_BYTES,	/* the same, where it is memory that is taken at once */
	NODE,		/* -1 or a node */
	COUNT,		/* up to @known */
	TIME,		/* up to @known, and never longer: nothing else ends it */
	POINTER,	/* to @known bytes */
	ID,		/* of a user or group */
	MODE,		/* permission bits */
	HOST,		/* a host's, or 0 */
	POOL_NAME, REGION_NAME, SOURCE_NAME, KNOB_NAME,
};

struct member {
	unsigned int at, bytes;
	enum member_kind kind;
	uint64_t known;
};

#define MEMBERS		24

/* The ordinary user may use it; it needs a file open for writing; only CAP_SYS_ADMIN may. */
enum who { ANYBODY, WRITER, ADMIN };

struct grammar {
	const char *name;
	unsigned long number;
	bool on_region;
	enum who who;
	int weight;
	unsigned int length, least;
	struct member members[MEMBERS];
};

#define M(type, member, kind, known) \
	{ offsetof(struct type, member), sizeof(((struct type *)0)->member), kind, known }

static const struct grammar grammar[] = {
	{ "VERSION", HMEM_VERSION, false, ANYBODY, 6, sizeof(struct hmem_version),
	  HMEM_VERSION_SIZE_V1, {
		M(hmem_version, abi, OUT, 0), M(hmem_version, extent_size, OUT, 0),
		M(hmem_version, max_regions, OUT, 0), M(hmem_version, providers, OUT, 0) } },
	{ "POOL_ATTACH", HMEM_POOL_ATTACH, false, ADMIN, 4, sizeof(struct hmem_pool_attach),
	  HMEM_POOL_ATTACH_SIZE_V1, {
		M(hmem_pool_attach, flags, FLAGS, HMEM_ATTACH_FORMAT | HMEM_ATTACH_CHECK |
						  HMEM_ATTACH_TAKE_OVER),
		M(hmem_pool_attach, provider, CHOICE, HMEM_PROVIDER_RAM),
		M(hmem_pool_attach, state, RESERVED, 0),
		M(hmem_pool_attach, bytes, RAM_BYTES, 8), M(hmem_pool_attach, nid, NODE, 0),
		M(hmem_pool_attach, regions, OUT, 0), M(hmem_pool_attach, name, POOL_NAME, 0),
		M(hmem_pool_attach, source, SOURCE_NAME, 0), M(hmem_pool_attach, host, HOST, 0) } },
	{ "POOL_DETACH", HMEM_POOL_DETACH, false, ADMIN, 3, sizeof(struct hmem_pool_detach),
	  HMEM_POOL_DETACH_SIZE_V1, {
		M(hmem_pool_detach, flags, FLAGS, 0), M(hmem_pool_detach, name, POOL_NAME, 0) } },
	{ "REGION_CREATE", HMEM_REGION_CREATE, false, ADMIN, 10, sizeof(struct hmem_region_create),
	  HMEM_REGION_CREATE_SIZE_V1, {
		M(hmem_region_create, flags, FLAGS, HMEM_CREATE_SPREAD | HMEM_CREATE_FILL |
						    HMEM_CREATE_LONG_TERM_PINS),
		M(hmem_region_create, bytes, RANGE, 4),
		M(hmem_region_create, uid, ID, 0), M(hmem_region_create, gid, ID, 0),
		M(hmem_region_create, mode, MODE, 0), M(hmem_region_create, reserved, RESERVED, 0),
		M(hmem_region_create, name, REGION_NAME, 0),
		M(hmem_region_create, pool, POOL_NAME, 0),
		M(hmem_region_create, pools, POINTER, 4096),
		M(hmem_region_create, nr_pools, COUNT, 3),
		M(hmem_region_create, reserved2, RESERVED, 0) } },
	{ "POOL_DRAIN", HMEM_POOL_DRAIN, false, ADMIN, 2, sizeof(struct hmem_pool_drain),
	  HMEM_POOL_DRAIN_SIZE_V1, {
		M(hmem_pool_drain, flags, FLAGS, HMEM_DRAIN_STATUS | HMEM_DRAIN_STOP),
		M(hmem_pool_drain, name, POOL_NAME, 0), M(hmem_pool_drain, state, OUT, 0),
		M(hmem_pool_drain, reserved, OUT, 0), M(hmem_pool_drain, left, OUT, 0),
		M(hmem_pool_drain, moved, OUT, 0), M(hmem_pool_drain, held, OUT, 0),
		M(hmem_pool_drain, region, OUT, 0), M(hmem_pool_drain, ranges, POINTER, 4096),
		M(hmem_pool_drain, nr_ranges, COUNT, 4096 / sizeof(struct hmem_held_range)),
		M(hmem_pool_drain, nr_held, OUT, 0) } },
	{ "POOL_POISON", HMEM_POOL_POISON, false, ADMIN, 1, sizeof(struct hmem_pool_poison),
	  HMEM_POOL_POISON_SIZE_V1, {
		M(hmem_pool_poison, flags, FLAGS, 0), M(hmem_pool_poison, offset, RANGE, 8),
		M(hmem_pool_poison, bytes, COUNT, 8192), M(hmem_pool_poison, pages, OUT, 0),
		M(hmem_pool_poison, free, OUT, 0), M(hmem_pool_poison, own, OUT, 0),
		M(hmem_pool_poison, name, POOL_NAME, 0) } },
	{ "REGION_RESIZE", HMEM_REGION_RESIZE, false, ADMIN, 6, sizeof(struct hmem_region_resize),
	  HMEM_REGION_RESIZE_SIZE_V1, {
		M(hmem_region_resize, flags, FLAGS, 0), M(hmem_region_resize, bytes, RANGE, 4),
		M(hmem_region_resize, name, REGION_NAME, 0) } },
	{ "REGION_DESTROY", HMEM_REGION_DESTROY, false, ADMIN, 5,
	  sizeof(struct hmem_region_destroy), HMEM_REGION_DESTROY_SIZE_V1, {
		M(hmem_region_destroy, flags, FLAGS, 0),
		M(hmem_region_destroy, name, REGION_NAME, 0) } },
	{ "REGION_QUERY", HMEM_REGION_QUERY, true, ANYBODY, 14, sizeof(struct hmem_region_query),
	  HMEM_REGION_QUERY_SIZE_V1, {
		M(hmem_region_query, flags, FLAGS, 0), M(hmem_region_query, bytes, OUT, 0),
		M(hmem_region_query, extent_size, OUT, 0), M(hmem_region_query, state, OUT, 0),
		M(hmem_region_query, uid, OUT, 0), M(hmem_region_query, gid, OUT, 0),
		M(hmem_region_query, mode, OUT, 0), M(hmem_region_query, nid, OUT, 0),
		M(hmem_region_query, faults, OUT, 0), M(hmem_region_query, extents_used, OUT, 0),
		M(hmem_region_query, name, OUT, 0), M(hmem_region_query, pool, OUT, 0),
		M(hmem_region_query, uuid, OUT, 0) } },
	{ "REGION_MIGRATE", HMEM_REGION_MIGRATE, true, WRITER, 10, sizeof(struct hmem_migrate),
	  HMEM_REGION_MIGRATE_SIZE_V1, {
		M(hmem_migrate, flags, FLAGS, HMEM_MIGRATE_ASYNC | HMEM_MIGRATE_STATUS |
		  HMEM_MIGRATE_STOP), M(hmem_migrate, offset, RANGE, 1),
		M(hmem_migrate, bytes, RANGE, 2), M(hmem_migrate, place, CHOICE, HMEM_NEAR),
		M(hmem_migrate, reserved, RESERVED, 0), M(hmem_migrate, next, OUT, 0),
		M(hmem_migrate, pinned, OUT, 0), M(hmem_migrate, pages, OUT, 0) } },
	{ "REGION_PIN", HMEM_REGION_PIN, true, WRITER, 10, sizeof(struct hmem_pin),
	  HMEM_REGION_PIN_SIZE_V1, {
		M(hmem_pin, flags, FLAGS, HMEM_PIN_RELEASE), M(hmem_pin, offset, RANGE, 1),
		M(hmem_pin, bytes, RANGE, 2), M(hmem_pin, place, CHOICE, HMEM_NEAR),
		M(hmem_pin, reserved, RESERVED, 0), M(hmem_pin, next, OUT, 0) } },
	{ "REGION_POLICY", HMEM_REGION_POLICY, true, ANYBODY, 20, sizeof(struct hmem_policy),
	  HMEM_REGION_POLICY_SIZE_V1, {
		M(hmem_policy, flags, FLAGS, HMEM_POLICY_NEAR_MAX | HMEM_POLICY_MODE |
					     HMEM_POLICY_KNOB | HMEM_POLICY_KNOB_INDEX),
		M(hmem_policy, near_max, RANGE, 4), M(hmem_policy, mode, CHOICE, HMEM_POLICY_AUTO),
		M(hmem_policy, knob_index, COUNT, 128), M(hmem_policy, knob, KNOB_NAME, 0),
		M(hmem_policy, value, COUNT, 1000), M(hmem_policy, least, OUT, 0),
		M(hmem_policy, most, OUT, 0) } },
	{ "REGION_STATS", HMEM_REGION_STATS, true, ANYBODY, 12, sizeof(struct hmem_stats),
	  HMEM_REGION_STATS_SIZE_V1, {
		M(hmem_stats, flags, FLAGS, 0), M(hmem_stats, near, OUT, 0),
		M(hmem_stats, near_max, OUT, 0), M(hmem_stats, dirty, OUT, 0),
		M(hmem_stats, promotions, OUT, 0), M(hmem_stats, demotions, OUT, 0),
		M(hmem_stats, aborted, OUT, 0), M(hmem_stats, copied, OUT, 0),
		M(hmem_stats, copy_ns, OUT, 0), M(hmem_stats, probes, OUT, 0),
		M(hmem_stats, touches, OUT, 0), M(hmem_stats, pingpongs, OUT, 0),
		M(hmem_stats, track_ns, OUT, 0), M(hmem_stats, window_ns, OUT, 0),
		M(hmem_stats, scanned, OUT, 0), M(hmem_stats, seen, OUT, 0),
		M(hmem_stats, splits, OUT, 0), M(hmem_stats, collapses, OUT, 0),
		M(hmem_stats, near_share, OUT, 0), M(hmem_stats, touches_near, OUT, 0),
		M(hmem_stats, seen_near, OUT, 0), M(hmem_stats, look_ns, OUT, 0) } },
	{ "REGION_WAIT", HMEM_REGION_WAIT, true, ANYBODY, 8, sizeof(struct hmem_wait),
	  HMEM_REGION_WAIT_SIZE_V1, {
		M(hmem_wait, flags, FLAGS, 0), M(hmem_wait, seq, COUNT, 4),
		M(hmem_wait, timeout_ns, TIME, 1000000), M(hmem_wait, events, POINTER, 4096),
		M(hmem_wait, nr_events, COUNT, 4096 / sizeof(struct hmem_event)),
		M(hmem_wait, reserved, RESERVED, 0), M(hmem_wait, lost, OUT, 0) } },
	{ "REGION_POISON", HMEM_REGION_POISON, true, ANYBODY, 6, sizeof(struct hmem_poison),
	  HMEM_REGION_POISON_SIZE_V1, {
		M(hmem_poison, flags, FLAGS, 0), M(hmem_poison, op, CHOICE, HMEM_POISON_CLEAR),
		M(hmem_poison, reserved, RESERVED, 0), M(hmem_poison, offset, RANGE, 4),
		M(hmem_poison, bytes, RANGE, 2), M(hmem_poison, ranges, POINTER, 4096),
		M(hmem_poison, nr_ranges, COUNT, 4096 / sizeof(struct hmem_poison_range)),
		M(hmem_poison, reserved2, RESERVED, 0), M(hmem_poison, next, OUT, 0),
		M(hmem_poison, pages, OUT, 0) } },
	{ "REGION_HEAT", HMEM_REGION_HEAT, true, ANYBODY, 12, sizeof(struct hmem_heat),
	  HMEM_REGION_HEAT_SIZE_V1, {
		M(hmem_heat, flags, FLAGS, 0), M(hmem_heat, offset, RANGE, 1),
		M(hmem_heat, bytes, RANGE, 2), M(hmem_heat, cell, RANGE, 2),
		M(hmem_heat, cells, POINTER, 4096),
		M(hmem_heat, nr_cells, COUNT, 4096 / sizeof(struct hmem_heat_cell)),
		M(hmem_heat, near, OUT, 0), M(hmem_heat, home, OUT, 0) } },
};
#define COMMANDS	((int)(sizeof(grammar) / sizeof(grammar[0])))

/* What linux/hmem.h names, and the kernel's own for a descriptor that is not open. */
static inline bool is_documented(int error)
{
	static const int errors[] = { EPERM, EFAULT, EINVAL, E2BIG, ENOTTY, ENOENT, EEXIST, EBUSY,
				      ENOTEMPTY, ENOSPC, EMFILE, ENODEV, ENXIO, EOPNOTSUPP,
				      EUCLEAN, EPROTONOSUPPORT, EUSERS, EIO, ENOMEM, EINTR,
				      EACCES, ERANGE, EDQUOT, ECANCELED, EBADF };

	for (unsigned int i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (error == errors[i])
			return true;
	return !error;
}

#endif
