/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two pretended machines, in this process, each with one region on it.
 *
 * On the first one the traced copy of the library works, on the other the plain copy
 * recovers what the first one's media may hold after a loss of power. Both copies are the
 * library as it is; what they ask of the system is answered here: memory stays mapped
 * where it is from one open to the next, locks on bytes are a list, a boot has whatever
 * id it is given, and time passes when somebody looks at it. So to open a shelf takes no system call and no page fault.
 */
#ifndef SELFTESTS_CRASH_MACHINE_H
#define SELFTESTS_CRASH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmem/region.h>

#define MACHINE_UNIT	(64u << 10)
#define MACHINE_UNITS	8u
#define MACHINE_BYTES	(MACHINE_UNITS * MACHINE_UNIT)
/* Threads of the first process; each other one has one. */
#define MACHINE_THREADS	3u
#define MACHINE_PROCESSES 4u
#define MACHINE_ACTORS	(MACHINE_THREADS + MACHINE_PROCESSES - 1)
#define MACHINE_SHELVES	6u	/* that are open at once, those of the dead among them */

#define MACHINE_MAPS	16

/*
 * @memory: the region, all of it
 * @space: what the library believes to have reserved, for each shelf; @maps: parts of the region
 *	there
 * @spaces, @keys: which of them are taken
 * @caps: HMEM_CAP_* of the region
 * @boot: changed by a reboot
 * @drawn: how often it was asked for something random
 */
struct machine {
	const char *scheme;
	unsigned char *memory;
	int memory_fd;
	unsigned char *space;
	unsigned char *alive;
	unsigned int spaces;
	unsigned int keys;
	unsigned int nr_maps;
	struct {
		uint64_t offset;
		size_t length;
		unsigned char *address;
	} maps[MACHINE_MAPS];
	unsigned int caps;
	uint64_t boot;
	unsigned int drawn;
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	void *actor_data[MACHINE_SHELVES][MACHINE_ACTORS];
};

extern struct machine machine_traced, machine_plain;

/* On whose behalf system calls are answered: of which process, and which of all threads. */
extern struct machine *machine_now;
extern unsigned int machine_process, machine_actor;

void machines_init(void);
/* In a child: machines of its own, with nothing in their memory. */
void machines_forked(void);

/* Power comes back. What the library had allocated on the traced machine is gone. */
void machine_reboot(struct machine *machine);

/* A process does: what it holds is free, what it had stored stays, and it has made its last fence. */
void machine_dies(struct machine *machine, unsigned int process);

/* For us, while the library runs: memory that stays when the power goes. */
void *machine_kept(void *at, size_t bytes);

/* What a shelf is mapped to: the first one that is open, or one that is opened beside it. */
const unsigned char *machine_shelf(const struct machine *machine, unsigned int which);

/* The offset in the region of an address, or -1. */
int64_t machine_offset(const struct machine *machine, const void *at);

/* attach.c, compiled once for each copy of the library. */
void machine_attach(struct machine *machine);
void traced_machine_attach(struct machine *machine);

#endif
