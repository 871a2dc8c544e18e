#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=ram1 timeout=180 alone kernels=newest long=lts
#
# hmemctl and a CXL region that device-dax or kmem has.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

driver_of() {
	basename "$(readlink "/sys/bus/dax/devices/$1/driver" 2>/dev/null)" 2>/dev/null
}

# finding CHECK: what the doctor says of it
finding() {
	hmemctl doctor 2>/dev/null | jq -r ".[] | select(.check == \"$1\") | [.status, .message, .fix] | join(\" | \")"
}

cxl_has_dax() {
	[ -n "$(cxl_dax_devices "$region")" ]
}

insmod /root/hmem.ko || tap_bail "hmem.ko does not load"
region=$(cxl_create ram)
[ -n "$region" ] || tap_bail "no CXL region"
cxl_wait 10 cxl_has_dax || tap_bail "no dax device"
dax=$(cxl_dax_devices "$region")
# Where kmem exists as a module, device_dax binds to a CXL region only when told to.
daxctl reconfigure-device -m devdax "$dax" >/dev/null 2>&1
[ "$(driver_of "$dax")" = device_dax ] || tap_bail "$dax is not bound to device_dax"

tap_matches "$(finding dax)" "ok .* held by device-dax .* hmemctl attach-pool $region" \
	"the doctor sees who has the memory"

# --- a process that uses the dax device keeps it

exec 9<"/dev/$dax"
tap_check_status 1 "a dax device that a process has open is not taken" hmemctl attach-pool "$region"
tap_matches "$tap_output" "process $$ has /dev/$dax open" "the process is named"
tap_is "$(driver_of "$dax")" device_dax "and keeps the device"
exec 9<&-

# --- one that nobody uses is taken and given back

tap_check "a dry run of attach-pool succeeds" hmemctl attach-pool "$region" --dry-run
tap_matches "$tap_output" "\"device\": \"$dax\"" "and names the dax device to disable"
tap_is "$(driver_of "$dax")" device_dax "but does not disable it"

tap_check_status 1 "a region too large for the CXL region that exists" \
	hmemctl create-region huge --size 1T
tap_is "$(driver_of "$dax")" device_dax "leaves the dax device as it was"
tap_is "$(ls /sys/class/hmem_pool)" "" "and no pool behind"

tap_check "create-region uses the CXL region that exists" hmemctl create-region r --size 2M
tap_is "$(cat /sys/class/hmem/r/pool)" "$region" "as a pool"
tap_is "$(driver_of "$dax")" "" "and the dax device is disabled"
tap_matches "$(finding region)" "CXL region $region .* is pool $region" "the doctor says so"
hmemctl destroy-region r >/dev/null 2>&1
tap_check "detach-pool" hmemctl detach-pool "$region"

# --- a CXL region that is disabled

cxl disable-region "$region" >/dev/null 2>&1
tap_matches "$(finding region)" "warn .* is disabled .* cxl enable-region $region" \
	"the doctor sees a disabled CXL region"
tap_check "attach-pool enables it" hmemctl attach-pool "$region"
tap_check "detach-pool" hmemctl detach-pool "$region"

# --- kmem, whose memory is not online

# Also what a host is like whose udev has loaded kmem.
memory=/sys/devices/system/memory/auto_online_blocks
is_kmem() {
	[ "$(driver_of "$dax")" = kmem ]
}
if ! echo offline >$memory || ! modprobe kmem || ! cxl_wait 10 is_kmem; then
	tap_skip "system RAM" "kmem does not take the dax device here"
	cxl_destroy_all
	rmmod hmem
	tap_done
fi
tap_check "memory of kmem that is offline is taken" hmemctl attach-pool "$region"
tap_is "$(driver_of "$dax")" "" "from kmem"
tap_check "detach-pool --release" hmemctl detach-pool "$region" --release

# --- kmem, which onlines what it gets

echo online_movable >$memory
tap_check "create-region on its own is faster than kmem" hmemctl create-region x --size 2M
pool=$(cat /sys/class/hmem/x/pool)
tap_is "$(driver_of "$(cxl_dax_devices "$pool")")" "" "the new dax device has no driver"
hmemctl destroy-region x >/dev/null 2>&1
tap_check "detach-pool --release" hmemctl detach-pool "$pool" --release
tap_is "$(cxl_regions)" "" "no CXL region is left"

region=$(cxl_create_held ram)
cxl_wait 10 cxl_has_dax
dax=$(cxl_dax_devices "$region")
cxl_wait 10 is_kmem
tap_check_status 1 "memory that is online as system RAM is not taken" \
	hmemctl attach-pool "$region"
tap_matches "$tap_output" "online as system RAM" "the reason is told"
tap_matches "$tap_output" "daxctl offline-memory $dax && daxctl disable-device $dax" \
	"and the command that helps"
tap_matches "$(finding dax)" "warn .* is system RAM .* daxctl offline-memory $dax" \
	"the doctor tells the same"
tap_check_status 1 "create-region does not take it either" hmemctl create-region x --size 2M
tap_is "$(driver_of "$dax")" kmem "and leaves it where it is"

# Whether memory can be taken offline is up to who uses it by now: this guest ends here.
rmmod hmem
tap_done
