#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Shelves in files on a file system that gets full: what is made has its memory, or is refused
# and leaves nothing; and where memory is missing after all, hmemctl says so and goes on living.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

fs=$TMPDIR/fs
mkdir "$fs"
mount -t tmpfs -o size=8M none "$fs" 2>/dev/null || tap_skip_all "no file system can be mounted here"
trap 'umount "$fs"' EXIT
file=$fs/data
region=file:$file
truncate -s 64M "$file"
head -c 900000 /dev/urandom >"$TMPDIR/value"

taken() {
	stat -c %b "$file"
}

ctl create-shelf "$region/large" --size 32M
tap_is "$status" 1 "a shelf that the file system has no room for is not made"
tap_matches "$err" "No space left on device; free some space" "which is said"
tap_check "and takes nothing of it" test "$(taken)" -le 128
ctl list-shelves "$region"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "nor is it there"
ctl create-shelf "$region/small" --size 4M --max-size 32M
tap_is "$status" 0 "one that has room is made"
tap_check "and has it" test "$(taken)" -ge $((4 << 11))
before=$(taken)
ctl grow-shelf "$region/small" --size 16M
tap_is "$status:$(taken)" "1:$before" "it does not grow beyond that, and takes nothing"
head -c 16M /dev/zero >"$fs/rest" 2>/dev/null
for i in 1 2 3; do
	ctl put-object "$region/small" o$i "$TMPDIR/value"
	[ $status -eq 0 ] || break
done
tap_is "$status" 0 "objects get what it has when all the rest is taken"
truncate -s 8M "$fs/blank"
ctl list-shelves "file:$fs/blank"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "a file without memory, which it can get none of, holds no shelves"
ctl create-shelf "file:$fs/blank/one" --size 1M
tap_is "$status" 1 "and does not get one"
tap_matches "$err" "No space left on device; free some space" "which is said"
ctl check-shelf "$region/small"
tap_is "$status" 0 "it is sound"

# --- regions that are cut off

ctl resize-region "$region" --size 2M
tap_is "$status:$out" "1:" "a region with shelves is not shrunk"
tap_matches "$err" "holds 1 shelf.*--force" "which is said"
ctl resize-region "$region" --size 2M --dry-run
tap_is "$status" 1 "nor would it be"
ctl check-shelf "$region/small"
tap_is "$status" 0 "the shelf is there"
cp --sparse=always "$file" "$TMPDIR/copy"
ctl resize-region "file:$TMPDIR/copy" --size 2M --force
tap_is "$status:$(stat -c %s "$TMPDIR/copy")" "0:2097152" "unless that is asked for"

# --- memory that was taken away

if nm -D "$HMEM_BUILD/libhmem.so" | grep -q __tsan_; then
	tap_skip "memory that is missing" "the sanitizer of races does not stand being left in the middle"
	tap_done
fi

fallocate -p -o 2M -l 2M "$file" && head -c 16M /dev/zero >"$fs/more" 2>/dev/null
ctl check-shelf "$region/small"
tap_is "$status" 1 "check-shelf where memory is missing"
tap_matches "$err" "hmemctl check-shelf: error: " "tells an error"
tap_check "export-shelf is not ended by a signal" bash -c \
	"hmemctl export-shelf '$region/small' >/dev/null 2>&1; test \$? -lt 128"
for i in 1 2 3 4; do
	ctl put-object "$region/small" n$i "$TMPDIR/value"
	[ $status -lt 128 ] || break
done
tap_check "nor is put-object" test $status -lt 128
tap_done
