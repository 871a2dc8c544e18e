// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execution contexts of the host: allocations that they work on, threads bound to nodes and their
 * way back. What memory is near them lib_execution_layers asks.
 *
 * Which nodes this machine has is played where threads are bound: processor 0 alone is node 0, all
 * others are node 1.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include <hmem/hmem.h>

#include "sysroot.h"

#define MIB (1ull << 20)

static struct hmem_ctx *ctx, *pretended;

#include "execution_user.h"
#include "said.h"

/* --- what is played -------------------------------------------------------------------- */

static bool play_nodes, refuse_affinity, refuse_asking;

/* What the library reads of the nodes of this machine comes from the scratch directory. */
int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
	static const char nodes[] = "/sys/devices/system/node/";
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(ap, int);
	va_end(ap);
	if (play_nodes && !strncmp(path, nodes, sizeof(nodes) - 1))
		path = scratch_path("played/%s", path + sizeof(nodes) - 1);
	return next(path, flags, mode);
}

int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	int (*next)(pid_t, size_t, const cpu_set_t *) = dlsym(RTLD_NEXT, "sched_setaffinity");

	errno = EINVAL;
	return refuse_affinity ? -1 : next(pid, size, set);
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	int (*next)(pid_t, size_t, cpu_set_t *) = dlsym(RTLD_NEXT, "sched_getaffinity");

	errno = EPERM;
	return refuse_asking ? -1 : next(pid, size, set);
}

/* Any other library in place of OpenCL: not in lib_execution_opencl_played, which is OpenCL. */
void *dlopen(const char *file, int flags)
{
	void *(*next)(const char *, int) = dlsym(RTLD_NEXT, "dlopen");

	return next(file && strstr(file, "OpenCL") ? "libm.so.6" : file, flags);
}

/* --- what is looked at ----------------------------------------------------------------- */

#define UNTOUCHED ((void *)(uintptr_t)0x5ca1ab1e)

static struct hmem_execution *must_nodes(struct hmem_ctx *c, const int *nodes, size_t nr)
{
	struct hmem_execution *new;

	if (hmem_execution_nodes(c, nodes, nr, &new))
		tap_bail("%s", hmem_last_error(c));
	return new;
}

/* --- allocations ----------------------------------------------------------------------- */

static struct hmem_interface *interface, *another;

static struct hmem_allocation *must_have(size_t bytes)
{
	struct hmem_allocation *new;

