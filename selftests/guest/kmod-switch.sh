#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Four devices behind one switch: a pool on each, and one pool over all of them.
#
# hmem-test: topology=switch4 kernels=lts long=newest
. "$(dirname "$0")/kmod.sh"

kmod_begin
cxl_wait 10 cxl_has_memdev ram || tap_bail "no device"
four() {
	[ "$(cxl_memdevs ram | wc -l)" = 4 ]
}
tap_check "four devices" cxl_wait 10 four
mapfile -t memdevs < <(cxl_memdevs ram)

# One after the other: the switch has one decoder to give.
for memdev in "${memdevs[@]}"; do
	region=$(cxl_create ram "$memdev") || tap_bail "no CXL region on $memdev"
	tap_check "$memdev: its region is claimed" kmodctl attach "$region"
	must kmodctl create r "$region" 2097152
	must kmodctl fill r 5 0 65536
	tap_check "$memdev: and holds what is stored" kmodctl verify r 5 0 65536
	must kmodctl destroy r
	must kmodctl detach "$region"
	must cxl destroy-region -f "$region"
done

region=$(cxl_create ram "${memdevs[@]}") || tap_bail "no CXL region over four devices"
tap_is "$(cat "$cxl_bus/$region/interleave_ways")" 4 "one region over the four"
tap_check "is claimed" kmodctl attach "$region"
must kmodctl create i "$region" 2097152
must kmodctl fill i 6 0 65536
tap_check "and holds what is stored" kmodctl verify i 6 0 65536
tap_done
