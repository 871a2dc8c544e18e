// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the two copies of the library ask of the system, answered without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "byte_locks.h"
#include "machine.h"

struct machine machine_traced = { .scheme = "crash" }, machine_plain = { .scheme = "crash" };
struct machine *machine_now;
unsigned int machine_process, machine_actor;

/* Address space for a shelf's metadata, its largest heap, and to align them. */
#define SPACE_BYTES	(16ul << 20)
#define SPACE_TRACED	((void *)0x100000000000ul)
#define SPACE_PLAIN	((void *)0x180000000000ul)

/* Descriptors that there are not, as those of the region. */
#define FD_BOOT_ID	(BYTE_LOCKS_FD - 2)
#define FD_MACHINE_ID	(BYTE_LOCKS_FD - 1)

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void memory_new(struct machine *machine)
{
	machine->memory_fd = memfd_create("crash", MFD_CLOEXEC);
	if (machine->memory_fd < 0 || ftruncate(machine->memory_fd, MACHINE_BYTES))
		die("memfd");
}

static void memory_map(struct machine *machine, void *at, uint64_t offset, size_t bytes)
{
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
		 machine->memory_fd, (off_t)offset) == MAP_FAILED)
		die("the region");
}

static void machine_init(struct machine *machine, void *at)
{
	unsigned char *all;

	memory_new(machine);
	all = mmap(at, MACHINE_SHELVES * SPACE_BYTES + MACHINE_BYTES, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (all == MAP_FAILED)
		die("address space");
	machine->space = all;
	machine->memory = all + MACHINE_SHELVES * SPACE_BYTES;
	memory_map(machine, machine->memory, 0, MACHINE_BYTES);
	machine->alive = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
	if (machine->alive == MAP_FAILED)
		die("a page");
	machine->boot = 1;
}

/* --- memory that a loss of power gives back ------------------------------------------ */

static unsigned char *heap;
static size_t heap_used;
#define HEAP_BYTES	(64ul << 20)

static bool in_heap(const void *at)
{
	return (const unsigned char *)at >= heap && (const unsigned char *)at < heap + HEAP_BYTES;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t nr, size_t bytes);
void *__real_realloc(void *at, size_t bytes);
void __real_free(void *at);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__wrap_realloc(void *at, size_t bytes);
void __wrap_free(void *at);

void *__wrap_malloc(size_t bytes)
{
	size_t *at;

	if (machine_now != &machine_traced || !heap)
		return __real_malloc(bytes);
	if (heap_used + bytes + 32 > HEAP_BYTES) {
		fprintf(stderr, "one sequence allocated %zu bytes\n", heap_used);
		abort();
	}
	at = (size_t *)(heap + heap_used);
	*at = bytes;
	heap_used += (bytes + 16 + 15) & ~15ul;
	return (char *)at + 16;
}

void *__wrap_calloc(size_t nr, size_t bytes)
{
	void *at;

	if (machine_now != &machine_traced || !heap)
		return __real_calloc(nr, bytes);
	at = __wrap_malloc(nr * bytes);
	memset(at, 0, nr * bytes);
	return at;
}

void *__wrap_realloc(void *at, size_t bytes)
{
	size_t had;
	void *more;

	if (!(at ? in_heap(at) : machine_now == &machine_traced && heap))
		return __real_realloc(at, bytes);
	more = __wrap_malloc(bytes);
	had = at ? ((size_t *)at)[-2] : 0;
	memcpy(more, at, had < bytes ? had : bytes);
	return more;
}

void __wrap_free(void *at)
{
	if (!in_heap(at))
		__real_free(at);
}

void *machine_kept(void *at, size_t bytes)
{
	at = __real_realloc(at, bytes);
	if (!at)
		die("memory");
	return at;
}

/* --- mappings ------------------------------------------------------------------------ */

void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);
int __real_madvise(void *at, size_t bytes, int advice);
int __real_msync(void *at, size_t bytes, int flags);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);
int __wrap_madvise(void *at, size_t bytes, int advice);
int __wrap_msync(void *at, size_t bytes, int flags);

