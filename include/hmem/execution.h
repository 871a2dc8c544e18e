/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Execution contexts: who works on memory. Threads of this process, wherever they run; such threads
 * bound to the processors of NUMA nodes; a device of OpenCL; whatever a caller describes by a table,
 * such as a device under CUDA or HIP. Each says what memory is near, and has allocations
 * (allocation.h) attached to it before it works on them; so that a program is written once for all
 * kinds.
 *
 *	hmem_execution_space()		a space, of the memory nearest to the context
 *	hmem_allocation_new()		memory of it
 *	hmem_execution_attach()		what the context knows it by
 *	hmem_attachment_begin()		from here on the context works on it, and nobody else
 *	hmem_attachment_end()		from here on the host does, and sees what was done
 *	hmem_attachment_detach()
 *
 * Ownership: an execution context is reference counted. It holds its struct hmem_ctx; each
 * attachment and each binding holds it.
 * Threading: any function may be called from any thread, but that a binding is ended by the thread
 * that has it. What one thread begins another one may end.
 */
#ifndef HMEM_EXECUTION_H
#define HMEM_EXECUTION_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/allocation.h>
#include <hmem/context.h>
#include <hmem/layer.h>
#include <hmem/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_execution;
struct hmem_binding;
struct hmem_attachment;

#define HMEM_EXECUTION_NAME_MAX 127

enum hmem_execution_kind {
	HMEM_EXECUTION_HOST = 1,	/* threads of this process */
	HMEM_EXECUTION_NODES,		/* likewise, bound to NUMA nodes */
	HMEM_EXECUTION_OPENCL,		/* kernels of a device */
	HMEM_EXECUTION_OTHER,		/* a caller's */
};

/**
 * struct hmem_execution_info - what an execution context is
 * @size: sizeof(struct hmem_execution_info), set by the caller
 * @kind: enum hmem_execution_kind
 * @nr_nodes: to which its threads are bound; 0: they are not
 * @nid: NUMA node that it is near, of several the first; -1: that of the thread that asks
 * @reserved: 0
 * @align: what is attached begins at a multiple of it; 1: anywhere
 * @bytes_max: of one attachment; 0: any number
 * @context: the native one: OpenCL: cl_context; NULL: none
 * @device: likewise: OpenCL: cl_device_id
 * @name: for who looks at it: "host", "nodes 0,2", "PLATFORM: DEVICE" of OpenCL
 */
struct hmem_execution_info {
	size_t size;
	uint32_t kind;
	uint32_t nr_nodes;
	int32_t nid;
	uint32_t reserved;
	uint64_t align;
	uint64_t bytes_max;
	void *context;
	void *device;
	char name[HMEM_EXECUTION_NAME_MAX + 1];
};
#define HMEM_EXECUTION_INFO_INIT \
	{ sizeof(struct hmem_execution_info), HMEM_EXECUTION_OTHER, 0, -1, 0, 1, 0, NULL, NULL, \
	  "" }

/**
 * hmem_execution_host - threads of this process, wherever they run
 * @execution: where to put the handle; written only on success
 *
 * Return: 0; -EINVAL (no context, no place for the handle), -ENOMEM.
 */
HMEM_API int hmem_execution_host(struct hmem_ctx *ctx, struct hmem_execution **execution);

/**
 * hmem_execution_nodes - threads of this process, bound to the processors of NUMA nodes
 * @nodes: their numbers, each once
 * @nr: how many
 *
 * Of their processors it has those that the calling thread may use now, by its affinity and the
 * cpuset; there has to be one on each node. Below a sysroot there are no processors: it says what
 * memory is near, and binds nobody.
 *
 * Return: 0; -EINVAL (none, more than 1024, below 0, or one twice), -ENODEV (a node that is not
 * there, or has no processors), -EPERM (one of whose processors none may be used), -ENOMEM.
 */
HMEM_API int hmem_execution_nodes(struct hmem_ctx *ctx, const int *nodes, size_t nr,
				  struct hmem_execution **execution);

