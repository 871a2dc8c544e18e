#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A persistent pool: when it is formatted and when not, and what comes back when it is
# attached again, after a detach and after the module was gone.
#
# hmem-test: topology=pmem1 kernels=newest long=lts
. "$(dirname "$0")/kmod.sh"

# Where the regions' own memory begins; before it is what the module writes for itself.
metadata=4194304

media() {
	kmodctl media "$region" "$@"
}

attach() {
	kmodctl attach "$region" "$@"
}

kmod_begin
region=$(cxl_create pmem) || tap_bail "no CXL region"

# Blank, and formatted by the first attach alone.
must media 0 $metadata 0
before=$(media 0 $metadata)
tap_matches "$(attach check)" "regions=0 persistent formatted" "a blank device would be formatted"
tap_is "$(media 0 $metadata)" "$before" "a look at it does not"
tap_matches "$(attach)" "regions=0 persistent formatted" "attaching does"
tap_is "$(cat "/sys/class/hmem_pool/$region/persistent")" 1 "sysfs says persistent"
uuid=$(cat "/sys/class/hmem_pool/$region/uuid")
must kmodctl detach "$region"
answer=$(attach)
tap_matches "$answer" "regions=0 persistent$" "the second time it is as it was"
tap_is "$(cat "/sys/class/hmem_pool/$region/uuid")" "$uuid" "and the same pool"

# Regions come back.
must kmodctl create a "$region" 4194304 1000 1001 0640
must kmodctl create b "$region" 2097152 1001 1000 0604
must kmodctl create c "$region" 8388608
must kmodctl fill a 11
must kmodctl fill b 22
must kmodctl fill c 33 2097152 2097152
must kmodctl create gone "$region" 2097152
must kmodctl destroy gone
must kmodctl resize b 6291456
state() {
	for name in a b c; do
		kmodctl info $name
		stat -c '%a %u %g' /dev/hmem/$name
	done
	cat "/sys/class/hmem_pool/$region/free"
}
before=$(state)
all_there() {
	kmodctl verify a 11 && kmodctl verify b 22 0 2097152 &&
		kmodctl verify b 0 2097152 4194304 && kmodctl verify c 0 0 2097152 &&
		kmodctl verify c 33 2097152 2097152 && kmodctl verify c 0 4194304 4194304
}
tap_check "the data is there" all_there
must kmodctl detach "$region"
tap_is "$(kmod_names hmem)" "" "detached, no region is left to be seen"
tap_matches "$(attach)" "regions=3 persistent$" "attached again, the regions are back"
tap_is "$(state)" "$before" "with name, size, owner, mode and identity"
tap_check "and data" all_there

must kmodctl unload
must kmodctl load
tap_matches "$(attach check)" "regions=3 persistent$" "after rmmod and insmod they are seen"
must attach
tap_is "$(state)" "$before" "and back, as they were"
tap_check "with their data" all_there
must kmodctl detach "$region"
tap_matches "$(attach name=other)" "^other bytes=[0-9]+ regions=3" "attached by another name"
tap_matches "$(kmodctl info a)" "pool=other" "the regions know it"
must kmodctl detach other
must cxl disable-region "$region"
must cxl enable-region "$region"
must attach
tap_is "$(state)" "$before" "the same after the CXL region was disabled and enabled"

# A later owner of extents sees zeroes; its own data is not taken for stale.
# There are no other extents: one region has all that was never used.
free=$(cat "/sys/class/hmem_pool/$region/free")
must kmodctl create rest "$region" "$free"
must kmodctl destroy a
must kmodctl destroy c
must kmodctl create d "$region" 12582912
must kmodctl fill d 44 4194304 2097152
must kmodctl detach "$region"
must attach
tap_check "extents of a former owner read as zeroes after a detach" kmodctl verify d 0 0 4194304
tap_check "what the new one stored is there" kmodctl verify d 44 4194304 2097152
tap_check "around it is nothing" kmodctl verify d 0 6291456 6291456
must kmodctl destroy d
must kmodctl destroy b
must kmodctl destroy rest
tap_is "$(cat "/sys/class/hmem_pool/$region/free")" "$((free + 4194304 + 6291456 + 8388608))" \
	"in the end everything is free"
refused EBUSY "an attached pool is not formatted" attach "$region" format name=again
must kmodctl create e "$region" 2097152
must kmodctl fill e 55
must kmodctl detach "$region"

# What is not ours is left alone.
tap_matches "$(attach format check)" "regions=0 persistent formatted" \
	"with format, all would be lost"
tap_matches "$(attach check)" "regions=1 persistent$" "but is not by looking"
for copies in "0 $metadata" "0 1048576" "1048576 4096"; do
	read -r offset length <<<"$copies"
	must media 0 $metadata 0
	must media "$offset" "$length" 0x5a
	before=$(media 0 $metadata)
	refused EUCLEAN "foreign data, $length bytes at $offset, is refused" attach "$region"
	refused EUCLEAN "by a look as well" attach "$region" check
	tap_is "$(media 0 $metadata)" "$before" "and not touched"
done
tap_matches "$(attach format)" "regions=0 persistent formatted" "with format it becomes a pool"
must kmodctl create f "$region" 4194304
tap_check "that shows nothing of what was there" kmodctl verify f 0
must kmodctl fill f 66
must kmodctl detach "$region"
tap_matches "$(attach)" "regions=1 persistent$" "and works as one"
tap_check "with its data" kmodctl verify f 66
tap_done
