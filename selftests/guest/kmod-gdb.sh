#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A debugger looks at a process's region memory and changes it.
#
# hmem-test: topology=ram1 kernels=lts,newest
. "$(dirname "$0")/kmod.sh"

command -v gdb >/dev/null || tap_skip_all "no gdb here"

# Where process PID has the region mapped.
mapping_of() {
	sed -n 's|^\([0-9a-f]*\)-.*/dev/hmem/g$|0x\1|p' "/proc/$1/maps" | head -n 1
}

debug() {
	gdb -q -nx -batch -p "${user_pid[holder]}" "$@" 2>&1
}

check_on() {
	local kind=$1 pool=$2 address

	must kmodctl create g "$pool" 4194304
	must kmodctl fill g 77
	user_start holder hold g map
	address=$(mapping_of "${user_pid[holder]}")
	[ -n "$address" ] || tap_bail "the region is not in the process's maps"
	# The first word was stored to by the holder, the second never by it.
	tap_matches "$(debug -ex "x/1gx $address+64")" \
		"0x$(od -An -tx8 -j 64 -N 8 /dev/hmem/g | tr -d ' ')" \
		"$kind: gdb shows what is in the region"
	tap_matches "$(debug -ex "x/1gx $address+1048576")" \
		"0x$(od -An -tx8 -j 1048576 -N 8 /dev/hmem/g | tr -d ' ')" \
		"$kind: far behind, too"
	debug -ex "set *(long *)($address+8192) = 0x1234567890abcdef" >/dev/null
	tap_is "$(od -An -tx8 -j 8192 -N 8 /dev/hmem/g | tr -d ' ')" 1234567890abcdef \
		"$kind: what gdb sets is in the region"
	user_end holder
	must kmodctl destroy g
}

kmod_begin
must kmodctl ram p 8388608
check_on "ram" p
must kmodctl detach p
region=$(cxl_create ram) || tap_bail "no CXL region"
must kmodctl attach "$region"
check_on "cxl ram" "$region"
tap_done
