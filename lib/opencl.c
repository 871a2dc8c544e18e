// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * OpenCL: loading it, choosing a device, and what its answers mean.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "opencl.h"
#include "printable.h"
#include "sysfs.h"

#define LIBRARY "libOpenCL.so.1"

/* Platforms, and devices of one. */
#define IDS_MAX 64

int opencl_load(struct hmem_ctx *ctx, struct opencl *cl)
{
	/* Kept until the process ends: it has threads, and what it loads is never unloaded. */
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library)
		return hmem_fail(ctx, -ENOSYS,
				 "there is no OpenCL: %s; on Debian ocl-icd-libopencl1 has it, and "
				 "pocl-opencl-icd a device made of the processors",
				 dlerror());
#define LOOK_UP(result, name, arguments)        \
	cl->name = dlsym(library, "cl" #name);  \
	if (!cl->name)                          \
		goto unknown;
	OPENCL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	dlclose(library);
	return 0;
unknown:
	dlclose(library);
	return hmem_fail(ctx, -ENOSYS, "there is no OpenCL: " LIBRARY " lacks functions of 1.0");
}

int opencl_fail(struct hmem_ctx *ctx, const char *device, const char *call, int32_t answer)
{
	static const struct {
		int32_t answer;
		int error;
		const char *says;
	} known[] = {
		{ CL_DEVICE_NOT_FOUND, -ENODEV, "no such device" },
		{ CL_DEVICE_NOT_AVAILABLE, -ENODEV, "the device is not available" },
		{ CL_MEM_OBJECT_ALLOCATION_FAILURE, -ENOMEM, "no memory for the object" },
		{ CL_OUT_OF_RESOURCES, -ENOMEM, "the device is out of resources" },
		{ CL_OUT_OF_HOST_MEMORY, -ENOMEM, "out of memory" },
		{ CL_MAP_FAILURE, -EIO, "the device cannot map it" },
		{ CL_INVALID_DEVICE, -EINVAL, "the device is not of the context" },
		{ CL_INVALID_CONTEXT, -EINVAL, "this is no context" },
		{ CL_INVALID_BUFFER_SIZE, -EFBIG, "the device takes no such size" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].answer == answer)
			return hmem_fail(ctx, known[i].error, "%s: %s answers %d: %s", device, call,
					 answer, known[i].says);
	return hmem_fail(ctx, -EIO, "%s: %s answers %d", device, call, answer);
}

/* --- choosing ------------------------------------------------------------------------- */

cl_platform opencl_platform_of(const struct opencl *cl, cl_device device)
{
	void *platform = NULL;

	if (cl->GetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof(platform), &platform, NULL))
		return NULL;
	return platform;
}

void opencl_name(const struct opencl *cl, cl_device device, char name[HMEM_EXECUTION_NAME_MAX + 1])
{
	cl_platform platform = opencl_platform_of(cl, device);
	char one[256] = "", two[256] = "";

	if (!platform ||
	    cl->GetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof(one) - 1, one, NULL))
		snprintf(one, sizeof(one), "OpenCL");
	if (cl->GetDeviceInfo(device, CL_DEVICE_NAME, sizeof(two) - 1, two, NULL))
		snprintf(two, sizeof(two), "a device");
	snprintf(name, HMEM_EXECUTION_NAME_MAX + 1, "%.60s: %.64s", one, two);
	hmem_make_printable(name);
}

static bool is_available(const struct opencl *cl, cl_device device)
{
	uint32_t available = CL_FALSE;

	return !cl->GetDeviceInfo(device, CL_DEVICE_AVAILABLE, sizeof(available), &available,
				  NULL) && available;
}

static uint64_t types_of(uint32_t type)
{
	switch (type) {
	case HMEM_OPENCL_CPU:
		return CL_DEVICE_TYPE_CPU;
	case HMEM_OPENCL_GPU:
		return CL_DEVICE_TYPE_GPU;
	case HMEM_OPENCL_ACCELERATOR:
		return CL_DEVICE_TYPE_ACCELERATOR;
	default:
		return CL_DEVICE_TYPE_ALL;
	}
}

/* The devices of a platform, which may have none; what fails has none either. */
static uint32_t list_devices(struct hmem_ctx *ctx, const struct opencl *cl, cl_platform platform,
			     uint32_t type, cl_device ids[IDS_MAX])
{
	uint32_t nr = 0;
	int32_t answer = cl->GetDeviceIDs(platform, types_of(type), IDS_MAX, ids, &nr);

	if (answer && answer != CL_DEVICE_NOT_FOUND)
		hmem_log(ctx, HMEM_LOG_WARNING,
			 "a platform of OpenCL is left out: clGetDeviceIDs answers %d", answer);
	return answer ? 0 : nr < IDS_MAX ? nr : IDS_MAX;
}

int opencl_choose(struct hmem_ctx *ctx, const struct opencl *cl,
		  const struct hmem_opencl_options *options, cl_device *device,
		  char name[HMEM_EXECUTION_NAME_MAX + 1])
{
	cl_platform platforms[IDS_MAX];
	cl_device devices[IDS_MAX];
	uint32_t nr = 0, seen = 0;
	int32_t answer = cl->GetPlatformIDs(IDS_MAX, platforms, &nr);

	if (answer == CL_PLATFORM_NOT_FOUND_KHR || (!answer && !nr))
		return hmem_fail(ctx, -ENODEV,
				 "OpenCL has no platform; on Debian pocl-opencl-icd is one, and "
				 "/etc/OpenCL/vendors names them");
	if (answer)
		return opencl_fail(ctx, "OpenCL", "clGetPlatformIDs", answer);
	for (uint32_t p = 0; p < nr && p < IDS_MAX; p++) {
		uint32_t n = list_devices(ctx, cl, platforms[p], options->type, devices);

		for (uint32_t d = 0; d < n; d++) {
			opencl_name(cl, devices[d], name);
			if (!is_available(cl, devices[d]) ||
			    (options->name && !strstr(name, options->name)))
				continue;
			if (seen++ == options->index) {
				*device = devices[d];
				return 0;
			}
		}
	}
	return hmem_fail(ctx, -ENODEV,
			 "OpenCL has %u devices of this type%s%s: number %u, counted from 0, is not "
			 "among them",
			 seen, options->name ? " that are called " : "",
			 options->name ? options->name : "", options->index);
}

int opencl_node(struct hmem_ctx *ctx, const struct opencl *cl, cl_device device)
{
	struct {
		uint32_t domain, bus, device, function;
	} pci = { 0 };
	struct hmem_error kept;
	char dir[PATH_MAX];
	int nid;

	if (cl->GetDeviceInfo(device, CL_DEVICE_PCI_BUS_INFO_KHR, sizeof(pci), &pci, NULL) ||
	    hmem_sysfs_path(ctx, dir, "/sys/bus/pci/devices/%04x:%02x:%02x.%x", pci.domain, pci.bus,
			    pci.device, pci.function) ||
	    hmem_sysfs_int(dir, "numa_node", &nid) || nid < 0)
		return -1;
	hmem_error_keep(&kept);
	if (hmem_layers_check_initiator(ctx, nid))
		nid = -1;
	hmem_error_restore(&kept);
	return nid;
}