	if (hmem_allocation_new(interface, bytes, 0, HMEM_ALLOCATION_ZERO, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static void *end_it(void *attachment)
{
	return (void *)(intptr_t)hmem_attachment_end(attachment);
}

static void attaching(struct hmem_execution *execution)
{
	struct hmem_allocation *a = must_have(1000), *slice;
	struct hmem_attachment *one, *two;
	struct hmem_attachment_info info;
	pthread_t thread;
	void *result;

	TAP_EQ(hmem_execution_attach(execution, a, 0, &one), 0, "an allocation is attached");
	info = attached(one);
	TAP_OK(info.native == hmem_allocation_data(a) && info.data == info.native &&
		       info.form == HMEM_NATIVE_ADDRESS && !info.copies && info.bytes == 1000 &&
		       !info.flags && !info.begun,
	       "the host works on it where it is");
	TAP_EQ(hmem_allocation_free(a), -EBUSY, "it is not freed");
	TAP_OK(says(ctx, "attached to an execution context"), "and why");
	TAP_EQ(hmem_allocation_resize(a, 5000), -EBUSY, "nor resized");
	TAP_EQ(hmem_allocation_move(a, another), -EBUSY, "nor moved");
	TAP_EQ(hmem_attachment_end(one), -EALREADY, "it is the host's");
	TAP_OK(says(ctx, "is the host's already"), "as is said");
	TAP_EQ(hmem_attachment_begin(one), 0, "it becomes the context's");
	TAP_OK(attached(one).begun && attached(one).native == info.native, "which is told");
	TAP_EQ(hmem_attachment_begin(one), -EALREADY, "once");
	TAP_OK(says(ctx, "the execution context's already"), "as is said");
	if (pthread_create(&thread, NULL, end_it, one) || pthread_join(thread, &result))
		tap_bail("no thread");
	TAP_OK(!result && !attached(one).begun, "another thread may end what one began");

	TAP_EQ(hmem_allocation_slice(a, 3, 500, &slice), 0, "a slice");
	TAP_EQ(hmem_execution_attach(execution, slice,
				     HMEM_ATTACH_READ_ONLY | HMEM_ATTACH_NO_COPY |
					     HMEM_ATTACH_ADDRESS, &two),
	       0, "is attached as well");
	info = attached(two);
	TAP_OK(info.native == (char *)hmem_allocation_data(a) + 3 && info.bytes == 500 &&
		       info.flags == (HMEM_ATTACH_READ_ONLY | HMEM_ATTACH_NO_COPY |
				      HMEM_ATTACH_ADDRESS),
	       "to begin and end where it does");
	TAP_EQ(hmem_allocation_free(slice), 0, "its handle may go");
	TAP_EQ(hmem_attachment_detach(one), 0, "one is detached");
	TAP_EQ(hmem_allocation_free(a), -EBUSY, "the slice's holds its owner");
	TAP_EQ(hmem_attachment_begin(two), 0, "one that is the context's");
	TAP_EQ(hmem_attachment_detach(two), 0, "can be detached");
	TAP_EQ(hmem_allocation_resize(a, 5000), 0, "now it is resized");
	TAP_EQ(hmem_allocation_move(a, another), 0, "and moved");

	TAP_EQ(hmem_execution_attach(execution, a, 0, &one), 0, "an attachment");
	hmem_execution_ref(execution);
	hmem_execution_unref(execution);
	TAP_EQ(hmem_attachment_begin(one), 0, "outlives other references");
	TAP_EQ(hmem_attachment_detach(one), 0, "and goes");
	TAP_EQ(hmem_allocation_free(a), 0, "what was attached is freed");
}

static void wrong_attaching(struct hmem_execution *execution)
{
	struct hmem_allocation *a = must_have(10);
	struct hmem_attachment *none = UNTOUCHED, *one;
	struct hmem_attachment_info info = { .size = 3 };

	TAP_EQ(hmem_execution_attach(NULL, a, 0, &none), -EINVAL, "to nothing");
	TAP_EQ(hmem_execution_attach(execution, NULL, 0, &none), -EINVAL, "of nothing");
	TAP_EQ(hmem_execution_attach(execution, a, 0, NULL), -EINVAL, "without a place");
	TAP_EQ(hmem_execution_attach(execution, a, 8, &none), -EINVAL, "with such a flag");
	TAP_OK(says(ctx, "no flags but HMEM_ATTACH_*"), "as is said");
	TAP_OK(none == UNTOUCHED, "none of which writes a handle");
	TAP_EQ(hmem_attachment_get_info(NULL, &info), -EINVAL, "no attachment has no info");
	TAP_EQ(hmem_attachment_begin(NULL), -EINVAL, "does not begin");
	TAP_EQ(hmem_attachment_end(NULL), -EINVAL, "does not end");
	TAP_EQ(hmem_attachment_detach(NULL), 0, "and is detached");
	if (hmem_execution_attach(execution, a, 0, &one))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_attachment_get_info(one, NULL), -EINVAL, "no place for info");
	TAP_EQ(hmem_attachment_get_info(one, &info), -EINVAL, "one of 3 bytes");
	TAP_OK(!hmem_attachment_detach(one) && !hmem_allocation_free(a), "all that left nothing");
}

/* --- threads --------------------------------------------------------------------------- */

static cpu_set_t runs_on(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		tap_bail("sched_getaffinity: %s", strerror(errno));
	return set;
}

static void *end_binding(void *binding)
{
	return (void *)(intptr_t)hmem_binding_end(binding);
}

static void *count_processors(void *arg)
{
	cpu_set_t set = runs_on();

	(void)arg;
	return (void *)(intptr_t)CPU_COUNT(&set);
}

static void *result_of(void *(*fn)(void *), void *arg)
{
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, fn, arg) || pthread_join(thread, &result))
		tap_bail("no thread");
	return result;
}