/* The first one that is free, which is taken then; or -1. */
static int take_free(unsigned int *taken)
{
	for (unsigned int i = 0; i < MACHINE_SHELVES; i++) {
		if (*taken >> i & 1)
			continue;
		*taken |= 1u << i;
		return (int)i;
	}
	return -1;
}

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (machine_now && !at && fd < 0 && prot == PROT_NONE) {
		int which = bytes > SPACE_BYTES ? -1 : take_free(&machine_now->spaces);

		if (which < 0) {
			errno = ENOMEM;
			return MAP_FAILED;
		}
		return machine_now->space + (unsigned int)which * SPACE_BYTES;
	}
	if (machine_now && !at && fd < 0 && bytes == 4096)
		return machine_now->alive;
	return __real_mmap(at, bytes, prot, flags, fd, offset);
}

static bool is_ours(const void *at)
{
	const unsigned char *byte = at;

	return machine_now && (byte == machine_now->alive ||
			       (byte >= machine_now->space &&
				byte < machine_now->memory + MACHINE_BYTES));
}

int __wrap_munmap(void *at, size_t bytes)
{
	if (!is_ours(at))
		return __real_munmap(at, bytes);
	/* Only where it begins: what is behind it is given back when it is taken. */
	for (unsigned int i = 0; i < MACHINE_SHELVES; i++)
		if (at == machine_now->space + i * SPACE_BYTES)
			machine_now->spaces &= ~(1u << i);
	return 0;
}

int __wrap_madvise(void *at, size_t bytes, int advice)
{
	return is_ours(at) ? 0 : __real_madvise(at, bytes, advice);
}

int __wrap_msync(void *at, size_t bytes, int flags)
{
	return is_ours(at) ? 0 : __real_msync(at, bytes, flags);
}

const unsigned char *machine_shelf(const struct machine *machine, unsigned int which)
{
	return machine->space + which * SPACE_BYTES;
}

int64_t machine_offset(const struct machine *machine, const void *at)
{
	const unsigned char *byte = at;

	if (byte < machine->space || byte >= machine->memory + MACHINE_BYTES)
		return -1;
	if (byte >= machine->memory)
		return byte - machine->memory;
	for (unsigned int i = 0; i < machine->nr_maps; i++)
		if (byte >= machine->maps[i].address &&
		    byte < machine->maps[i].address + machine->maps[i].length)
			return (int64_t)machine->maps[i].offset + (byte - machine->maps[i].address);
	return -1;
}

/* --- files and locks ----------------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_read(int fd, void *to, size_t bytes);
int __real_fstat(int fd, struct stat *st);
int __real_fcntl(int fd, int command, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
ssize_t __wrap_read(int fd, void *to, size_t bytes);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fcntl(int fd, int command, ...);
ssize_t __real_getrandom(void *to, size_t bytes, unsigned int flags);
ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned int flags);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (machine_now && !strncmp(path, "/proc/self/fd/", 14))
		return byte_locks_open(machine_now);
	if (machine_now && strstr(path, "boot_id"))
		return FD_BOOT_ID;
	if (machine_now && strstr(path, "machine-id"))
		return FD_MACHINE_ID;
	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return __real_open(path, flags, mode);
}

int __wrap_close(int fd)
{
	if (fd < FD_BOOT_ID)
		return __real_close(fd);
	if (byte_locks_is(fd))
		byte_locks_close(fd);
	return 0;
}

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
	char text[64];
	int length;

	if (fd < FD_BOOT_ID)
		return __real_read(fd, to, bytes);
	length = snprintf(text, sizeof(text), "%016x%016lx\n", fd,
			  fd == FD_BOOT_ID ? machine_now->boot : 1);
	if ((size_t)length > bytes)
		length = (int)bytes;
	memcpy(to, text, (size_t)length);
	return length;
}

int __wrap_fstat(int fd, struct stat *st)
{
	if (!byte_locks_is(fd))
		return __real_fstat(fd, st);
	memset(st, 0, sizeof(*st));
	st->st_dev = 1;
	st->st_ino = 1;
	return 0;
}

int __wrap_fcntl(int fd, int command, ...)
{
	struct flock *lock;
	va_list ap;

	va_start(ap, command);
	lock = va_arg(ap, struct flock *);
	va_end(ap);
	return byte_locks_is(fd) ? byte_locks_fcntl(fd, command, lock) :
				   __real_fcntl(fd, command, lock);
}

pid_t __real_getpid(void);
pid_t __wrap_getpid(void);

pid_t __wrap_getpid(void)
{
	return machine_now ? 1 + (pid_t)machine_process : __real_getpid();
}

/* The same shelves each time, so that what is found can be found again, but no two alike. */
ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned int flags)
{
	unsigned char *byte = to;

	if (!machine_now)
		return __real_getrandom(to, bytes, flags);
	for (size_t i = 0; i < bytes; i++)
		byte[i] = (unsigned char)(i * 37 + 11 + machine_now->drawn * 83);
	machine_now->drawn++;
	return (ssize_t)bytes;
}

