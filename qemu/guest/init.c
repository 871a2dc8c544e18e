// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's init: its only process besides the command's.
 *
 * It puts the root together, makes the guest look like a Debian host whose udev has
 * loaded the drivers, runs the command, passes its output on to the runner, tells it
 * the exit status and turns the power off. One program in place of a shell and all that
 * a shell would call, because under emulation every program's start costs dearly.
 *
 * The root, read-only parts below what is written:
 *
 *   memory              what the run writes
 *   /dev/vdc, erofs     the run's own files: the project, the command, what was copied
 *   /dev/vda, erofs     Debian
 *
 * The command's stdout and stderr are pipes, as in any other place, and not the ports
 * themselves: a port cannot be opened a second time, as "> /dev/stderr" does.
 *
 * SIGUSR1, from hmem-power-cut: pass on what was printed, then have the power cut.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define RUN_FILES	"/usr/lib/hmem-vm/"	/* where the runner puts its own */

/* A line in the kernel's log, which the runner has whatever happens. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[512] = "<3>hmem-vm: ";
	size_t used = strlen(line);
	va_list ap;
	int fd;

	va_start(ap, format);
	vsnprintf(line + used, sizeof(line) - used, format, ap);
	va_end(ap);
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, line, strlen(line)) < 0)
			_exit(1);
		close(fd);
	}
}

static void __attribute__((noreturn)) power_off(void)
{
	reboot(RB_POWER_OFF);
	_exit(1);
}

/* Without a root there is nothing to go on with. */
__attribute__((format(printf, 1, 2))) static void __attribute__((noreturn))
give_up(const char *format, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	say("%s: %s", line, strerror(errno));
	power_off();
}

static void must_mount(const char *source, const char *target, const char *type,
		       unsigned long flags, const char *options)
{
	if (mount(source, target, type, flags, options) < 0)
		give_up("cannot mount %s on %s", type ? type : source, target);
}

/* What some kernels have and others do not. */
static void may_mount(const char *type, const char *target)
{
	mkdir(target, 0755);
	if (mount(type, target, type, 0, NULL) < 0 && errno != ENODEV && errno != EBUSY &&
	    errno != ENOENT)
		say("cannot mount %s: %s", type, strerror(errno));
}

/* Returns a file's first @size - 1 bytes and a NUL; "" when there is no such file. */
static size_t read_file(const char *path, char *buffer, size_t size)
{
	size_t used = 0;
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		while (used < size - 1 && (got = read(fd, buffer + used, size - 1 - used)) > 0)
			used += got;
		close(fd);
	}
	buffer[used] = '\0';
	return used;
}

/*
 * Loads the modules that a file lists, in the order in which they need each other. The
 * list was made with the image, for this kernel.
 */
