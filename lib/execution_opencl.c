// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Execution contexts of OpenCL: an allocation is a buffer made of the host's own memory
 * (CL_MEM_USE_HOST_PTR), mapped as long as it is the host's; or, where the device takes any address
 * of the host (fine-grained system SVM), just that.
 *
 * The standard has a mapped buffer of this kind always be where the host's memory is, copied or
 * not, so that the place of a mapping proves nothing. What is asked is whether host and device have
 * one memory, and what is tried, with memory that begins and ends like that which is attached,
 * whether what is written to a buffer is in the host's memory before anything is mapped.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "execution.h"
#include "opencl.h"
#include "sized.h"
#include "uncancelled.h"

#define FIRST_OPTIONS	sizeof(struct hmem_opencl_options)

/* To the unit of which devices map memory. */
#define PAGE ((size_t)4096)

/*
 * @unified: host and device have one memory, as the device says
 * @takes_addresses: of all memory that the host has
 * @name: of the device
 */
struct opencl_execution {
	struct opencl cl;
	cl_context context;
	cl_device device;
	cl_queue queue;
	bool unified;
	bool takes_addresses;
	char name[HMEM_EXECUTION_NAME_MAX + 1];
};

/* @buffer: NULL: its address will do; @mapped: it is the host's; NULL: the device's */
struct opencl_attachment {
	cl_mem buffer;
	void *data;
	size_t bytes;
	void *mapped;
};

static int32_t finish(const struct opencl_execution *is)
{
	return is->cl.Finish(is->queue);
}

/* --- whether it copies ---------------------------------------------------------------- */

/* A buffer over @at: is what the device is given there without being mapped? */
static bool shows(const struct opencl_execution *is, volatile unsigned char *at, size_t bytes)
{
	static const unsigned char mark = 0x5a;
	int32_t answer;
	cl_mem buffer = is->cl.CreateBuffer(is->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
					    bytes, (void *)(uintptr_t)at, &answer);
	bool shown;

	if (!buffer)
		return false;
	shown = !is->cl.EnqueueWriteBuffer(is->queue, buffer, CL_TRUE, 0, 1, &mark, 0, NULL,
					   NULL) &&
		!is->cl.EnqueueWriteBuffer(is->queue, buffer, CL_TRUE, bytes - 1, 1, &mark, 0, NULL,
					   NULL) &&
		!finish(is) && at[0] == mark && at[bytes - 1] == mark;
	is->cl.ReleaseMemObject(buffer);
	return shown;
}

/* Tried with memory of our own, which may be lost: what is attached may be a file. */
static bool works_in_place(const struct opencl_execution *is, const void *data, size_t bytes)
{
	size_t within = (uintptr_t)data % PAGE;
	size_t tried = bytes < 2 * PAGE ? bytes : PAGE + bytes % PAGE;
	char *own;
	bool shown;

	if (!is->unified)
		return false;
	own = aligned_alloc(PAGE, (within + tried + PAGE - 1) / PAGE * PAGE);
	if (!own)
		return false;
	memset(own, 0, within + tried);
	shown = shows(is, (unsigned char *)own + within, tried);
	free(own);
	return shown;
}

/* --- handing over --------------------------------------------------------------------- */

/* To the host. */
static int map(struct hmem_ctx *ctx, const struct opencl_execution *is,
	       struct opencl_attachment *attached)
{
	int32_t answer = CL_MAP_FAILURE;

	attached->mapped = is->cl.EnqueueMapBuffer(is->queue, attached->buffer, CL_TRUE,
						   CL_MAP_READ | CL_MAP_WRITE, 0,
						   attached->bytes, 0, NULL, NULL, &answer);
	if (!attached->mapped)
		return opencl_fail(ctx, is->name, "clEnqueueMapBuffer", answer);
	if (attached->mapped == attached->data)
		return 0;
	is->cl.EnqueueUnmapMemObject(is->queue, attached->buffer, attached->mapped, 0, NULL, NULL);
	finish(is);
	attached->mapped = NULL;
	return hmem_fail(ctx, -EIO,
			 "%s: clEnqueueMapBuffer maps memory of the host where it is not, which the "
			 "standard rules out",
			 is->name);
}

