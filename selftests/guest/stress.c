// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once, at random: users who map, store, pin and advise; administrators who
 * send good and bad commands; devices that go and come back; processes killed anywhere.
 * After each round all of it must have ended: the module can be unloaded, its claims are
 * gone, no memory is lost, and nobody has ever seen memory of somebody else.
 *
 *	stress [SECONDS [SEED]]
 *
 * The seed repeats what each process tries to do, though not how they meet.
 *
 * hmem-test: topology=mixed kernels=newest long=lts timeout=400 alone
 */
#include "stress_admin.h"
#include "stress_user.h"

#include "pools.h"

#define SECONDS		18
#define ROUNDS		3
#define USERS		4
#define ADMINS		2
#define LEAK_KB		(48 * 1024)
/* Beyond that nobody waits for a process to die. */
#define DEATH_SECONDS	60

/* What the devices do in each round; then it begins anew. */
static const char *const device_ways[] = { NULL, "disable destroy", "disable destroy unbind remove" };

static uint64_t kills, device_events;
static char devices_said[512];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static pid_t start_user(uint64_t seed, int number)
{
	static int generation;
	pid_t pid;

	generation++;
	pid = fork();
	if (!pid)
		stress_user(seed + generation, number, number % 2 ? USER_UID : 0);
	return pid;
}

static pid_t start_devices(uint64_t seed, const char *ways, int *output)
{
	char self[PATH_MAX] = "", command[PATH_MAX + 128];
	int fds[2];
	pid_t pid;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || pipe(fds))
		tap_bail("no devices: %s", strerror(errno));
	snprintf(command, sizeof(command), "exec bash %s/stress-devices.sh %llu %s", dirname(self),
		 (unsigned long long)seed, ways);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	close(fds[1]);
	*output = fds[0];
	return pid;
}

/* Until it has died; who does not is shown in the kernel log with what it waits for. */
static void must_die(pid_t pid, const char *who)
{
	double end = now() + DEATH_SECONDS;

	while (pid > 0 && !waitpid(pid, NULL, WNOHANG)) {
		if (now() > end) {
			put("/proc/sysrq-trigger", "w");
			tap_bail("%s does not end", who);
		}
		usleep(10000);
	}
}

static void collect_devices(int output)
{
	char said[512];
	unsigned long long n;
	char way[32];
	FILE *f = fdopen(output, "r");

	while (f && fgets(said, sizeof(said), f)) {
		said[strcspn(said, "\n")] = 0;
		if (sscanf(said, "%31s %llu", way, &n) == 2 && strcmp(way, "create"))
			device_events += n;
		strncat(devices_said, " ", sizeof(devices_said) - strlen(devices_said) - 1);
		strncat(devices_said, said, sizeof(devices_said) - strlen(devices_said) - 1);
	}
	if (f)
		fclose(f);
}

/* How a user died: from what it may die is being killed. */
static void user_died(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		stress_complain("a user died of signal %d", WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status))
		stress_complain("a user exited with %d", WEXITSTATUS(status));
}

static void play(uint64_t seed, double seconds, const char *ways)
{
	pid_t users[USERS], admins[ADMINS], disturber, devices = 0;
	double end = now() + seconds;
	int output = -1, status;

	board->stop = 0;
	fflush(stdout);
	dice_seed(seed, 1000);
	for (int i = 0; i < ADMINS; i++) {
		admins[i] = fork();
		if (!admins[i])
			stress_admin(seed, 100 + i);
	}
	disturber = fork();
	if (!disturber)
		stress_disturber(seed, 200);
	for (int i = 0; i < USERS; i++)
		users[i] = start_user(seed, i);
	if (ways)
		devices = start_devices(seed, ways, &output);

	while (now() < end) {
		int victim = dice(USERS + 1);

		usleep(dice(500000));
		if (victim == USERS) {
			victim = dice(ADMINS);
			kill(admins[victim], SIGKILL);
			must_die(admins[victim], "a killed administrator");
			admins[victim] = fork();
			if (!admins[victim])
				stress_admin(seed + kills, 100 + victim);
		} else {
			kill(users[victim], SIGKILL);
			while (waitpid(users[victim], &status, 0) < 0)
				;
			user_died(status);
			users[victim] = start_user(seed, victim);
		}
		kills++;
	}

	board->stop = 1;
	for (int i = 0; i < USERS; i++) {
		kill(users[i], SIGKILL);
		must_die(users[i], "a user");
	}
	for (int i = 0; i < ADMINS; i++)
		must_die(admins[i], "an administrator");
	must_die(disturber, "the disturber");
	if (devices > 0) {
		kill(devices, SIGTERM);
		must_die(devices, "the device side");
		collect_devices(output);
	}
}

