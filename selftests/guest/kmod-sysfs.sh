#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What sysfs shows of pools and regions, as Documentation/sysfs.md has it: these files,
# with these values, and no others; and that every tracepoint speaks.
#
# hmem-test: topology=mixed kernels=lts long=newest
. "$(dirname "$0")/kmod.sh"

uuid_pattern='^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
no_uuid=00000000-0000-0000-0000-000000000000

# files DIRECTORY: the module's own files there, without those that every device has
files() {
	find "$1/" -maxdepth 1 -type f ! -name dev ! -name uevent -printf '%f\n' | sort | tr '\n' ' '
}

# shows DIRECTORY FILE VALUE NAME
shows() {
	tap_is "$(cat "$1/$2")" "$3" "$4: $2"
}

check_pool() {
	local kind=$1 pool=$2 provider=$3 source=$4 persistent=$5
	local at=/sys/class/hmem_pool/$pool size mode

	tap_is "$(files "$at")" \
		"copy_extent_ns copy_page_ns draining extent_size free home_ns near_ns numa_node persistent provider regions size source uuid " \
		"$kind pool: the files that there are"
	size=$(cat "$at/size")
	shows "$at" provider "$provider" "$kind pool"
	shows "$at" source "$source" "$kind pool"
	shows "$at" persistent "$persistent" "$kind pool"
	shows "$at" extent_size 2097152 "$kind pool"
	shows "$at" free "$size" "$kind pool"
	shows "$at" regions 0 "$kind pool"
	tap_matches "$(cat "$at/numa_node")" '^(-1|[0-9]+)$' "$kind pool: numa_node"
	tap_matches "$(cat "$at/uuid")" "$uuid_pattern" "$kind pool: uuid"
	tap_is "$([ "$(cat "$at/uuid")" = $no_uuid ]; echo $?)" "$persistent" \
		"$kind pool: an identity if it is persistent"

	must kmodctl create s "$pool" 4194304 1000 1001 0640
	shows "$at" free $((size - 4194304)) "$kind pool with a region"
	shows "$at" regions 1 "$kind pool with a region"
	at=/sys/class/hmem/s
	tap_is "$(files "$at")" \
		"extent_size extents_used faults gid long_term_pins lost mode near near_max near_share numa_node persistent policy \
pool pools size spread uid uuid " \
		"$kind region: the files that there are"
	shows "$at" size 4194304 "$kind region"
	shows "$at" pool "$pool" "$kind region"
	shows "$at" persistent "$persistent" "$kind region"
	shows "$at" uid 1000 "$kind region"
	shows "$at" gid 1001 "$kind region"
	shows "$at" mode 0640 "$kind region"
	shows "$at" extent_size 2097152 "$kind region"
	shows "$at" faults 0 "$kind region"
	shows "$at" extents_used 0 "$kind region"
	shows "$at" policy off "$kind region"
	shows "$at" near 0 "$kind region"
	shows "$at" near_max 0 "$kind region"
	tap_matches "$(cat "$at/uuid")" "$uuid_pattern" "$kind region: uuid"
	tap_is "$(tr -d - <"$at/uuid")" "$(kmodctl info s | sed 's/.*uuid=//')" \
		"$kind region: the one that the ioctl gives"
	must kmodctl fill s 1 2097152 2097152
	shows "$at" faults 1 "$kind region, touched"
	shows "$at" extents_used 1 "$kind region, touched"
	must hmemctl set-policy s --near-max 4M
	must hmemctl migrate s --near
	shows "$at" near 2097152 "$kind region, near"
	shows "$at" near_max 4194304 "$kind region, near"
	for mode in manual auto off; do
		must hmemctl set-policy s --mode $mode
		shows "$at" policy $mode "$kind region, near"
	done
	tap_is "$(setpriv --reuid 1000 --regid 1000 --clear-groups \
		cat /sys/class/hmem_pool/*/* /sys/class/hmem/*/* 2>&1 |
		grep -c 'Permission denied')" "$(find /sys/class/hmem_pool/*/ /sys/class/hmem/*/ \
		-maxdepth 1 -type f ! -perm -o+r | wc -l)" "$kind: an ordinary user reads all of it"
	tap_is "$(find /sys/class/hmem_pool/*/ /sys/class/hmem/*/ -maxdepth 1 -type f -perm /222 \
		! -name uevent | wc -l)" 0 "$kind: nobody writes any of it"
}

kmod_begin
must kmodctl ram r 16777216
check_pool ram r ram "" 0
kmod_sweep
region=$(cxl_create ram) || tap_bail "no CXL region"
must kmodctl attach "$region"
check_pool "cxl ram" "$region" cxl "$region" 0
kmod_sweep
cxl_destroy "$region"
region=$(cxl_create pmem) || tap_bail "no CXL region"
must kmodctl attach "$region" format name=shelf
check_pool "cxl pmem" shelf cxl "$region" 1
must kmodctl detach shelf

# Tracepoints.
tracing=/sys/kernel/tracing
[ -d $tracing/events ] || mount -t tracefs none $tracing
echo 1 >$tracing/events/hmem/enable
echo >$tracing/trace
must kmodctl attach "$region" format name=shelf
must kmodctl create t shelf 2097152
must kmodctl fill t 1
must kmodctl move t near
must hmemctl report-poison shelf --offset 4M --bytes 4096
must kmodctl resize t 4194304
must kmodctl destroy t
must kmodctl detach shelf
must kmodctl attach "$region" name=shelf
must cxl destroy-region -f "$region"
echo 0 >$tracing/events/hmem/enable
for event in $(find $tracing/events/hmem -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort); do
	# It takes a policy at work: near_split sees it.
	[ "$event" = hmem_pages ] && continue
	tap_matches "$(cat $tracing/trace)" " $event: " "tracepoint $event"
done
echo >$tracing/trace
tap_done
