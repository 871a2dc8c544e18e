// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execution contexts of OpenCL, with whatever device this machine has; PoCL makes one of the
 * processors. A kernel adds to each number of an allocation, in DRAM and in a file, and what it
 * adds is in the host's memory without anything being copied. What a device might answer that this
 * one does not lib_execution_opencl_played has.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "../../lib/opencl.h"

#include "interface_user.h"
#include "sysroot.h"
#include "execution_user.h"
#include "said.h"

#define N 1000u

/* What a compiler leaves behind when its process ends is not looked at. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

typedef struct opencl_program *cl_program;
typedef struct opencl_kernel *cl_kernel;

/* What a caller of OpenCL needs himself. */
static struct {
	void *library;
	cl_queue (*queue)(cl_context, cl_device, uint64_t properties, int32_t *err);
	cl_program (*program)(cl_context, uint32_t n, const char **text, const size_t *bytes,
			      int32_t *err);
	int32_t (*build)(cl_program, uint32_t n, const cl_device *, const char *options,
			 void (*)(cl_program, void *), void *);
	cl_kernel (*kernel)(cl_program, const char *name, int32_t *err);
	int32_t (*arg)(cl_kernel, uint32_t index, size_t bytes, const void *value);
	int32_t (*address)(cl_kernel, uint32_t index, const void *address);
	int32_t (*run)(cl_queue, cl_kernel, uint32_t dimensions, const size_t *offset,
		       const size_t *global, const size_t *local, uint32_t n, const cl_event *first,
		       cl_event *done);
	int32_t (*finish)(cl_queue);
	void *(*map)(cl_queue, cl_mem, uint32_t blocking, uint64_t flags, size_t offset,
		     size_t bytes, uint32_t n, const cl_event *first, cl_event *done, int32_t *err);
	int32_t (*unmap)(cl_queue, cl_mem, void *mapped, uint32_t n, const cl_event *first,
			 cl_event *done);
} cl;

static cl_queue queue;
static cl_kernel kernel;
static struct hmem_execution *device;
static bool is_pocl;
static struct hmem_execution_info of_device = { .size = sizeof(of_device) };

static void *function(const char *name)
{
	return dlsym(cl.library, name);
}

static void find_functions(void)
{
	cl.library = dlopen("libOpenCL.so.1", RTLD_NOW);
	if (!cl.library)
		tap_bail("%s", dlerror());
	cl.queue = function("clCreateCommandQueue");
	cl.program = function("clCreateProgramWithSource");
	cl.build = function("clBuildProgram");
	cl.kernel = function("clCreateKernel");
	cl.arg = function("clSetKernelArg");
	cl.address = function("clSetKernelArgSVMPointer");
	cl.run = function("clEnqueueNDRangeKernel");
	cl.finish = function("clFinish");
	cl.map = function("clEnqueueMapBuffer");
	cl.unmap = function("clEnqueueUnmapMemObject");
}

/* at[i] += by[i] */
static void make_kernel(void)
{
	const char *text = "__kernel void add(__global int *at, __global const int *by)"
			   "{ at[get_global_id(0)] += by[get_global_id(0)]; }";
	cl_device id = of_device.device;
	cl_program program;
	int32_t err;

	queue = cl.queue(of_device.context, id, 0, &err);
	program = queue ? cl.program(of_device.context, 1, &text, NULL, &err) : NULL;
	if (!program || cl.build(program, 1, &id, "", NULL, NULL))
		tap_skip_all("the device has no compiler that works");
	kernel = cl.kernel(program, "add", &err);
	if (!kernel)
		tap_bail("clCreateKernel answers %d", err);
}

static void run(const void *at, const void *by, size_t n)
{
	if (cl.arg(kernel, 0, sizeof(at), &at) || cl.arg(kernel, 1, sizeof(by), &by) ||
	    cl.run(queue, kernel, 1, NULL, &n, NULL, 0, NULL, NULL) || cl.finish(queue))
		tap_bail("the kernel does not run");
}

/* --- allocations ----------------------------------------------------------------------- */

static struct hmem_allocation *numbers(struct hmem_interface *interface, size_t n, int first)
{
	struct hmem_allocation *new;
	int *at;

	if (hmem_allocation_new(interface, n * sizeof(int), of_device.align, 0, &new))
		tap_bail("%s", hmem_last_error(ctx));
	at = hmem_allocation_data(new);
	for (size_t i = 0; i < n; i++)
		at[i] = first + (int)i;
	return new;
}

/* From @from on @n are @first, @first + @step, ... */
static bool are(const struct hmem_allocation *allocation, size_t from, size_t n, int first,
		int step)
{
	const int *at = hmem_allocation_data(allocation);

	for (size_t i = 0; i < n; i++)
		if (at[from + i] != first + step * (int)i)
			return false;
	return true;
}

