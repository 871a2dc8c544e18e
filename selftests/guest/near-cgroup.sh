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
must kmodctl ram r $((256 * mib))
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

# Somebody else of the cgroup has all that it may have, and nothing of that can be reclaimed.
rm -f "$scratch/filler"
mkfifo "$scratch/filler"
exec {filler}<>"$scratch/filler"
(echo $BASHPID >$cgroups/near/cgroup.procs &&
	exec dd if="$scratch/filler" of=/dev/null bs=$((16 * mib)) iflag=fullblock status=none) &
other=$!
echo max >$cgroups/near/memory.max
echo 0 >$cgroups/near/memory.swap.max 2>/dev/null
head -c $((12 * mib)) /dev/zero >"$scratch/filler"
(echo $BASHPID >$cgroups/near/cgroup.procs && kmodctl create m r $((224 * mib))) ||
	tap_bail "cannot create a region in a cgroup"
must kmodctl fill m 8
# What processors have charged ahead goes back; a limit of memory.max would kill for it.
echo 0 >$cgroups/near/memory.high
echo max >$cgroups/near/memory.high
cat $cgroups/near/memory.current >$cgroups/near/memory.max
tap_is "$(kmodctl move m near)" 0 "at the limit nothing comes near"
# One extent more each time, until there is room for that and not for the few bytes that go with it.
for ((n = 0, moved = 512; n < 110 && moved == 512; n++)); do
	echo $(($(cat $cgroups/near/memory.current) + 2 * mib)) >$cgroups/near/memory.max
	moved=$(kmodctl move m near)
done
tap_is "$moved" 0 "nor where its bookkeeping meets the limit (after $n extents)"
tap_is "$(sed -n 's/^oom_kill //p' $cgroups/near/memory.events)" 0 "and nobody is killed for it"
tap_check "who has all of it goes on" kill -0 $other
tap_check "all is there" kmodctl verify m 8
echo max >$cgroups/near/memory.max
tap_is "$(kmodctl move m near)" $((224 * 256 - 512 * (n - 1))) "without a limit it does"
kill $other
wait $other
exec {filler}>&-
must kmodctl destroy m
rmdir $cgroups/near
tap_done
