#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed timeout=180 kernels=newest long=lts
#
# hmemctl from a machine where nothing is configured to regions and back to nothing.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

# field JSON FILTER: one value out of what hmemctl printed on stdout
field() {
	jq -r "$2" <<<"$1"
}

# Runs hmemctl; stdout goes to $out, stderr to $err, the exit status to $status.
ctl() {
	local log

	log=$(mktemp)
	out=$(hmemctl "$@" 2>"$log")
	status=$?
	err=$(<"$log")
	rm -f "$log"
}

nothing_is_set_up() {
	[ -z "$(cxl_regions)" ] && [ -z "$(ls /sys/class/hmem_pool)" ] &&
		[ "$(ls /dev/hmem)" = control ]
}

[ -z "$(cxl_regions)" ] || tap_bail "CXL regions were left by another test"
insmod /root/hmem.ko || tap_bail "hmem.ko does not load"

# --- a dry run only talks

ctl create-region --size 64M --dry-run
tap_is "$status" 0 "a dry run of create-region succeeds"
tap_is "$(field "$out" '[.[].step] | join(" ")')" "create-cxl-region attach-pool create-region" \
	"and names the three steps"
tap_is "$(field "$out" '.[0].type')" ram "volatile memory comes first"
ctl attach-pool --all --dry-run
tap_is "$(field "$out" '[.[] | select(.step == "create-cxl-region").type] | sort | join(" ")')" \
	"pmem ram" "a dry run of attach-pool --all names both devices"
tap_check "dry runs changed nothing" nothing_is_set_up

# --- volatile

ctl create-region --size 64M
tap_is "$status" 0 "create-region makes a region from nothing"
tap_is "$(field "$out" '.[0].region')" r0 "its default name is r0"
tap_is "$(field "$out" '.[0] | [.size, .persistent, .mode] | join(" ")')" "67108864 false 0600" \
	"it has the size asked for, is volatile and private"
pool=$(field "$out" '.[0].pool')
tap_is "$(stat -c '%F %a %u %g' /dev/hmem/r0)" "character special file 600 0 0" \
	"its device node is there"
tap_is "$(cat /sys/bus/dax/drivers_autoprobe)" 1 "drivers may take dax devices again"

ctl create-region --size 1
tap_is "$(field "$out" '.[0] | [.region, .size, .pool] | join(" ")')" "r1 2097152 $pool" \
	"the next is r1, in the same pool, rounded up to an extent"
tap_is "$(cxl_regions | wc -l)" 1 "and needed no second CXL region"

capacity=$(cat "/sys/class/hmem_pool/$pool/size")
ctl create-region half --pool "$pool" --size 50%
tap_is "$(field "$out" '.[0].size')" $((capacity / 2)) "50% is half of the pool's capacity"
ctl create-region rest --type ram --size all
tap_is "$(field "$out" '.[0].size')" $((capacity / 2 - (66 << 20))) "all is all that is free"
tap_is "$(cat "/sys/class/hmem_pool/$pool/free")" 0 "now the pool is full"
ctl create-region --pool "$pool" --size 2M
tap_is "$status" 1 "no region in a full pool"
tap_matches "$err" "carve 2M out of pool $pool: it has .* free" "and the reason is told"
ctl create-region more --type ram --size 2M
tap_is "$status" 1 "no volatile region at all when every device is used"
tap_matches "$err" "no CXL memory device has unconfigured volatile capacity" "and that is said"
tap_matches "$err" "to do: " "and what to do"
ctl create-region rest --size 2M
tap_is "$status" 1 "a name that is taken is refused"
tap_matches "$err" "create region rest: it exists" "and the error says so"
ctl create-region a/b --type pmem --size 2M
tap_is "$status" 1 "a name with a slash is refused"
tap_is "$(cxl_regions | wc -l)" 1 "before anything is set up for it"

# --- resize, info, destroy

ctl resize-region rest --size 32M --dry-run
tap_is "$status $(cat /sys/class/hmem/rest/size)" "0 $((capacity / 2 - (66 << 20)))" \
	"a dry run of resize-region changes nothing"
ctl resize-region rest --size 32M
tap_is "$(field "$out" '.[0].size') $(cat /sys/class/hmem/rest/size)" "33554432 33554432" \
	"resize-region shrinks"
ctl resize-region rest --size all
tap_is "$(field "$out" '.[0].size')" $((capacity / 2 - (66 << 20))) "resize-region --size all grows"
ctl resize-region rest --size 1T
tap_is "$status" 1 "a region does not grow beyond its pool"
tap_matches "$err" "has no room: .* more wanted, .* free" "and the error counts"
ctl resize-region nobody --size 1G
tap_is "$status" 1 "a region that is not there cannot be resized"
tap_matches "$err" "there is no region nobody" "and the error says so"

