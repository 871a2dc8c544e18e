// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execution contexts of a caller: what his table is asked for, when, and what becomes of its
 * answers. He has a device with memory of its own, into which it copies.
 */
#include <pthread.h>

#include "interface_user.h"
#include "said.h"

#define UNTOUCHED ((void *)(uintptr_t)0x5ca1ab1e)

/* --- a device that copies -------------------------------------------------------------- */

/*
 * @calls: one letter for each
 * @fails: the letter of the call that does
 * @shadow: what the device works on, of @data
 */
static struct device {
	char calls[64];
	char fails;
	uint32_t form, copies, flags;
	char *shadow, *data;
	uint64_t bytes;
	pthread_barrier_t *meet;
} device;

static int called(struct hmem_ctx *c, void *state, char which)
{
	struct device *d = state;
	size_t n = strlen(d->calls);

	if (d != &device || c != ctx)
		tap_bail("called with another state");
	if (n + 1 < sizeof(d->calls))
		d->calls[n] = which;
	return d->fails == which ? hmem_set_error(c, -EIO, "no %c today", which) : 0;
}

static const char *calls(void)
{
	static char last[sizeof(device.calls)];

	memcpy(last, device.calls, sizeof(last));
	memset(device.calls, 0, sizeof(device.calls));
	return last;
}

static void device_release(struct hmem_ctx *c, void *state)
{
	called(c, state, 'r');
}

static int device_bind(struct hmem_ctx *c, void *state, void **binding)
{
	*binding = &device.calls;
	return called(c, state, 'b');
}

static int device_unbind(struct hmem_ctx *c, void *state, void *binding)
{
	if (binding != &device.calls)
		tap_bail("another binding");
	return called(c, state, 'u');
}

static int device_attach(struct hmem_ctx *c, void *state, struct hmem_attachment_info *info,
			 void **attached)
{
	int err = called(c, state, 'a');

	if (err)
		return err;
	device.data = info->data;
	device.bytes = info->bytes;
	device.flags = info->flags;
	device.shadow = malloc(info->bytes);
	*attached = device.shadow;
	info->native = device.shadow;
	info->form = device.form;
	info->copies = device.copies;
	/* What is not his to say. */
	info->data = NULL;
	info->bytes = 1;
	info->begun = 1;
	return 0;
}

static void right(const void *attached)
{
	if (attached != device.shadow || !attached)
		tap_bail("another attachment");
}

static int device_begin(struct hmem_ctx *c, void *state, void *attached)
{
	right(attached);
	memcpy(device.shadow, device.data, device.bytes);
	if (device.meet) {
		pthread_barrier_wait(device.meet);
		pthread_barrier_wait(device.meet);
	}
	return called(c, state, 'B');
}

static int device_end(struct hmem_ctx *c, void *state, void *attached)
{
	right(attached);
	memcpy(device.data, device.shadow, device.bytes);
	return called(c, state, 'E');
}

static int device_detach(struct hmem_ctx *c, void *state, void *attached)
{
	right(attached);
	free(attached);
	device.shadow = NULL;
	return called(c, state, 'd');
}

static const struct hmem_execution_ops ops = {
	.size = sizeof(ops),
	.release = device_release,
	.bind = device_bind,
	.unbind = device_unbind,
	.attach = device_attach,
	.begin = device_begin,
	.end = device_end,
	.detach = device_detach,
};

static struct hmem_execution_info info_for(const char *name)
{
	struct hmem_execution_info info = HMEM_EXECUTION_INFO_INIT;

	snprintf(info.name, sizeof(info.name), "%s", name);
	return info;
}

static struct hmem_execution *must_create(const struct hmem_execution_info *info,
					  const struct hmem_execution_ops *table)
{
	struct hmem_execution *new;

	if (hmem_execution_create(ctx, info, table, &device, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

/* What its kernel does to a copy. */
static void add_one(char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i]++;
}

static bool all_are(const char *at, size_t bytes, char value)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != value)
			return false;
	return true;
}

static struct hmem_allocation *must_have(struct hmem_interface *interface, size_t bytes)
{
	struct hmem_allocation *new;

