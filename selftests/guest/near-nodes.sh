#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Near copies are made of the memory of nodes with CPUs alone: where CXL memory is system RAM they
# do not come from there, also when there is nothing else.
#
# hmem-test: topology=numa1 alone kernels=newest long=lts
. "$(dirname "$0")/kmod.sh"

mib=1048576

# free_mib NODE: what a node has
free_mib() {
	awk '/MemFree/ { print int($4 / 1024) }' "/sys/devices/system/node/node$1/meminfo"
}

# cxl_node: a node with memory and without CPUs
cxl_node() {
	local node number

	for node in /sys/devices/system/node/node[0-9]*; do
		number=${node##*node}
		[ "$(cat "$node/cpulist")" ] || [ "$(free_mib "$number")" -lt 200 ] || echo "$number"
	done
}

has_cxl_node() {
	[ "$(cxl_node)" ]
}

all_come_near() {
	kmodctl move n near >/dev/null
	[ "$(kmodctl near n)" = 96 ]
}

# Of a zone that any allocation may have.
echo online_kernel >/sys/devices/system/memory/auto_online_blocks
if ! modprobe kmem; then
	tap_skip "CXL memory as system RAM" "this kernel has no kmem"
	tap_done
	exit
fi
kmod_begin
cxl_create_held ram >/dev/null || tap_bail "no CXL region"
cxl_wait 20 has_cxl_node || tap_bail "no CXL memory comes online"
cxl=$(cxl_node)
tap_is "$(cat /sys/devices/system/node/has_cpu)" 0 "one node has CPUs"

must kmodctl ram r $((112 * mib))
must kmodctl create n r $((96 * mib))
must kmodctl fill n 7
mount -t tmpfs -o size=100%,mpol=bind:0 none "$scratch" || tap_bail "no tmpfs"
dd if=/dev/zero of="$scratch/hog" bs=1M count=$(($(free_mib 0) - 80)) status=none
left=$(free_mib 0) before=$(free_mib "$cxl")
tap_diag "DRAM has $left MiB, CXL $before"
tap_check "there is more CXL memory than is wanted near" test "$before" -gt 96

moved=$(kmodctl move n near)
tap_check "no more comes near than there is DRAM ($moved pages)" \
	test "$moved" -gt 0 -a "$moved" -lt $((96 * 256))
after=$(free_mib "$cxl")
tap_check "and none of it is CXL memory (it has $after MiB)" test $((before - after)) -lt 8
tap_check "all is there" kmodctl verify n 7
rm "$scratch/hog"
# What the file had comes back to the node little by little.
tap_check "when there is DRAM again all comes near" cxl_wait 20 all_come_near
tap_check "all is there" kmodctl verify n 7
umount "$scratch"

# The CXL memory stays online: this guest ends here.
tap_done
