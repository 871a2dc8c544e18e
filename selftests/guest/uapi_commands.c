// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each command makes of its members, which commands there are on which device, and
 * who may give them.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "uapi_table.h"

#include <linux/capability.h>
#include <linux/fs.h>

static int attach_raw(struct hmem_pool_attach a)
{
	int rc;

	a.size = sizeof(a);
	rc = hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
	sweep(control);
	return rc;
}

#define ATTACH(...) attach_raw((struct hmem_pool_attach){ __VA_ARGS__ })

static void attach_members(void)
{
	const struct hmem_pool_attach ram = { .provider = HMEM_PROVIDER_RAM, .bytes = EXTENT,
					      .nid = -1, .name = POOL };
	struct hmem_pool_attach a = ram;

	a.provider = 2;
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: a provider that does not exist");
	a.provider = UINT32_MAX;
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: provider 2^32 - 1");
	a = ram;
	a.bytes = 0;
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: ram, no bytes");
	a = ram;
	strcpy(a.source, "region0");
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: ram with a source");
	a = ram;
	a.nid = -2;
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: ram on node -2");
	a.nid = INT32_MAX;
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: ram on node 2^31 - 1");
	a.nid = 63;
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: ram on a node that is not there");
	a.nid = 0;
	TAP_EQ(attach_raw(a), 0, "POOL_ATTACH: ram on node 0");
	for (uint64_t bytes = 1ULL << 40; bytes; bytes <<= 1) {
		int rc;

		a = ram;
		a.bytes = bytes;
		rc = attach_raw(a);
		if (rc == -ENOMEM || rc == -EINVAL)
			continue;
		TAP_OK(false, "POOL_ATTACH: ram, %llu bytes are refused (%d)",
		       (unsigned long long)bytes, rc);
	}
	a.bytes = UINT64_MAX;
	int rc = attach_raw(a);

	TAP_OK(rc == -EINVAL || rc == -ENOMEM, "POOL_ATTACH: ram, 1 TiB to 2^64 - 1 bytes (%d)",
	       rc);

	TAP_EQ(ATTACH(.provider = HMEM_PROVIDER_CXL, .nid = -1, .name = POOL), -EINVAL,
	       "POOL_ATTACH: cxl without a source");
	TAP_EQ(ATTACH(.provider = HMEM_PROVIDER_CXL, .nid = -1, .source = "region0",
		      .bytes = EXTENT), -EINVAL, "POOL_ATTACH: cxl with a number of bytes");
	TAP_EQ(ATTACH(.provider = HMEM_PROVIDER_CXL, .nid = 0, .source = "region0"), -EINVAL,
	       "POOL_ATTACH: cxl with a node");
	memset(&a, 0, sizeof(a));
	a.nid = -1;
	memset(a.source, 'r', sizeof(a.source));
	TAP_EQ(attach_raw(a), -EINVAL, "POOL_ATTACH: a source without an end");
	rc = ATTACH(.provider = HMEM_PROVIDER_CXL, .nid = -1, .source = "../../mem0");
	TAP_OK(rc == -EINVAL || rc == -ENOENT, "POOL_ATTACH: a source with slashes (%d)", rc);
}

static void create_members(void)
{
	union argument a;
	struct hmem_region_create *c = &a.create;

	must(pool_attach_ram(control, POOL, 2 * EXTENT), "attach a pool");
	for (int bit = 9; bit < 32; bit++) {
		fill_create(&a);
		c->mode = 0600 | 1U << bit;
		int rc = hmem_ioctl(control, HMEM_REGION_CREATE, c);

		if (rc != -EINVAL)
			TAP_EQ(rc, -EINVAL, "REGION_CREATE: mode bit %d", bit);
	}
	for (int bit = 0; bit < 32; bit++) {
		fill_create(&a);
		c->reserved = 1U << bit;
		int rc = hmem_ioctl(control, HMEM_REGION_CREATE, c);

		if (rc != -EINVAL)
			TAP_EQ(rc, -EINVAL, "REGION_CREATE: reserved bit %d", bit);
	}
	TAP_EQ(sysfs_number("hmem_pool", POOL, "regions"), 0,
	       "REGION_CREATE: modes above 0777 and reserved bits are refused");
	fill_create(&a);
	c->uid = UINT32_MAX;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, c), -EINVAL, "REGION_CREATE: uid -1");
	fill_create(&a);
	c->gid = UINT32_MAX;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, c), -EINVAL, "REGION_CREATE: gid -1");

	/* What comes back, and what a shorter struct of a later kernel would rest on. */
	fill_create(&a);
	c->bytes = 1;
	memset(c->pool, 0, sizeof(c->pool));
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, c), 0, "REGION_CREATE: 1 byte, no pool");
	TAP_EQ(c->bytes, EXTENT, "the size obtained is an extent");
	TAP_OK(!strcmp(c->pool, POOL), "the pool it was carved from is named");
	TAP_EQ(c->size, sizeof(*c), "the size is as it was");
	sweep(control);
}

