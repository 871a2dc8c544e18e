#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fault.sh ROUNDS - in a guest with one volatile CXL device: prints samples for
# bench/report, taken from an hmem region and from device-dax in turn.
set -euo pipefail

rounds=$1
bytes=$((64 << 20)) small=$((8 << 20))

# sample METRIC WHO DEVICE BYTES PAGE - the median fault, but the mean where one fault in
# many does the work for all
sample()
{
	local count median mean

	read -r count median mean < <(./fault "$3" "$4" "$5")
	[[ $count ]]
	case $1 in
	*-2M) echo "$1 instructions $2 $median" ;;
	*) echo "$1 instructions $2 $mean" ;;
	esac
}

# What a command says is news only when it fails.
quiet()
{
	local said

	said=$("$@" 2>&1) || { echo "fault.sh: $*: $said" >&2; return 1; }
}

on_hmem()
{
	quiet hmemctl attach-pool "$region"
	quiet hmemctl create-region bench --pool "$region" --size "$bytes"
	sample first-touch-2M hmem /dev/hmem/bench "$bytes" 2M
	sample refault-2M hmem /dev/hmem/bench "$bytes" 2M
	quiet hmemctl destroy-region bench
	quiet hmemctl create-region bench --pool "$region" --size "$bytes"
	sample first-touch-4K hmem /dev/hmem/bench "$small" 4K
	sample refault-4K hmem /dev/hmem/bench "$small" 4K
	quiet hmemctl destroy-region bench
	quiet hmemctl detach-pool "$region"
}

# A device-dax device maps pages of its alignment, so 4 KiB take another alignment.
enable_dax()
{
	[[ ! -e /sys/bus/dax/devices/$dax/driver ]] || quiet daxctl disable-device "$dax"
	echo "$1" > "/sys/bus/dax/devices/$dax/align"
	quiet daxctl enable-device "$dax"
}

on_dax()
{
	enable_dax $((2 << 20))
	sample first-touch-2M device-dax "/dev/$dax" "$bytes" 2M
	sample refault-2M device-dax "/dev/$dax" "$bytes" 2M
	enable_dax 4096
	sample first-touch-4K device-dax "/dev/$dax" "$small" 4K
	sample refault-4K device-dax "/dev/$dax" "$small" 4K
	quiet daxctl disable-device "$dax"
}

insmod hmem.ko
region=$(cxl create-region -m -t ram -d decoder0.0 mem0 2> /dev/null | sed -n 's/.*"region":"\([^"]*\)".*/\1/p')
# Its dax device appears in the background.
for ((tries = 0; tries < 100; tries++)); do
	dax=$(ls /sys/bus/dax/devices)
	[[ ! $dax ]] || break
	sleep 0.1
done
[[ $dax ]] || { echo "fault.sh: no dax device for $region" >&2; exit 1; }
[[ ! -e /sys/bus/dax/devices/$dax/driver ]] || quiet daxctl disable-device "$dax"
for ((round = 0; round < rounds; round++)); do
	on_hmem
	on_dax
done
