// SPDX-License-Identifier: GPL-2.0-only
/*
 * HMEM_REGION_WAIT waits as long as it is told to, and not for ever, also when that is
 * hours: what timer it starts is seen in the kernel's trace.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "poison.h"

#define TRACING	"/sys/kernel/tracing/"
#define SECOND	1000000000ULL

static int control;

static void trace_set(const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

/* Ticks of the timer that ends a process's sleep, as the trace has it; -1: there is none. */
static long sleeps_for(pid_t pid)
{
	FILE *f = fopen(TRACING "trace", "re");
	char line[512], name[32];
	long ticks = -1, n;

	snprintf(name, sizeof(name), "-%d ", pid);
	while (f && fgets(line, sizeof(line), f)) {
		const char *timeout = strstr(line, "[timeout=");

		if (strstr(line, name) && strstr(line, "timer_start") &&
		    strstr(line, "function=process_timeout") && timeout &&
		    sscanf(timeout, "[timeout=%ld]", &n) == 1)
			ticks = n;
	}
	if (f)
		fclose(f);
	return ticks;
}

/* Whether the process sleeps in an ioctl. */
static bool is_waiting(pid_t pid)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	f = fopen(path, "re");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		fclose(f);
	return !strncmp(text, "16 ", 3);
}

/* How long a wait sleeps that is to last so long: in ticks, -1: for ever. */
static long ticks_of(uint64_t timeout_ns)
{
	struct hmem_event e;
	uint64_t seq = 0;
	char text[32];
	long ticks;
	pid_t pid;
	int go[2];

	if (pipe2(go, O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int fd = must_open("r", O_RDONLY);
		char byte;

		close(go[1]);
		_exit(read(go[0], &byte, 1) ? 2 : events_after(fd, &seq, timeout_ns, &e, 1));
	}
	trace_set("trace", "");
	snprintf(text, sizeof(text), "%d", pid);
	trace_set("set_event_pid", text);
	trace_set("events/timer/timer_start/enable", "1");
	close(go[0]);
	close(go[1]);
	while (!is_waiting(pid))
		usleep(1000);
	ticks = sleeps_for(pid);
	trace_set("events/timer/timer_start/enable", "0");
	trace_set("set_event_pid", "");
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0)
		;
	return ticks;
}

/*
 * Whether a wait of so many seconds sleeps for them. The kernel adds a tick, and some pass
 * between the reckoning of the time's end and the line of the trace.
 */
static bool is_for(uint64_t seconds, long ticks_a_second)
{
	long ticks = ticks_of(seconds * SECOND), due = (long)seconds * ticks_a_second + 1;

	tap_diag("%ld ticks, due are %ld", ticks, due);
	return ticks <= due && ticks > due - ticks_a_second;
}

int main(void)
{
	long second;

	control = must_begin();
	if (access(TRACING "trace", F_OK) && system("mount -t tracefs none " TRACING))
		tap_bail("no tracefs");
	must(pool_attach_ram(control, "a", 4 * EXTENT), "attach");
	must(region_create(control, "r", "a", EXTENT), "create");
	second = (ticks_of(100 * SECOND) + 50) / 100;
	TAP_OK(second >= 100 && second <= 1000, "a wait of 100 s has a timer: %ld ticks a second",
	       second);
	TAP_OK(is_for(71 * 60, second), "one of 71 minutes");
	TAP_OK(is_for(72 * 60, second), "one of 72 minutes");
	TAP_OK(is_for(86400, second), "one of a day");
	TAP_OK(ticks_of(UINT64_MAX - 1) > 500 * 365 * 86400L * second, "one of 584 years");
	TAP_EQ(ticks_of(UINT64_MAX), -1, "one that is for ever has none");
	return tap_done();
}
