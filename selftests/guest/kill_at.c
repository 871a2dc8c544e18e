// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kills a command instead of one of its steps. Steps are its write(2) calls that give an order
 * to the kernel in /sys.
 *
 *	kill_at 0 COMMAND [ARG]...	lets it run, and prints how many steps there are
 *	kill_at N COMMAND [ARG]...	kills it at step N: exit status 137, as in a shell, if
 *					there is such a step, and else the command's
 *
 * It is stopped at write(2) alone. strace can do as much only by a stop at every call, with
 * which hmemctl takes four times longer, and much more where the guest's processors wait for
 * each other.
 *
 * hmem-test: helper
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE	129

static void run(char **command)
{
	struct sock_filter stop_at_write[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_write, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {
		.len = sizeof(stop_at_write) / sizeof(*stop_at_write), .filter = stop_at_write,
	};

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
		perror("kill_at");
		_exit(EXIT_USAGE);
	}
	execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

/*
 * is_step(): the write that a child is stopped at is an order. libcxl writes to "flush"
 * with every look, to wait for probes: that changes nothing.
 */
static bool is_step(pid_t child)
{
	struct __ptrace_syscall_info call;
	char link[64], file[256];
	ssize_t n;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(call), &call) <= 0 ||
	    call.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return false;
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)child, (int)call.seccomp.args[0]);
	n = readlink(link, file, sizeof(file) - 1);
	if (n < 0)
		return false;
	file[n] = '\0';
	return !strncmp(file, "/sys/", 5) && strcmp(strrchr(file, '/'), "/flush");
}

int main(int argc, char **argv)
{
	unsigned long fatal, steps = 0;
	int status, sig;
	pid_t child;

	if (argc < 3) {
		fputs("usage: kill_at N COMMAND [ARG]...\n", stderr);
		return EXIT_USAGE;
	}
	fatal = strtoul(argv[1], NULL, 10);
	child = fork();
	if (!child)
		run(argv + 2);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, child, NULL,
		   PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC)) {
		perror("kill_at");
		return EXIT_USAGE;
	}
	for (sig = 0;;) {
		/* A process that was just killed cannot be continued: the next wait says how it ended. */
		ptrace(PTRACE_CONT, child, NULL, sig);
		if (waitpid(child, &status, 0) != child)
			return EXIT_USAGE;
		if (!WIFSTOPPED(status))
			break;
		sig = status >> 16 ? 0 : WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_SECCOMP && is_step(child) && ++steps == fatal)
			kill(child, SIGKILL);
	}
	if (!fatal)
		printf("%lu\n", steps);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
