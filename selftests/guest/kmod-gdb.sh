#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A debugger looks at a process's region memory and changes it.
#
# hmem-test: topology=ram1 kernels=lts long=newest
. "$(dirname "$0")/kmod.sh"

command -v gdb >/dev/null || tap_skip_all "no gdb here"

# Where process PID has the region mapped.
mapping_of() {
	sed -n 's|^\([0-9a-f]*\)-.*/dev/hmem/g$|0x\1|p' "/proc/$1/maps" | head -n 1
}

# One session for all: starting gdb takes longer than anything it does here.
debug() {
	local -a commands=()

	for command in "$@"; do
		commands+=(-ex "$command")
	done
	gdb -q -nx -batch -p "${user_pid[holder]}" "${commands[@]}" 2>&1
}

# The word at an offset of region g, as read(2) gives it.
word() {
	od -An -tx8 -j "$1" -N 8 /dev/hmem/g | tr -d ' '
}

check_on() {
	local kind=$1 pool=$2 address seen

	must kmodctl create g "$pool" 4194304
	must kmodctl fill g 77
	user_start holder hold g map
	address=$(mapping_of "${user_pid[holder]}")
	[ -n "$address" ] || tap_bail "the region is not in the process's maps"
	# The first word was stored to by the holder, the second never by it.
	seen=$(debug "x/1gx $address+64" "x/1gx $address+1048576" \
		"set *(long *)($address+8192) = 0x1234567890abcdef")
	tap_matches "$seen" "0x$(word 64)" "$kind: gdb shows what is in the region"
	tap_matches "$seen" "0x$(word 1048576)" "$kind: far behind, too"
	tap_is "$(word 8192)" 1234567890abcdef "$kind: what gdb sets is in the region"
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