static void load_modules(const char *directory)
{
	char list[8192], path[512], *name, *rest = list;
	int fd;

	snprintf(path, sizeof(path), "%s/hmem-vm.order", directory);
	read_file(path, list, sizeof(list));
	while ((name = strsep(&rest, "\n"))) {
		if (!*name)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			say("cannot load %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
}

static void make_root(void)
{
	static const char *const directories[] = { "/dev", "/image", "/run-files", "/memory",
						   "/root" };

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		mkdir(directories[i], 0755);
	must_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	load_modules("/modules");
	must_mount("/dev/vda", "/image", "erofs", MS_RDONLY, NULL);
	must_mount("/dev/vdc", "/run-files", "erofs", MS_RDONLY, NULL);
	must_mount("tmpfs", "/memory", "tmpfs", 0, "size=90%");
	if (mkdir("/memory/upper", 0755) < 0 || mkdir("/memory/work", 0755) < 0)
		give_up("cannot make directories");
	must_mount("overlay", "/root", "overlay", 0,
		   "lowerdir=/run-files:/image,upperdir=/memory/upper,workdir=/memory/work");
	must_mount("/dev", "/root/dev", NULL, MS_MOVE, NULL);
	if (chdir("/root") < 0)
		give_up("cannot enter the root");
	must_mount(".", "/", NULL, MS_MOVE, NULL);
	if (chroot(".") < 0 || chdir("/") < 0)
		give_up("cannot enter the root");
}

static void mount_what_a_host_has(void)
{
	must_mount("proc", "/proc", "proc", 0, NULL);
	must_mount("sysfs", "/sys", "sysfs", 0, NULL);
	must_mount("tmpfs", "/run", "tmpfs", 0, "mode=0755");
	must_mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777");
	mkdir("/run/lock", 01777);
	mkdir("/dev/shm", 01777);
	must_mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
	mkdir("/dev/pts", 0755);
	must_mount("devpts", "/dev/pts", "devpts", 0, "mode=0620,gid=5");
	may_mount("debugfs", "/sys/kernel/debug");
	may_mount("tracefs", "/sys/kernel/tracing");
	may_mount("securityfs", "/sys/kernel/security");
	may_mount("cgroup2", "/sys/fs/cgroup");
}

/* Links that a host's udev makes; among them the ports to the runner, by their names. */
static void link_devices(void)
{
	static const char ports[] = "/sys/class/virtio-ports";
	char path[512], name[64], target[300];
	struct dirent *entry;
	DIR *directory;

	if (symlink("/proc/self/fd", "/dev/fd") < 0 ||
	    symlink("/proc/self/fd/0", "/dev/stdin") < 0 ||
	    symlink("/proc/self/fd/1", "/dev/stdout") < 0 ||
	    symlink("/proc/self/fd/2", "/dev/stderr") < 0)
		say("cannot make links in /dev: %s", strerror(errno));

	mkdir("/dev/virtio-ports", 0755);
	directory = opendir(ports);
	while (directory && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "%s/%s/name", ports, entry->d_name);
		if (!read_file(path, name, sizeof(name)))
			continue;
		name[strcspn(name, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
		snprintf(target, sizeof(target), "/dev/%s", entry->d_name);
		if (symlink(target, path) < 0)
			say("cannot make %s: %s", path, strerror(errno));
	}
	if (directory)
		closedir(directory);
}

static void set_up_host(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	char name[65], directory[160];
	struct utsname uts;
	int sock;

	mount_what_a_host_has();
	link_devices();
	read_file("/etc/hostname", name, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	if (sethostname(name, strlen(name)) < 0)
		say("cannot set the host's name: %s", strerror(errno));
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
		say("cannot start the loopback interface: %s", strerror(errno));
	close(sock);

	uname(&uts);
	snprintf(directory, sizeof(directory), "/usr/lib/modules/%s", uts.release);
	load_modules(directory);
}

/* The command, as the runner wrote it: each argument with a NUL behind it. */
static char **read_command(void)
{
	static char text[128 << 10];
	static char *arguments[4096];
	size_t length = read_file(RUN_FILES "command", text, sizeof(text)), at = 0;
	int count = 0;

	while (at < length && count < 4095) {
		arguments[count++] = text + at;
		at += strlen(text + at) + 1;
	}
	return arguments;
}

/* The command takes the place of this process, a child of init. */
static void __attribute__((noreturn)) run_command(char **arguments, const char *terminal)
{
	static const char *const environment[][2] = {
		{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin" },
		{ "HOME", "/root" },
		{ "USER", "root" },
		{ "LOGNAME", "root" },
		{ "SHELL", "/bin/bash" },
		{ "LANG", "C.UTF-8" },
	};
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++)
		setenv(environment[i][0], environment[i][1], 1);
	setenv("TERM", terminal, 1);
	if (chdir("/root") == 0)
		execvp(arguments[0], arguments);
	error = errno;
	dprintf(STDERR_FILENO, "hmem-vm: cannot run %s in the guest: %s\n", arguments[0],
		strerror(error));
	/* What a shell says in such a case. */
	_exit(error == ENOENT ? 127 : 126);
}

/* An interactive guest: a login shell on the console that the runner's terminal is. */
static pid_t start_shell(void)
{
	static char *shell[] = { "bash", "--login", NULL };
	char terminal[128], type[100] = "linux";
	struct winsize size = { 0 };
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	close(STDIN_FILENO);
	if (open("/dev/hvc0", O_RDWR) != STDIN_FILENO || ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		give_up("cannot open the console");
	dup2(STDIN_FILENO, STDOUT_FILENO);
	dup2(STDIN_FILENO, STDERR_FILENO);
	read_file(RUN_FILES "terminal", terminal, sizeof(terminal));
	if (sscanf(terminal, "%hu %hu %99s", &size.ws_row, &size.ws_col, type) >= 2)
		ioctl(STDIN_FILENO, TIOCSWINSZ, &size);
	run_command(shell, type);
}

/* One stream of the command: what comes out of a pipe goes into a port. */
struct stream {
	const char *port;
	int pipe;	/* our end; -1 after its end */
	int out;
};

static int open_stream(struct stream *stream)
{
	int ends[2];

	stream->out = open(stream->port, O_WRONLY | O_CLOEXEC);
	if (stream->out < 0 || pipe2(ends, O_CLOEXEC) < 0)
		give_up("cannot open %s", stream->port);
	/* An ordinary user that the command became may open /dev/stderr, too. */
	fchmod(ends[1], 0666);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	stream->pipe = ends[0];
	return ends[1];
}

/* Passes on what is in the pipe by now: as much as a pipe holds. */
static void relay(struct stream *stream)
{
	static char buffer[64 << 10];
	ssize_t got, done, at;

	if (stream->pipe < 0)
		return;
	got = read(stream->pipe, buffer, sizeof(buffer));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close(stream->pipe);
		stream->pipe = -1;
		return;
	}
	for (at = 0; at < got; at += done) {
		done = write(stream->out, buffer + at, got - at);
		if (done < 0)
			return;
	}
}

static void tell_runner(const char *port, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void tell_runner(const char *port, const char *format, ...)
{
	va_list ap;
	int fd = open(port, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		give_up("cannot open %s", port);
	va_start(ap, format);
	vdprintf(fd, format, ap);
	va_end(ap);
	close(fd);
}

/* Until the command ends; returns its exit status as a shell would say it. */
static int attend(pid_t command, struct stream streams[2], int signals)
{
	struct signalfd_siginfo info;
	int status, result = -1;
	pid_t pid;

	while (result < 0) {
		struct pollfd polled[] = {
			{ .fd = streams[0].pipe, .events = POLLIN },
			{ .fd = streams[1].pipe, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};

		if (poll(polled, 3, -1) < 0)
			continue;
		relay(&streams[0]);
		relay(&streams[1]);
		if (!(polled[2].revents & POLLIN) ||
		    read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo == SIGUSR1) {
			relay(&streams[0]);
			relay(&streams[1]);
			tell_runner("/dev/virtio-ports/hmem.control", "power-cut\n");
		}
		/* Orphans come here as well. */
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == command)
				result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
							       WEXITSTATUS(status);
	}
	return result;
}

int main(void)
{
	struct stream streams[2] = {
		{ "/dev/virtio-ports/hmem.output", -1, -1 },
		{ "/dev/virtio-ports/hmem.errors", -1, -1 },
	};
	int signals, status, out, err;
	sigset_t handled;
	pid_t command;

	sigemptyset(&handled);
	sigaddset(&handled, SIGCHLD);
	sigaddset(&handled, SIGUSR1);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signals = signalfd(-1, &handled, SFD_CLOEXEC);

	umask(0);
	make_root();
	set_up_host();
	umask(022);

	if (access("/dev/hvc0", F_OK) == 0) {
		command = start_shell();
	} else {
		char **arguments = read_command();

		out = open_stream(&streams[0]);
		err = open_stream(&streams[1]);
		command = fork();
		if (command == 0) {
			setsid();
			close(STDIN_FILENO);
			if (open("/dev/null", O_RDONLY) != STDIN_FILENO ||
			    dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
				_exit(125);
			run_command(arguments, "dumb");
		}
		close(out);
		close(err);
	}
	if (command < 0)
		give_up("cannot start the command");
	status = attend(command, streams, signals);

	/* What the command left behind ends with it, and then so do the pipes. */
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	while (streams[0].pipe >= 0)
		relay(&streams[0]);
	while (streams[1].pipe >= 0)
		relay(&streams[1]);
	sync();
	tell_runner("/dev/virtio-ports/hmem.control", "exit %d\n", status);
	power_off();
}
