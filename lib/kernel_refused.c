// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each error of hmem.ko means for a person.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "ctx.h"
#include "kernel_refused.h"

/*
 * Every error that the uapi header promises: what it means and what to do. A row for
 * one command is found before the row for any.
 */
static const struct {
	int error;
	enum hmem_command command;
	const char *meaning;
} meanings[] = {
	{ EPERM, HMEM_CMD_KNOB, "setting a knob needs CAP_SYS_ADMIN; run it as root" },
	{ EPERM, HMEM_CMD_CLEAR,
	  "its memory was bad itself, so it needs CAP_SYS_ADMIN; have the device clear its error, "
	  "and run it as root" },
	{ EPERM, HMEM_CMD_POLICY, "raising near_max needs CAP_SYS_ADMIN; run it as root" },
	{ EPERM, HMEM_CMD_ANY, "it needs CAP_SYS_ADMIN; run it as root" },
	{ EFAULT, HMEM_CMD_HEAT, "the map cannot be written to the memory that was given" },
	{ EFAULT, HMEM_CMD_WAIT, "the answer cannot be written to the memory that was given" },
	{ EFAULT, HMEM_CMD_ANY,
	  "the module could not read the request; library and module disagree" },
	{ EINVAL, HMEM_CMD_ATTACH,
	  "the module refused a name, a size or a NUMA node in the request" },
	{ EINVAL, HMEM_CMD_MIGRATE,
	  "offset and length must be multiples of the region's granularity" },
	{ EINVAL, HMEM_CMD_MOVING, "the module is older than this library; load a newer hmem.ko" },
	{ EINVAL, HMEM_CMD_KEEP,
	  "offset and length must be multiples of the region's granularity" },
	{ EINVAL, HMEM_CMD_POLICY, "the module has no such mode" },
	{ EINVAL, HMEM_CMD_HEAT, "offset, length and cell must be multiples of 4096" },
	{ EINVAL, HMEM_CMD_BAD, "offset and length must be multiples of 4096" },
	{ EINVAL, HMEM_CMD_CLEAR,
	  "offset and length must be multiples of 4096, and the length not 0" },
	{ EINVAL, HMEM_CMD_CREATE,
	  "the module refused a name or a size in the request, or the pools are not of one kind or "
	  "one comes twice" },
	{ EINVAL, HMEM_CMD_ANY, "the module refused a name or a size in the request" },
	{ E2BIG, HMEM_CMD_ANY, "the module is older than this library; load a newer hmem.ko" },
	{ ENOTTY, HMEM_CMD_ANY, "the module does not know this command; load a newer hmem.ko" },
	{ ENOENT, HMEM_CMD_ATTACH, "there is no such CXL region; `cxl list -R` shows them" },
	{ ENOENT, HMEM_CMD_DETACH, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, HMEM_CMD_DRAIN, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, HMEM_CMD_CREATE, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, HMEM_CMD_BAD, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, HMEM_CMD_KNOB,
	  "there is no such knob; `hmemctl set-policy` of the region shows them" },
	{ ENOENT, HMEM_CMD_MOVING,
	  "nothing was begun with hmem_tier_migrate_begin() on this handle" },
	{ ENOENT, HMEM_CMD_ANY, "there is no such region; `hmemctl list` shows them" },
	{ EEXIST, HMEM_CMD_ATTACH,
	  "a pool of that name is attached already, and this one needs another; or one that this is "
	  "a copy of; or another pool has a region of the same name as this one, which is to be "
	  "detached first; the kernel log says which" },
	{ EEXIST, HMEM_CMD_DESTROY,
	  "two regions have that name, one at least waits for its pools; detach the pools of the "
	  "one that is to stay, `hmemctl list` shows both" },
	{ EEXIST, HMEM_CMD_ANY,
	  "a region of that name is there already, or waits for its pools; `hmemctl list` shows it" },
	{ EBUSY, HMEM_CMD_ATTACH,
	  "the memory is held by device-dax, kmem, pmem or another pool; the kernel "
	  "log names the holder, `hmemctl doctor` says how to free it" },
	{ EBUSY, HMEM_CMD_DETACH,
	  "a region of it is open or mapped; end the programs that use it" },
	{ EBUSY, HMEM_CMD_DRAIN,
	  "a program or a device holds a page of it (io_uring, RDMA, a pipe), and all else was "
	  "moved; or a persistent region of it waits for another pool, or is just leaving one; when "
	  "that is over the command goes on when it is given again" },
	{ EBUSY, HMEM_CMD_CREATE, "the pool is drained, and takes nothing new" },
	{ EBUSY, HMEM_CMD_RESIZE,
	  "pages beyond the new end are pinned, by direct I/O or a device" },
	{ EBUSY, HMEM_CMD_CLEAR,
	  "somebody holds or moves a near copy that would have to go; it can be tried again" },
	{ EBUSY, HMEM_CMD_MIGRATE,
	  "what was begun before on this handle still moves; wait for it or stop it, or open the "
	  "region once more" },
	{ EBUSY, HMEM_CMD_KEEP,
	  "a page of it is held by direct I/O, a device or a pipe; end what holds it, and try "
	  "again" },
	{ EBUSY, HMEM_CMD_ANY, "it is open or mapped; `fuser -v` on its device names who" },
	{ ENOTEMPTY, HMEM_CMD_ANY,
	  "a volatile pool with regions is not detached; destroy them first" },
	{ ENOSPC, HMEM_CMD_ATTACH, "there is not enough memory for a pool of that size" },
	{ ENOSPC, HMEM_CMD_DRAIN,
	  "the other pools of its kind have not enough room for what is on it, and nothing was "
	  "moved; attach another one, or destroy a region" },
	{ ENOSPC, HMEM_CMD_CREATE, "no room; `hmemctl list -P` shows what is free" },
	{ ENOSPC, HMEM_CMD_ANY,
	  "its pool has no room for that; `hmemctl list -P` shows what is free" },
	{ EMFILE, HMEM_CMD_ANY, "the table of regions is full; destroy one first" },
	{ ENODEV, HMEM_CMD_RESIZE,
	  "the memory behind it, or of one of its pools, is gone; attach that pool again" },
	{ ENODEV, HMEM_CMD_DRAIN,
	  "its memory is gone, or a persistent region of it has lost what it had on another pool; "
	  "attach that pool again" },
	{ ENODEV, HMEM_CMD_ANY,
	  "it is just being destroyed, or the memory behind it is gone, as its device was disabled "
	  "or removed" },
	{ ENXIO, HMEM_CMD_ATTACH,
	  "the CXL region is not committed or not enabled; `cxl enable-region` "
	  "enables it" },
	{ ENXIO, HMEM_CMD_ANY, "its source is not committed or not enabled" },
	{ EOPNOTSUPP, HMEM_CMD_BAD,
	  "this kernel was built without CONFIG_MEMORY_FAILURE or transparent huge pages, and "
	  "cannot do without single pages" },
	{ EOPNOTSUPP, HMEM_CMD_ANY,
	  "this kernel or machine lacks what it needs; `hmemctl doctor` says "
	  "what" },
	{ EUCLEAN, HMEM_CMD_ANY,
	  "the memory holds data that is no intact hmem pool, and it was left alone; "
	  "formatting it loses everything that is there" },
	{ EPROTONOSUPPORT, HMEM_CMD_ANY,
	  "the pool was written by a newer hmem; load a newer hmem.ko" },
	{ EUSERS, HMEM_CMD_ANY,
	  "another host used the pool last and did not detach it; detach it there, or "
	  "take it over if that host is gone" },
	{ EIO, HMEM_CMD_CLEAR, "the kernel has taken a page of it out of use for good" },
	{ EIO, HMEM_CMD_DRAIN,
	  "an extent's tag is damaged, or the memory that it would move to is bad, which "
	  "`hmemctl clear-poison` of the region mends; all else was moved" },
	{ EIO, HMEM_CMD_ANY, "the memory reports an error; the kernel log has the address" },
	{ EDQUOT, HMEM_CMD_ANY,
	  "the region's near_max is used up, or that of all regions; `hmemctl set-policy` of the "
	  "region raises the one, /sys/module/hmem/parameters/near_max is the other" },
	{ ENOMEM, HMEM_CMD_KEEP,
	  "there is no DRAM for it; free memory on the nodes with CPUs, or raise the limit of the "
	  "memory cgroup" },
	{ ENOMEM, HMEM_CMD_ANY, "the kernel has no memory left for its bookkeeping" },
	{ EACCES, HMEM_CMD_ANY, "the region is not open for writing" },
	{ ERANGE, HMEM_CMD_BAD, "that goes beyond its end" },
	{ ERANGE, HMEM_CMD_WAIT, "so much has not happened to it yet" },
	{ ERANGE, HMEM_CMD_ANY, "that goes beyond the end of the region" },
	{ EINTR, HMEM_CMD_DRAIN,
	  "a signal came; what was moved stays so, and it goes on from there when the command is "
	  "given again" },
	{ ECANCELED, HMEM_CMD_ANY, "somebody else has stopped it" },
	{ EINTR, HMEM_CMD_ANY, "a signal came while it waited; it can be tried again" },
};

static const char *meaning_of(int error, enum hmem_command command)
{
	size_t count = sizeof(meanings) / sizeof(meanings[0]);

	for (size_t i = 0; i < count; i++)
		if (meanings[i].error == error && meanings[i].command == command)
			return meanings[i].meaning;
	for (size_t i = 0; i < count; i++)
		if (meanings[i].error == error && meanings[i].command == HMEM_CMD_ANY)
			return meanings[i].meaning;
	return "the system gives no other reason";
}

int hmem_kernel_refused(struct hmem_ctx *ctx, enum hmem_command command, const char *tried,
			int error)
{
	return hmem_fail(ctx, -error, "cannot %s: %s (%s)", tried, meaning_of(error, command),
			 strerrorname_np(error) ? strerrorname_np(error) : "unknown error");
}
