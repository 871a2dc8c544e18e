#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=pmem1 kernels=newest long=lts timeout=240
#
# A file system that gives out its device's memory (DAX) is a layer: it is listed and measured, and
# spaces and programs' blocks are of its memory. hmem.ko has nothing to do with it.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"
scratch=$(mktemp -d)
. "$here/ctl.sh"
place=$scratch/memory
mkdir "$place"

mounted() {
	mount ${1:+-o "$1"} "$disk" "$place"
}

# of_layer FILTER: what list-layers says of the file system
of_layer() {
	ctl list-layers
	field ".[] | select(.layer == \"fsdax:$place\") | $1"
}

# fs COUNT: blocks of the file system (stat(1)), in bytes
fs() {
	echo $(($(stat -f -c "%$1" "$place") * $(stat -f -c %S "$place")))
}

holds() {
	[ -s "$scratch/held" ]
}

region=$(cxl create-region -m -t pmem -d decoder0.0 "$(cxl_memdev pmem)" 2>/dev/null |
	jq -r .region)
[ -n "$region" ] || tap_bail "no CXL region"
disk=/dev/$(ndctl create-namespace -m fsdax -r "$region" | jq -r .blockdev)
cxl_wait 20 [ -b "$disk" ] || tap_bail "no $disk"
mkfs.ext4 -q -b 4096 "$disk" || tap_bail "no file system"

# --- which file systems are layers

for option in "" dax=inode dax=never; do
	mounted $option || tap_bail "no file system with option \"$option\""
	tap_is "$(of_layer .layer)" "" "mounted with \"$option\" a file system is no layer"
	umount "$place"
done
tap_check "mounted with dax=always" mounted dax=always
tap_is "$(of_layer '[.kind, .device] | @json')" "[\"fsdax\",\"${disk##*/}\"]" \
	"it is one, whose device is the disk"
tap_is "$(of_layer '[.persistent, .shareable, .allowed] | @json')" "[true,true,true]" \
	"persistent, and to be shared"
tap_is "$(of_layer '[.capacity, .capacity_from, .free, .free_from] | @json')" \
	"[$(fs b),\"kernel\",$(fs a),\"kernel\"]" "with what the file system has"

# --- how fast it is

free=$(fs a)
names=$(ls -A "$place")
ctl probe-layer "fsdax:$place" --seconds 0.3 --bytes 16M
tap_is "$status:$(field '.[0] | [.read_latency_ns_from, .read_bandwidth_from, .write_bandwidth_from, .measured.bytes] | @json')" \
	'0:["probe","probe","probe",16777216]' "it is measured"
tap_is "$(fs a):$(ls -A "$place")" "$free:$names" "of which nothing is left"

# --- spaces

start=$(($(cat "$cxl_bus/$region/resource"))) size=$(($(cat "$cxl_bus/$region/size")))
tap_check "a space is of the device's memory, and of a file without a name" \
	"$here/fsdax_space" "fsdax:$place" "$place" $start $size
[ "$tap_status" = 0 ] || tap_diag "$tap_output"
tap_is "$(fs a):$(ls -A "$place")" "$free:$names" "of which nothing is left"

# --- a program's blocks

stats=$scratch/stats
mkfifo "$scratch/never"
hmemctl run --layer "fsdax:$place" --size 32M --above 32 --stats-file "$stats" -- bash -c \
	'for i in {1..2000}; do a[i]=$i-value-of-many-that-lie-in-the-space; done
	echo "${#a[@]} ${a[1999]}" >"$0"; read -r _ <"$1"' "$scratch/held" "$scratch/never" &
pid=$!
tap_check "a program runs" cxl_wait 60 holds
tap_is "$(<"$scratch/held")" "2000 1999-value-of-many-that-lie-in-the-space" "and has what it wrote"
tap_matches "$(cat /proc/$pid/maps)" "rw-s .* $place/.*\(deleted\)" "in a file without a name"
tap_check "of the file system" [ $((free - $(fs a))) -ge $((32 << 20)) ]
tap_is "$(ls -A "$place")" "$names" "which nobody finds there"
tap_check_status 32 "the file system is in use" umount "$place"
echo >"$scratch/never"
wait $pid
tap_matches "$(tail -n 1 "$stats")" "bash.* fsdax:$place: [1-9][0-9]{3,} allocations" \
	"when it ends it says how much came from there"
# The kernel frees what a dead process had.
tap_check "nothing is left" cxl_wait 10 eval '[ "$(fs a)" = "$free" ]'
ctl run --layer "fsdax:$place" --size 1G -- true
tap_matches "$status:$err" "^1:.*has .* free, not 1G" "more than there is is refused"

umount "$place"
rm -rf "$scratch"
ndctl destroy-namespace -f all >/dev/null 2>&1
cxl_destroy "$region" 2>/dev/null
tap_check "the device is free again" [ ! -e "$cxl_bus/$region" ]
tap_done
