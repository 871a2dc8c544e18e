#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=pmem1 kernels=lts long=newest
#
# Shelves in a file on a file system that gives out the device's memory itself (DAX, MAP_SYNC):
# made durable by the CPU's flush instructions, as in a region of hmem.ko, and not by msync(2).

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

field() {
	hmemctl dump-shelf "$1" 2>/dev/null | jq -r ".[0].$2"
}

mounted() {
	mount -o "$1" "$disk" "$place"
}

region=$(cxl create-region -m -t pmem -d decoder0.0 "$(cxl_memdev pmem)" 2>/dev/null |
	jq -r .region)
[ -n "$region" ] || tap_bail "no CXL region"
disk=/dev/$(ndctl create-namespace -m fsdax -r "$region" | jq -r .blockdev)
cxl_wait 20 [ -b "$disk" ] || tap_bail "no $disk"
place=$(mktemp -d)
mkfs.ext4 -q -b 4096 "$disk" || tap_bail "no file system"
tap_check "a file system that gives out the device's memory" mounted dax=always

shelf=file:$place/region/plain
tap_check "a file on it" fallocate -l 32M "$place/region"
tap_check "and a shelf in that" hmemctl create-shelf "$shelf" --size 8M --max-size 16M
tap_is "$(field "$shelf" durability)" flush "flush instructions make it durable"
head -c 300000 /bin/bash >"$place/large"
tap_check "put" hmemctl put-object "$shelf" large "$place/large"
tap_check "and got" bash -c "hmemctl get-object '$shelf' large | cmp - '$place/large'"
tap_check "it grows" hmemctl grow-shelf "$shelf" --size 12M
tap_check "and is in order" hmemctl check-shelf "$shelf"
tap_check "four processes write to it, are killed, and what they were told is there" bash -c "
	truncate -s 1M '$place/journal'
	hmemctl create-shelf 'file:$place/region/ordered' --size 8M --ordered >/dev/null 2>&1
	'$here/shelf_writers' run 'file:$place/region' '$place/journal' 1500 1 &&
		'$here/shelf_writers' verify 'file:$place/region' '$place/journal'"

umount "$place"
tap_check "the same file system without that" mounted dax=never
tap_is "$(field "$shelf" durability)" msync "there it is msync"
tap_check "what was put is there" bash -c "hmemctl get-object '$shelf' large | cmp - '$place/large'"
umount "$place"
rmdir "$place"
ndctl destroy-namespace -f all >/dev/null 2>&1
cxl_destroy "$region" 2>/dev/null
# Of a device that was taken away before, a region without anything may be listed still.
tap_check "the device is free again" [ ! -e "$cxl_bus/$region" ]
tap_done
