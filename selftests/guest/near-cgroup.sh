#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Near copies are charged to the memory cgroup of who created their region, whoever has them
# made, and stay at home when it may have no more.
#
# hmem-test: topology=none kernels=lts,newest
. "$(dirname "$0")/kmod.sh"

mib=1048576
cgroups=/sys/fs/cgroup
mountpoint -q $cgroups || mount -t cgroup2 none $cgroups || tap_bail "no cgroup v2"
echo +memory >$cgroups/cgroup.subtree_control || tap_bail "no memory cgroups"
mkdir $cgroups/near

# charged MINIMUM MAXIMUM NAME: what the cgroup is charged lies between them, in MiB
charged() {
	local now
	now=$(($(cat $cgroups/near/memory.current) / mib))
	tap_check "$3 (charged $now MiB)" test "$now" -ge "$1" -a "$now" -le "$2"
}

kmod_begin
must kmodctl ram r $((64 * mib))
(echo $BASHPID >$cgroups/near/cgroup.procs && kmodctl create n r $((32 * mib))) ||
	tap_bail "cannot create a region in a cgroup"
must kmodctl fill n 7
charged 0 8 "its home is not charged"
tap_is "$(kmodctl move n near)" 8192 "all of it is moved near, by somebody else"
charged 32 40 "its creator is charged"
tap_is "$(kmodctl move n home)" 8192 "all of it goes home"
charged 0 8 "and nobody is"
echo $((16 * mib)) >$cgroups/near/memory.max
moved=$(kmodctl move n near)
tap_check "within its limit ($moved pages)" test "$moved" -ge 2048 -a "$moved" -le 4096
charged 8 16 "and no more"
tap_check "what found no DRAM is at home, and all is there" kmodctl verify n 7
must kmodctl destroy n
charged 0 8 "nothing stays"
rmdir $cgroups/near
tap_done