	if (hmem_allocation_new(interface, bytes, 256, 0, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static void works(struct hmem_interface *interface)
{
	struct hmem_allocation *a = must_have(interface, 1000);
	struct hmem_attachment_info info = { .size = sizeof(info) };
	struct hmem_execution_info said = info_for("toy"), is = { .size = sizeof(is) };
	struct hmem_execution *toy;
	struct hmem_attachment *attachment;
	struct hmem_binding *back;
	char *data = hmem_allocation_data(a);

	said.nid = 0;
	said.align = 128;
	said.bytes_max = 1000;
	said.context = &said;
	said.device = &device;
	toy = must_create(&said, &ops);
	TAP_OK(!hmem_execution_get_info(toy, &is) && is.kind == HMEM_EXECUTION_OTHER &&
		       !is.nid && is.align == 128 && is.bytes_max == 1000 &&
		       is.context == &said && is.device == &device && !strcmp(is.name, "toy"),
	       "it is what was said of it");
	TAP_EQ(hmem_execution_bind(toy, &back), 0, "a thread is bound to it");
	TAP_STR_EQ(calls(), "b", "by the table");
	TAP_OK(!hmem_binding_end(back) && !strcmp(calls(), "u"), "and back");

	device.form = HMEM_NATIVE_OTHER;
	device.copies = 7;
	memset(data, 3, 1000);
	TAP_EQ(hmem_execution_attach(toy, a, HMEM_ATTACH_READ_ONLY, &attachment), 0, "attached");
	TAP_STR_EQ(calls(), "a", "by the table");
	TAP_OK(device.data == data && device.bytes == 1000 && device.flags == HMEM_ATTACH_READ_ONLY,
	       "which is told what");
	TAP_OK(!hmem_attachment_get_info(attachment, &info) && info.native == device.shadow &&
		       info.form == HMEM_NATIVE_OTHER && info.copies == 1 && info.data == data &&
		       info.bytes == 1000 && !info.begun && info.size == sizeof(info),
	       "and says as what, and nothing else");
	TAP_OK(!hmem_attachment_begin(attachment) && !strcmp(calls(), "B"), "begun");
	add_one(device.shadow, 1000);
	TAP_OK(all_are(data, 1000, 3), "it works on a copy");
	TAP_OK(!hmem_attachment_end(attachment) && !strcmp(calls(), "E"), "ended");
	TAP_OK(all_are(data, 1000, 4), "which comes back");
	TAP_OK(!hmem_attachment_detach(attachment) && !strcmp(calls(), "d"), "detached");

	if (hmem_execution_attach(toy, a, 0, &attachment) || hmem_attachment_begin(attachment))
		tap_bail("%s", hmem_last_error(ctx));
	add_one(device.shadow, 1000);
	hmem_execution_unref(toy);
	TAP_STR_EQ(calls(), "aB", "an attachment holds its context");
	TAP_OK(!hmem_attachment_detach(attachment) && !strcmp(calls(), "Edr"),
	       "what is the context's is ended first");
	TAP_OK(all_are(data, 1000, 5), "so that nothing is lost");
	TAP_EQ(hmem_allocation_free(a), 0, "the allocation is free");
}

static void refuses(struct hmem_interface *interface)
{
	struct hmem_allocation *a = must_have(interface, 1000), *slice;
	struct hmem_execution_info said = info_for("toy");
	struct hmem_execution *toy;
	struct hmem_attachment *attachment = UNTOUCHED;
	struct hmem_binding *back = UNTOUCHED;

	said.align = 128;
	said.bytes_max = 999;
	toy = must_create(&said, &ops);
	device.form = HMEM_NATIVE_OTHER;
	device.copies = 1;
	TAP_EQ(hmem_execution_attach(toy, a, 0, &attachment), -EFBIG, "one byte too many");
	TAP_OK(says(ctx, "toy takes 999 bytes at once, not 1000"), "as is said");
	TAP_EQ(hmem_allocation_slice(a, 128 + 4, 100, &slice), 0, "a slice");
	TAP_EQ(hmem_execution_attach(toy, slice, 0, &attachment), -EINVAL, "at another place");
	TAP_OK(says(ctx, "a multiple of 128 bytes, this is 4 behind one"), "as is said");
	TAP_STR_EQ(calls(), "", "of which the table does not hear");
	hmem_allocation_free(slice);
	hmem_allocation_slice(a, 128, 100, &slice);
	TAP_EQ(hmem_execution_attach(toy, slice, HMEM_ATTACH_NO_COPY, &attachment), -EOPNOTSUPP,
	       "a copy that is not to be");
	TAP_OK(says(ctx, "toy would work on a copy"), "as is said");
	TAP_STR_EQ(calls(), "ad", "is given up");
	device.fails = 'd';
	TAP_EQ(hmem_execution_attach(toy, slice, HMEM_ATTACH_ADDRESS, &attachment), -EOPNOTSUPP,
	       "what has no address, and shall have one");
	TAP_OK(says(ctx, "by no address"), "as is said, whatever happens then");
	TAP_STR_EQ(calls(), "ad", "is given up");
	device.fails = 0;
	for (device.form = 0; device.form < HMEM_NATIVE_OTHER + 2;
	     device.form += HMEM_NATIVE_OTHER + 1) {
		TAP_EQ(hmem_execution_attach(toy, slice, 0, &attachment), -EINVAL, "form %u",
		       device.form);
		TAP_OK(says(ctx, "does not say in what form") && !strcmp(calls(), "ad"), "is none");
	}
	device.form = HMEM_NATIVE_ADDRESS;
	device.fails = 'a';
	TAP_EQ(hmem_execution_attach(toy, slice, 0, &attachment), -EIO, "what the table refuses");
	TAP_OK(says(ctx, "no a today") && !strcmp(calls(), "a"), "is refused in its words");
	TAP_OK(attachment == UNTOUCHED, "none of which writes a handle");
	device.fails = 'b';
	TAP_EQ(hmem_execution_bind(toy, &back), -EIO, "so is a binding");
	TAP_OK(back == UNTOUCHED && says(ctx, "no b today") && !strcmp(calls(), "b"), "likewise");
	device.fails = 'u';
	TAP_EQ(hmem_execution_bind(toy, &back), 0, "one");
	TAP_EQ(hmem_binding_end(back), -EIO, "whose end fails is gone");

	device.fails = 0;
	calls();
	if (hmem_execution_attach(toy, slice, HMEM_ATTACH_ADDRESS, &attachment))
		tap_bail("%s", hmem_last_error(ctx));
	device.fails = 'B';
	TAP_EQ(hmem_attachment_begin(attachment), -EIO, "what does not begin");
	TAP_EQ(hmem_attachment_end(attachment), -EALREADY, "is the host's");
	device.fails = 0;
	TAP_EQ(hmem_attachment_begin(attachment), 0, "and may begin later");
	device.fails = 'E';
	TAP_EQ(hmem_attachment_end(attachment), -EIO, "what does not end");
	TAP_EQ(hmem_attachment_begin(attachment), -EALREADY, "is the context's");
	TAP_STR_EQ(calls(), "aBBE", "each was asked for once");
	TAP_EQ(hmem_allocation_free(a), -EBUSY, "it is attached");
	TAP_EQ(hmem_attachment_detach(attachment), -EIO, "and is detached though it does not end");
	TAP_OK(says(ctx, "no E today") && !strcmp(calls(), "Ed"), "as is said");
	if (hmem_execution_attach(toy, slice, 0, &attachment))
		tap_bail("%s", hmem_last_error(ctx));
	device.fails = 'd';
	TAP_EQ(hmem_attachment_detach(attachment), -EIO, "or though the table does not detach");
	device.fails = 0;
	TAP_OK(!hmem_allocation_free(slice) && !hmem_allocation_free(a), "the allocation is free");
	hmem_execution_unref(toy);
	TAP_STR_EQ(calls(), "adr", "nothing was asked for twice");
}

/* --- threads at once ------------------------------------------------------------------- */

static void *begin(void *attachment)
{
	return (void *)(intptr_t)hmem_attachment_begin(attachment);
}

static void at_once(struct hmem_interface *interface)
{
	struct hmem_allocation *a = must_have(interface, 100);
	struct hmem_execution_info said = info_for("toy");
	struct hmem_execution *toy = must_create(&said, &ops);
	struct hmem_attachment *attachment;
	pthread_barrier_t meet;
	pthread_t thread;
	void *result;

	if (hmem_execution_attach(toy, a, 0, &attachment) || pthread_barrier_init(&meet, NULL, 2))
		tap_bail("%s", hmem_last_error(ctx));
	device.meet = &meet;
	if (pthread_create(&thread, NULL, begin, attachment))
		tap_bail("no thread");
	pthread_barrier_wait(&meet);
	TAP_EQ(hmem_attachment_begin(attachment), -EBUSY, "while another thread begins");
	TAP_EQ(hmem_attachment_end(attachment), -EBUSY, "nobody ends");
	TAP_EQ(hmem_attachment_detach(attachment), -EBUSY, "or detaches");
	TAP_OK(says(ctx, "another thread just gives this memory to toy"), "as is said");
	pthread_barrier_wait(&meet);
	device.meet = NULL;
	pthread_join(thread, &result);
	TAP_OK(!result && !hmem_attachment_end(attachment) && !hmem_attachment_detach(attachment),
	       "afterwards they do");
	pthread_barrier_destroy(&meet);
	hmem_allocation_free(a);
	hmem_execution_unref(toy);
	calls();
}

/* --- what there is none of ------------------------------------------------------------- */

static int create(const struct hmem_execution_info *info, const struct hmem_execution_ops *table)
{
	struct hmem_execution *none = UNTOUCHED;
	int err = hmem_execution_create(ctx, info, table, &device, &none);

	if (none != UNTOUCHED)
		tap_diag("a handle was written");
	return none == UNTOUCHED ? err : 1;
}

static void wrong(struct hmem_interface *interface)
{
	struct hmem_execution_info info = info_for("toy");
	struct hmem_execution_ops none = { .size = sizeof(none) }, newer[2] = { ops };
	struct hmem_allocation *a = must_have(interface, 100);
	struct hmem_execution *toy;
	struct hmem_attachment *attachment;

	TAP_EQ(hmem_execution_create(NULL, &info, &ops, NULL, &toy), -EINVAL, "of no context");
	TAP_EQ(hmem_execution_create(ctx, &info, &ops, NULL, NULL), -EINVAL, "without a place");
	TAP_EQ(create(NULL, &ops), -EINVAL, "without info");
	TAP_EQ(create(&info, NULL), -EINVAL, "without a table");
	none.size = 8;
	TAP_EQ(create(&info, &none), -EINVAL, "a table of 8 bytes");
	newer[0].size = sizeof(newer);
	newer[1].size = 1;
	TAP_EQ(create(&info, newer), -E2BIG, "a table of a newer library");
	info.size = 8;
	TAP_EQ(create(&info, &ops), -EINVAL, "an info of 8 bytes");
	info = info_for("");
	TAP_EQ(create(&info, &ops), -EINVAL, "no name");
	info = info_for("a\nb");
	TAP_EQ(create(&info, &ops), -EINVAL, "one of two lines");
	memset(info.name, 'a', sizeof(info.name));
	TAP_EQ(create(&info, &ops), -ENAMETOOLONG, "one without an end");
	info = info_for("toy");
	info.kind = HMEM_EXECUTION_HOST;
	TAP_EQ(create(&info, &ops), -EINVAL, "another kind");
	info = info_for("toy");
	info.nr_nodes = 1;
	TAP_EQ(create(&info, &ops), -EINVAL, "bound to nodes");
	info = info_for("toy");
	info.reserved = 1;
	TAP_EQ(create(&info, &ops), -EINVAL, "what is reserved");
	info = info_for("toy");
	info.nid = -2;
	TAP_EQ(create(&info, &ops), -EINVAL, "near no node");
	info.nid = 999;
	TAP_EQ(create(&info, &ops), -ENODEV, "near one that is not there");
	info = info_for("toy");
	info.align = 0;
	TAP_EQ(create(&info, &ops), -EINVAL, "aligned to nothing");
	TAP_STR_EQ(calls(), "", "nothing of which the table hears, not even that it is released");

	info = info_for("idle");
	none = (struct hmem_execution_ops){ .size = sizeof(none) };
	toy = must_create(&info, &none);
	TAP_EQ(hmem_execution_attach(toy, a, 0, &attachment), -EOPNOTSUPP, "who cannot attach");
	TAP_OK(says(ctx, "idle works on no memory of the host"), "says so");
	hmem_execution_unref(toy);
	none.attach = device_attach;
	toy = must_create(&info, &none);
	device.form = HMEM_NATIVE_ADDRESS;
	TAP_OK(!hmem_execution_attach(toy, a, 0, &attachment) &&
		       !hmem_attachment_begin(attachment) && !hmem_attachment_end(attachment) &&
		       !hmem_attachment_detach(attachment),
	       "who can need no more");
	TAP_STR_EQ(calls(), "a", "than that");
	free(device.shadow);
	hmem_execution_unref(toy);
	hmem_allocation_free(a);
}

int main(void)
{
	struct hmem_interface *interface;
	struct hmem_space *space;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	space = must_space(4 * MIB);
	interface = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	works(interface);
	refuses(interface);
	at_once(interface);
	wrong(interface);
	TAP_EQ(stats_of(interface).blocks, 0, "nothing is left of what was attached");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	hmem_ctx_unref(ctx);
	return tap_done();
}
