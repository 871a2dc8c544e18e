/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that includes this is OpenCL: what libhmem loads as such is the program itself, which
 * is linked with -rdynamic for that. It has two platforms with three devices between them, of which
 * a test says what they do, and any call of which can fail.
 *
 * Comes after faults.h, and once in a program.
 */
#ifndef SELFTESTS_HOST_OPENCL_PLAYED_H
#define SELFTESTS_HOST_OPENCL_PLAYED_H

#include "../../lib/opencl.h"

#define BYTES ((size_t)10000)	/* what a device takes at once */

struct opencl_platform {
	const char *name;
};

/*
 * @shows: what it is given is in the host's memory
 * @fussy: of memory only that begins at a page, and has a multiple of 16 bytes
 * @unified: it says so
 * @askew: it maps memory where it is not
 */
struct opencl_device_id {
	const char *name;
	uint64_t types;
	bool away, shows, fussy, unified, askew, takes_addresses, silent;
	int bus;
};

struct opencl_mem {
	char *host, *own;
	size_t bytes;
	uint64_t flags;
	bool mapped;
};

static struct opencl_platform platforms[2] = { { "Toys" }, { "More toys" } };
static struct opencl_device_id devices[3] = {
	{ .name = "cores", .types = CL_DEVICE_TYPE_CPU, .shows = true, .unified = true },
	{ .name = "card\n", .types = CL_DEVICE_TYPE_GPU, .bus = 0x41 },
	{ .name = "board", .types = CL_DEVICE_TYPE_ACCELERATOR, .shows = true, .unified = true },
};
static uint32_t n_platforms = 2;
static int contexts, queues, buffers, mappings;
static uint64_t access_wanted;
static bool not_there;

/* Which call answers what, from the @skip-th on. */
static const char *bad_call;
static int32_t bad_answer;
static int skip;

static int32_t answers(const char *call)
{
	return bad_call && !strcmp(bad_call, call) && skip-- <= 0 ? bad_answer : CL_SUCCESS;
}

void *dlopen(const char *file, int flags)
{
	REAL(void *, "dlopen", const char *, int);

	if (!file || !strstr(file, "OpenCL"))
		return real(file, flags);
	return real(not_there ? "/nowhere/libOpenCL.so.1" : NULL, flags);
}

void *aligned_alloc(size_t align, size_t bytes)
{
	REAL(void *, "aligned_alloc", size_t, size_t);

	return fails("aligned_alloc") ? NULL : taken(real(align, bytes));
}

#define OPENCL_PROTOTYPE(result, name, arguments) result cl##name arguments;
OPENCL_FUNCTIONS(OPENCL_PROTOTYPE)

int32_t clGetPlatformIDs(uint32_t room, cl_platform *ids, uint32_t *nr)
{
	for (uint32_t i = 0; i < n_platforms && i < room; i++)
		ids[i] = &platforms[i];
	*nr = n_platforms;
	return answers("GetPlatformIDs");
}

static int32_t tell(const void *what, size_t bytes, size_t room, void *value)
{
	if (room < bytes)
		return -30;
	memcpy(value, what, bytes);
	return CL_SUCCESS;
}

int32_t clGetPlatformInfo(cl_platform platform, uint32_t what, size_t room, void *value,
			  size_t *bytes)
{
	(void)bytes;
	if (what != CL_PLATFORM_NAME)
		return -30;
	return answers("GetPlatformInfo") ?: tell(platform->name, strlen(platform->name) + 1, room,
						  value);
}

