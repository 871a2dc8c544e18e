#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Regions that are interleaved over two devices on two host bridges, of either kind; and
# what happens to them when one of the devices goes. Little memory is touched: QEMU does
# every access to interleaved memory by hand.
#
# hmem-test: topology=interleave2 kernels=newest long=lts
. "$(dirname "$0")/kmod.sh"
. "$here/revoke.sh"

kmod_begin
for kind in ram pmem; do
	flag=
	[ $kind = ram ] || flag=format
	cxl_wait 10 cxl_has_memdev $kind || tap_bail "no $kind device"
	mapfile -t memdevs < <(cxl_memdevs $kind)
	tap_is "${#memdevs[@]}" 2 "$kind: two devices"
	region=$(cxl_create $kind "${memdevs[@]}") || tap_bail "no CXL region"
	tap_is "$(cat "$cxl_bus/$region/interleave_ways")" 2 "$kind: one region over both"
	tap_check "$kind: it is claimed" kmodctl attach "$region" $flag
	total=$(cat "/sys/class/hmem_pool/$region/size")
	tap_check "$kind: with the capacity of both" [ "$total" -gt $((1000 << 20)) ]
	must kmodctl create i "$region" 2097152
	must kmodctl fill i 5 0 65536
	tap_check "$kind: what is stored is there" kmodctl verify i 5 0 65536
	tap_check "$kind: and nothing behind it" kmodctl verify i 0 65536 65536
	# Unlike the last one, the first device does not lead to the region's own end.
	user_start holder hold i map
	echo "${memdevs[0]}" >/sys/bus/cxl/drivers/cxl_mem/unbind
	tap_check "$kind: with the first device the pool is gone" cxl_wait 20 revoked
	user_end holder
	cxl_destroy_all 2>/dev/null
	# The second keeps its decoder as it was until it is probed anew as well.
	echo "${memdevs[1]}" >/sys/bus/cxl/drivers/cxl_mem/unbind
	for memdev in "${memdevs[@]}"; do
		echo "$memdev" >/sys/bus/cxl/drivers/cxl_mem/bind
	done
	region=$(cxl_create $kind "${memdevs[@]}") || tap_bail "no CXL region again"
	tap_check "$kind: configured anew, it is claimed" kmodctl attach "$region"
	[ $kind = ram ] || tap_check "$kind: with what is in it" \
		kmodctl verify i 5 4096 61440
	kmod_sweep
	cxl_destroy "$region"
done
tap_done
