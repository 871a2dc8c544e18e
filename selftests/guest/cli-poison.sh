#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed timeout=240 kernels=lts,newest
#
# hmemctl and bad memory: list-poison, report-poison, clear-poison, and what info says of it; and
# what a device finds bad by itself.

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"

# bad: all ranges, as OFFSET+BYTES:LOST:HOME_BAD
bad() {
	field '[.[0].bad[] | "\(.offset)+\(.bytes):\(.lost):\(.home_bad)"] | join(" ")'
}

as_user=(setpriv --reuid 1000 --regid 1000 --clear-groups)

kmod_begin
must hmemctl attach-pool ram --size 16M --name pool
must hmemctl create-region r --pool pool --size 8M --owner 1000

ctl list-poison r
tap_is "$status:$(field '.[0] | [.region, .lost] | join(" ")'):$(bad)" "0:r 0:" "nothing is bad"
tap_matches "$err" "0 ranges are bad" "and that is counted"

printf x | dd of=/dev/hmem/r bs=1 seek=8192 conv=notrunc status=none
ctl report-poison pool --offset 8K --bytes 1
tap_is "$status:$(field '.[0] | [.pool, .offset, .bytes, .pages_in_regions] | join(" ")')" \
	"0:pool 8192 1 1" "a page is reported"
ctl report-poison pool --offset 14M --bytes 2M
tap_is "$status:$(field '.[0].pages_in_regions')" "0:0" "and an extent that nobody has"
tap_is "$(cat /sys/class/hmem_pool/pool/free)" 6291456 "which is not free any more"
ctl list-poison r
tap_is "$(field '.[0].lost'):$(bad)" "4096:8192+4096:true:true" "the region knows"
ctl list-poison r -u
tap_is "$(field '.[0].lost')" "4.00 KiB" "-u writes sizes as people do"
ctl info r
tap_is "$(field '.[0].lost')" 4096 "so does info"
tap_check_status 1 "it cannot be read" dd if=/dev/hmem/r of=/dev/null bs=4096 skip=2 count=1

ctl clear-poison r --offset 4M --bytes 4M
tap_is "$status:$(bad)" "0:8192+4096:true:true" "a part in which nothing is bad is cleared"
out=$("${as_user[@]}" hmemctl clear-poison r 2>&1)
tap_is "$?" 1 "its owner cannot clear memory that was bad"
tap_matches "$out" "have the device clear its error" "and is told what to do"
ctl clear-poison r --offset 9000 --bytes 1
tap_is "$status:$(bad)" "0:" "root can, by any byte of it"
tap_matches "$err" "cleared 1 pages" "and it is counted"
tap_is "$(dd if=/dev/hmem/r bs=4096 skip=2 count=1 status=none | tr -d '\0' | wc -c)" 0 \
	"it reads as zeroes"

for args in "clear-poison r --offset 8M" "clear-poison r --offset 4M --bytes 5M"; do
	# shellcheck disable=SC2086 # words
	ctl $args
	tap_is "$status" 1 "$args is refused"
	tap_matches "$err" "goes beyond its end, it has 8" "and says why"
done
ctl report-poison pool --offset 16M --bytes 1
tap_is "$status" 1 "beyond the pool"
tap_matches "$err" "goes beyond its end" "it says so"
ctl report-poison nobody --bytes 1
tap_is "$status" 1 "no such pool"
tap_matches "$err" "hmemctl list -P" "is said"
tap_check_status 1 "an ordinary user reports nothing" "${as_user[@]}" \
	hmemctl report-poison pool --bytes 1
must hmemctl destroy-region r
must hmemctl detach-pool pool

# --- what devices have on their lists

# listed KIND: a pool of a device of that kind, which has injected errors
listed() {
	local region memdev inject decoder dpa

	region=$(cxl_create "$1")
	must hmemctl attach-pool "$region"
	must hmemctl create-region r --size all --pool "$region"
	ctl report-poison "$region" --from-device
	tap_is "$status:$(field length)" "0:0" "$1: nothing is on the device's list"
	tap_matches "$err" "0 ranges are bad" "$1: and that is counted"
	decoder=$(readlink -f "/sys/bus/cxl/devices/$(<"/sys/bus/cxl/devices/$region/target0")")
	memdev=$(basename "$(readlink -f "$(dirname "$decoder")/uport")")
	inject=/sys/kernel/debug/cxl/$memdev/inject_poison
	if [ -e "$inject" ]; then
		dpa=$(($(<"$decoder/dpa_resource") + (64 << 20) + 0x3000))
		must bash -c "echo $dpa >$inject"
		must bash -c "echo $((dpa + 0x5040)) >$inject"
		ctl report-poison "$region" --from-device
		tap_is "$status:$(field '[.[] | "\(.bytes):\(.pages_in_regions)"] | join(" ")')" \
			"0:64:1 64:1" "$1: what the device has on its list is reported"
		tap_is "$(field 'map(.offset) | sort | .[1] - .[0]')" $((0x5040)) \
			"$1: where it is in memory"
		ctl list-poison r
		tap_is "$(field '.[0].bad | [length, .[1].offset - .[0].offset, .[0].offset % 2097152] |
			join(" ")')" "2 20480 12288" "$1: and bad in the region"
		tap_is "$(find /sys/kernel/tracing/instances -mindepth 1)" "" "$1: nothing is left of it"
	else
		tap_skip "$1: what the device has on its list" \
			"this kernel injects nothing into $memdev"
	fi
	must hmemctl destroy-region r
	must hmemctl detach-pool "$region"
	cxl_destroy_all
}

mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
listed ram
listed pmem

must hmemctl attach-pool ram --size 16M --name pool
ctl report-poison pool --from-device
tap_is "$status" 1 "a pool of system RAM has no device"
tap_matches "$err" "of no device" "as is said"
ctl report-poison nobody --from-device
tap_is "$status" 1 "no such pool has none either"
ctl report-poison pool --from-device --bytes 1
tap_is "$status" 129 "the device says where, or the caller"
ctl report-poison pool
tap_is "$status" 129 "or nobody"
must hmemctl detach-pool pool
tap_done