static int begin(struct hmem_ctx *ctx, void *state, void *attachment)
{
	const struct opencl_execution *is = state;
	struct opencl_attachment *attached = attachment;
	int32_t answer = 0;

	if (attached->mapped)
		answer = is->cl.EnqueueUnmapMemObject(is->queue, attached->buffer, attached->mapped,
						      0, NULL, NULL);
	if (answer)
		return opencl_fail(ctx, is->name, "clEnqueueUnmapMemObject", answer);
	attached->mapped = NULL;
	/* Queues know nothing of each other: what others do comes after this is done. */
	answer = attached->buffer ? finish(is) : 0;
	return answer ? opencl_fail(ctx, is->name, "clFinish", answer) : 0;
}

static int end(struct hmem_ctx *ctx, void *state, void *attachment)
{
	struct opencl_attachment *attached = attachment;

	return attached->buffer ? map(ctx, state, attached) : 0;
}

/* --- attaching ------------------------------------------------------------------------ */

static int detach(struct hmem_ctx *ctx, void *state, void *attachment)
{
	const struct opencl_execution *is = state;
	struct opencl_attachment *attached = attachment;
	int32_t answer;
	int err = begin(ctx, state, attachment);

	answer = attached->buffer ? is->cl.ReleaseMemObject(attached->buffer) : 0;
	free(attached);
	if (!err && answer)
		err = opencl_fail(ctx, is->name, "clReleaseMemObject", answer);
	return err;
}

static int make_buffer(struct hmem_ctx *ctx, const struct opencl_execution *is, uint32_t flags,
		       struct opencl_attachment *attached)
{
	uint64_t access = flags & HMEM_ATTACH_READ_ONLY ? CL_MEM_READ_ONLY : CL_MEM_READ_WRITE;
	int32_t answer = CL_OUT_OF_HOST_MEMORY;
	int err;

	attached->buffer = is->cl.CreateBuffer(is->context, access | CL_MEM_USE_HOST_PTR,
					       attached->bytes, attached->data, &answer);
	if (!attached->buffer)
		return opencl_fail(ctx, is->name, "clCreateBuffer", answer);
	err = map(ctx, is, attached);
	if (err)
		is->cl.ReleaseMemObject(attached->buffer);
	return err;
}

static int attach(struct hmem_ctx *ctx, void *state, struct hmem_attachment_info *info,
		  void **attachment)
{
	const struct opencl_execution *is = state;
	struct opencl_attachment *attached;
	int err;

	if (info->flags & HMEM_ATTACH_ADDRESS && !is->takes_addresses)
		return hmem_fail(ctx, -EOPNOTSUPP,
				 "%s takes no addresses of the host: it has no fine-grained system "
				 "SVM; without HMEM_ATTACH_ADDRESS it gets a buffer",
				 is->name);
	attached = calloc(1, sizeof(*attached));
	if (!attached)
		return hmem_fail(ctx, -ENOMEM, "no memory for an attachment");
	attached->data = info->data;
	attached->bytes = info->bytes;
	if (info->flags & HMEM_ATTACH_ADDRESS) {
		info->native = info->data;
		info->form = HMEM_NATIVE_ADDRESS;
		*attachment = attached;
		return 0;
	}
	err = make_buffer(ctx, is, info->flags, attached);
	if (err) {
		free(attached);
		return err;
	}
	info->native = attached->buffer;
	info->form = HMEM_NATIVE_CL_MEM;
	info->copies = !works_in_place(is, info->data, info->bytes);
	*attachment = attached;
	return 0;
}

/* --- contexts ------------------------------------------------------------------------- */

static void release(struct hmem_ctx *ctx, void *state)
{
	struct opencl_execution *is = state;

	(void)ctx;
	if (is->queue)
		is->cl.ReleaseCommandQueue(is->queue);
	if (is->context)
		is->cl.ReleaseContext(is->context);
	free(is);
}

static const struct hmem_execution_ops opencl_ops = {
	.release = release,
	.attach = attach,
	.begin = begin,
	.end = end,
	.detach = detach,
};