/* The first platform has two. */
int32_t clGetDeviceIDs(cl_platform platform, uint64_t types, uint32_t room, cl_device *ids,
		       uint32_t *nr)
{
	int first = platform == &platforms[0] ? 0 : 2, last = first ? 3 : 2;

	*nr = 0;
	for (int i = first; i < last; i++)
		if (devices[i].types & types && *nr < room)
			ids[(*nr)++] = &devices[i];
	return answers("GetDeviceIDs") ?: *nr ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

int32_t clGetDeviceInfo(cl_device device, uint32_t what, size_t room, void *value, size_t *bytes)
{
	cl_platform of = &platforms[device == &devices[2]];
	uint32_t narrow = 0, pci[4] = { 0, (uint32_t)device->bus, 2, 3 };
	uint64_t wide = 0;

	(void)bytes;
	if (device->silent)
		return -30;
	switch (what) {
	case CL_DEVICE_PLATFORM:
		return tell(&of, sizeof(of), room, value);
	case CL_DEVICE_NAME:
		return tell(device->name, strlen(device->name) + 1, room, value);
	case CL_DEVICE_AVAILABLE:
		narrow = !device->away;
		return tell(&narrow, sizeof(narrow), room, value);
	case CL_DEVICE_HOST_UNIFIED_MEMORY:
		narrow = device->unified;
		return tell(&narrow, sizeof(narrow), room, value);
	case CL_DEVICE_MEM_BASE_ADDR_ALIGN:
		narrow = 2048;
		return tell(&narrow, sizeof(narrow), room, value);
	case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
		wide = BYTES;
		return tell(&wide, sizeof(wide), room, value);
	case CL_DEVICE_SVM_CAPABILITIES:
		wide = device->takes_addresses ? 0xf : 0xb;
		return tell(&wide, sizeof(wide), room, value);
	case CL_DEVICE_PCI_BUS_INFO_KHR:
		return device->bus ? tell(pci, sizeof(pci), room, value) : -30;
	default:
		return -30;
	}
}

cl_context clCreateContext(const intptr_t *properties, uint32_t nr, const cl_device *ids,
			   void (*told)(const char *, const void *, size_t, void *), void *arg,
			   int32_t *err)
{
	*err = answers("CreateContext");
	if (nr != 1 || told || arg ||
	    (properties && (properties[0] != CL_CONTEXT_PLATFORM || properties[2])))
		tap_bail("clCreateContext is asked for something else");
	contexts += !*err;
	return *err ? NULL : (cl_context)ids[0];
}

int32_t clRetainContext(cl_context context)
{
	int32_t answer = context ? answers("RetainContext") : CL_INVALID_CONTEXT;

	contexts += !answer;
	return answer;
}

int32_t clReleaseContext(cl_context context)
{
	(void)context;
	contexts--;
	return CL_SUCCESS;
}

cl_queue clCreateCommandQueue(cl_context context, cl_device device, uint64_t properties,
			      int32_t *err)
{
	*err = context == (cl_context)device ? answers("CreateCommandQueue") : CL_INVALID_DEVICE;
	queues += !*err;
	return *err || properties ? NULL : (cl_queue)device;
}

int32_t clReleaseCommandQueue(cl_queue queue)
{
	(void)queue;
	queues--;
	return CL_SUCCESS;
}

/* What copies takes a copy when it is made, as it may. */
cl_mem clCreateBuffer(cl_context context, uint64_t flags, size_t bytes, void *host, int32_t *err)
{
	cl_device device = (cl_device)context;
	cl_mem new;

	if (!(flags & CL_MEM_USE_HOST_PTR) || !bytes || bytes > BYTES)
		tap_bail("clCreateBuffer is asked for something else");
	access_wanted = flags & ~(uint64_t)CL_MEM_USE_HOST_PTR;
	*err = answers("CreateBuffer");
	if (*err)
		return NULL;
	new = ALLOCATOR(calloc)(1, sizeof(*new));
	new->host = host;
	new->bytes = bytes;
	new->own = host;
	if (!device->shows || (device->fussy && ((uintptr_t)host % 4096 || bytes % 16)))
		new->own = ALLOCATOR(malloc)(bytes);
	if (new->own != host)
		memcpy(new->own, host, bytes);
	buffers++;
	return new;
}

int32_t clReleaseMemObject(cl_mem buffer)
{
	if (buffer->own != buffer->host)
		ALLOCATOR(free)(buffer->own);
	ALLOCATOR(free)(buffer);
	buffers--;
	return answers("ReleaseMemObject");
}

int32_t clEnqueueWriteBuffer(cl_queue queue, cl_mem buffer, uint32_t blocking, size_t offset,
			     size_t bytes, const void *from, uint32_t nr, const cl_event *first,
			     cl_event *done)
{
	(void)queue;
	if (!blocking || nr || first || done || offset + bytes > buffer->bytes)
		tap_bail("clEnqueueWriteBuffer is asked for something else");
	memcpy(buffer->own + offset, from, bytes);
	return answers("EnqueueWriteBuffer");
}

void *clEnqueueMapBuffer(cl_queue queue, cl_mem buffer, uint32_t blocking, uint64_t flags,
			 size_t offset, size_t bytes, uint32_t nr, const cl_event *first,
			 cl_event *done, int32_t *err)
{
	cl_device device = (cl_device)queue;

	if (!blocking || nr || first || done || offset || bytes != buffer->bytes ||
	    flags != (CL_MAP_READ | CL_MAP_WRITE) || buffer->mapped)
		tap_bail("clEnqueueMapBuffer is asked for something else");
	*err = answers("EnqueueMapBuffer");
	if (*err)
		return NULL;
	if (buffer->own != buffer->host)
		memcpy(buffer->host, buffer->own, bytes);
	buffer->mapped = true;
	mappings++;
	return buffer->host + device->askew;
}

int32_t clEnqueueUnmapMemObject(cl_queue queue, cl_mem buffer, void *mapped, uint32_t nr,
				const cl_event *first, cl_event *done)
{
	cl_device device = (cl_device)queue;
	int32_t answer = answers("EnqueueUnmapMemObject");

	if (mapped != buffer->host + device->askew || nr || first || done || !buffer->mapped)
		tap_bail("clEnqueueUnmapMemObject is asked for something else");
	if (answer)
		return answer;
	if (buffer->own != buffer->host)
		memcpy(buffer->own, buffer->host, buffer->bytes);
	buffer->mapped = false;
	mappings--;
	return CL_SUCCESS;
}

int32_t clFinish(cl_queue queue)
{
	(void)queue;
	return answers("Finish");
}

#endif