/* Which devices of OpenCL. */
enum hmem_opencl_type {
	HMEM_OPENCL_ANY,
	HMEM_OPENCL_CPU,
	HMEM_OPENCL_GPU,
	HMEM_OPENCL_ACCELERATOR,
};

/**
 * struct hmem_opencl_options - which device of OpenCL
 * @size: sizeof(struct hmem_opencl_options)
 * @type: enum hmem_opencl_type
 * @index: which of those that are of this type and name, from 0 on, as OpenCL lists them
 * @name: is in "PLATFORM: DEVICE"; NULL: any
 * @context: a cl_context of the caller's own, which is retained; then nothing is chosen
 * @device: a cl_device_id of it
 */
struct hmem_opencl_options {
	size_t size;
	uint32_t type;
	uint32_t index;
	const char *name;
	void *context;
	void *device;
};
#define HMEM_OPENCL_OPTIONS_INIT \
	{ sizeof(struct hmem_opencl_options), HMEM_OPENCL_ANY, 0, NULL, NULL, NULL }

/**
 * hmem_execution_opencl - kernels of a device of OpenCL
 * @options: NULL: the first device that there is
 *
 * OpenCL is loaded now, libOpenCL.so.1, and stays until the process ends. What is attached is a
 * buffer made of the host's memory, a cl_mem in native, HMEM_NATIVE_CL_MEM, of the cl_context that
 * hmem_execution_get_info() tells; or with HMEM_ATTACH_ADDRESS an address as it is, where the
 * device has fine-grained system SVM. Commands go to queues of the caller's, after
 * hmem_attachment_begin() has returned; before hmem_attachment_end() he waits for them, by
 * clFinish() or their events.
 *
 * That it works on the memory itself is what the device says of itself, that it has one memory with
 * the host, and does, when it is tried with other memory that begins and ends alike; if not both, a
 * copy has to be reckoned with, and is made by the device's driver.
 *
 * A child of fork(2) cannot use it, nor end, begin or detach what its parent attached.
 *
 * Return: 0; -ENOSYS (OpenCL is not there), -ENODEV (no such device), -EINVAL (no such type; a
 * context without a device, or with what chooses one; the device is not of the context), -E2BIG
 * (@options are of a newer library), -ENOMEM, -EIO (OpenCL answers something else).
 */
HMEM_API int hmem_execution_opencl(struct hmem_ctx *ctx,
				   const struct hmem_opencl_options *options,
				   struct hmem_execution **execution);

/** hmem_execution_ref - one more reference; NULL: nothing happens. Return: @execution. */
HMEM_API struct hmem_execution *hmem_execution_ref(struct hmem_execution *execution);

/** hmem_execution_unref - one less. NULL: nothing happens. */
HMEM_API void hmem_execution_unref(struct hmem_execution *execution);

/** hmem_execution_get_info - what it is. Return: 0 or -EINVAL. */
HMEM_API int hmem_execution_get_info(const struct hmem_execution *execution,
				     struct hmem_execution_info *info);

/* --- where its threads run ------------------------------------------------------------ */

/**
 * hmem_execution_bind - the calling thread becomes one of the context's
 * @binding: the way back; written only on success
 *
 * Threads of nodes run on their processors from then on, and so do the threads that they start. Of
 * a caller's kind it is what his table does; no other one changes anything. Bindings may be within
 * each other, of one context or several; then the last one is ended first.
 *
 * Return: 0; -EINVAL (no handle), -EOPNOTSUPP (below a sysroot), -ENOMEM, or what the system
 * answered: -EINVAL, too, where the cpuset has left the thread none of these processors.
 */
HMEM_API int hmem_execution_bind(struct hmem_execution *execution, struct hmem_binding **binding);

/**
 * hmem_binding_end - back to where the thread could run before
 * @binding: NULL: nothing happens
 *
 * Return: 0; -EPERM (it is another thread's, and stays), or what the system answered: then the
 * thread stays where it is, and the binding is gone.
 */
HMEM_API int hmem_binding_end(struct hmem_binding *binding);