/* As they were, whatever the disturber was killed at. */
static void restore_settings(const char *huge_pages)
{
	char path[64];

	put("/sys/kernel/mm/transparent_hugepage/enabled", huge_pages);
	put("/sys/kernel/mm/ksm/run", "2");
	put("/sys/kernel/mm/ksm/run", "0");
	put("/sys/kernel/tracing/events/hmem/enable", "0");
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/state", i);
		put(path, "online");
	}
}

static bool claims_left(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/iomem", "re");

	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, " : hmem\n") != NULL;
	if (f)
		fclose(f);
	return found;
}

/* What may still hold the module, when something does. */
static void show_holders(void)
{
	char line[256];
	FILE *f = popen("cat /sys/module/hmem/refcnt; ps -eo pid,ppid,stat,comm,wchan:32;"
			" ls -l /proc/[0-9]*/fd | grep /dev/hmem; grep -l /dev/hmem /proc/[0-9]*/maps",
			"re");

	while (f && fgets(line, sizeof(line), f))
		tap_diag("%.*s", (int)strcspn(line, "\n"), line);
	if (f)
		pclose(f);
}

static long free_kb(void)
{
	char line[256];
	long kb = -1;
	FILE *f;

	put("/proc/sys/vm/drop_caches", "3");
	put("/proc/sys/vm/compact_memory", "1");
	f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static void show_counts(void)
{
	uint64_t done = 0, worked = 0;

	for (int i = 0; i < STRESS_OPERATIONS; i++) {
		if (!board->done[i])
			continue;
		tap_diag("%-12s %9llu, of which %llu worked", board->name[i],
			 (unsigned long long)board->done[i], (unsigned long long)board->worked[i]);
		done += board->done[i];
		worked += board->worked[i];
	}
	tap_diag("%llu operations, %llu worked; %llu signals caught; %llu kills; %llu devices taken "
		 "away (%s )", (unsigned long long)done, (unsigned long long)worked,
		 (unsigned long long)board->buses, (unsigned long long)kills,
		 (unsigned long long)device_events, devices_said);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : SECONDS;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	double end = now() + seconds;
	long first = 0, last = 0;
	int control, rounds, rc;

	tap_diag("seed %llu, %.0f s", (unsigned long long)seed, seconds);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		tap_bail("no shared memory");
	control = must_begin_cxl();
	for (rounds = 0; rounds < ROUNDS || now() < end; rounds++) {
		const char *ways = device_ways[rounds % ROUNDS];
		/* Devices that went and came are slow from then on: the last takes its time. */
		double length = seconds / ROUNDS < 20 ? seconds / ROUNDS : 20;

		if (rounds) {
			must(module_load(), "load the module again");
			control = must_open("control", O_RDWR);
		}
		play(seed + rounds * 1000003ULL, length, ways);
		close(control);
		restore_settings("always");
		rc = module_remove_soon();
		if (rc) {
			TAP_OK(false, "round %d: the module can be unloaded (%s)", rounds,
			       strerror(-rc));
			show_holders();
			break;
		}
		cxl_fixture("destroy_all", "", NULL, 0);
		if (claims_left()) {
			TAP_OK(false, "round %d: no claim is left", rounds);
			break;
		}
		if (board->wrong)
			break;
		last = free_kb();
		if (rounds == ROUNDS - 1 || !first)
			first = last;
		tap_diag("round %d (%s): %ld kB free", rounds, ways ?: "devices stay", last);
	}
	show_counts();
	TAP_OK(!board->wrong, "nobody saw what is not theirs, and every errno is documented");
	if (board->wrong)
		tap_diag("%d times; first: %s", board->wrong, board->complaint);
	TAP_OK(rounds >= ROUNDS, "after each round the module could be unloaded, with nothing left");
	TAP_OK(first - last < LEAK_KB, "no memory is lost (%ld kB)", first - last);
	return tap_done();
}
