#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device side of the stress test: CXL regions are made and offered to the module, and
# taken away again from under whoever uses them, in every way there is.
#
#	stress-devices.sh SEED WAY...	WAY: disable, destroy, unbind, remove
#
# Until TERM; then it prints how often each was done.
#
# hmem-test: helper

here=$(cd "$(dirname "$0")" && pwd)
. "$here/cxl.sh"

RANDOM=$(($1 % 32768))
shift
ways=("$@")
declare -A count
stop=
trap 'stop=yes' TERM

# region_of KIND: the region of that kind, if there is one
region_of() {
	local region

	for region in $(cxl_regions); do
		[ "$(cat "$cxl_bus/$region/mode")" = "$1" ] && echo "$region" && return
	done
}

# A removed device takes its region's decoders along; what is left of the region goes too.
take() {
	local way=$1 kind=$2 region=$3 memdev

	memdev=$(cxl_memdevs "$kind" | head -n 1)
	case $way in
	disable) cxl disable-region "$region" ;;
	destroy) cxl destroy-region -f "$region" ;;
	unbind)
		echo "$memdev" >/sys/bus/cxl/drivers/cxl_mem/unbind
		echo "$memdev" >/sys/bus/cxl/drivers/cxl_mem/bind
		;;
	remove)
		echo 1 >"$(readlink -f "$cxl_bus/$memdev")/../remove"
		echo 1 >/sys/bus/pci/rescan
		;;
	esac
	cxl_memdev "$kind"
	region=$(region_of "$kind")
	[ -z "$region" ] || cxl destroy-region -f "$region"
	# The tool gives up on a region whose targets are gone; the kernel does not.
	region=$(region_of "$kind")
	[ -z "$region" ] ||
		echo "$region" >"$(readlink -f "$cxl_bus/$region")/../delete_region"
}

while [ -z "$stop" ]; do
	kind=$([ $((RANDOM % 2)) = 0 ] && echo ram || echo pmem)
	region=$(region_of "$kind")
	if [ -z "$region" ]; then
		region=$(cxl_create "$kind") || continue
		count[create]=$((${count[create]:-0} + 1))
		# The administrators do the same, at random.
		"$here/kmodctl" attach "$region" "$([ $((RANDOM % 2)) = 0 ] && echo format)"
		sleep "0.$((RANDOM % 10))"
	else
		way=${ways[RANDOM % ${#ways[@]}]}
		take "$way" "$kind" "$region"
		count[$way]=$((${count[$way]:-0} + 1))
	fi
done >/dev/null 2>&1
for way in "${!count[@]}"; do
	echo "$way ${count[$way]}"
done
