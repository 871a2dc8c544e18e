#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Near copies yield when memory is short, in a cgroup and on the machine, and nothing of what
# was stored is lost by that.
#
# hmem-test: topology=none kernels=lts,newest
. "$(dirname "$0")/kmod.sh"

mib=1048576
cgroups=/sys/fs/cgroup
mountpoint -q $cgroups || mount -t cgroup2 none $cgroups || tap_bail "no cgroup v2"
echo +memory >$cgroups/cgroup.subtree_control || tap_bail "no memory cgroups"
mkdir $cgroups/pressed

# inside COMMAND...: run it in the cgroup
inside() {
	(echo $BASHPID >$cgroups/pressed/cgroup.procs && "$@")
}

# hog MIB: a process that uses that much memory, for a moment
hog() {
	dd if=/dev/zero of=/dev/null bs=$(($1 * mib)) count=1 status=none
}

near_mib() {
	kmodctl near "$1"
}

# pressure REGION: the events that say that memory was short (HMEM_EVENT_PRESSURE)
pressure() {
	kmodctl events "$1" 3
}

kmod_begin
must kmodctl ram r $((64 * mib))
inside kmodctl create n r $((32 * mib)) || tap_bail "cannot create a region in a cgroup"
must kmodctl fill n 3
tap_is "$(kmodctl move n near)" 8192 "all of it is near"
must kmodctl fill n 4 0 $((8 * mib))
tracing=/sys/kernel/tracing
[ -d $tracing/events ] || mount -t tracefs none $tracing
echo >$tracing/trace
echo 1 >$tracing/events/hmem/hmem_move/enable
tap_is "$(pressure n)" '' "nothing was said of memory yet"
began=$SECONDS
echo $((64 * mib)) >$cgroups/pressed/memory.max
echo 0 >$cgroups/pressed/memory.swap.max 2>/dev/null
tap_check "who needs memory in the cgroup gets it" inside hog 48
tap_is "$(sed -n 's/^oom_kill //p' $cgroups/pressed/memory.events)" 0 "without anybody being killed"
left=$(near_mib n)
tap_check "near copies have yielded ($left MiB left)" test "$left" -lt 32
read -r offset bytes <<<"$(pressure n)"
tap_is "$bytes" $((2 * mib)) "an event says that memory is short"
tap_check "with what was given up" test $((${offset:-1} % (2 * mib))) = 0 -a "${offset:-1}" -lt $((32 * mib))
said=$(pressure n | wc -l)
tap_check "once in ten seconds ($said)" test "$said" -le $(((SECONDS - began) / 10 + 1))
echo 0 >$tracing/events/hmem/hmem_move/enable
# The first four extents were stored to.
order=$(sed -n 's/.*extent=\([0-9]*\) place=home result=0.*/\1/p' $tracing/trace |
	while read -r extent; do if [ "$extent" -lt 4 ]; then echo dirty; else echo clean; fi; done |
	uniq | tr '\n' ' ')
tap_matches "$order" "^clean (dirty )?$" "clean ones first"
echo >$tracing/trace
tap_check "nothing is lost" kmodctl verify n 4 0 $((8 * mib))
tap_check "of what was clean, either" kmodctl verify n 3 $((8 * mib)) $((24 * mib))

must kmodctl move n near
must kmodctl fill n 5
echo 2 >/proc/sys/vm/drop_caches
tap_is "$(near_mib n)" 0 "all go when all is to go, also what was stored to"
tap_check "and all is there" kmodctl verify n 5
must kmodctl destroy n
rmdir $cgroups/pressed
tap_done
