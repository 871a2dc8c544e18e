// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "any.h"
#include "say.h"
#include "scene.h"
#include "shelf.h"

#define SLOTS	16u

struct hmem_ctx *scene_ctx;

/* The shelf's file, and the one that what a loss of power leaves is put in. */
static char present[128], left[128];
static pid_t owner;

/* Nothing but what a signal handler may do. */
static void remove_files(void)
{
	if (getpid() != owner)
		return;
	unlink(present);
	unlink(left);
}

static void give_up(int signal)
{
	remove_files();
	_exit(128 + signal);
}

void scene_begin(void)
{
	const char *tmp = getenv("TMPDIR");
	const char *dir = access("/dev/shm", W_OK) ? tmp ? tmp : "/tmp" : "/dev/shm";

	owner = getpid();
	snprintf(present, sizeof(present), "%.90s/hmem-deaths.%d", dir, (int)owner);
	snprintf(left, sizeof(left), "%.90s/hmem-left.%d", dir, (int)owner);
	atexit(remove_files);
	signal(SIGINT, give_up);
	signal(SIGTERM, give_up);
	signal(SIGHUP, give_up);
}

const char *scene_file(void)
{
	return present;
}

/* --- what the system gives ------------------------------------------------------------ */

/* The library's UUIDs, by which names are hashed. */
ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned int flags);
static uint64_t random_state;

void scene_seed(uint64_t seed)
{
	random_state = seed;
}

ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned int flags)
{
	unsigned char *to = buffer;

	(void)flags;
	for (size_t i = 0; i < bytes; i++) {
		random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
		to[i] = (unsigned char)(random_state >> 56);
	}
	return (ssize_t)bytes;
}

/* --- a process ------------------------------------------------------------------------ */

/* _exit(): no thread is waited for, and no handle closed. */
__attribute__((noreturn)) static void play_it(int (*play)(void))
{
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != owner || hmem_ctx_new(&scene_ctx))
		_exit(255);
	hmem_ctx_set_log_level(scene_ctx, HMEM_LOG_ERR);
	status = play();
	fflush(stdout);
	_exit(status);
}

int scene_play(int (*play)(void))
{
	pid_t child = fork();
	int status;

	if (!child)
		play_it(play);
	if (child < 0 || waitpid(child, &status, 0) != child)
		bail("a child: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct hmem_shelf *scene_shelf(uint64_t heap, unsigned int flags, unsigned int wait_ms)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	char path[160];

	unlink(present);
	snprintf(path, sizeof(path), "file:%s", present);
	place.bytes = heap + ((uint64_t)1 << 20);
	options.bytes = heap;
	options.max_bytes = heap;
	options.slots = SLOTS;
	options.flags = HMEM_SHELF_FLUSH | flags;
	options.wait_ms = wait_ms;
	if (hmem_region_create(scene_ctx, path, &place, &region) ||
	    hmem_shelf_create(region, "s", &options, &shelf))
		bail("%s", hmem_last_error(scene_ctx));
	return shelf;
}

void scene_fill(struct hmem_shelf *shelf)
{
	static const size_t sizes[] = { 50000, 5000, 500, 100 };
	static char value[50000];
	unsigned int large = 0;
	char name[32];

	for (unsigned int size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++)
		for (unsigned int i = 0;; i++) {
			snprintf(name, sizeof(name), "filler%u.%u", size, i);
			if (hmem_shelf_put(shelf, name, value, sizes[size], NULL))
				break;
			large += !size;
		}
	for (unsigned int i = 1 + any(3); i; i--) {
		snprintf(name, sizeof(name), "filler0.%u", --large);
		hmem_shelf_delete(shelf, name);
	}
	/* Each makes a fence, after which what was deleted can be freed. */
	for (unsigned int i = 0; i < 2; i++)
		hmem_shelf_put(shelf, "fence", "f", 1, NULL);
}

int scene_try_open(unsigned int wait_ms, struct hmem_shelf **shelf)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region;
	char path[160];
	int err;

	snprintf(path, sizeof(path), "file:%s", present);
	options.flags = HMEM_SHELF_FLUSH;
	options.wait_ms = wait_ms;
	err = hmem_region_open(scene_ctx, path, 0, &region);
	if (err)
		return err;
	err = hmem_shelf_open(region, "s", &options, shelf);
	if (err)
		hmem_region_close(region);
	else
		lines_map();
	return err;
}

struct hmem_shelf *scene_open(unsigned int wait_ms)
{
	struct hmem_shelf *shelf;

	if (scene_try_open(wait_ms, &shelf))
		bail("opening it once more: %s", hmem_last_error(scene_ctx));
	return shelf;
}

int scene_leave(struct hmem_shelf *shelf)
{
	struct hmem_region *region = shelf->region;
	int err = hmem_shelf_close(shelf);

	hmem_region_close(region);
	return err;
}

void scene_dies(struct hmem_shelf *shelf)
{
	close(shelf->lock_fd);
}

/* The file has that size already, but for the first time. */
static void write_left(unsigned int percent, uint64_t seed)
{
	int fd = open(left, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	size_t bytes = lines_bytes();
	static unsigned char *image;

	if (!image)
		image = malloc(bytes);
	if (!image || fd < 0)
		bail("%s: %s", left, strerror(errno));
	lines_left(image, percent, seed);
	if (pwrite(fd, image, bytes, 0) != (ssize_t)bytes || ftruncate(fd, (off_t)bytes))
		bail("%s: %s", left, strerror(errno));
	close(fd);
}

int scene_recover(struct scene_rest *rest, unsigned int percent, uint64_t seed)
{
	char path[160];
	int err;

	memset(rest, 0, sizeof(*rest));
	rest->ignored = lines_ignore(true);
	write_left(percent, seed);
	snprintf(path, sizeof(path), "file:%s", left);
	if (hmem_ctx_new(&rest->ctx))
		bail("no context");
	hmem_ctx_set_log_level(rest->ctx, HMEM_LOG_ERR);
	err = hmem_region_open(rest->ctx, path, 0, &rest->region);
	if (!err)
		err = hmem_shelf_open(rest->region, "s", NULL, &rest->shelf);
	if (err)
		say("it is not recovered: %d: %s", err, hmem_last_error(rest->ctx));
	return err;
}

void scene_close(struct scene_rest *rest)
{
	if (rest->shelf)
		hmem_shelf_close(rest->shelf);
	if (rest->region)
		hmem_region_close(rest->region);
	hmem_ctx_unref(rest->ctx);
	lines_ignore(rest->ignored);
}

static int tell(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	say("%s at %#llx: %s", finding->part, (unsigned long long)finding->offset, finding->text);
	return 0;
}

int scene_check(struct hmem_shelf *shelf)
{
	return hmem_shelf_check(shelf, tell, NULL);
}