static void binding(void)
{
	const int first[] = { 0 }, second[] = { 1 }, both[] = { 1, 0 };
	struct hmem_execution *zero, *one, *all, *none = UNTOUCHED;
	struct hmem_binding *outer, *inner, *back = UNTOUCHED;
	cpu_set_t before = runs_on(), now, only;

	if (CPU_COUNT(&before) < 2 || !CPU_ISSET(0, &before)) {
		tap_skip("threads are bound to nodes", "this takes processor 0 and another one");
		return;
	}
	scratch_write("played/has_cpu", "0-1\n");
	scratch_write("played/node0/cpulist", "0\n");
	scratch_write("played/node1/cpulist", "1-8191\n");
	play_nodes = true;
	zero = must_nodes(ctx, first, 1);
	one = must_nodes(ctx, second, 1);
	all = must_nodes(ctx, both, 2);
	CPU_ZERO(&only);
	CPU_SET(0, &only);

	TAP_EQ(hmem_execution_bind(zero, &outer), 0, "the thread is bound to node 0");
	now = runs_on();
	TAP_OK(CPU_EQUAL(&now, &only) && !sched_getcpu(), "it runs on its processor");
	TAP_EQ((intptr_t)result_of(count_processors, NULL), 1, "and so do those that it starts");
	TAP_EQ((intptr_t)result_of(end_binding, outer), -EPERM, "others do not end that");
	TAP_OK(hmem_execution_bind(one, &inner) == 0 && sched_getcpu() > 0,
	       "it may be bound to another node meanwhile");
	TAP_EQ(hmem_binding_end(inner), 0, "and back from there");
	now = runs_on();
	TAP_OK(CPU_EQUAL(&now, &only), "to the first one");
	TAP_EQ(hmem_execution_bind(all, &inner), 0, "or to several");
	now = runs_on();
	TAP_OK(CPU_EQUAL(&now, &before), "whose processors are all");
	TAP_EQ(hmem_binding_end(inner), 0, "and back");
	TAP_EQ(hmem_execution_nodes(ctx, second, 1, &none), -EPERM,
	       "who is on node 0 makes no context of node 1");
	TAP_OK(says(ctx, "no processor of node 1") && none == UNTOUCHED, "as is said");
	TAP_EQ(hmem_execution_nodes(ctx, both, 2, &none), -EPERM, "nor of both");
	hmem_execution_unref(zero);
	TAP_EQ(hmem_binding_end(outer), 0, "a binding holds its context");
	now = runs_on();
	TAP_OK(CPU_EQUAL(&now, &before), "at the end the thread is where it was");

	refuse_affinity = true;
	TAP_EQ(hmem_execution_bind(one, &back), -EINVAL, "the kernel may refuse");
	TAP_OK(back == UNTOUCHED && says(ctx, "to the processors of node 1"), "as is said");
	refuse_affinity = false;
	if (hmem_execution_bind(one, &back))
		tap_bail("%s", hmem_last_error(ctx));
	refuse_affinity = true;
	TAP_EQ(hmem_binding_end(back), -EINVAL, "the way back, too");
	TAP_OK(says(ctx, "does not let the thread go back"), "as is said");
	refuse_affinity = false;
	if (sched_setaffinity(0, sizeof(before), &before))
		tap_bail("the way back is gone");
	refuse_asking = true;
	TAP_EQ(hmem_execution_bind(one, &back), -EPERM, "nor without a way back");
	TAP_EQ(hmem_execution_nodes(ctx, second, 1, &none), -EPERM, "nor is there a context");
	refuse_asking = false;
	TAP_OK(!hmem_binding_end(NULL), "no binding ends");
	TAP_EQ(hmem_execution_bind(one, NULL), -EINVAL, "without a place there is none");
	TAP_EQ(hmem_execution_bind(NULL, &back), -EINVAL, "of nothing there is none");
	hmem_execution_unref(one);
	hmem_execution_unref(all);
	play_nodes = false;
}

/* --- what there is none of ------------------------------------------------------------- */