/* Numbers that mean something to the VFS, which answers before the module is asked. */
static bool vfs_takes(unsigned long number)
{
	switch (number) {
	case FIOCLEX:
	case FIONCLEX:
	case FIONBIO:
	case FIOASYNC:
	case FIOQSIZE:
	case FIGETBSZ:
	case FIFREEZE:
	case FITHAW:
	case FICLONE:
	case FICLONERANGE:
	case FIDEDUPERANGE:
	case FS_IOC_GETFLAGS:
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSGETXATTR:
	case FS_IOC_FSSETXATTR:
		return true;
	}
	return false;
}

static void unknown_numbers(void)
{
	unsigned char argument[2048];
	int devices[2];

	stage_enter(AN_OPEN_REGION);
	devices[0] = control;
	devices[1] = region_fd;
	for (int d = 0; d < 2; d++) {
		const char *where = d ? "region" : "control";
		int wrong = 0;

		for (unsigned int i = 0; i < 4096; i++) {
			/* The type's 256 numbers, plain and with a direction and a size. */
			unsigned long number = _IOC(i >> 8 & 3, HMEM_IOC_TYPE, i & 0xff,
						    i >> 10 ? 40 * (i >> 10) : 0);
			bool known = false;

			for (unsigned int c = 0; c < COMMANDS; c++)
				if (commands[c].number == number &&
				    (commands[c].needs >= AN_OPEN_REGION) == d)
					known = true;
			if (known)
				continue;
			memset(argument, 0, sizeof(argument));
			*(__u32 *)argument = 512;
			int rc = hmem_ioctl(devices[d], number, argument);

			if (rc != -ENOTTY && !wrong++)
				tap_diag("number %#lx answered %d", number, rc);
		}
		TAP_EQ(wrong, 0, "every other number of our type is ENOTTY on a %s device", where);
		wrong = 0;
		for (unsigned int type = 0; type < 256; type++) {
			for (unsigned int nr = 0; nr < 6; nr++) {
				unsigned long number = _IO(type, nr);

				if (type == HMEM_IOC_TYPE || vfs_takes(number))
					continue;
				int rc = hmem_ioctl(devices[d], number, argument);

				if (rc != -ENOTTY && !wrong++)
					tap_diag("number %#lx answered %d", number, rc);
			}
		}
		TAP_EQ(wrong, 0, "our numbers with another type are ENOTTY on a %s device", where);
	}
	stage_leave();
}

/* In a child without CAP_SYS_ADMIN, with a control device that root has opened. */
static int ask_as_user(void *unused)
{
	const struct command *c;
	union argument a;
	int wrong = 0;

	(void)unused;
	for (c = commands; c < commands + COMMANDS; c++) {
		bool anybody = c->number == HMEM_VERSION ||
			       (c->needs >= AN_OPEN_REGION && c->number != HMEM_REGION_POLICY);
		int want = anybody ? 0 : -EPERM;

		memset(&a, 0, sizeof(a));
		c->fill(&a);
		int rc = hmem_ioctl(c->needs >= AN_OPEN_REGION ? region_fd : control, c->number,
				    &a);

		if (rc != want) {
			tap_diag("%s answered %d", c->name, rc);
			wrong++;
		}
	}
	return wrong;
}

static int ask_without_capability(void *unused)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	(void)unused;
	if (syscall(SYS_capget, &header, data))
		return 100;
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &header, data))
		return 100;
	return ask_as_user(NULL);
}

