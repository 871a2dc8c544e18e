#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed timeout=120 kernels=lts long=newest
#
# The doctor: what it finds wrong, and that the command it names clears it.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

# findings CHECK: "STATUS MESSAGE" of each, one a line
findings() {
	hmemctl doctor 2>/dev/null | jq -r ".[] | select(.check == \"$1\") | .status + \" \" + .message"
}

# fix CHECK: the first command that clears a finding of that check which is not ok
fix() {
	hmemctl doctor 2>/dev/null |
		jq -r "[.[] | select(.check == \"$1\" and .status != \"ok\") | .fix][0]"
}

cxl_wait 10 cxl_has_memdev ram
cxl_wait 10 cxl_has_memdev pmem

tap_check_status 1 "without the module the doctor fails" hmemctl doctor
tap_is "$(findings module)" "fail hmem.ko is not loaded" "and says so"
insmod /root/hmem.ko || tap_bail "hmem.ko does not load"
tap_check "with the module there is nothing to do" hmemctl doctor
tap_is "$(hmemctl doctor 2>/dev/null | jq -r '.[0] | keys | join(" ")')" \
	"check fix message status" "a finding has four members"
tap_matches "$(findings window)" "^ok window decoder0.0" "the window is seen"
tap_is "$(findings capacity | grep -c 'not configured')" 2 "both devices have free capacity"

memdev=$(cxl_memdev ram)
cxl disable-memdev "$memdev" >/dev/null 2>&1
tap_check_status 1 "a disabled device is a failure" hmemctl doctor
tap_matches "$(findings memdev)" "fail memory device $memdev is disabled" "that is named"
tap_check_status 1 "create-region cannot use it" hmemctl create-region --type ram --size 2M
tap_check "the command that the doctor names runs" bash -c "$(fix memdev)"
cxl_wait 10 hmemctl doctor >/dev/null 2>&1
tap_check "and clears it" hmemctl doctor

pci=$(basename "$(dirname "$(readlink -f "$cxl_bus/$memdev")")")
echo "$pci" >/sys/bus/pci/drivers/cxl_pci/unbind
tap_matches "$(findings pci-device)" "fail CXL memory device $pci has no driver" \
	"a device without driver is named"
tap_check "the command that the doctor names runs" bash -c "$(fix pci-device)"
cxl_wait 10 hmemctl doctor >/dev/null 2>&1
tap_check "and clears it" hmemctl doctor

# A region that somebody began and did not end.
window=decoder0.0
half=$(cat /sys/bus/cxl/devices/$window/create_pmem_region)
echo "$half" >/sys/bus/cxl/devices/$window/create_pmem_region
tap_matches "$(findings region)" "warn CXL region $half .* is not committed" \
	"a half-made CXL region is named"
tap_check "the command that the doctor names runs" bash -c "$(fix region)"
tap_is "$(cxl_regions)" "" "and clears it"

rmmod hmem
tap_done
