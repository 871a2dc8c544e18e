// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every ioctl struct, malformed in every way that one can be: too short, too long,
 * misplaced, with flags and names that mean nothing. Each has one documented answer, and
 * a command that was refused has done nothing.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "uapi_table.h"

static void sizes(const struct command *c, unsigned char *window)
{
	union argument a;

	/* Those that have grown since they were published are these. */
	TAP_OK(c->length_v1 == c->length ||
	       (c->number == HMEM_REGION_CREATE && c->length_v1 == 160 && c->length == 176) ||
	       (c->number == HMEM_POOL_DRAIN && c->length_v1 == 168 && c->length == 184) ||
	       (c->number == HMEM_REGION_STATS && c->length_v1 == 112 && c->length == 176),
	       "%s: the published size is the struct's", c->name);

	memset(&a, 0, sizeof(a));
	c->fill(&a);
	a.size = c->length_v1;
	memset(a.bytes + c->length_v1, 0x5a, 8);
	TAP_OK(!submit(c, &a) && a.bytes[c->length_v1] == 0x5a && a.bytes[c->length_v1 + 7] == 0x5a,
	       "%s: as long as it was published first, and not a byte more is written", c->name);

	memset(&a, 0, sizeof(a));
	c->fill(&a);
	TAP_EQ(submit(c, &a), 0, "%s: exact size", c->name);

	for (unsigned int size = 0; size < c->length_v1; size += size < 8 ? 1 : 8) {
		memset(&a, 0, sizeof(a));
		c->fill(&a);
		a.size = size;
		if (submit(c, &a) != -EINVAL) {
			TAP_OK(false, "%s: size %u is refused", c->name, size);
			return;
		}
	}
	memset(&a, 0, sizeof(a));
	c->fill(&a);
	a.size = c->length_v1 - 1;
	TAP_EQ(submit(c, &a), -EINVAL, "%s: one byte short, and every size from 0, is refused",
	       c->name);

	memset(&a, 0, sizeof(a));
	c->fill(&a);
	a.size = c->length + 1;
	TAP_EQ(submit(c, &a), 0, "%s: one byte long and zero", c->name);

	memset(&a, 0, sizeof(a));
	c->fill(&a);
	a.size = c->length + 1;
	a.bytes[c->length] = 1;
	TAP_EQ(submit(c, &a), -E2BIG, "%s: one byte long and not zero", c->name);

	memset(&a, 0, sizeof(a));
	c->fill(&a);
	a.size = sizeof(a);
	TAP_EQ(submit(c, &a), 0, "%s: much longer and zero", c->name);
	memset(&a, 0, sizeof(a));
	c->fill(&a);
	a.size = sizeof(a);
	a.bytes[sizeof(a) - 1] = 0x80;
	TAP_EQ(submit(c, &a), -E2BIG, "%s: much longer, the last byte not zero", c->name);

	/* Two pages, the second of which cannot be used. */
	memset(window, 0, PAGE);
	c->fill((union argument *)window);
	*(__u32 *)window = UINT32_MAX;
	int rc = submit(c, window);

	TAP_OK(rc == -EFAULT || rc == -E2BIG, "%s: 4 GiB long is refused (%d)", c->name, rc);
}

static void placement(const struct command *c, unsigned char *window)
{
	unsigned char buffer[sizeof(union argument) + 8];
	union argument a;

	memset(&a, 0, sizeof(a));
	c->fill(&a);
	for (int shift = 1; shift < 8; shift += 2) {
		memcpy(buffer + shift, &a, sizeof(a));
		if (submit(c, buffer + shift)) {
			TAP_OK(false, "%s: at address + %d", c->name, shift);
			return;
		}
	}
	TAP_OK(true, "%s: at unaligned addresses", c->name);

	TAP_EQ(submit(c, NULL), -EFAULT, "%s: NULL", c->name);
	TAP_EQ(submit(c, (void *)1), -EFAULT, "%s: a wild pointer", c->name);
	TAP_EQ(submit(c, (void *)0xffff888000000000UL), -EFAULT, "%s: a kernel address", c->name);

	memset(window, 0, PAGE);
	memcpy(window + PAGE - c->length, &a, c->length);
	TAP_EQ(submit(c, window + PAGE - c->length), 0, "%s: ends where the memory ends", c->name);
	memset(window, 0, PAGE);
	memcpy(window + PAGE - c->length + 1, &a, c->length - 1);
	TAP_EQ(submit(c, window + PAGE - c->length + 1), -EFAULT,
	       "%s: the last byte is not readable", c->name);
	memset(window, 0, PAGE);
	memcpy(window + PAGE - 4, &a, 4);
	TAP_EQ(submit(c, window + PAGE - 4), -EFAULT, "%s: only the size is readable", c->name);
	TAP_EQ(submit(c, window + PAGE - 2), -EFAULT, "%s: half of the size is readable", c->name);
	TAP_EQ(submit(c, window + PAGE), -EFAULT, "%s: nothing is readable", c->name);

	memset(window, 0, PAGE);
	memcpy(window, &a, c->length);
	if (!c->writes)
		return;
	mprotect(window, PAGE, PROT_READ);
	stage_enter(c->needs);
	TAP_EQ(hmem_ioctl(c->needs >= AN_OPEN_REGION ? region_fd : control, c->number, window),
	       -EFAULT, "%s: the answer cannot be written", c->name);
	stage_leave();
	mprotect(window, PAGE, PROT_READ | PROT_WRITE);
}

