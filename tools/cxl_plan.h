/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CXL region that could be made: which window, which devices in which order.
 *
 * Planning only reads. The same request on the same machine gives the same plan
 * after every boot, because devices are taken in the order of their place on the
 * PCI bus and always whole: that is what brings the data of a persistent device
 * back at the same offsets.
 */
#ifndef HMEMCTL_CXL_PLAN_H
#define HMEMCTL_CXL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cxl/libcxl.h>

#define CXL_MAX_WAYS 16
#define CXL_NAME 32

/* The kernel wants a region's share of each device to be a multiple of this. */
#define CXL_CAPACITY_UNIT (256ULL << 20)

/**
 * struct cxl_request - what is wanted
 * @mode: CXL_DECODER_MODE_RAM or _PMEM
 * @ways: devices to interleave over; 0: as few as a window allows
 * @memdevs: only these, in whatever order; NULL: any
 * @n_memdevs: how many
 * @granularity: bytes on one device before the next; 0: what the window does
 * @size: size of the CXL region; 0: as much as there is, and of several plans the
 *	largest
 */
struct cxl_request {
	enum cxl_decoder_mode mode;
	unsigned int ways;
	const char *const *memdevs;
	unsigned int n_memdevs;
	unsigned int granularity;
	uint64_t size;
};

struct cxl_plan_device {
	char memdev[CXL_NAME];
	char host[64];		/* its PCI device */
	uint64_t serial;
};

struct cxl_plan {
	char window[CXL_NAME];	/* root decoder, such as "decoder0.0" */
	enum cxl_decoder_mode mode;
	unsigned int ways;
	unsigned int granularity;
	uint64_t size;
	struct cxl_plan_device device[CXL_MAX_WAYS];
};

/**
 * cxl_plan - find a CXL region that could be made
 * @plan: written only on success
 * @why: what is missing, on failure
 *
 * Return: 0; -ENODEV (no CXL memory device), -ENOSPC (none has capacity of this kind
 * that is not configured), -ENXIO (no window for this kind of memory), -EBUSY (the
 * capacity is there but no window or port has room for it), -ENOENT (a device that was
 * named is not there), -EINVAL (that many ways do not fit).
 */
int cxl_plan(struct cxl_ctx *cxl, const struct cxl_request *request, struct cxl_plan *plan,
	     char *why, size_t why_size);

/** cxl_free_capacity - bytes of one kind that no endpoint decoder of the device maps */
uint64_t cxl_free_capacity(struct cxl_memdev *memdev, enum cxl_decoder_mode mode);

/**
 * cxl_path_decoders - CXL regions that can still be made with the device: each takes
 *	a decoder in every port between its window and the device
 */
unsigned int cxl_path_decoders(struct cxl_memdev *memdev);

/** cxl_free_decoder - the endpoint decoder that the device would use next, or NULL */
struct cxl_decoder *cxl_free_decoder(struct cxl_memdev *memdev);

/** cxl_kind - "volatile" or "persistent" */
const char *cxl_kind(enum cxl_decoder_mode mode);

#endif
