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

while [ -z "$stop" ]; do
	kind=$([ $((RANDOM % 2)) = 0 ] && echo ram || echo pmem)
	region=$(cxl_region_of "$kind")
	if [ -z "$region" ]; then
		region=$(cxl_create "$kind") || continue
		count[create]=$((${count[create]:-0} + 1))
		# The administrators do the same, at random.
		"$here/kmodctl" attach "$region" "$([ $((RANDOM % 2)) = 0 ] && echo format)"
		sleep "0.$((RANDOM % 10))"
	else
		way=${ways[RANDOM % ${#ways[@]}]}
		cxl_take "$way" "$kind" "$region"
		count[$way]=$((${count[$way]:-0} + 1))
	fi
done >/dev/null 2>&1
for way in "${!count[@]}"; do
	echo "$way ${count[$way]}"
done