static int check(struct hmem_ctx *ctx, const struct hmem_opencl_options *use)
{
	if (use->type > HMEM_OPENCL_ACCELERATOR)
		return hmem_fail(ctx, -EINVAL, "OpenCL has no devices of type %u", use->type);
	if (!use->context != !use->device)
		return hmem_fail(ctx, -EINVAL,
				 "a context of OpenCL that is there comes with one of its devices, "
				 "and a device with its context");
	if (use->context && (use->type || use->index || use->name))
		return hmem_fail(ctx, -EINVAL,
				 "a device of OpenCL is given or chosen, not both");
	return 0;
}

/* Its device and its context: chosen, or the caller's. */
static int set_up(struct hmem_ctx *ctx, struct opencl_execution *is,
		  const struct hmem_opencl_options *use)
{
	intptr_t properties[] = { CL_CONTEXT_PLATFORM, 0, 0 };
	int32_t answer = CL_OUT_OF_HOST_MEMORY;
	cl_context context = use->context;
	int err;

	is->device = use->device;
	if (context) {
		opencl_name(&is->cl, is->device, is->name);
		answer = is->cl.RetainContext(context);
		if (answer)
			return opencl_fail(ctx, is->name, "clRetainContext", answer);
	} else {
		err = opencl_choose(ctx, &is->cl, use, &is->device, is->name);
		if (err)
			return err;
		properties[1] = (intptr_t)opencl_platform_of(&is->cl, is->device);
		context = is->cl.CreateContext(properties[1] ? properties : NULL, 1, &is->device,
					       NULL, NULL, &answer);
		if (!context)
			return opencl_fail(ctx, is->name, "clCreateContext", answer);
	}
	is->context = context;
	is->queue = is->cl.CreateCommandQueue(is->context, is->device, 0, &answer);
	return is->queue ? 0 : opencl_fail(ctx, is->name, "clCreateCommandQueue", answer);
}

/* What the device does not say is 0. */
static uint64_t ask(const struct opencl_execution *is, uint32_t what, size_t bytes)
{
	uint64_t wide = 0;
	uint32_t narrow = 0;

	if (is->cl.GetDeviceInfo(is->device, what, bytes,
				 bytes == sizeof(wide) ? (void *)&wide : &narrow, NULL))
		return 0;
	return wide | narrow;
}

static void describe(struct hmem_ctx *ctx, struct opencl_execution *is,
		     struct hmem_execution_info *info)
{
	is->unified = ask(is, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(uint32_t));
	is->takes_addresses = ask(is, CL_DEVICE_SVM_CAPABILITIES, sizeof(uint64_t)) &
			      CL_DEVICE_SVM_FINE_GRAIN_SYSTEM;
	info->align = ask(is, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(uint32_t)) / 8;
	if (!info->align)
		info->align = 1;
	info->bytes_max = ask(is, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(uint64_t));
	info->nid = opencl_node(ctx, &is->cl, is->device);
	info->context = is->context;
	info->device = is->device;
	memcpy(info->name, is->name, sizeof(info->name));
}

static int do_opencl(struct hmem_ctx *ctx, const struct hmem_opencl_options *options,
		     struct hmem_execution **execution)
{
	struct hmem_opencl_options use = HMEM_OPENCL_OPTIONS_INIT;
	struct opencl_execution *is;
	struct hmem_execution *new;
	int err = 0;

	if (!ctx)
		return -EINVAL;
	if (!execution)
		return hmem_fail(ctx, -EINVAL, "no place for the handle of an execution context");
	if (options)
		err = hmem_sized_read(ctx, "struct hmem_opencl_options", &use, sizeof(use),
				      FIRST_OPTIONS, options);
	if (!err)
		err = check(ctx, &use);
	if (err)
		return err;
	is = calloc(1, sizeof(*is));
	if (!is)
		return hmem_fail(ctx, -ENOMEM, "no memory for an execution context");
	err = opencl_load(ctx, &is->cl);
	if (!err)
		err = set_up(ctx, is, &use);
	new = err ? NULL : execution_new(ctx, HMEM_EXECUTION_OPENCL, &opencl_ops);
	if (!new) {
		release(ctx, is);
		return err ? err : -ENOMEM;
	}
	new->state = is;
	describe(ctx, is, &new->info);
	*execution = new;
	return 0;
}

int hmem_execution_opencl(struct hmem_ctx *ctx, const struct hmem_opencl_options *options,
			  struct hmem_execution **execution)
{
	return UNCANCELLED(do_opencl(ctx, options, execution));
}
