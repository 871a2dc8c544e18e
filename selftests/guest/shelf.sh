#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed kernels=lts long=newest timeout=400
#
# Shelves on CXL memory: in regions of a persistent and of a volatile pool, used by root and
# by an ordinary user who owns the region, by several processes at once; and a region that
# goes away under its shelf. On device-dax as well.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

as_user=(setpriv --reuid 1000 --regid 1000 --clear-groups)
as_other=(setpriv --reuid 1001 --regid 1001 --clear-groups)
scratch=$(mktemp -d)
chmod 755 "$scratch"

# What dump-shelf says of a shelf.
field() {
	hmemctl dump-shelf "$1" 2>/dev/null | jq -r ".[0].$2"
}

# objects COMMAND... -- SHELF: everything that is done with objects, as whoever COMMAND makes
objects() {
	local as=() shelf

	while [ "$1" != -- ]; do
		as+=("$1")
		shift
	done
	shelf=$2
	head -c 300000 /bin/bash >"$scratch/large"
	printf small >"$scratch/small"
	"${as[@]}" hmemctl put-object "$shelf" large "$scratch/large" --align 4K &&
		"${as[@]}" hmemctl put-object "$shelf" small "$scratch/small" &&
		"${as[@]}" hmemctl get-object "$shelf" large | cmp - "$scratch/large" &&
		[ "$("${as[@]}" hmemctl get-object "$shelf" small)" = small ] &&
		[ "$("${as[@]}" hmemctl list-objects "$shelf" | jq -r '[.[].object] | sort | join(" ")')" = \
			"large small" ] &&
		"${as[@]}" hmemctl delete-object "$shelf" large &&
		! "${as[@]}" hmemctl get-object "$shelf" large
}

# writers REGION SEED: four processes at once, all killed at some instant
writers() {
	"$here/shelf_writers" run "$1" "$scratch/journal.$1" 1500 "$2" &&
		"$here/shelf_writers" verify "$1" "$scratch/journal.$1"
}

insmod /root/hmem.ko || tap_bail "hmem.ko does not load"

for type in pmem ram; do
	name=a-$type
	hmemctl create-region "$name" --type $type --size 32M 2>/dev/null >&2 ||
		tap_bail "no region of $type"
	tap_check "$type: create-shelf" hmemctl create-shelf "$name/plain" --size 8M --max-size 16M
	tap_check "and an ordered one" hmemctl create-shelf "$name/ordered" --size 8M --max-size 16M \
		--ordered
	durability=none
	[ $type = ram ] || durability=flush
	tap_is "$(field "$name/plain" durability)" $durability "its durability is told as $durability"
	tap_check "objects on it" objects -- "$name/plain"
	tap_check_status 1 "which an ordinary user has no access to" \
		"${as_user[@]}" hmemctl list-objects "$name/plain"
	tap_matches "$tap_output" "belongs to user 0 .*this is user 1000" "and is told why"
	truncate -s 1M "$scratch/journal.$name"
	tap_check "four processes write, are killed, and what they were told is there" writers "$name" 1
	[ $type = ram ] || tap_matches "$tap_output" "durability 2" "by flushes"
	tap_check "the same once more" writers "$name" 2
	tap_is "$(field "$name/plain" dirty_shutdowns)" 0 "nothing had to be recovered"

	hmemctl create-region "u-$type" --type $type --size 16M --owner user --group other --mode 0640 \
		>/dev/null 2>&1 || tap_bail "no second region of $type"
	tap_check "$type: an ordinary user makes a shelf in a region that is his" \
		"${as_user[@]}" hmemctl create-shelf "u-$type/mine" --size 4M
	tap_check "and objects on it" objects "${as_user[@]}" -- "u-$type/mine"
	tap_check "who may only read the region can list them" \
		"${as_other[@]}" hmemctl list-objects "u-$type/mine"
	tap_is "$("${as_other[@]}" hmemctl get-object "u-$type/mine" small 2>&1)" small "and read"
	tap_check_status 1 "but not put" \
		"${as_other[@]}" hmemctl put-object "u-$type/mine" other "$scratch/small"
done

# --- from one kind of memory to the other, while writers go on

