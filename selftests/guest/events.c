// SPDX-License-Identifier: GPL-2.0-only
/*
 * HMEM_REGION_WAIT and poll(2): everybody has every event, late ones learn how many they have
 * missed, and nobody waits for a region that is gone.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "poison.h"

#include <pthread.h>

#define LENGTH		(2 * EXTENT)
#define KEPT		64

static int control, fd;

static int wait_call(int file, struct hmem_wait *w)
{
	return hmem_ioctl(file, HMEM_REGION_WAIT, w);
}

static void asked(void)
{
	struct hmem_event e[4];
	struct hmem_wait w;
	uint64_t seq = 0;
	int other = must_open("r", O_RDONLY), late;

	TAP_EQ(events_after(fd, &seq, 0, e, 4), 0, "nothing has happened yet");
	TAP_EQ(events_after(fd, &seq, 1000000, e, 4), 0, "nor a millisecond later");
	TAP_EQ(seq, 0, "so nothing was told");
	must(region_resize(control, "r", 2 * LENGTH), "grow");
	must(poison(fd, HMEM_POISON_REPORT, PAGE, 2 * PAGE, NULL), "report");
	TAP_EQ(events_after(fd, &seq, FOREVER, e, 1), 1, "one fits");
	TAP_OK(seq == 1 && e[0].seq == 1 && e[0].type == HMEM_EVENT_RESIZED &&
	       e[0].offset == LENGTH && e[0].bytes == 2 * LENGTH && !e[0].reserved,
	       "it tells the sizes");
	TAP_EQ(poll_now(fd), POLLIN | POLLPRI, "there is another one");
	TAP_EQ(events_after(fd, &seq, FOREVER, e, 4), 1, "the other one");
	TAP_OK(seq == 2 && e[0].type == HMEM_EVENT_POISON && e[0].offset == PAGE &&
	       e[0].bytes == 2 * PAGE, "tells of two pages at once");
	TAP_EQ(poll_now(fd), POLLIN, "that was all");

	TAP_EQ(poll_now(other), POLLIN | POLLPRI, "another file has yet to be told");
	seq = 0;
	TAP_EQ(events_after(other, &seq, FOREVER, e, 4), 2, "and is told both");
	late = must_open("r", O_RDONLY);
	TAP_EQ(poll_now(late), POLLIN, "who comes later is not told by itself");
	w = (struct hmem_wait){ .size = sizeof(w), .timeout_ns = FOREVER };
	TAP_EQ(wait_call(late, &w), 0, "without room for an event");
	TAP_EQ(w.seq, 2, "the newest number is answered");
	w.seq = 3;
	TAP_EQ(wait_call(late, &w), -ERANGE, "one that was never given");
	w = (struct hmem_wait){ .size = sizeof(w), .reserved = 1 };
	TAP_EQ(wait_call(late, &w), -EINVAL, "something reserved");
	w = (struct hmem_wait){ .size = sizeof(w), .nr_events = 1 };
	TAP_EQ(wait_call(late, &w), -EFAULT, "nowhere to put it");
	must(region_resize(control, "r", LENGTH), "shrink");
	must(region_resize(control, "r", LENGTH), "nothing");
	seq = 2;
	TAP_EQ(events_after(late, &seq, 0, e, 4), 1, "it shrinks; and no event of what was none");
	close(late);
	close(other);
}

static void too_many(void)
{
	struct hmem_event e[KEPT + 8] = {};
	struct hmem_wait w = { .size = sizeof(w), .events = (uintptr_t)e, .nr_events = KEPT + 8 };
	uint64_t last;
	bool good = true;

	must(wait_call(fd, &w), "wait");
	last = w.seq;
	for (int i = 0; i < KEPT / 2 + 5; i++) {
		must(region_resize(control, "r", 2 * LENGTH), "grow");
		must(region_resize(control, "r", LENGTH), "shrink");
	}
	w = (struct hmem_wait){ .size = sizeof(w), .seq = last, .events = (uintptr_t)e,
				.nr_events = KEPT + 8 };
	TAP_EQ(wait_call(fd, &w), 0, "who was away for long");
	TAP_EQ(w.nr_events, KEPT, "has the last ones");
	TAP_EQ(w.lost, 10, "and is told how many are not there");
	for (unsigned int i = 0; i < w.nr_events; i++)
		good = good && e[i].seq == last + 11 + i;
	TAP_OK(good && w.seq == last + 10 + KEPT, "in order, to the newest");
}

/* Threads that wait for what comes, and one who polls. */
struct waiter {
	pthread_t thread;
	int fd, rc;
	uint64_t seq;
	struct hmem_event event;
};

