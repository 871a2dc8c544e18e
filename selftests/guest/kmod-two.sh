#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two devices, a pool on each: one is filled, then the other; one goes,
# and the other does not notice.
#
# hmem-test: topology=ram2 kernels=lts long=newest
. "$(dirname "$0")/kmod.sh"
. "$here/revoke.sh"

kmod_begin
two() {
	[ "$(cxl_memdevs ram | wc -l)" = 2 ]
}
tap_check "two devices" cxl_wait 10 two
mapfile -t memdevs < <(cxl_memdevs ram)
first=$(cxl_create ram "${memdevs[0]}") || tap_bail "no CXL region"
second=$(cxl_create ram "${memdevs[1]}") || tap_bail "no CXL region"
tap_check "the first is claimed" kmodctl attach "$first" name=first
tap_check "and the second" kmodctl attach "$second" name=second

# Without a name of a pool: the first with room.
free=$(cat /sys/class/hmem_pool/first/free)
must kmodctl create a "" "$free"
must kmodctl create b "" 8388608
tap_is "$(cat /sys/class/hmem/a/pool /sys/class/hmem/b/pool | sort | tr '\n' ' ')" \
	"first second " "one pool is filled, then the other"
tap_is "$(cat "/sys/class/hmem_pool/$(cat /sys/class/hmem/a/pool)/free")" 0 "to the last byte"
lost=$(cat /sys/class/hmem/b/pool)
memdev=${memdevs[0]}
[ "$lost" = first ] || memdev=${memdevs[1]}
must kmodctl fill a 7 0 4194304

user_start stays use a store
user_start goes use b store
path=$(readlink -f "$cxl_bus/$memdev")/..
echo 1 >"$path/remove"
tap_is "$(user_answer goes)" SIGBUS "users of the device that goes get SIGBUS"
one_left() {
	[ "$(kmod_names hmem_pool | wc -l)" = 1 ]
}
tap_check "its pool is gone" cxl_wait 5 one_left
tap_is "$(user_answer stays 1)" nothing "users of the other notice nothing"
tap_check "which is still in use" kill -0 "${user_pid[stays]}"
tap_is "$(kmod_names hmem)" a "its region is there"
user_end goes
user_end stays
echo 1 >/sys/bus/pci/rescan
tap_check "the device is back" cxl_wait 20 two
tap_done