static void flags(const struct command *c)
{
	union argument a;

	if (c->flags == NO_MEMBER)
		return;
	for (int bit = 0; bit < 32; bit++) {
		__u32 flag = 1U << bit;

		if (c->flags_known & flag)
			continue;
		memset(&a, 0, sizeof(a));
		c->fill(&a);
		memcpy(a.bytes + c->flags, &flag, sizeof(flag));
		if (submit(c, &a) != -EINVAL) {
			TAP_OK(false, "%s: flag bit %d is refused", c->name, bit);
			return;
		}
	}
	TAP_OK(true, "%s: every unknown flag bit is refused", c->name);
}

static const struct {
	const char *what;
	char name[HMEM_NAME_LEN];
} bad_names[] = {
	{ "with a slash", "a/b" },
	{ "'.'", "." },
	{ "'..'", ".." },
	{ "'/'", "/" },
	{ "'../x'", "../x" },
	{ "that begins with a dot", ".x" },
	{ "that begins with a dash", "-x" },
	{ "with a blank", "a b" },
	{ "with a newline", "a\nb" },
	{ "with DEL", "a\177" },
	{ "with a percent sign", "%s%n" },
	{ "with an exclamation mark", "a!b" },
	{ "with a colon", "hmem:a" },
	{ "in Latin-1", "caf\351" },
	{ "in UTF-8", "caf\303\251" },
};

static void names(const struct command *c)
{
	static const char *const member_names[] = { "name", "pool" };

	for (int i = 0; i < 2 && c->names[i] != NO_MEMBER; i++) {
		/* The second one of CREATE is the pool, which may be empty. */
		const char *member = member_names[i];
		union argument a;
		unsigned int n;

		for (n = 0; n < sizeof(bad_names) / sizeof(bad_names[0]); n++) {
			memset(&a, 0, sizeof(a));
			c->fill(&a);
			memcpy(a.bytes + c->names[i], bad_names[n].name, HMEM_NAME_LEN);
			int rc = submit(c, &a);

			if (rc == -EINVAL)
				continue;
			TAP_EQ(rc, -EINVAL, "%s: a %s %s", c->name, member, bad_names[n].what);
		}
		memset(&a, 0, sizeof(a));
		c->fill(&a);
		memset(a.bytes + c->names[i], 'a', HMEM_NAME_LEN);
		TAP_EQ(submit(c, &a), -EINVAL, "%s: %s without an end, and others malformed",
		       c->name, member);

		memset(&a, 0, sizeof(a));
		c->fill(&a);
		memset(a.bytes + c->names[i], 0, HMEM_NAME_LEN);
		TAP_EQ(submit(c, &a), i ? 0 : -EINVAL, "%s: empty %s", c->name, member);
	}
}

static void good_names(void)
{
	static const char *const good[] = { "a", "Z9", "a.b", "a-b", "a_b", "_", "9", "a..b",
					    "controls", "CONTROL", "regions", "power" };
	char longest[HMEM_NAME_LEN] = "";
	unsigned int i;

	stage_enter(A_POOL);
	TAP_EQ(region_create(control, "control", POOL, EXTENT), -EINVAL,
	       "REGION_CREATE: 'control' is taken");
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int rc = region_create(control, good[i], POOL, EXTENT);

		if (rc || region_destroy(control, good[i]))
			TAP_EQ(rc, 0, "REGION_CREATE: '%s' is a name", good[i]);
	}
	memset(longest, 'x', HMEM_NAME_LEN - 1);
	TAP_EQ(region_create(control, longest, POOL, EXTENT), 0,
	       "REGION_CREATE: 63 characters are a name, as are others at the edge");
	int fd = region_open(longest, O_RDWR);
	struct hmem_region_query info;

	TAP_OK(fd >= 0 && !region_info(fd, &info) && !strcmp(info.name, longest),
	       "it can be opened, and knows its name");
	if (fd >= 0)
		close(fd);
	TAP_EQ(region_destroy(control, longest), 0, "REGION_DESTROY: 63 characters");
	TAP_EQ(pool_detach(control, POOL), 0, "the pool is empty again");

	TAP_EQ(pool_attach_ram(control, longest, EXTENT), 0, "POOL_ATTACH: 63 characters");
	TAP_EQ(region_create(control, longest, longest, EXTENT), 0,
	       "a region may have its pool's name");
	TAP_EQ(region_destroy(control, longest), 0, "and goes");
	TAP_EQ(pool_detach(control, longest), 0, "POOL_DETACH: 63 characters");
}

int main(void)
{
	unsigned char *window = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (window == MAP_FAILED || mprotect(window + PAGE, PAGE, PROT_NONE))
		tap_bail("no memory");
	control = must_begin();
	for (unsigned int i = 0; i < COMMANDS; i++) {
		sizes(&commands[i], window);
		placement(&commands[i], window);
		flags(&commands[i]);
		names(&commands[i]);
	}
	good_names();
	return tap_done();
}
