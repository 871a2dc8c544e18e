#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=ram1 timeout=240 kernels=lts,newest
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

# --- what a device finds bad, by the address in its CXL region

region=$(cxl_create ram)
must hmemctl attach-pool "$region"
must hmemctl create-region r --size 8M --pool "$region"
memdev=$(cxl list -M -r "$region" | jq -r '.[0].memdev')
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
inject=/sys/kernel/debug/cxl/$memdev/inject_poison
if [ -e "$inject" ]; then
	must bash -c "echo 0x3000 >$inject"
	while read -r offset length; do
		must hmemctl report-poison "$region" --offset "$offset" --bytes "$length"
	done < <(cxl list -r "$region" --media-errors |
		jq -r '.[].media_errors[]? | "\(.offset) \(.length)"')
	ctl list-poison r
	tap_is "$(bad)" "12288+4096:true:true" "what the device has on its list is bad in the region"
else
	tap_skip "what the device has on its list" "this kernel injects nothing into $memdev"
fi
must hmemctl destroy-region r
must hmemctl detach-pool "$region"
tap_done
