#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One program of libhmem on the two kinds of CXL memory that keep no file system: a
# region of hmem.ko on a persistent device, and device-dax on a volatile one.
#
# hmem-test: topology=mixed timeout=180 alone kernels=newest long=lts

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

cxl_has_dax() {
	[ -n "$(cxl_dax_devices "$ram")" ]
}

# --- a persistent region, its pool detached and attached again

tap_check_status fail "without the module" pattern hmem:log verify
tap_matches "$tap_output" "insmod hmem.ko" "the message says what to do"
insmod /root/hmem.ko || tap_bail "hmem.ko does not load"
pmem=$(cxl_create pmem)
[ -n "$pmem" ] || tap_bail "no persistent CXL region"
tap_check "a pool is attached" hmemctl attach-pool "$pmem"
tap_check "a process creates and fills a region" pattern --create 16M --seed 7 hmem:log fill
tap_check "another verifies it" pattern --seed 7 log verify
tap_check_status fail "and would notice if it were different" pattern --seed 8 log verify
tap_check_status fail "it cannot be made again" pattern --create 16M hmem:log fill
tap_matches "$tap_output" "already" "the message says why"
tap_check "the pool is detached" hmemctl detach-pool "$pmem"
tap_check_status fail "then there is no region" pattern hmem:log verify
tap_matches "$tap_output" "no region log" "the message says so"
tap_check "the pool is attached again" hmemctl attach-pool "$pmem"
tap_check "the region is as it was" pattern --seed 7 hmem:log verify
tap_check "an ordinary user has no access" \
	bash -c '! su user -c "pattern hmem:log verify" >/tmp/said 2>&1'
tap_matches "$(cat /tmp/said)" "user 0 and group 0, mode 0600; this is user 1000" \
	"the message says whose it is"
hmemctl destroy-region log >/dev/null 2>&1
tap_check "the pool is detached" hmemctl detach-pool "$pmem"

# --- device-dax

ram=$(cxl_create ram)
[ -n "$ram" ] || tap_bail "no volatile CXL region"
cxl_wait 10 cxl_has_dax || tap_bail "no dax device"
dax=$(cxl_dax_devices "$ram")
# Where kmem exists as a module, device_dax binds to a CXL region only when told to.
daxctl reconfigure-device -m devdax "$dax" >/dev/null 2>&1
cxl_wait 10 [ -c "/dev/$dax" ] || tap_bail "no /dev/$dax"
bytes=$(cat "/sys/bus/dax/devices/$dax/size")

tap_check "a process fills the device" pattern --seed 9 "dax:/dev/$dax" fill
tap_is "$tap_output" "filled $bytes bytes" "all of it"
tap_check "another verifies it" pattern --seed 9 "dax:$dax" verify
tap_check_status fail "more than it has" pattern --create 64G "dax:$dax" fill
tap_matches "$tap_output" "has $bytes bytes" "the message says how much there is"
tap_check "an ordinary user has no access" \
	bash -c "! su user -c 'pattern dax:$dax verify' >/tmp/said 2>&1"
tap_matches "$(cat /tmp/said)" "permissions" "the message says why"
tap_check "the device is disabled" daxctl disable-device "$dax"
tap_check_status fail "then it cannot be used" pattern "dax:$dax" verify
tap_diag "$tap_output"

rm -f /tmp/said
rmmod hmem
cxl_destroy_all 2>/dev/null
tap_done