static void wrong(struct hmem_execution *execution)
{
	static int many[1025];
	struct hmem_execution *none = UNTOUCHED;
	struct hmem_execution_info info = { .size = 3 };
	const int nowhere[] = { 999 }, below[] = { -1 }, twice[] = { 0, 0 };

	TAP_EQ(hmem_execution_host(NULL, &none), -EINVAL, "of no context");
	TAP_EQ(hmem_execution_host(ctx, NULL), -EINVAL, "without a place");
	TAP_EQ(hmem_execution_nodes(NULL, nowhere, 1, &none), -EINVAL, "of no context");
	TAP_EQ(hmem_execution_nodes(ctx, nowhere, 1, NULL), -EINVAL, "without a place");
	TAP_EQ(hmem_execution_nodes(ctx, NULL, 1, &none), -EINVAL, "nowhere");
	TAP_EQ(hmem_execution_nodes(ctx, nowhere, 0, &none), -EINVAL, "on no node");
	TAP_EQ(hmem_execution_nodes(ctx, many, 1025, &none), -EINVAL, "on too many");
	TAP_EQ(hmem_execution_nodes(ctx, nowhere, 1, &none), -ENODEV, "on one that is not there");
	TAP_OK(says(ctx, "NUMA node 999 has no processors"), "as is said");
	TAP_EQ(hmem_execution_nodes(pretended, (const int[]){ 2 }, 1, &none), -ENODEV,
	       "or has no processors");
	TAP_EQ(hmem_execution_nodes(ctx, below, 1, &none), -EINVAL, "or has no number");
	TAP_EQ(hmem_execution_nodes(ctx, twice, 2, &none), -EINVAL, "or is there twice");
	TAP_OK(says(ctx, "node 0 is twice"), "as is said");
	TAP_OK(none == UNTOUCHED, "none of which writes a handle");
	TAP_EQ(hmem_execution_opencl(ctx, NULL, &none), -ENOSYS, "of what is not OpenCL");
	TAP_OK(says(ctx, "libOpenCL.so.1 lacks functions") && none == UNTOUCHED, "as is said");
	TAP_EQ(hmem_execution_get_info(NULL, &info), -EINVAL, "nothing has no info");
	TAP_EQ(hmem_execution_get_info(execution, NULL), -EINVAL, "no place for info");
	TAP_EQ(hmem_execution_get_info(execution, &info), -EINVAL, "one of 3 bytes");
	TAP_OK(!hmem_execution_ref(NULL), "NULL is nothing");
	hmem_execution_unref(NULL);
}

int main(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface_options how = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_execution *host, *bound;
	struct hmem_binding *back;
	struct hmem_space *space;

	if (hmem_ctx_new(&ctx) || hmem_ctx_new(&pretended) ||
	    hmem_ctx_set_sysroot(pretended, scratch()))
		tap_bail("no context");
	scratch_write("sys/devices/system/node/has_cpu", "0-1\n");
	TAP_EQ(hmem_execution_host(ctx, &host), 0, "threads of this process");
	TAP_OK(info_of(host).kind == HMEM_EXECUTION_HOST && info_of(host).nid == -1 &&
		       info_of(host).align == 1 && !info_of(host).bytes_max &&
		       !info_of(host).nr_nodes && !strcmp(info_of(host).name, "host"),
	       "work on memory as it is, wherever they are");
	TAP_OK(!hmem_execution_bind(host, &back) && !hmem_binding_end(back),
	       "being one of them changes nothing");
	bound = must_nodes(ctx, (const int[]){ 0 }, 1);
	TAP_OK(info_of(bound).kind == HMEM_EXECUTION_NODES && info_of(bound).nid == 0 &&
		       info_of(bound).nr_nodes == 1 && !strcmp(info_of(bound).name, "node 0"),
	       "some of them are bound to a node");
	options.bytes = 4 * MIB;
	if (hmem_execution_space(bound, "test", &options, &space) ||
	    hmem_interface_create(space, &how, &interface) ||
	    hmem_interface_create(space, &how, &another))
		tap_bail("%s", hmem_last_error(ctx));
	attaching(host);
	attaching(bound);
	wrong_attaching(host);
	binding();
	wrong(host);
	hmem_interface_unref(interface);
	hmem_interface_unref(another);
	hmem_space_unref(space);
	hmem_execution_unref(host);
	hmem_execution_unref(bound);
	hmem_ctx_unref(ctx);
	hmem_ctx_unref(pretended);
	return tap_done();
}
