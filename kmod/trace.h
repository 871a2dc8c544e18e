/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: events/hmem/ in tracefs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hmem

#if !defined(HM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HM_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>

#include "core.h"

DECLARE_EVENT_CLASS(hmem_pool_event,
	TP_PROTO(struct hm_pool *pool),
	TP_ARGS(pool),
	TP_STRUCT__entry(
		__string(pool, dev_name(&pool->dev))
		__field(u64, bytes)
		__field(u32, regions)
		__field(bool, persistent)
	),
	TP_fast_assign(
		__assign_str(pool);
		__entry->bytes = (u64)pool->nr_extents << HM_EXTENT_SHIFT;
		__entry->regions = pool->nr_regions;
		__entry->persistent = pool->persistent;
	),
	TP_printk("pool=%s bytes=%llu regions=%u persistent=%d", __get_str(pool),
		  __entry->bytes, __entry->regions, __entry->persistent)
);

DEFINE_EVENT(hmem_pool_event, hmem_pool_attach,
	TP_PROTO(struct hm_pool *pool), TP_ARGS(pool));
DEFINE_EVENT(hmem_pool_event, hmem_pool_detach,
	TP_PROTO(struct hm_pool *pool), TP_ARGS(pool));
DEFINE_EVENT(hmem_pool_event, hmem_pool_revoke,
	TP_PROTO(struct hm_pool *pool), TP_ARGS(pool));

DECLARE_EVENT_CLASS(hmem_region_event,
	TP_PROTO(struct hm_region *region),
	TP_ARGS(region),
	TP_STRUCT__entry(
		__string(region, dev_name(&region->dev))
		__string(pool, dev_name(&hm_region_pool(region)->dev))
		__field(u64, bytes)
	),
	TP_fast_assign(
		__assign_str(region);
		__assign_str(pool);
		__entry->bytes = i_size_read(region->inode);
	),
	TP_printk("region=%s pool=%s bytes=%llu", __get_str(region), __get_str(pool),
		  __entry->bytes)
);

DEFINE_EVENT(hmem_region_event, hmem_region_create,
	TP_PROTO(struct hm_region *region), TP_ARGS(region));
DEFINE_EVENT(hmem_region_event, hmem_region_resize,
	TP_PROTO(struct hm_region *region), TP_ARGS(region));
DEFINE_EVENT(hmem_region_event, hmem_region_destroy,
	TP_PROTO(struct hm_region *region), TP_ARGS(region));

TRACE_EVENT(hmem_zero,
	TP_PROTO(struct hm_region *region, u32 index),
	TP_ARGS(region, index),
	TP_STRUCT__entry(
		__string(region, dev_name(&region->dev))
		__field(u32, index)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->index = index;
	),
	TP_printk("region=%s extent=%u", __get_str(region), __entry->index)
);

TRACE_EVENT(hmem_move,
	TP_PROTO(struct hm_region *region, u32 index, enum hmem_place place,
		 enum hmem_moved result),
	TP_ARGS(region, index, place, result),
	TP_STRUCT__entry(
		__string(region, dev_name(&region->dev))
		__field(u32, index)
		__field(u32, place)
		__field(u32, result)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->index = index;
		__entry->place = place;
		__entry->result = result;
	),
	TP_printk("region=%s extent=%u place=%s result=%u", __get_str(region), __entry->index,
		  __entry->place ? "near" : "home", __entry->result)
);

TRACE_EVENT(hmem_pages,
	TP_PROTO(struct hm_region *region, u32 index, const struct hm_policy_pages *asked,
		 const struct hm_policy_pages *done),
	TP_ARGS(region, index, asked, done),
	TP_STRUCT__entry(
		__string(region, dev_name(&region->dev))
		__field(u32, index)
		__field(u32, near)
		__field(u32, home)
		__field(u32, failed)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->index = index;
		__entry->near = memweight(done->promote, sizeof(done->promote));
		__entry->home = memweight(done->demote, sizeof(done->demote));
		__entry->failed = memweight(asked, sizeof(*asked)) - __entry->near - __entry->home;
	),
	TP_printk("region=%s extent=%u near=%u home=%u failed=%u", __get_str(region),
		  __entry->index, __entry->near, __entry->home, __entry->failed)
);

TRACE_EVENT(hmem_poison,
	TP_PROTO(struct hm_region *region, u64 offset, u64 bytes),
	TP_ARGS(region, offset, bytes),
	TP_STRUCT__entry(
		__string(region, dev_name(&region->dev))
		__field(u64, offset)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->offset = offset;
		__entry->bytes = bytes;
	),
	TP_printk("region=%s offset=%#llx bytes=%llu", __get_str(region), __entry->offset,
		  __entry->bytes)
);

TRACE_EVENT(hmem_fault,
	TP_PROTO(struct hm_region *region, struct vm_fault *vmf, vm_fault_t ret),
	TP_ARGS(region, vmf, ret),
	TP_STRUCT__entry(
		__string(region, dev_name(&region->dev))
		__field(unsigned long, address)
		__field(unsigned long, pgoff)
		__field(unsigned int, flags)
		__field(unsigned int, ret)
	),
	TP_fast_assign(
		__assign_str(region);
		__entry->address = vmf->address;
		__entry->pgoff = vmf->pgoff;
		__entry->flags = vmf->flags;
		__entry->ret = (__force unsigned int)ret;
	),
	TP_printk("region=%s address=%#lx pgoff=%#lx flags=%#x ret=%#x", __get_str(region),
		  __entry->address, __entry->pgoff, __entry->flags, __entry->ret)
);

#endif /* HM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