static struct hmem_attachment *must_attach(struct hmem_execution *to, struct hmem_allocation *what,
					   uint32_t flags)
{
	struct hmem_attachment *new;

	if (hmem_execution_attach(to, what, flags, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

/* --- what is done ---------------------------------------------------------------------- */

/* What the device has of an allocation is where the host has it. */
static bool mapped_in_place(const struct hmem_attachment *attachment)
{
	struct hmem_attachment_info info = attached(attachment);
	int32_t err;
	void *at = cl.map(queue, info.native, CL_TRUE, CL_MAP_READ, 0, info.bytes, 0, NULL, NULL,
			  &err);

	cl.unmap(queue, info.native, at, 0, NULL, NULL);
	cl.finish(queue);
	return at == info.data;
}

static void add(const char *where, struct hmem_interface *interface)
{
	struct hmem_allocation *at = numbers(interface, N, 5), *by = numbers(interface, N, 1);
	struct hmem_attachment *a = must_attach(device, at, 0);
	struct hmem_attachment *b = must_attach(device, by, HMEM_ATTACH_READ_ONLY);
	bool in_place = !attached(a).copies;

	TAP_OK(attached(a).form == HMEM_NATIVE_CL_MEM && attached(a).native &&
		       attached(a).data == hmem_allocation_data(at) &&
		       attached(a).bytes == N * sizeof(int),
	       "%s: an allocation is a buffer%s", where, in_place ? ", without a copy" : "");
	TAP_OK(in_place || !is_pocl, "%s: that is known of PoCL", where);
	TAP_EQ(attached(b).copies, !in_place, "%s: so is one that is only read", where);
	TAP_EQ(hmem_allocation_free(at), -EBUSY, "%s: which is not freed", where);
	TAP_OK(!hmem_attachment_begin(a) && !hmem_attachment_begin(b), "%s: it is the kernel's",
	       where);
	run(attached(a).native, attached(b).native, N);
	if (in_place)
		TAP_OK(are(at, 0, N, 6, 2), "%s: what it adds is there unbrought", where);
	TAP_OK(mapped_in_place(a), "%s: a mapping of the buffer is the allocation", where);
	TAP_OK(!hmem_attachment_end(a) && !hmem_attachment_end(b), "%s: it is the host's", where);
	TAP_OK(are(at, 0, N, 6, 2) && are(by, 0, N, 1, 1), "%s: each has what was added", where);
	*(int *)hmem_allocation_data(at) = 1000;
	TAP_OK(!hmem_attachment_begin(a) && !hmem_attachment_begin(b), "%s: once more", where);
	run(attached(a).native, attached(b).native, N);
	TAP_EQ(hmem_attachment_detach(a), 0, "%s: detached while it is the kernel's", where);
	TAP_OK(*(int *)hmem_allocation_data(at) == 1001 && are(at, 1, N - 1, 10, 3),
	       "%s: it has what host and kernel wrote", where);
	TAP_EQ(hmem_attachment_detach(b), 0, "%s: the other, too", where);
	TAP_OK(!hmem_allocation_free(at) && !hmem_allocation_free(by), "%s: both are free", where);
}

/* What the kernel wrote is what the file has. */
static void in_file(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *interface;
	struct hmem_allocation *at, *by;
	struct hmem_attachment *a, *b;
	struct hmem_space *space;
	char name[PATH_MAX + 8];
	int *file, fd;

	snprintf(name, sizeof(name), "file:%s", scratch_path("memory"));
	options.layer = name;
	options.bytes = 4 * MIB;
	if (hmem_execution_space(device, "file", &options, &space))
		tap_bail("%s", hmem_last_error(ctx));
	interface = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	add("a file", interface);

	at = numbers(interface, N, 31337);
	by = numbers(interface, N, 7);
	a = must_attach(device, at, 0);
	b = must_attach(device, by, 0);
	if (hmem_attachment_begin(a) || hmem_attachment_begin(b))
		tap_bail("%s", hmem_last_error(ctx));
	run(attached(a).native, attached(b).native, N);
	hmem_attachment_end(a);
	fd = open(strchr(name, ':') + 1, O_RDONLY | O_CLOEXEC);
	file = mmap(NULL, 4 * MIB, PROT_READ, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	TAP_OK(memmem(file, 4 * MIB, hmem_allocation_data(at), N * sizeof(int)) &&
		       are(at, 0, N, 31344, 2),
	       "what the kernel wrote is in the file");
	munmap(file, 4 * MIB);
	close(fd);
	TAP_OK(!hmem_attachment_detach(a) && !hmem_attachment_detach(b) &&
		       !hmem_allocation_free(at) && !hmem_allocation_free(by),
	       "all is given back");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
}

static void slices(struct hmem_interface *interface)
{
	size_t align = of_device.align, step = align < 4 ? 4 : align;
	struct hmem_allocation *whole = numbers(interface, N, 0), *by = numbers(interface, N, 1000);
	struct hmem_allocation *slice[2], *askew;
	struct hmem_attachment *a[2], *b, *none = NULL;

	for (int i = 0; i < 2; i++) {
		if (hmem_allocation_slice(whole, ((size_t)i + 1) * step, step, &slice[i]))
			tap_bail("%s", hmem_last_error(ctx));
		a[i] = must_attach(device, slice[i], 0);
	}
	b = must_attach(device, by, HMEM_ATTACH_READ_ONLY);
	if (hmem_attachment_begin(a[0]) || hmem_attachment_begin(a[1]) || hmem_attachment_begin(b))
		tap_bail("%s", hmem_last_error(ctx));
	run(attached(a[0]).native, attached(b).native, step / 4);
	run(attached(a[1]).native, attached(b).native, step / 4);
	TAP_OK(!hmem_attachment_end(a[0]) && !hmem_attachment_detach(a[1]), "two slices at once");
	TAP_OK(are(whole, 0, step / 4, 0, 1) &&
		       are(whole, step / 4, step / 4, 1000 + (int)(step / 4), 2) &&
		       are(whole, step / 2, step / 4, 1000 + (int)(step / 2), 2) &&
		       are(whole, 3 * step / 4, N - 3 * step / 4, (int)(3 * step / 4), 1),
	       "are changed, and nothing around them");
	TAP_OK(!hmem_attachment_detach(a[0]) && !hmem_attachment_detach(b), "they are given back");
	if (align < 5) {
		tap_skip("slices that begin elsewhere", "this device takes them");
	} else {
		hmem_allocation_slice(whole, align + 4, 4, &askew);
		TAP_EQ(hmem_execution_attach(device, askew, 0, &none), -EINVAL,
		       "a slice that begins elsewhere is refused");
		TAP_OK(says(ctx, "this is 4 behind one") && !none, "as is said");
		hmem_allocation_free(askew);
	}
	hmem_allocation_free(slice[0]);
	hmem_allocation_free(slice[1]);
	TAP_OK(!hmem_allocation_free(whole) && !hmem_allocation_free(by), "all is free");
}

static void bounds(void)
{
	size_t bytes = of_device.bytes_max + of_device.align;
	struct hmem_allocation *large;
	struct hmem_attachment *none = NULL;
	void *memory;

	TAP_OK(of_device.bytes_max >= MIB, "the device takes %llu bytes at once",
	       (unsigned long long)of_device.bytes_max);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		tap_skip("more than that is refused", "so many addresses cannot be had");
		return;
	}
	if (hmem_allocation_adopt(ctx, NULL, memory, bytes, 0, &large))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_execution_attach(device, large, 0, &none), -EFBIG, "more than that is refused");
	TAP_OK(says(ctx, "bytes at once, not") && !none, "as is said");
	TAP_EQ(hmem_allocation_free(large), 0, "and not attached");
	munmap(memory, bytes);
}

static void addresses(struct hmem_interface *interface)
{
	struct hmem_allocation *at = numbers(interface, N, 0), *by = numbers(interface, N, 1);
	struct hmem_attachment *a = NULL, *b;
	int err = hmem_execution_attach(device, at, HMEM_ATTACH_ADDRESS, &a);
	size_t n = N;

	if (err == -EOPNOTSUPP) {
		TAP_OK(says(ctx, "no fine-grained system SVM") && !a, "addresses are refused");
		tap_skip("a kernel takes addresses", "this device does not");
	} else {
		b = must_attach(device, by, HMEM_ATTACH_ADDRESS);
		TAP_OK(!err && attached(a).form == HMEM_NATIVE_ADDRESS && !attached(a).copies &&
			       attached(a).native == hmem_allocation_data(at),
		       "the kernel has the host's address");
		if (hmem_attachment_begin(a) || hmem_attachment_begin(b) ||
		    cl.address(kernel, 0, attached(a).native) ||
		    cl.address(kernel, 1, attached(b).native) ||
		    cl.run(queue, kernel, 1, NULL, &n, NULL, 0, NULL, NULL) || cl.finish(queue))
			tap_bail("the kernel does not run");
		TAP_OK(!hmem_attachment_end(a) && !hmem_attachment_end(b) && are(at, 0, N, 1, 2),
		       "a kernel takes addresses");
		TAP_OK(!hmem_attachment_detach(a) && !hmem_attachment_detach(b), "and goes");
	}
	TAP_OK(!hmem_allocation_free(at) && !hmem_allocation_free(by), "nothing is left");
}

/* --- devices --------------------------------------------------------------------------- */

static struct hmem_opencl_options options_of(uint32_t type, const char *name)
{
	struct hmem_opencl_options options = HMEM_OPENCL_OPTIONS_INIT;

	options.type = type;
	options.name = name;
	return options;
}

static void choosing(struct hmem_interface *interface)
{
	struct hmem_opencl_options options = options_of(HMEM_OPENCL_ANY, NULL);
	struct hmem_execution_info info = { .size = sizeof(info) };
	struct hmem_execution *another = NULL;
	struct hmem_allocation *at, *by;
	struct hmem_attachment *a, *b;

	options.name = strchr(of_device.name, ':') + 1;
	TAP_EQ(hmem_execution_opencl(ctx, &options, &another), 0, "a device by its name");
	TAP_OK(!hmem_execution_get_info(another, &info) && !strcmp(info.name, of_device.name) &&
		       info.context != of_device.context,
	       "with a context of its own");
	hmem_execution_unref(another);
	another = NULL;
	options.name = "no such";
	TAP_EQ(hmem_execution_opencl(ctx, &options, &another), -ENODEV, "one that there is not");
	TAP_OK(says(ctx, "0 devices of this type that are called no such: number 0"), "named");
	options = options_of(HMEM_OPENCL_ANY, NULL);
	options.index = 1000;
	TAP_EQ(hmem_execution_opencl(ctx, &options, &another), -ENODEV, "one beyond the last");
	TAP_OK(says(ctx, "number 1000, counted from 0, is not among them") && !another, "counted");

	options = options_of(HMEM_OPENCL_ANY, NULL);
	options.context = of_device.context;
	options.device = of_device.device;
	TAP_EQ(hmem_execution_opencl(ctx, &options, &another), 0, "the caller's own context");
	TAP_OK(!hmem_execution_get_info(another, &info) && info.context == of_device.context &&
		       info.device == of_device.device && info.kind == HMEM_EXECUTION_OPENCL,
	       "is what it is told to be");
	at = numbers(interface, N, 0);
	by = numbers(interface, N, 1);
	a = must_attach(another, at, 0);
	b = must_attach(another, by, 0);
	hmem_execution_unref(another);
	if (hmem_attachment_begin(a) || hmem_attachment_begin(b))
		tap_bail("%s", hmem_last_error(ctx));
	run(attached(a).native, attached(b).native, N);
	TAP_OK(!hmem_attachment_detach(a) && !hmem_attachment_detach(b) && are(at, 0, N, 1, 2),
	       "whose kernels work on what is attached");
	hmem_allocation_free(at);
	hmem_allocation_free(by);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* For people. */
static void how_long(struct hmem_interface *interface)
{
	struct hmem_allocation *at = numbers(interface, N, 0);
	struct hmem_attachment *a;
	double attaching = 0, handing = 0, start;

	for (int i = 0; i < 100; i++) {
		start = now();
		a = must_attach(device, at, 0);
		attaching += now() - start;
		start = now();
		if (hmem_attachment_begin(a) || hmem_attachment_end(a))
			tap_bail("%s", hmem_last_error(ctx));
		handing += now() - start;
		hmem_attachment_detach(a);
	}
	tap_diag("%.1f us to attach, %.1f us there and back", attaching / 100, handing / 100);
	hmem_allocation_free(at);
}

int main(void)
{
	struct hmem_interface *interface;
	struct hmem_space *space;
	int err;

	/* Compiled kernels are kept: not in somebody's home. */
	setenv("POCL_CACHE_DIR", scratch(), 1);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	err = hmem_execution_opencl(ctx, NULL, &device);
	if (err == -ENOSYS || err == -ENODEV)
		tap_skip_all(hmem_last_error(ctx));
	if (err || hmem_execution_get_info(device, &of_device))
		tap_bail("%s", hmem_last_error(ctx));
	find_functions();
	make_kernel();
	tap_diag("%s, aligned to %llu", of_device.name, (unsigned long long)of_device.align);
	TAP_OK(of_device.kind == HMEM_EXECUTION_OPENCL && of_device.context && of_device.device &&
		       of_device.align,
	       "a device: %s", of_device.name);
	is_pocl = strstr(of_device.name, "Portable Computing Language");
	space = must_space(4 * MIB);
	interface = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	add("DRAM", interface);
	in_file();
	slices(interface);
	bounds();
	addresses(interface);
	choosing(interface);
	how_long(interface);
	TAP_EQ(stats_of(interface).blocks, 0, "nothing is left");
	hmem_execution_unref(device);
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	hmem_ctx_unref(ctx);
	return tap_done();
}