ctl info rest "$pool" nobody
tap_is "$status" 1 "info of three names, one wrong, fails"
tap_is "$(field "$out" '[.[] | .region // .pool] | join(" ")')" "rest $pool" \
	"but tells of the two others"
tap_matches "$err" "look up nobody: no region and no pool" "and names the wrong one"
ctl list --pools --regions
tap_is "$(field "$out" '[(.[0].pools | length), (.[1].regions | length)] | join(" ")')" "1 4" \
	"list shows pools and regions"
raw=$(field "$out" '[.. | objects | keys] | flatten | join(" ")')
ctl list --pools --regions -u
tap_is "$(field "$out" '[.. | objects | keys] | flatten | join(" ")')" "$raw" \
	"-u changes no member's name"
tap_is "$(field "$out" '.[1].regions[0].owner')" root "but writes owners as names"

exec 9</dev/hmem/rest
ctl destroy-region rest
tap_is "$status" 1 "a region that is open is not destroyed"
tap_matches "$err" "open or mapped" "and the reason is told"
exec 9<&-
ctl destroy-region rest --dry-run
tap_check "a dry run of destroy-region changes nothing" test -e /dev/hmem/rest
ctl detach-pool "$pool"
tap_is "$status" 1 "a volatile pool with regions is not detached"
ctl destroy-region rest half r0 r1
tap_is "$status $(field "$out" length) $(ls /dev/hmem)" "0 4 control" "destroy-region takes several"

# --- persistent

ctl create-region db --type pmem --size 32M --owner user --group other --mode 0640
tap_is "$status" 0 "create-region makes a persistent region from nothing"
tap_is "$(field "$out" '.[0] | [.persistent, .owner, .group, .mode] | join(" ")')" \
	"true 1000 1001 0640" "with owner, group and mode"
tap_is "$(stat -c '%a %u %g' /dev/hmem/db)" "640 1000 1001" "and so is its device node"
echo written >/tmp/cli-data
dd if=/tmp/cli-data of=/dev/hmem/db conv=notrunc,fsync status=none

ctl detach-pool "$pool" "$(field "$out" '.[0].pool')" --release
tap_is "$status" 0 "detach-pool takes both pools, the persistent one with its region"
tap_check "and --release leaves the machine as it was" nothing_is_set_up

ctl attach-pool --all
tap_is "$status" 0 "attach-pool --all sets both devices up again"
tap_matches "$err" "brought back 1 region" "and says what came back"
tap_is "$(stat -c '%a %u %g' /dev/hmem/db)" "640 1000 1001" \
	"the persistent region has its name, owner, group and mode"
tap_is "$(head -c 8 /dev/hmem/db)" "written" "and its data"
ctl destroy-region db
ctl attach-pool --all
tap_is "$status $(field "$out" length)" "0 0" "attach-pool --all again finds nothing to do"

# --- an ordinary user

as_user=(setpriv --reuid 1000 --regid 1000 --clear-groups)
for args in "create-region x --size 2M" "attach-pool --all" "detach-pool $pool"; do
	# shellcheck disable=SC2086 # words
	tap_check_status 1 "an ordinary user cannot ${args%% *}" "${as_user[@]}" hmemctl $args
	tap_matches "$tap_output" "run it as root" "and is told why"
done
tap_check "an ordinary user can list" "${as_user[@]}" hmemctl list -P -R

# shellcheck disable=SC2046 # names
ctl detach-pool $(hmemctl list -P 2>/dev/null | jq -r '.[].pool') --release
tap_check "everything was put back" nothing_is_set_up

# --- blank devices are not formatted by the way, and devices can be named

ctl attach-pool ram --size 64M --name spare
tap_is "$(field "$out" '.[0] | [.pool, .provider, .size] | join(" ")')" "spare ram 67108864" \
	"attach-pool ram takes system RAM"
ctl detach-pool spare
tap_is "$status" 0 "and detach-pool gives it back"
memdev=$(cxl_memdev pmem)
ctl attach-pool "$memdev" --name store
tap_is "$(field "$out" '.[0] | [.pool, .persistent] | join(" ")')" "store true" \
	"attach-pool of a memory device makes its CXL region, under a name that was given"
ctl detach-pool store --release
ctl attach-pool mem99
tap_is "$status" 1 "a device that is not there"
tap_matches "$err" "no CXL memory device mem99" "is said not to be"
ctl attach-pool region99
tap_is "$status" 1 "a CXL region that is not there"
tap_matches "$err" "there is no such CXL region" "is said not to be"

rmmod hmem
tap_is "$?" 0 "the module unloads"
tap_done
