#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl over boots: persistent pools after a power cut, memory that holds something
# foreign, and a kernel that refuses to make CXL regions.
# hmem-test: timeout=400

. "$(dirname "$0")/../tap.sh"
cd "${HMEM_SOURCE:-$(dirname "$0")/../..}" || tap_bail "the source is not there"

state=$TMPDIR/state
run() {
	qemu/hmem-vm run --smp 1 --topology pmem1 --state "$state" --timeout 300 "$@"
}

# --- a power cut

tap_check_status 137 "a region is made, written, and the power cut" \
	run -- bash -c 'insmod hmem.ko && hmemctl create-region db --size 16M --owner user --mode 0640 &&
		echo kept | dd of=/dev/hmem/db conv=notrunc,fsync && hmem-power-cut'
tap_check "after it attach-pool --all brings it back" \
	run -- bash -c 'insmod hmem.ko && hmemctl attach-pool --all && head -c 4 /dev/hmem/db &&
		stat -c " %a %U %n" /dev/hmem/db'
tap_matches "$tap_output" "kept 640 user /dev/hmem/db" "with its data, owner and mode"

# --- something foreign

image=$(find "$state" -type f -size +100M | head -n 1)
[ -n "$image" ] || tap_bail "the device has no file in $state"
for at in 0 1; do
	head -c 1M /dev/urandom | dd of="$image" bs=1M seek=$at conv=notrunc status=none
done
before=$(head -c 8M "$image" | cksum)
tap_check "a persistent device with something foreign on it" \
	run -- bash -c 'insmod hmem.ko
		hmemctl create-region db --type pmem --size 16M; echo "create: $?"
		hmemctl attach-pool --all; echo "all: $?"
		ls /sys/bus/cxl/devices | grep -c region'"; true"
tap_matches "$tap_output" "create: 1" "is not used by create-region"
tap_matches "$tap_output" "no intact hmem pool, and it was left alone" "which says why"
tap_matches "$tap_output" "all: 1" "nor by attach-pool --all"
tap_matches "$tap_output" $'\n0$' "what was set up on the way is undone"
tap_is "$(head -c 8M "$image" | cksum)" "$before" "and not one byte was changed"
tap_check "attach-pool --format uses it all the same" \
	run -- bash -c 'insmod hmem.ko && hmemctl attach-pool mem0 --format'
tap_matches "$tap_output" "was formatted" "and says that it did"

# --- a kernel that does not make CXL regions

tap_check "under a hypervisor that shows" \
	run --allow-splat --qemu-arg -cpu --qemu-arg max -- bash -c 'insmod hmem.ko
		hmemctl create-region --size 16M; echo "create: $?"
		hmemctl doctor -u | tr -d "\n"; echo
		ls /sys/bus/cxl/devices | grep -c region'"; true"
tap_matches "$tap_output" "create: 1" "create-region fails"
tap_matches "$tap_output" "error: [a-z ]+ region0: No such device or address" "and names the step"
tap_matches "$tap_output" "to do: .*-cpu max,-hypervisor" "and what to do"
tap_matches "$tap_output" '"cache-flush", +"status": "(fail|warn)"' "the doctor finds it as well"
tap_matches "$tap_output" $'\n0$' "and no CXL region is left"
tap_done
