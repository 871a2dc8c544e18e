// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execution contexts of OpenCL on devices that this machine need not have: some copy, some say that
 * they do not, some are near a NUMA node, some take addresses; each call fails once, and so does
 * each allocation; and OpenCL is not there.
 */
#include "faults.h"

#include "opencl_played.h"
#include "execution_user.h"
#include "said.h"

#define UNTOUCHED ((void *)(uintptr_t)0x5ca1ab1e)

/* --- what is done ---------------------------------------------------------------------- */

static char memory[2 * BYTES] __attribute__((aligned(4096)));
static struct hmem_allocation *all;

static struct hmem_execution *must_open(uint32_t index)
{
	struct hmem_opencl_options options = HMEM_OPENCL_OPTIONS_INIT;
	struct hmem_execution *new;

	options.index = index;
	if (hmem_execution_opencl(ctx, &options, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static bool nothing_left(void)
{
	if (contexts || queues || buffers || mappings)
		tap_diag("%d contexts, %d queues, %d buffers, %d mappings", contexts, queues,
			 buffers, mappings);
	return !contexts && !queues && !buffers && !mappings;
}

static void choosing(void)
{
	struct hmem_opencl_options options = HMEM_OPENCL_OPTIONS_INIT;
	struct hmem_execution *chosen;
	static const struct {
		uint32_t type, index;
		const char *name, *found;
	} tries[] = {
		{ HMEM_OPENCL_ANY, 0, NULL, "Toys: cores" },
		{ HMEM_OPENCL_ANY, 1, NULL, "Toys: card?" },
		{ HMEM_OPENCL_ANY, 2, NULL, "More toys: board" },
		{ HMEM_OPENCL_CPU, 0, NULL, "Toys: cores" },
		{ HMEM_OPENCL_GPU, 0, NULL, "Toys: card?" },
		{ HMEM_OPENCL_ACCELERATOR, 0, NULL, "More toys: board" },
		{ HMEM_OPENCL_ANY, 0, "card", "Toys: card?" },
		{ HMEM_OPENCL_ANY, 1, "Toys", "Toys: card?" },
		{ HMEM_OPENCL_ANY, 0, "More", "More toys: board" },
		{ HMEM_OPENCL_CPU, 1, NULL, NULL },
		{ HMEM_OPENCL_CPU, 0, "card", NULL },
		{ HMEM_OPENCL_ANY, 3, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int err;

		options.type = tries[i].type;
		options.index = tries[i].index;
		options.name = tries[i].name;
		chosen = UNTOUCHED;
		err = hmem_execution_opencl(ctx, &options, &chosen);
		TAP_OK(tries[i].found ? !err && !strcmp(info_of(chosen).name, tries[i].found) :
					err == -ENODEV && chosen == UNTOUCHED,
		       "number %u of type %u, \"%s\": %s", options.index, options.type,
		       options.name ? options.name : "",
		       tries[i].found ? tries[i].found : "none");
		if (!err)
			hmem_execution_unref(chosen);
	}
	devices[0].away = true;
	chosen = must_open(0);
	TAP_STR_EQ(info_of(chosen).name, "Toys: card?", "one that is not available is passed over");
	hmem_execution_unref(chosen);
	devices[0].away = false;
	devices[0].silent = true;
	options = (struct hmem_opencl_options)HMEM_OPENCL_OPTIONS_INIT;
	options.context = options.device = &devices[0];
	TAP_EQ(hmem_execution_opencl(ctx, &options, &chosen), 0, "one that says nothing of itself");
	TAP_OK(!strcmp(info_of(chosen).name, "OpenCL: a device") && info_of(chosen).align == 1 &&
		       !info_of(chosen).bytes_max && info_of(chosen).nid == -1,
	       "is taken as it is");
	hmem_execution_unref(chosen);
	devices[0].silent = false;
	TAP_OK(nothing_left(), "each is given back");
}

static void near_node(void)
{
	static const struct {
		const char *node;
		int nid;
	} tries[] = { { "1\n", 1 }, { "0\n", 0 }, { "-1\n", -1 }, { "7\n", -1 } };
	struct hmem_execution *card;

	scratch_write("sys/devices/system/node/has_cpu", "0-1\n");
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		scratch_write("sys/bus/pci/devices/0000:41:02.3/numa_node", tries[i].node);
		hmem_set_error(ctx, 0, "%s", "");
		card = must_open(1);
		TAP_OK(info_of(card).nid == tries[i].nid && !*hmem_last_error(ctx),
		       "a card on node %d is near %d", atoi(tries[i].node), tries[i].nid);
		hmem_execution_unref(card);
	}
	card = must_open(0);
	TAP_EQ(info_of(card).nid, -1, "what is on no bus is near whoever asks");
	hmem_execution_unref(card);
}

/* A kernel on what the device has. */
static void add_one(const struct hmem_attachment *attachment)
{
	cl_mem buffer = attached(attachment).native;

	if (buffer->mapped)
		tap_bail("the host has it");
	for (size_t i = 0; i < buffer->bytes; i++)
		buffer->own[i]++;
}

static bool are(char value)
{
	for (size_t i = 0; i < BYTES; i++)
		if (memory[i] != value)
			return false;
	return true;
}

static void works(uint32_t index, uint32_t copies)
{
	struct hmem_execution *on = must_open(index);
	const char *name = info_of(on).name;
	struct hmem_attachment *attachment;
	char called[HMEM_EXECUTION_NAME_MAX + 1];

	snprintf(called, sizeof(called), "%s", name);
	memset(memory, 1, BYTES);
	TAP_EQ(hmem_execution_attach(on, all, 0, &attachment), 0, "%s: attached", called);
	TAP_OK(attached(attachment).copies == copies && access_wanted == CL_MEM_READ_WRITE &&
		       buffers == 1 && mappings == 1 && are(1),
	       "%s: it works on %s", called, copies ? "a copy" : "the memory");
	memset(memory, 2, BYTES);
	TAP_EQ(hmem_attachment_begin(attachment), 0, "%s: begun", called);
	add_one(attachment);
	TAP_EQ(hmem_attachment_end(attachment), 0, "%s: ended", called);
	TAP_OK(are(3), "%s: what was written went there and back", called);
	memset(memory, 5, BYTES);
	if (hmem_attachment_begin(attachment))
		tap_bail("%s", hmem_last_error(ctx));
	add_one(attachment);
	hmem_execution_unref(on);
	TAP_OK(!hmem_attachment_detach(attachment) && are(6) && nothing_left(),
	       "%s: so it does when it is detached at once", called);

	on = must_open(index);
	TAP_EQ(hmem_execution_attach(on, all, HMEM_ATTACH_NO_COPY, &attachment),
	       copies ? -EOPNOTSUPP : 0, "%s: without a copy", called);
	if (!copies)
		hmem_attachment_detach(attachment);
	TAP_EQ(hmem_execution_attach(on, all, HMEM_ATTACH_READ_ONLY, &attachment), 0,
	       "%s: read only", called);
	TAP_OK(attached(attachment).copies == copies && buffers == 1, "%s: as it is", called);
	hmem_attachment_detach(attachment);
	hmem_execution_unref(on);
	TAP_OK(are(6) && nothing_left(), "%s: nothing is left", called);
}

static void kinds(void)
{
	struct hmem_execution *on;
	struct hmem_attachment *attachment = UNTOUCHED;

	works(0, 0);
	works(1, 1);
	devices[1].unified = true;
	works(1, 1);
	devices[1].unified = false;
	devices[1].shows = true;
	works(1, 1);
	devices[1].shows = false;

	on = must_open(0);
	TAP_EQ(hmem_execution_attach(on, all, HMEM_ATTACH_ADDRESS, &attachment), -EOPNOTSUPP,
	       "who takes no addresses");
	TAP_OK(says(ctx, "no fine-grained system SVM") && attachment == UNTOUCHED && !buffers,
	       "says so");
	hmem_execution_unref(on);
	devices[0].takes_addresses = true;
	on = must_open(0);
	TAP_EQ(hmem_execution_attach(on, all, HMEM_ATTACH_ADDRESS | HMEM_ATTACH_NO_COPY,
				     &attachment), 0, "who does");
	TAP_OK(attached(attachment).native == memory && !attached(attachment).copies &&
		       attached(attachment).form == HMEM_NATIVE_ADDRESS && !buffers,
	       "has what the host has");
	TAP_OK(!hmem_attachment_begin(attachment) && !hmem_attachment_end(attachment) &&
		       !hmem_attachment_detach(attachment),
	       "as long as it has it");
	hmem_execution_unref(on);
	devices[0].takes_addresses = false;
	TAP_OK(nothing_left(), "nothing is left");
}

/* What it does depends on where the memory begins and ends, which is tried with other memory. */
static void depends(void)
{
	static const struct {
		size_t offset, bytes;
		uint32_t copies;
	} tries[] = { { 0, BYTES, 0 }, { 256, 4096, 1 }, { 0, BYTES - 1, 1 }, { 4096, 16, 0 },
		      { 0, 1, 1 }, { 4096, 4096, 0 } };
	struct hmem_execution *on;
	struct hmem_allocation *slice;
	struct hmem_attachment *attachment;

	devices[0].fussy = true;
	on = must_open(0);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		memset(memory, 9, BYTES);
		if (hmem_allocation_slice(all, tries[i].offset, tries[i].bytes, &slice) ||
		    hmem_execution_attach(on, slice, 0, &attachment))
			tap_bail("%s", hmem_last_error(ctx));
		TAP_OK(attached(attachment).copies == tries[i].copies && are(9),
		       "%zu bytes at %zu are%s copied", tries[i].bytes, tries[i].offset,
		       tries[i].copies ? "" : " not");
		hmem_attachment_detach(attachment);
		hmem_allocation_free(slice);
	}
	TAP_OK(info_of(on).align == 256 && info_of(on).bytes_max == BYTES, "bounds are bytes");
	hmem_allocation_slice(all, 128, 256, &slice);
	TAP_EQ(hmem_execution_attach(on, slice, 0, &attachment), -EINVAL, "what begins elsewhere");
	TAP_OK(says(ctx, "a multiple of 256 bytes, this is 128 behind one"), "is not attached");
	hmem_allocation_free(slice);
	hmem_execution_unref(on);
	devices[0].fussy = false;
	TAP_OK(nothing_left(), "nothing is left");
}

/* --- what fails ------------------------------------------------------------------------ */

static int attach_and_all(uint32_t index)
{
	struct hmem_opencl_options options = HMEM_OPENCL_OPTIONS_INIT;
	struct hmem_attachment *attachment;
	struct hmem_execution *on;
	int err, left;

	options.index = index;
	err = hmem_execution_opencl(ctx, &options, &on);
	if (err)
		return err;
	err = hmem_execution_attach(on, all, 0, &attachment);
	if (!err) {
		err = hmem_attachment_begin(attachment);
		if (!err)
			err = hmem_attachment_end(attachment);
		left = hmem_attachment_detach(attachment);
		err = err ? err : left;
	}
	hmem_execution_unref(on);
	return err;
}

static int attach_cores(void)
{
	return attach_and_all(0);
}

static void calls_fail(void)
{
	static const struct {
		const char *call;
		int32_t answer;
		int skip, err;
		const char *says;
	} tries[] = {
		{ "GetPlatformIDs", CL_PLATFORM_NOT_FOUND_KHR, 0, -ENODEV, "no platform" },
		{ "GetPlatformIDs", CL_OUT_OF_HOST_MEMORY, 0, -ENOMEM, "-6: out of memory" },
		{ "GetDeviceIDs", -30, 0, -ENODEV, "OpenCL has 0 devices" },
		{ "GetDeviceIDs", -30, 1, 0, "" },
		{ "GetPlatformInfo", -30, 0, 0, "" },
		{ "CreateContext", CL_DEVICE_NOT_AVAILABLE, 0, -ENODEV, "answers -2" },
		{ "CreateContext", -9999, 0, -EIO, "Toys: cores: clCreateContext answers -9999" },
		{ "CreateCommandQueue", CL_OUT_OF_RESOURCES, 0, -ENOMEM, "clCreateCommandQueue" },
		{ "CreateBuffer", CL_INVALID_BUFFER_SIZE, 0, -EFBIG, "takes no such size" },
		{ "CreateBuffer", CL_MEM_OBJECT_ALLOCATION_FAILURE, 0, -ENOMEM, "clCreateBuffer" },
		{ "CreateBuffer", CL_OUT_OF_RESOURCES, 1, 0, "" },
		{ "EnqueueWriteBuffer", CL_OUT_OF_RESOURCES, 0, 0, "" },
		{ "EnqueueWriteBuffer", CL_OUT_OF_RESOURCES, 1, 0, "" },
		{ "EnqueueMapBuffer", CL_MAP_FAILURE, 0, -EIO, "the device cannot map it" },
		{ "EnqueueMapBuffer", CL_OUT_OF_RESOURCES, 1, -ENOMEM, "clEnqueueMapBuffer" },
		{ "Finish", CL_OUT_OF_RESOURCES, 0, -ENOMEM, "clFinish answers -5" },
		{ "ReleaseMemObject", -38, 1, -EIO, "clReleaseMemObject answers -38" },
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		bad_call = tries[i].call;
		bad_answer = tries[i].answer;
		skip = tries[i].skip;
		hmem_set_error(ctx, 0, "%s", "");
		TAP_EQ(attach_and_all(0), tries[i].err, "cl%s answers %d", bad_call, bad_answer);
		bad_call = NULL;
		TAP_OK(says(ctx, tries[i].says) && nothing_left(), "and nothing is left");
	}
}

/* What fails once may be tried again, and whose it is stays clear. */
static void tried_again(void)
{
	struct hmem_execution *on = must_open(1);
	struct hmem_attachment *attachment;

	if (hmem_execution_attach(on, all, 0, &attachment))
		tap_bail("%s", hmem_last_error(ctx));
	memset(memory, 20, BYTES);
	bad_call = "EnqueueUnmapMemObject";
	bad_answer = CL_OUT_OF_RESOURCES;
	TAP_EQ(hmem_attachment_begin(attachment), -ENOMEM, "what is not unmapped");
	TAP_OK(mappings == 1 && !attached(attachment).begun, "stays the host's");
	bad_call = "Finish";
	TAP_EQ(hmem_attachment_begin(attachment), -ENOMEM, "what is not finished");
	TAP_OK(!attached(attachment).begun, "is nobody else's");
	bad_call = NULL;
	TAP_EQ(hmem_attachment_begin(attachment), 0, "later it is");
	add_one(attachment);
	bad_call = "EnqueueMapBuffer";
	TAP_EQ(hmem_attachment_end(attachment), -ENOMEM, "what is not mapped");
	TAP_OK(attached(attachment).begun, "stays the device's");
	bad_call = NULL;
	TAP_OK(!hmem_attachment_end(attachment) && are(21), "later it is the host's");
	if (hmem_attachment_begin(attachment))
		tap_bail("%s", hmem_last_error(ctx));
	bad_call = "EnqueueMapBuffer";
	TAP_EQ(hmem_attachment_detach(attachment), -ENOMEM, "what does not come back is detached");
	bad_call = NULL;
	hmem_execution_unref(on);
	TAP_OK(nothing_left(), "nothing is left");

	devices[0].askew = true;
	on = must_open(0);
	attachment = UNTOUCHED;
	TAP_EQ(hmem_execution_attach(on, all, 0, &attachment), -EIO, "what is mapped elsewhere");
	TAP_OK(says(ctx, "which the standard rules out") && attachment == UNTOUCHED, "is not attached");
	hmem_execution_unref(on);
	devices[0].askew = false;
	TAP_OK(nothing_left(), "nothing is left");

	victim = "aligned_alloc";
	countdown = 1;
	on = must_open(0);
	if (hmem_execution_attach(on, all, 0, &attachment))
		tap_bail("%s", hmem_last_error(ctx));
	victim = NULL;
	TAP_EQ(attached(attachment).copies, 1, "what cannot be tried is taken for a copy");
	hmem_attachment_detach(attachment);
	hmem_execution_unref(on);
}

static int refused(const struct hmem_opencl_options *options)
{
	struct hmem_execution *none = UNTOUCHED;
	int err = hmem_execution_opencl(ctx, options, &none);

	return none == UNTOUCHED && nothing_left() ? err : 1;
}

static void wrong(void)
{
	struct hmem_opencl_options options = HMEM_OPENCL_OPTIONS_INIT;
	struct hmem_execution *none;

	TAP_EQ(hmem_execution_opencl(NULL, NULL, &none), -EINVAL, "no context");
	TAP_EQ(hmem_execution_opencl(ctx, NULL, NULL), -EINVAL, "no place");
	options.size = 8;
	TAP_EQ(refused(&options), -EINVAL, "options of 8 bytes");
	options.size = sizeof(options);
	options.type = HMEM_OPENCL_ACCELERATOR + 1;
	TAP_EQ(refused(&options), -EINVAL, "no type");
	options.type = HMEM_OPENCL_ANY;
	options.context = &devices[0];
	TAP_EQ(refused(&options), -EINVAL, "a context alone");
	options.device = &devices[1];
	TAP_EQ(refused(&options), -EINVAL, "and a device of another one");
	TAP_OK(says(ctx, "the device is not of the context"), "as is said");
	options.device = &devices[0];
	bad_call = "RetainContext";
	bad_answer = CL_INVALID_CONTEXT;
	TAP_EQ(refused(&options), -EINVAL, "what is no context");
	bad_call = NULL;
	options.name = "cores";
	TAP_EQ(refused(&options), -EINVAL, "given and chosen");
	options.name = NULL;
	options.index = 1;
	TAP_EQ(refused(&options), -EINVAL, "by a number");
	options.index = 0;
	options.type = HMEM_OPENCL_CPU;
	TAP_EQ(refused(&options), -EINVAL, "or a type");
	n_platforms = 0;
	TAP_EQ(refused(NULL), -ENODEV, "no platform");
	TAP_OK(says(ctx, "pocl-opencl-icd is one"), "and what to do");
	n_platforms = 2;
	not_there = true;
	TAP_EQ(refused(NULL), -ENOSYS, "no OpenCL");
	TAP_OK(says(ctx, "there is no OpenCL") && says(ctx, "ocl-icd-libopencl1"), "and what to do");
	not_there = false;
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()) ||
	    hmem_allocation_adopt(ctx, NULL, memory, BYTES, 0, &all))
		tap_bail("no context");
	choosing();
	near_node();
	kinds();
	depends();
	calls_fail();
	tried_again();
	wrong();
	inject("a device of OpenCL", attach_cores, "alloc", ENOMEM, 0);
	TAP_OK(nothing_left(), "nothing is left of that");
	TAP_EQ(hmem_allocation_free(all), 0, "what was attached is free");
	hmem_ctx_unref(ctx);
	return tap_done();
}
