// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The superblock, and who wrote it.
 *
 * Two copies are written in turn, both whenever something changes: damage to either then
 * never brings back what was true before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32c.h"
#include "shelf_super.h"

static uint32_t super_crc(const struct shelf_super *super)
{
	struct shelf_super zero = *super;

	zero.crc = 0;
	return hmem_crc32c(~0u, &zero, sizeof(zero));
}

uint64_t shelf_key_of(const uint8_t uuid[16], uint64_t secret)
{
	uint64_t halves[2];

	memcpy(halves, uuid, sizeof(halves));
	return halves[0] ^ (halves[1] << 32 | halves[1] >> 32) ^ secret;
}

bool super_copy_good(const struct hmem_shelf *shelf, unsigned int copy, const uint8_t uuid[16],
		     struct shelf_super *super)
{
	memcpy(super, shelf_at(shelf, (uint64_t)copy * SUPER_COPY_BYTES), sizeof(*super));
	return super->magic == SHELF_MAGIC && !memcmp(super->uuid, uuid, 16) &&
	       super->version == SHELF_VERSION && super->crc == super_crc(super);
}

int super_read(struct hmem_shelf *shelf, const uint8_t uuid[16], struct shelf_super *super)
{
	struct shelf_super copy;
	bool found = false, newer = false;

	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		if (!super_copy_good(shelf, i, uuid, &copy)) {
			newer = newer || (copy.magic == SHELF_MAGIC &&
					  !memcmp(copy.uuid, uuid, 16) &&
					  copy.version > SHELF_VERSION);
			continue;
		}
		if (found && copy.seq < super->seq)
			continue;
		*super = copy;
		found = true;
	}
	if (!found && newer)
		return shelf_fail(shelf, -EPROTONOSUPPORT, "shelf %s was written by a newer libhmem",
				  shelf->name);
	if (!found)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: both of its superblocks are damaged",
				  shelf->name);
	return 0;
}

void super_salvage(struct hmem_shelf *shelf, struct shelf_super *super)
{
	struct shelf_super copy;

	*super = (struct shelf_super){
		.magic = SHELF_MAGIC,
		.version = SHELF_VERSION,
		.unit_shift = shelf->unit_shift,
		.nr_slots = shelf->nr_slots,
		.heap_offset = shelf->heap_offset,
		.max_heap = shelf->max_heap,
	};
	memcpy(super->uuid, shelf->uuid, sizeof(super->uuid));
	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		super_copy_good(shelf, i, shelf->uuid, &copy);
		/* To keep an order that nobody asked for does no harm. */
		super->flags |= copy.flags & SHELF_ORDERED;
	}
	shelf_found(shelf, "superblock", 0, NULL,
		    "no copy of it is intact; it is made anew, of %s shelf",
		    super->flags & SHELF_ORDERED ? "an ordered" : "a plain");
}

static unsigned char *copy_of(const struct hmem_shelf *shelf, const struct shelf_super *super)
{
	return shelf_at(shelf, (super->seq & 1) * SUPER_COPY_BYTES);
}

int super_write(struct hmem_shelf *shelf, struct persist *persist, struct shelf_super *super)
{
	int err;

	/*
	 * What was read is what is left if the power goes while the other copy is written.
	 */
	persist_write_back_found(persist, copy_of(shelf, super), sizeof(*super));
	err = persist_fence(persist);
	for (unsigned int i = 0; i < SUPER_COPIES && !err; i++) {
		super->seq++;
		super->crc = super_crc(super);
		memcpy(copy_of(shelf, super), super, sizeof(*super));
		persist_write_back(persist, copy_of(shelf, super), sizeof(*super));
		err = persist_fence(persist);
	}
	return err ? shelf_fail(shelf, -EIO, "shelf %s: writing its superblock: %s", shelf->name,
				strerror(-err)) :
		     0;
}

/* --- who we are ---------------------------------------------------------------------- */

static int read_id(const char *path, uint8_t id[16])
{
	char text[64] = "";
	unsigned int nibbles = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(id, 0, 16);
	if (fd < 0)
		return -errno;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	for (ssize_t i = 0; i < got && nibbles < 32; i++) {
		char c = text[i];
		int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (value < 0)
			continue;
		id[nibbles / 2] = (uint8_t)(id[nibbles / 2] << 4 | value);
		nibbles++;
	}
	return nibbles == 32 ? 0 : -EINVAL;
}

int super_identify(struct hmem_shelf *shelf, struct shelf_super *super)
{
	struct stat st;
	int err;

	err = read_id("/proc/sys/kernel/random/boot_id", super->boot);
	if (err)
		return shelf_fail(shelf, err, "reading the boot's id in /proc: %s", strerror(-err));
	/* Without one, hosts cannot be told apart. */
	read_id("/etc/machine-id", super->host);
	if (fstat(shelf->lock_fd, &st))
		return shelf_fail(shelf, -errno, "shelf %s: %s", shelf->name, strerror(errno));
	super->lock_device = st.st_dev;
	super->lock_inode = st.st_ino;
	return 0;
}

bool runtime_is_ours(const struct runtime *rt, const struct shelf_super *us)
{
	return rt->magic == SHELF_MAGIC && LOAD(&rt->ready) == 1 &&
	       !memcmp(rt->boot, us->boot, 16) && rt->lock_device == us->lock_device &&
	       rt->lock_inode == us->lock_inode;
}

bool super_other_host(const struct shelf_super *super, const struct shelf_super *us)
{
	static const uint8_t none[16];

	return !super->clean && memcmp(super->host, none, 16) != 0 &&
	       memcmp(us->host, none, 16) != 0 && memcmp(super->host, us->host, 16) != 0;
}
