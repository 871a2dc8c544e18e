// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who puts a large value has its name locked for long, and those who wait for it see that he goes on:
 * the last part of the value cannot be read before that was looked at.
 */
#include <signal.h>

#include "shelf_user.h"

#define MIB	((size_t)1 << 20)
#define BYTES	(40 * MIB)
/* It is copied in parts of 16 MiB. */
#define BARRED	(33 * MIB)

static unsigned char *value;
static uint32_t before, seen;

static uint32_t progress(void)
{
	uint32_t sum = 0;

	for (unsigned int id = 0; id < 2; id++)
		sum += __atomic_load_n(&media_slot(&media, id)->progress, __ATOMIC_RELAXED);
	return sum;
}

static void on_barred(int number, siginfo_t *info, void *context)
{
	unsigned char *at = info->si_addr;

	(void)context;
	if (at < value + BARRED || at >= value + BYTES ||
	    mprotect(value + BARRED, BYTES - BARRED, PROT_READ | PROT_WRITE)) {
		signal(number, SIG_DFL);
		return;
	}
	seen = progress() - before;
}

/* @flags: HMEM_SHELF_FLUSH, for memory that is not copied through the caches; or none */
static void test_put(unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct user user;

	make(&user, 2, 48 * MIB, 1000);
	need(hmem_shelf_close(user.shelf), "closing");
	options.flags = flags;
	need(hmem_shelf_open(user.region, "one", &options, &user.shelf), "opening");
	need(put(&user, "small", 's', 8), "putting");
	seen = 0;
	before = progress();
	if (mprotect(value + BARRED, BYTES - BARRED, PROT_NONE))
		tap_bail("mprotect: %s", strerror(errno));
	TAP_EQ(hmem_shelf_put(user.shelf, "large", value, BYTES, NULL), 0, "a large value is put%s",
	       flags ? " past the caches" : "");
	TAP_EQ(seen, 2, "after each part of it others can see that somebody goes on");
	unmake(&user);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_barred, .sa_flags = SA_SIGINFO };

	users_begin("shelf-goes-on");
	value = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (value == MAP_FAILED)
		tap_bail("no memory");
	memset(value, 'v', BYTES);
	sigaction(SIGSEGV, &action, NULL);
	test_put(0);
	test_put(HMEM_SHELF_FLUSH);
	munmap(value, BYTES);
	hmem_ctx_unref(ctx);
	return tap_done();
}
