// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a virtual machine may have the region's memory in it, whose touches set no accessed bits
 * in the page tables of the process: extents that it maps are not split, and what was split before
 * becomes whole, also where another process maps them.
 *
 * hmem-test: topology=ram1 kernels=newest long=lts timeout=300
 */
#include "pools.h"
#include "splitting.h"

#include <linux/kvm.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define EXTENTS	4U
#define LENGTH	(EXTENTS * EXTENT)
#define BOUND	EXTENT

static int fd;
static const char *p;

/* -1: there is no KVM here. */
static int open_kvm(void)
{
	if (system("modprobe -q kvm_amd || modprobe -q kvm_intel"))
		return -1;
	return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

static bool becomes(bool (*what)(const struct hmem_stats *before), const struct hmem_stats *before)
{
	time_t end = time(NULL) + patience(30);
	struct hmem_stats now;

	while (!what(before) && time(NULL) < end)
		usleep(50000);
	if (what(before))
		return true;
	now = near_stats(fd);
	tap_diag("%llu probes, %llu touches, %llu scanned, %llu seen, %llu split, %llu made whole since",
		 (unsigned long long)(now.probes - before->probes),
		 (unsigned long long)(now.touches - before->touches),
		 (unsigned long long)(now.scanned - before->scanned),
		 (unsigned long long)(now.seen - before->seen),
		 (unsigned long long)(now.splits - before->splits),
		 (unsigned long long)(now.collapses - before->collapses));
	return false;
}

static bool all_whole(const struct hmem_stats *before)
{
	struct hmem_stats now = near_stats(fd);

	return now.collapses - before->collapses >= EXTENTS + (now.splits - before->splits);
}

static bool scanned(const struct hmem_stats *before)
{
	return near_stats(fd).scanned >= before->scanned + 40 * LENGTH / 4096;
}

static bool probed(const struct hmem_stats *before)
{
	return near_stats(fd).touches >= before->touches + 200;
}

static pid_t other_reader(struct splitting *s)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hot_reader(s);
	}
	return pid;
}

static void ends(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* All of @s is split by now. */
static void with_machine(int kvm, struct splitting *s)
{
	struct hmem_stats before = near_stats(fd);
	pid_t other = other_reader(s);
	int machine = ioctl(kvm, KVM_CREATE_VM, 0);

	must(machine < 0 ? -errno : 0, "KVM_CREATE_VM");
	TAP_OK(becomes(all_whole, &before), "with a machine extents become whole");
	before = near_stats(fd);
	TAP_OK(becomes(probed, &before), "and are probed as such");
	TAP_EQ(near_stats(fd).splits, before.splits, "none is split again");
	close(machine);
	ends(other);
}
int main(void)
{
	int control = must_begin_cxl(), kvm = open_kvm();
	struct splitting s = { .extents = EXTENTS };
	struct hmem_stats before;
	char pool[HMEM_NAME_LEN];
	pthread_t thread;

	if (kvm < 0) {
		tap_skip("what a virtual machine maps", "there is no KVM on this machine");
		return tap_done();
	}
	must_cxl("ram", pool);
	must(pool_attach_cxl(control, pool, 0, NULL), "attach");
	must(region_create(control, "kvm", pool, LENGTH), "create");
	fd = must_open("kvm", O_RDWR);
	must(near_max_set(fd, BOUND), "near_max");
	p = must_map(fd, LENGTH);
	memset((char *)p, 1, LENGTH);
	s.fd = fd;
	s.p = p;
	split_all(fd, p, EXTENTS);
	before = near_stats(fd);
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "auto");
	if (pthread_create(&thread, NULL, hot_reader, &s))
		tap_bail("no thread");
	TAP_OK(becomes(scanned, &before) && near_stats(fd).collapses == before.collapses,
	       "extents of a process without a machine stay split");
	with_machine(kvm, &s);
	s.stop = 1;
	pthread_join(thread, NULL);
	close(kvm);
	munmap((char *)p, LENGTH);
	close(fd);
	must(region_destroy(control, "kvm"), "destroy");
	must(pool_detach(control, pool), "detach");
	cxl_end(pool);
	return tap_done();
}