static int open_control(void *unused)
{
	int rw = open(CONTROL, O_RDWR), ro = open(CONTROL, O_RDONLY);
	struct hmem_version v = { .size = sizeof(v) };
	struct hmem_pool_detach d = { .size = sizeof(d), .name = POOL };

	(void)unused;
	if (rw >= 0 && hmem_ioctl(rw, HMEM_POOL_DETACH, &d) != -EPERM)
		return 1;
	if (ro >= 0 && hmem_ioctl(ro, HMEM_POOL_DETACH, &d) != -EPERM)
		return 2;
	if (ro >= 0 && hmem_ioctl(ro, HMEM_VERSION, &v))
		return 3;
	return 0;
}

static void permissions(void)
{
	stage_enter(A_TOUCHED_REGION);
	TAP_EQ(run_as(USER_UID, ask_as_user, NULL), 0,
	       "EPERM for an ordinary user on root's descriptor, but a region and VERSION answer");
	TAP_EQ(run_as(0, ask_without_capability, NULL), 0, "EPERM for root without CAP_SYS_ADMIN");
	TAP_EQ(run_as(USER_UID, open_control, NULL), 0,
	       "an ordinary user who opens the control device can change nothing");
	TAP_OK(pool_free(POOL) == (int64_t)EXTENT && sysfs_number("hmem", REGION, "size") > 0,
	       "pool and region are as they were");
	stage_leave();
}

#ifdef __x86_64__
/* The 32-bit system call, from a 64-bit program: what a 32-bit program would get. */
static int ioctl_32bit(int fd, unsigned int command, void *argument)
{
	int rc;

	__asm__ volatile("int $0x80"
			 : "=a"(rc)
			 : "a"(54), "b"((long)fd), "c"((long)command), "d"(argument)
			 : "memory", "r8", "r9", "r10", "r11");
	return rc;
}

static int ask_in_32bit(void *low)
{
	const struct command *c;
	int wrong = 0;

	for (c = commands; c < commands + COMMANDS; c++) {
		union argument *a = low;

		stage_enter(c->needs);
		memset(a, 0, sizeof(*a));
		c->fill(a);
		int fd = c->needs >= AN_OPEN_REGION ? region_fd : control;
		int rc = ioctl_32bit(fd, c->number, a);

		if (rc) {
			tap_diag("%s answered %d to a 32-bit caller", c->name, rc);
			wrong++;
		}
		stage_leave();
	}
	return wrong;
}

static void compat(void)
{
	union argument *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int rc = low == MAP_FAILED ? 128 : run_as(0, ask_in_32bit, low);

	if (rc >= 128)
		tap_skip("32-bit programs get the same answers",
			 "this kernel has no 32-bit system calls");
	else
		TAP_EQ(rc, 0, "32-bit programs get the same answers");
}
#else
static void compat(void)
{
}
#endif

static void answers(void)
{
	struct hmem_version v = { .size = sizeof(v) };
	struct hmem_pool_attach a = { .size = sizeof(a), .provider = HMEM_PROVIDER_RAM,
				      .bytes = EXTENT + 1, .nid = -1, .name = POOL };

	TAP_EQ(hmem_ioctl(control, HMEM_VERSION, &v), 0, "VERSION answers");
	TAP_EQ(v.abi, HMEM_ABI_VERSION, "the module has the ABI of the header");
	TAP_EQ(v.extent_size, EXTENT, "an extent is 2 MiB");
	TAP_OK(v.max_regions >= 1000, "a pool can hold %u regions", v.max_regions);
	TAP_EQ(v.providers & 3, 3, "both providers are built in");
	TAP_EQ(v.providers >> 2, 0, "and no others");

	a.flags = HMEM_ATTACH_CHECK;
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_ATTACH, &a), 0, "a ram pool can be checked");
	TAP_EQ(pool_free(POOL), -1, "and is not attached by that");
	a.flags = 0;
	a.bytes = EXTENT + 1;
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_ATTACH, &a), 0, "a ram pool of an extent and a byte");
	TAP_EQ(a.bytes, 2 * EXTENT, "has two extents");
	TAP_EQ(a.regions, 0, "no regions");
	TAP_EQ(a.state, 0, "is not persistent, formatted or repaired");
	a.bytes = EXTENT;
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_ATTACH, &a), -EEXIST, "the same name once more");
	sweep(control);
}

int main(void)
{
	control = must_begin();
	attach_members();
	create_members();
	unknown_numbers();
	permissions();
	compat();
	answers();
	return tap_done();
}