"$here/shelf_writers" run a-pmem "$scratch/journal.a-pmem" 6000 4 >"$scratch/said" &
writer=$!
cxl_wait 10 grep -q acked "$scratch/said"
tap_check "a shelf in use is exported to another pool" bash -c \
	"set -o pipefail; hmemctl export-shelf a-pmem/ordered |
		hmemctl import-shelf u-ram/copy --create --size 4M --max-size 4M"
tap_check "which its writers hardly notice" wait $writer
tap_check "with its objects" bash -c \
	"[ \$(hmemctl list-objects u-ram/copy | jq '[.[] | select(.object | startswith(\"own-\"))] | length') -gt 0 ]"
for name in a-pmem/ordered u-ram/copy; do
	tap_check "check-shelf $name" hmemctl check-shelf $name
done
tap_check "and those who wrote to it find theirs" \
	"$here/shelf_writers" verify a-pmem "$scratch/journal.a-pmem"

# --- the pool goes and comes back

pool=$(cat /sys/class/hmem/a-pmem/pool)
tap_check "the persistent pool is detached" hmemctl detach-pool "$pool"
tap_check_status 1 "then there is no shelf" hmemctl list-objects a-pmem/plain
tap_check "and attached again" hmemctl attach-pool "$pool"
tap_is "$(hmemctl get-object a-pmem/plain small 2>&1)" small "the shelf is as it was"
tap_check "for the writers too" "$here/shelf_writers" verify a-pmem "$scratch/journal.a-pmem"
tap_is "$(field a-pmem/plain dirty_shutdowns)" 0 "which needed no recovery"
tap_is "$("${as_user[@]}" hmemctl get-object u-pmem/mine small 2>&1)" small "and the user's"

# --- a region goes away

"$here/shelf_writers" run a-ram "$scratch/journal.a-ram" 0 3 >"$scratch/said" &
writer=$!
cxl_wait 10 grep -q acked "$scratch/said"
tap_check_status 1 "a region whose shelf is in use is not destroyed" hmemctl destroy-region a-ram
tap_check "and its shelf goes on" \
	bash -c "before=\$(wc -l <'$scratch/said'); for _ in \$(seq 200); do
		[ \$(wc -l <'$scratch/said') -gt \$before ] && exit; sleep 0.05; done; exit 1"
tap_check "its device does go" cxl disable-region "$(cat /sys/class/hmem/a-ram/pool)" -f
wait $writer
tap_is "$(($? != 0))" 1 "which ends those who use it"
tap_check_status 1 "the shelf is gone" hmemctl list-objects a-ram/plain
tap_diag "$tap_output"

hmemctl destroy-region a-pmem u-pmem >/dev/null 2>&1
# shellcheck disable=SC2046 # names
hmemctl detach-pool $(ls /sys/class/hmem_pool) --release >/dev/null 2>&1
cxl_destroy_all 2>/dev/null
rmmod hmem
tap_is "$?" 0 "the module unloads"

# --- device-dax

cxl_has_dax() {
	[ -n "$(cxl_dax_devices "$ram")" ]
}
ram=$(cxl_create ram)
[ -n "$ram" ] || tap_bail "no volatile CXL region"
cxl_wait 10 cxl_has_dax || tap_bail "no dax device"
dax=$(cxl_dax_devices "$ram")
daxctl reconfigure-device -m devdax "$dax" >/dev/null 2>&1
cxl_wait 10 [ -c "/dev/$dax" ] || tap_bail "no /dev/$dax"
# It is the memory that the region was in which has gone: its shelves are still there.
tap_is "$(hmemctl list-shelves "dax:/dev/$dax" 2>/dev/null | jq -r '[.[].shelf] | join(" ")')" \
	"plain ordered" "device-dax shows what it finds in its memory"
tap_check "which can be destroyed" \
	hmemctl destroy-shelf "dax:/dev/$dax/plain" "dax:/dev/$dax/ordered"
tap_check "device-dax: create-shelf" \
	hmemctl create-shelf "dax:/dev/$dax/plain" --size 8M --max-size 16M
tap_is "$(field "dax:/dev/$dax/plain" durability)" none "its durability is told as none"
tap_check "objects on it" objects -- "dax:/dev/$dax/plain"
cxl_destroy_all 2>/dev/null
rm -rf "$scratch"
tap_done