/* --- memory that is near -------------------------------------------------------------- */

/**
 * hmem_execution_layers - the layers that will do for a context, the best first
 * @wanted: as of hmem_layer_select(), but its initiator, which is -1; NULL: the nearest first
 * @found: as of hmem_layer_select()
 * @nr: likewise
 *
 * Figures hold for the context. Of several nodes they are the mean, known if all are, from where
 * that of the first one comes; their initiator is -1, and HMEM_LAYER_LOCAL is what one of them has.
 *
 * Return: as hmem_layer_select(); -EINVAL also: an initiator was given.
 */
HMEM_API int hmem_execution_layers(struct hmem_execution *execution,
				   const struct hmem_layer_wanted *wanted,
				   struct hmem_layer_info *found, size_t *nr);

/**
 * hmem_execution_space - a space of memory near a context
 * @name, @options: as of hmem_space_create(), but that layers that are kinds ("cxl") are the
 *	nearest of that kind to the context, and that of NULL is its nearest system RAM of any kind
 *
 * Return: as hmem_space_create().
 */
HMEM_API int hmem_execution_space(struct hmem_execution *execution, const char *name,
				  const struct hmem_space_options *options,
				  struct hmem_space **space);

/* --- memory that it works on ---------------------------------------------------------- */

#define HMEM_ATTACH_READ_ONLY	(1u << 0)	/* the context only reads it */
#define HMEM_ATTACH_NO_COPY	(1u << 1)	/* on the memory itself, or not at all */
#define HMEM_ATTACH_ADDRESS	(1u << 2)	/* as an address, which kernels take as a pointer */

/* What a context knows memory by. */
enum hmem_native_form {
	HMEM_NATIVE_ADDRESS = 1,	/* an address that is good in it */
	HMEM_NATIVE_CL_MEM,		/* a cl_mem, for clSetKernelArg() */
	HMEM_NATIVE_OTHER,		/* what a caller's kind says */
};

/**
 * struct hmem_attachment_info - what an execution context has
 * @size: sizeof(struct hmem_attachment_info), set by the caller
 * @flags: HMEM_ATTACH_*, as it was attached
 * @form: enum hmem_native_form
 * @copies: 1: the context works on a copy, which is made by hmem_attachment_begin() and brought
 *	back by hmem_attachment_end(); 0: on the memory itself
 * @begun: it is the context's now
 * @data: the memory, as the host has it
 * @bytes: how much
 * @native: what the context knows it by; gone when it is detached
 */
struct hmem_attachment_info {
	size_t size;
	uint32_t flags;
	uint32_t form;
	uint32_t copies;
	uint32_t begun;
	void *data;
	uint64_t bytes;
	void *native;
};

/**
 * hmem_execution_attach - a context is to work on an allocation
 * @allocation: it, or a slice. It is the host's until hmem_attachment_begin().
 * @flags: HMEM_ATTACH_*
 * @attachment: where to put the handle; written only on success
 *
 * Until it is detached the allocation, or whatever it is a slice of, is not resized, moved or freed
 * (-EBUSY). It may be attached several times, to one context or to several; but no two may have the
 * same bytes at once if one of them writes.
 *
 * Return: 0; -EINVAL (no handle, no such flag; it does not begin at a multiple of what the context
 * needs), -EFBIG (more than it takes at once), -EBUSY (it is just resized, moved or freed),
 * -EOPNOTSUPP (it would take a copy, or has no address, and that was not to be; or the context
 * works on no memory of the host), -ENOMEM, or what the context answered.
 */
HMEM_API int hmem_execution_attach(struct hmem_execution *execution,
				   struct hmem_allocation *allocation, uint32_t flags,
				   struct hmem_attachment **attachment);

/** hmem_attachment_get_info - what the context has. Return: 0 or -EINVAL. */
HMEM_API int hmem_attachment_get_info(const struct hmem_attachment *attachment,
				      struct hmem_attachment_info *info);

