# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# CXL regions for tests, sourced; or, for tests in C, run as
#
#	bash cxl.sh create ram|pmem [MEMDEV...]	prints the name of the new region
#	bash cxl.sh destroy REGION
#	bash cxl.sh destroy_all
#	bash cxl.sh online			makes CXL memory system RAM; prints the node
#	bash cxl.sh take WAY ram|pmem REGION	WAY: disable, destroy, unbind, remove
#
# Names are found, never assumed: the kernel numbers memdevs and regions as they come.

cxl_bus=/sys/bus/cxl/devices

# cxl_wait SECONDS COMMAND...: until it succeeds. Probing of devices is asynchronous and
# tells nobody but udev when it has ended.
cxl_wait() {
	# On a busy host an emulated machine takes several times as long for everything.
	local tries=$(($1 * 60))

	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

# cxl_memdevs ram|pmem: those that have capacity of the kind, in the order of their
# serial numbers, which do not depend on who probed first.
cxl_memdevs() {
	local memdev

	for memdev in "$cxl_bus"/mem*; do
		[ -e "$memdev/$1/size" ] || continue
		[ $(($(cat "$memdev/$1/size"))) -gt 0 ] || continue
		echo "$(cat "$memdev/serial") ${memdev##*/}"
	done | sort | cut -d ' ' -f 2
}

cxl_has_memdev() {
	[ -n "$(cxl_memdevs "$1")" ]
}

# cxl_memdev ram|pmem: the first
cxl_memdev() {
	cxl_wait 10 cxl_has_memdev "$1" && cxl_memdevs "$1" | head -n 1
}

cxl_dax_devices() {
	local device

	for device in "$cxl_bus/$1"/dax_region*/dax*.*; do
		[ ! -e "$device" ] || echo "${device##*/}"
	done
}

# The dax device of a ram region is there and has its driver. It asks for kmem, and for
# nothing else when that is not loaded.
cxl_dax_settled() {
	local device

	[ -e /sys/bus/cxl/drivers/cxl_dax_region ] || return 0
	[ -n "$(cxl_dax_devices "$1")" ] || return 1
	[ -e /sys/bus/dax/drivers/kmem ] || return 0
	for device in $(cxl_dax_devices "$1"); do
		[ -e "/sys/bus/dax/devices/$device/driver" ] || return 1
	done
}

# cxl_release REGION: take it from device-dax, so that hmem may have it.
cxl_release() {
	local device driver

	for device in $(cxl_dax_devices "$1"); do
		driver=/sys/bus/dax/devices/$device/driver
		[ ! -e "$driver" ] || echo "$device" >"$driver/unbind" || return
	done
}

# cxl_create_held ram|pmem [MEMDEV...]: a region that the kernel's own drivers hold
cxl_create_held() {
	local kind=$1 memdevs window region='' complaints=''

	shift
	memdevs=("$@")
	[ $# -gt 0 ] || memdevs=("$(cxl_memdev "$kind")")
	# Which window leads to the devices, cxl knows, but does not choose by it.
	for window in /sys/bus/cxl/devices/root0/decoder0.*; do
		region=$(cxl create-region -m -t "$kind" -d "${window##*/}" "${memdevs[@]}" 2>&1)
		complaints+=$region$'\n'
		region=$(sed -n 's/.*"region":"\([^"]*\)".*/\1/p' <<<"$region")
		[ -z "$region" ] || break
	done
	if [ -z "$region" ]; then
		echo "no $kind region on ${memdevs[*]}: $complaints" >&2
		return 1
	fi
	if [ "$kind" = ram ]; then
		cxl_wait 10 cxl_dax_settled "$region" || return
	fi
	echo "$region"
}

# cxl_create ram|pmem [MEMDEV...]: a region that is free for hmem; prints its name
cxl_create() {
	local region

	region=$(cxl_create_held "$@") && [ -n "$region" ] || return
	cxl_release "$region" && echo "$region"
}

# cxl_is_online REGION NODE: all of it
cxl_is_online() {
	[ "$(awk '/MemTotal/ { print $4 * 1024 }' "/sys/devices/system/node/node$2/meminfo")" = \
		"$(($(cat "$cxl_bus/$1/size")))" ]
}

# cxl_online: a ram region that kmem has made system RAM of, in a zone of what can be moved;
# prints its node. Whether it can be taken offline again is up to who uses it by then.
cxl_online() {
	local region node

	echo online_movable >/sys/devices/system/memory/auto_online_blocks && modprobe kmem &&
		region=$(cxl_create_held ram) || return
	node=$(cat "/sys/bus/dax/devices/$(cxl_dax_devices "$region")/target_node")
	cxl_wait 20 cxl_is_online "$region" "$node" 2>/dev/null && echo "$node"
}

cxl_destroy() {
	cxl destroy-region -f "$1" >&2
}

# cxl_regions: those that exist
cxl_regions() {
	local region

	for region in "$cxl_bus"/region*; do
		[ ! -e "$region" ] || echo "${region##*/}"
	done
}

cxl_destroy_all() {
	local region

	for region in $(cxl_regions); do
		cxl_destroy "$region"
	done
}

# cxl_region_of ram|pmem: the region of that kind, if there is one
cxl_region_of() {
	local region

	for region in $(cxl_regions); do
		[ "$(cat "$cxl_bus/$region/mode")" = "$1" ] && echo "$region" && return
	done
}

# cxl_take WAY ram|pmem REGION: take the region away from under whoever uses it, and bring the
# device back. A removed device takes its region's decoders along; what is left of the region
# goes too.
cxl_take() {
	local way=$1 kind=$2 region=$3 memdev

	memdev=$(cxl_memdevs "$kind" | head -n 1)
	case $way in
	disable) cxl disable-region "$region" >&2 ;;
	destroy) cxl_destroy "$region" ;;
	unbind)
		echo "$memdev" >/sys/bus/cxl/drivers/cxl_mem/unbind
		echo "$memdev" >/sys/bus/cxl/drivers/cxl_mem/bind
		;;
	remove)
		echo 1 >"$(readlink -f "$cxl_bus/$memdev")/../remove"
		echo 1 >/sys/bus/pci/rescan
		;;
	esac
	cxl_memdev "$kind" >&2
	region=$(cxl_region_of "$kind")
	[ -z "$region" ] || cxl_destroy "$region"
	# The tool gives up on a region whose targets are gone; the kernel does not.
	region=$(cxl_region_of "$kind")
	[ -z "$region" ] ||
		echo "$region" >"$(readlink -f "$cxl_bus/$region")/../delete_region"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	case ${1:-} in
	create | destroy | destroy_all | online | take)
		command=cxl_$1
		shift
		"$command" "$@"
		;;
	*) exit 129 ;;
	esac
fi