static void *wait_thread(void *argument)
{
	struct waiter *w = argument;

	w->rc = events_after(w->fd, &w->seq, FOREVER, &w->event, 1);
	return NULL;
}

static void *poll_thread(void *argument)
{
	struct waiter *w = argument;
	struct pollfd p = { .fd = w->fd, .events = POLLPRI };

	w->rc = poll(&p, 1, -1) < 0 ? -errno : p.revents;
	return NULL;
}

/* Until the kernel has a thread asleep: how else would it be known to wait? */
static void await_sleep(pid_t tid)
{
	char path[64], state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	do {
		FILE *f = fopen(path, "re");

		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'S';
		if (f)
			fclose(f);
		if (state != 'S')
			usleep(1000);
	} while (state != 'S');
}

static void await_all_asleep(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (atoi(entry->d_name) && atoi(entry->d_name) != getpid())
			await_sleep(atoi(entry->d_name));
	if (dir)
		closedir(dir);
}

#define WAITERS	4

static void start(struct waiter *w, uint64_t seq)
{
	for (int i = 0; i < WAITERS; i++) {
		w[i] = (struct waiter){ .fd = must_open("r", O_RDONLY), .seq = seq };
		if (pthread_create(&w[i].thread, NULL, i ? wait_thread : poll_thread, &w[i]))
			tap_bail("pthread_create");
	}
	await_all_asleep();
}

static void end(struct waiter *w)
{
	for (int i = 0; i < WAITERS; i++) {
		pthread_join(w[i].thread, NULL);
		close(w[i].fd);
	}
}

static uint64_t newest(void)
{
	struct hmem_wait w = { .size = sizeof(w) };

	must(wait_call(fd, &w), "wait");
	return w.seq;
}

static void woken(void)
{
	struct waiter w[WAITERS];
	uint64_t last = newest();
	bool good = true;

	start(w, last);
	must(poison(fd, HMEM_POISON_REPORT, EXTENT, PAGE, NULL), "report");
	end(w);
	TAP_EQ(w[0].rc, POLLPRI, "who polls is woken");
	for (int i = 1; i < WAITERS; i++)
		good = good && w[i].rc == 1 && w[i].seq == last + 1 && w[i].event.offset == EXTENT;
	TAP_OK(good, "and all who wait, each with the event");
}

static void alarmed(int signal)
{
	(void)signal;
}

static void interrupted(void)
{
	struct sigaction action = { .sa_handler = alarmed };
	struct hmem_event e;
	uint64_t seq = newest();

	sigaction(SIGALRM, &action, NULL);
	ualarm(100000, 100000);
	TAP_EQ(events_after(fd, &seq, FOREVER, &e, 1), -EINTR, "a signal ends waiting");
	ualarm(0, 0);
}

static void taken_away(const char *cxl)
{
	struct waiter w[WAITERS];
	struct hmem_event e;
	uint64_t seq;
	bool good = true;

	start(w, newest());
	cxl_end(cxl);
	end(w);
	TAP_EQ(w[0].rc, POLLERR | POLLHUP, "the memory goes: poll(2) says so");
	for (int i = 1; i < WAITERS; i++)
		good = good && w[i].rc == -ENODEV;
	TAP_OK(good, "and nobody waits any more");
	seq = 0;
	TAP_EQ(events_after(fd, &seq, FOREVER, &e, 1), -ENODEV, "nor is anything told");
	TAP_EQ(poll_now(fd), POLLIN | POLLERR | POLLHUP, "poll(2) goes on saying so");
}

int main(void)
{
	char cxl[HMEM_NAME_LEN];

	control = must_begin_cxl();
	must_cxl("ram", cxl);
	must(pool_attach_cxl(control, cxl, 0, NULL), "attach");
	must(region_create(control, "r", cxl, LENGTH), "create");
	fd = must_open("r", O_RDWR);
	asked();
	too_many();
	woken();
	interrupted();
	taken_away(cxl);
	close(fd);
	return tap_done();
}