/**
 * hmem_attachment_begin - it is the context's
 *
 * What the host has written is there for what the context is told to do from now on. Until
 * hmem_attachment_end() the host does not touch it, nor copies it (copy.h).
 *
 * Return: 0; -EINVAL (no handle), -EALREADY (it is the context's), -EBUSY (another thread just
 * begins, ends or detaches), or what the context answered: then it is the host's.
 */
HMEM_API int hmem_attachment_begin(struct hmem_attachment *attachment);

/**
 * hmem_attachment_end - it is the host's again
 *
 * What the context was told to do with it must have been done: wait for that first, in the way of
 * the context. What it has written is there for the host when this returns.
 *
 * Return: 0; -EINVAL (no handle), -EALREADY (it is the host's), -EBUSY (another thread just begins,
 * ends or detaches), or what the context answered: then it is the context's.
 */
HMEM_API int hmem_attachment_end(struct hmem_attachment *attachment);

/**
 * hmem_attachment_detach - the context works on it no more
 * @attachment: NULL: nothing happens
 *
 * What is the context's is ended first.
 *
 * Return: 0; -EBUSY (another thread just begins or ends: it stays attached), or what the context
 * answered: then it is detached all the same, and what the context wrote may not be there.
 */
HMEM_API int hmem_attachment_detach(struct hmem_attachment *attachment);

/* --- a caller's kind ------------------------------------------------------------------ */

/**
 * struct hmem_execution_ops - what an execution context of a caller does
 * @size: sizeof(struct hmem_execution_ops) that the caller was built with
 * @release: the last reference is gone, and with it all bindings and attachments
 * @bind: the calling thread becomes one of the context's; @binding is for what @unbind needs
 * @unbind: the same thread goes back
 * @attach: the context is to work on @info's data, its bytes, in the way of its flags, which are
 *	all checked; native, form and, if it is a copy, copies are to be filled in. @attached is for
 *	what the calls that follow need. NULL: there is no such thing, -EOPNOTSUPP
 * @begin: it is the context's from here on, with all that the host has written
 * @end: it is the host's, with all that the context has written
 * @detach: the context works on it no more; it is the host's
 *
 * Where one is NULL there is nothing to do. Each returns 0 or a negative errno and says why with
 * hmem_set_error(), provider.h; then nothing has changed, but that what fails to be unbound or
 * detached is never asked for again. Of one attachment no two calls are made at once; otherwise
 * they may come from several threads. hmem_execution(3) says what of CUDA and HIP goes where.
 */
struct hmem_execution_ops {
	size_t size;
	void (*release)(struct hmem_ctx *ctx, void *state);
	int (*bind)(struct hmem_ctx *ctx, void *state, void **binding);
	int (*unbind)(struct hmem_ctx *ctx, void *state, void *binding);
	int (*attach)(struct hmem_ctx *ctx, void *state, struct hmem_attachment_info *info,
		      void **attached);
	int (*begin)(struct hmem_ctx *ctx, void *state, void *attached);
	int (*end)(struct hmem_ctx *ctx, void *state, void *attached);
	int (*detach)(struct hmem_ctx *ctx, void *state, void *attached);
};

/**
 * hmem_execution_create - an execution context of a caller's kind
 * @info: what it is, copied; initialise it with HMEM_EXECUTION_INFO_INIT, and give it a name that
 *	can be printed. nid: of the processors whose memory is near to it
 * @ops: copied; the functions must stay there as long as the context
 * @state: the caller's own, which the functions get; until this succeeds nothing is released
 *
 * Return: 0; -EINVAL (kind, nr_nodes, a node below -1, an alignment of 0, the name; size), -ENODEV
 * (no node with processors has that number), -E2BIG (built for a newer library), -ENAMETOOLONG,
 * -ENOMEM.
 */
HMEM_API int hmem_execution_create(struct hmem_ctx *ctx, const struct hmem_execution_info *info,
				   const struct hmem_execution_ops *ops, void *state,
				   struct hmem_execution **execution);

#ifdef __cplusplus
}
#endif
#endif
