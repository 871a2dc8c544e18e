#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A region as a file for ordinary programs: dd, cat, cmp, stat, tail.
#
# hmem-test: topology=none kernels=lts,newest
. "$(dirname "$0")/kmod.sh"

kmod_begin
must kmodctl ram p 16777216
must kmodctl create d p 6291456
device=/dev/hmem/d
head -c 6291456 /dev/urandom >"$scratch/data"

tap_check "dd fills it" dd if="$scratch/data" of=$device bs=64k conv=notrunc
tap_check "cmp finds it the same" cmp "$scratch/data" $device
tap_is "$(cat $device | sha256sum)" "$(sha256sum <"$scratch/data")" "cat gives all of it, and ends"
tap_is "$(dd if=$device bs=1M 2>/dev/null | wc -c)" 6291456 "dd reads to the end"
tap_is "$(dd if=$device bs=4M 2>/dev/null | wc -c)" 6291456 "in blocks that do not divide it"
tap_is "$(tail -c 100 $device | sha256sum)" "$(tail -c 100 "$scratch/data" | sha256sum)" \
	"tail finds the end by lseek"
tap_run dd if="$scratch/data" of=$device bs=1M seek=4 conv=notrunc
tap_is "$tap_status" 1 "dd past the end fails"
tap_matches "$tap_output" "No space left on device" "because there is no space"
tap_check "the part before the end was written" \
	cmp -n 2097152 "$scratch/data" $device 0 4194304
tap_check "dd with O_DIRECT writes" \
	dd if="$scratch/data" of=$device bs=1M oflag=direct conv=notrunc
tap_check "and reads" dd if=$device of="$scratch/copy" bs=1M iflag=direct
tap_check "the same" cmp "$scratch/data" "$scratch/copy"
tap_check "cp copies out of it" cp $device "$scratch/copy2"
tap_check "all of it" cmp "$scratch/data" "$scratch/copy2"
tap_is "$(stat -c %F $device)" "character special file" "it is a character device"
must kmodctl create e p 6291456
tap_check "a new region reads as zeroes to its end" cmp -n 6291456 /dev/hmem/e /dev/zero
tap_done
