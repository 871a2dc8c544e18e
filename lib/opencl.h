/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is used of OpenCL, as its specification (Khronos, "The OpenCL Specification", 1.2 and later)
 * has it: types, numbers, functions. It is loaded when it is there; neither building nor running
 * the library needs it.
 *
 * All functions are those of 1.0, so that any device will do.
 */
#ifndef LIB_OPENCL_H
#define LIB_OPENCL_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/execution.h>

typedef struct opencl_platform *cl_platform;
typedef struct opencl_device_id *cl_device;
typedef struct opencl_context *cl_context;
typedef struct opencl_queue *cl_queue;
typedef struct opencl_mem *cl_mem;
typedef struct opencl_event *cl_event;

#define CL_SUCCESS			 0
#define CL_DEVICE_NOT_FOUND		 -1
#define CL_DEVICE_NOT_AVAILABLE		 -2
#define CL_MEM_OBJECT_ALLOCATION_FAILURE -4
#define CL_OUT_OF_RESOURCES		 -5
#define CL_OUT_OF_HOST_MEMORY		 -6
#define CL_MAP_FAILURE			 -12
#define CL_INVALID_DEVICE		 -33
#define CL_INVALID_CONTEXT		 -34
#define CL_INVALID_BUFFER_SIZE		 -61
#define CL_PLATFORM_NOT_FOUND_KHR	 -1001

#define CL_FALSE 0
#define CL_TRUE	 1

#define CL_PLATFORM_NAME 0x0902

#define CL_DEVICE_TYPE_CPU	   (1u << 1)
#define CL_DEVICE_TYPE_GPU	   (1u << 2)
#define CL_DEVICE_TYPE_ACCELERATOR (1u << 3)
#define CL_DEVICE_TYPE_ALL	   0xffffffffu

#define CL_DEVICE_MAX_MEM_ALLOC_SIZE  0x1010 /* bytes, 64 bits */
#define CL_DEVICE_MEM_BASE_ADDR_ALIGN 0x1019 /* in bits */
#define CL_DEVICE_AVAILABLE	      0x1027
#define CL_DEVICE_NAME		      0x102b
#define CL_DEVICE_PLATFORM	      0x1031
#define CL_DEVICE_HOST_UNIFIED_MEMORY 0x1035
#define CL_DEVICE_SVM_CAPABILITIES    0x1053 /* from 2.0 on */
#define CL_DEVICE_PCI_BUS_INFO_KHR    0x410f /* with cl_khr_pci_bus_info */

#define CL_CONTEXT_PLATFORM 0x1084

#define CL_DEVICE_SVM_FINE_GRAIN_SYSTEM (1u << 2)

#define CL_MEM_READ_WRITE   (1u << 0)
#define CL_MEM_READ_ONLY    (1u << 2)
#define CL_MEM_USE_HOST_PTR (1u << 3)

#define CL_MAP_READ  (1u << 0)
#define CL_MAP_WRITE (1u << 1)

/* _(result, name without "cl", arguments) */
#define OPENCL_FUNCTIONS(_)                                                                      \
	_(int32_t, GetPlatformIDs, (uint32_t room, cl_platform *ids, uint32_t *nr))              \
	_(int32_t, GetPlatformInfo,                                                              \
	  (cl_platform, uint32_t what, size_t room, void *value, size_t *bytes))                 \
	_(int32_t, GetDeviceIDs,                                                                 \
	  (cl_platform, uint64_t types, uint32_t room, cl_device *ids, uint32_t *nr))            \
	_(int32_t, GetDeviceInfo,                                                                \
	  (cl_device, uint32_t what, size_t room, void *value, size_t *bytes))                   \
	_(cl_context, CreateContext,                                                             \
	  (const intptr_t *properties, uint32_t nr, const cl_device *ids,                        \
	   void (*tell)(const char *, const void *, size_t, void *), void *arg, int32_t *err))   \
	_(int32_t, RetainContext, (cl_context))                                                  \
	_(int32_t, ReleaseContext, (cl_context))                                                 \
	_(cl_queue, CreateCommandQueue,                                                          \
	  (cl_context, cl_device, uint64_t properties, int32_t *err))                            \
	_(int32_t, ReleaseCommandQueue, (cl_queue))                                              \
	_(cl_mem, CreateBuffer,                                                                  \
	  (cl_context, uint64_t flags, size_t bytes, void *host, int32_t *err))                  \
	_(int32_t, ReleaseMemObject, (cl_mem))                                                   \
	_(int32_t, EnqueueWriteBuffer,                                                           \
	  (cl_queue, cl_mem, uint32_t blocking, size_t offset, size_t bytes, const void *from,   \
	   uint32_t nr, const cl_event *first, cl_event *done))                                  \
	_(void *, EnqueueMapBuffer,                                                              \
	  (cl_queue, cl_mem, uint32_t blocking, uint64_t flags, size_t offset, size_t bytes,     \
	   uint32_t nr, const cl_event *first, cl_event *done, int32_t *err))                    \
	_(int32_t, EnqueueUnmapMemObject,                                                        \
	  (cl_queue, cl_mem, void *mapped, uint32_t nr, const cl_event *first, cl_event *done))  \
	_(int32_t, Finish, (cl_queue))

struct opencl {
#define OPENCL_MEMBER(result, name, arguments) result (*name) arguments;
	OPENCL_FUNCTIONS(OPENCL_MEMBER)
#undef OPENCL_MEMBER
};

/* 0 or -ENOSYS with a last error: it is not there, or is not what is known here. */
int opencl_load(struct hmem_ctx *ctx, struct opencl *cl);

/* What a call of OpenCL answered, as an errno and a last error. */
int opencl_fail(struct hmem_ctx *ctx, const char *device, const char *call, int32_t answer);

/* "PLATFORM: DEVICE", to a line that can be printed. */
void opencl_name(const struct opencl *cl, cl_device device, char name[HMEM_EXECUTION_NAME_MAX + 1]);

/* The device that the options choose; 0 or -ENODEV with a last error. */
int opencl_choose(struct hmem_ctx *ctx, const struct opencl *cl,
		  const struct hmem_opencl_options *options, cl_device *device,
		  char name[HMEM_EXECUTION_NAME_MAX + 1]);

/* What a device is of; NULL: it does not say. */
cl_platform opencl_platform_of(const struct opencl *cl, cl_device device);

/* The NUMA node that a device is near, with processors; -1: not known. */
int opencl_node(struct hmem_ctx *ctx, const struct opencl *cl, cl_device device);

#endif