/* --- threads ------------------------------------------------------------------------- */

int __real_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __real_pthread_key_delete(pthread_key_t key);
void *__real_pthread_getspecific(pthread_key_t key);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __wrap_pthread_key_delete(pthread_key_t key);
void *__wrap_pthread_getspecific(pthread_key_t key);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

/* Keys that there are not: each shelf that is open has one. */
#define PTHREAD_KEYS_MAX 1024u
#define KEY	(PTHREAD_KEYS_MAX + 1u)

int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *))
{
	int which;

	if (!machine_now)
		return __real_pthread_key_create(key, end);
	which = take_free(&machine_now->keys);
	if (which < 0)
		return EAGAIN;
	*key = KEY + (unsigned int)which;
	memset(machine_now->actor_data[which], 0, sizeof(machine_now->actor_data[which]));
	return 0;
}

int __wrap_pthread_key_delete(pthread_key_t key)
{
	if (key < KEY)
		return __real_pthread_key_delete(key);
	machine_now->keys &= ~(1u << (key - KEY));
	return 0;
}

void *__wrap_pthread_getspecific(pthread_key_t key)
{
	return key >= KEY ? machine_now->actor_data[key - KEY][machine_actor] :
			    __real_pthread_getspecific(key);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	if (key < KEY)
		return __real_pthread_setspecific(key, value);
	machine_now->actor_data[key - KEY][machine_actor] = (void *)value;
	return 0;
}

/* --- time ---------------------------------------------------------------------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_nanosleep(const struct timespec *wanted, struct timespec *left);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

/* Whoever looks at it waits for somebody who does not go on until he has given up. */
#define LOOK_MS	500

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	static int64_t ms;

	if (!machine_now)
		return __real_clock_gettime(clock, now);
	ms += LOOK_MS;
	now->tv_sec = ms / 1000;
	now->tv_nsec = ms % 1000 * 1000000;
	return 0;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	return machine_now ? 0 : __real_nanosleep(wanted, left);
}

/* --- both ---------------------------------------------------------------------------- */

void machine_reboot(struct machine *machine)
{
	/* One has the odd ones: neither is ever taken for the other. */
	machine->boot += 2;
	machine->spaces = 0;
	machine->keys = 0;
	*(volatile unsigned int *)machine->alive = 0;
	byte_locks_reboot(machine);
	if (machine == &machine_traced) {
		heap_used = 0;
		machine->nr_maps = 0;
	}
}

void machine_dies(struct machine *machine, unsigned int process)
{
	byte_locks_died(machine, process);
}

void machines_forked(void)
{
	struct machine *const both[] = { &machine_traced, &machine_plain };

	for (unsigned int i = 0; i < 2; i++) {
		close(both[i]->memory_fd);
		memory_new(both[i]);
		memory_map(both[i], both[i]->memory, 0, MACHINE_BYTES);
		for (unsigned int map = 0; map < both[i]->nr_maps; map++)
			memory_map(both[i], both[i]->maps[map].address, both[i]->maps[map].offset,
				   both[i]->maps[map].length);
	}
}

void machines_init(void)
{
	machine_init(&machine_traced, SPACE_TRACED);
	machine_init(&machine_plain, SPACE_PLAIN);
	machine_plain.caps = 0;
	machine_plain.boot++;
	machine_traced.caps = HMEM_CAP_PERSISTENT | HMEM_CAP_FLUSH_CPU;
	traced_machine_attach(&machine_traced);
	machine_attach(&machine_plain);
	heap = __real_mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (heap == MAP_FAILED)
		die("memory");
}
