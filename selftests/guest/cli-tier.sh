#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed timeout=240 kernels=lts,newest
#
# hmemctl and near copies: set-policy, migrate, heat, and what other verbs say of them.

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"

# keys: every member's name, in order
keys() {
	field '[.. | objects | keys_unsorted] | flatten | unique | join(" ")'
}

# pages RESULT...: how many there are of each
pages() {
	local name

	for name in "$@"; do
		field ".[0].pages.$name"
	done | xargs
}

# held: the ranges that are
held() {
	field '.[0].held[] | "\(.offset)+\(.bytes)"' | xargs
}

near_bytes() {
	hmemctl info "$1" | jq '.[0].near'
}

# same_shape NAME ARGUMENTS...: -u changes no member's name
same_shape() {
	local name=$1 raw

	shift
	ctl "$@"
	raw=$(keys)
	ctl "$@" -u
	tap_is "$(keys)" "$raw" "$name: -u changes no member's name"
}

as_user=(setpriv --reuid 1000 --regid 1000 --clear-groups)

kmod_begin
must hmemctl attach-pool ram --size 96M --name pool
must hmemctl create-region r --pool pool --size 24M

# --- for long-term pins

ctl create-region l --pool pool --size 2M --long-term-pins
tap_is "$status:$(field '.[0] | [.region, .long_term_pins] | join(" ")')" "0:l true" \
	"a region for long-term pins, on a pool"
must hmemctl destroy-region l
must hmemctl create-region l --size 2M --type ram --long-term-pins --pool pool --policy manual \
	--near-max 2M
ctl info l
tap_is "$status:$(field '.[0] | [.long_term_pins, .policy, .near_max] | join(" ")')" \
	"0:true manual 2097152" "with what else a region is created with"
must hmemctl destroy-region l

# --- the policy

ctl set-policy r
tap_is "$status:$err" "0:" "set-policy without options looks"
tap_is "$(field '.[0] | [.region, .policy, .near_max] | join(" ")')" "r off 0" \
	"a new region has no DRAM and no policy"
tap_check "it shows the knobs" test "$(field '.[0].knobs | length')" -gt 20
tap_is "$(field '[.[0].knobs[] | select(.value < .least or .value > .most)] | length')" 0 \
	"each between its least and most"
tap_is "$(field '.[0].knobs[] | select(.knob == "budget_ppm") | [.value, .most] | join(" ")')" \
	"9000 500000" "as Documentation/tiering.md has them"
same_shape set-policy set-policy r
tap_is "$(field '.[0].near_max')" "0 B" "and writes sizes as people do"

ctl set-policy r --near-max 8M --mode manual --knob budget_ppm=200000 --knob haste_pct=200
tap_is "$status" 0 "set-policy sets all at once"
tap_is "$(field '.[0] | [.policy, .near_max] | join(" ")')" "manual 8388608" "and shows it"
tap_is "$(field '[.[0].knobs[] | select(.knob == "budget_ppm" or .knob == "haste_pct").value] | join(" ")')" \
	"200000 200" "with both knobs"
for pair in 50%:12582912 all:25165824 3M:4194304 0:0 20%:4194304; do
	ctl set-policy r --near-max "${pair%:*}"
	tap_is "$(field '.[0] | [.policy, .near_max] | join(" ")')" "manual ${pair#*:}" \
		"--near-max ${pair%:*}, and the mode stays"
done
ctl set-policy r --near-max 1%
tap_is "$status:$out" "1:" "--near-max 1% is nothing of this region"
tap_matches "$err" "set near_max of region r to 1%: that is less than an extent" "and is told so"

ctl set-policy r --mode auto --knob split=0 --knob nonsense=1
tap_is "$status:$out" "1:" "a knob that there is not"
tap_matches "$err" "cannot ask for knob nonsense of region r: there is no such knob" "is said not to be"
ctl set-policy r --mode auto --knob split=0 --knob budget_ppm=500001
tap_is "$status:$out" "1:" "a value that a knob does not take"
tap_matches "$err" "set knob budget_ppm of region r to 500001: it takes 0 to 500000" \
	"with those that it does"
tap_matches "$err" "to do: hmemctl set-policy r" "and what to do"
ctl set-policy r
tap_is "$(field '.[0] | .policy, (.knobs[] | select(.knob == "split").value)' | xargs)" "manual 1" \
	"nothing of either was set"
ctl set-policy r --mode off
tap_is "$(field '.[0].policy')" off "--mode off"

for verb in "set-policy" "set-policy --mode auto" "migrate --near" "keep-range --near" release-range \
	heat; do
	# shellcheck disable=SC2086 # words
	ctl $verb nobody
	tap_is "$status:$out" "1:" "$verb of a region that is not there"
	tap_matches "$err" "there is no region nobody" "says so"
	truncate -s 4M "$scratch/file"
	# shellcheck disable=SC2086 # words
	ctl $verb "$scratch/file"
	tap_is "$status:$out" "2:" "$verb of a file"
	tap_matches "$err" "only regions of hmem.ko have near copies" "says why not"
done

# --- moving

ctl migrate r --near
tap_is "$status $(pages moved untouched)" "0 0 6144" "of a new region there is nothing to move"
must kmodctl fill r 7
must hmemctl set-policy r --near-max 0
ctl migrate r --near
tap_is "$status $(pages moved over_bound)" "1 0 6144" \
	"without room nothing moves, and that is a failure"
tap_matches "$err" "error: move region r near: nothing was moved, of 6144 pages: 6144 over the region's near_max" \
	"which says why"
tap_matches "$err" "to do: hmemctl set-policy r --near-max SIZE raises it" "and what to do"
must hmemctl set-policy r --near-max 8M

ctl migrate r --near --offset 4M --bytes 4M
tap_is "$status $(pages moved already untouched pinned over_bound other)" "0 1024 0 0 0 0 0" \
	"a range moves near"
tap_is "$(field '.[0] | [.region, .place, .offset, .bytes, (.held | length)] | map(tostring) | join(" ")')" \
	"r near 4194304 4194304 0" "and is told"
tap_matches "$err" "moved 1024 pages near" "and counted"
tap_is "$(near_bytes r)" 4194304 "info knows"
ctl migrate r --near --offset 4M --bytes 4M
tap_is "$status $(pages moved already)" "0 0 1024" "once more: it is there"
ctl migrate r --near
tap_is "$status $(pages moved already over_bound)" "0 1024 1024 4096" "all, as far as there is room"
tap_matches "$err" "warning: 4096 pages of region r were not moved near: 4096 over the region's near_max" \
	"with a warning"
ctl migrate r --home --offset 5M --bytes 1
tap_is "$status $(field '.[0] | [.place, .offset, .bytes, .pages.moved] | join(" ")')" \
	"0 home 4194304 2097152 512" "a range is the extents around it"
ctl migrate r --home --offset 50% --bytes all
tap_is "$status $(field '.[0] | [.offset, .bytes, .pages.already] | join(" ")')" \
	"0 12582912 12582912 3072" "parts of a region"
same_shape migrate migrate r --home
tap_is "$(near_bytes r)" 0 "all is home"
tap_is "$(field '.[0].bytes')" "24.00 MiB" "-u writes sizes as people do"
for range in "--offset 1G" "--offset 24M" "--offset 22M --bytes 4M" "--bytes 25M" "--offset all"; do
	# shellcheck disable=SC2086 # words
	ctl migrate r --home $range
	tap_is "$status:$out" "1:" "migrate $range"
	tap_matches "$err" "that goes beyond its end, it has 24.00 MiB" "goes too far"
done
tap_check "the data is what it was" kmodctl verify r 7

user_start pin hold r pin
ctl migrate r --near --bytes 2M
tap_is "$status $(pages moved pinned) $(held)" "1 0 512 0+2097152" "what is pinned stays"
tap_matches "$err" "nothing was moved, of 512 pages: 512 pinned by direct I/O, a device or a pipe" \
	"and the reason is told"
ctl migrate r --near --bytes 4M
tap_is "$status $(pages moved pinned) $(held)" "0 512 512 0+2097152" "what is beside it moves"
ctl migrate r --home
user_start pin2 hold r pin 0x200000
user_start pin7 hold r pin 0xe00000
must hmemctl set-policy r --near-max 24M
ctl migrate r --near
tap_is "$status $(pages moved pinned) $(held)" "0 4608 1536 0+4194304 14680064+2097152" \
	"all that is pinned is named"
tap_matches "$err" "held are: 4194304 bytes at offset 0, 2097152 bytes at offset 14680064" "in words too"
must hmemctl migrate r --home
must hmemctl set-policy r --near-max 8M
user_end pin
user_end pin2
user_end pin7

# --- who may

must hmemctl create-region mine --pool pool --size 4M --owner 1000 --mode 0644
tap_check "an owner sets the mode" "${as_user[@]}" hmemctl set-policy mine --mode manual
tap_check_status 1 "but takes no DRAM" "${as_user[@]}" hmemctl set-policy mine --near-max 2M
tap_matches "$tap_output" "raising near_max needs CAP_SYS_ADMIN; run it as root" "and is told why"
tap_check_status 1 "and sets no knob" "${as_user[@]}" hmemctl set-policy mine --knob split=1
tap_matches "$tap_output" "setting a knob needs CAP_SYS_ADMIN; run it as root" "and is told that"
must chown root /dev/hmem/mine
tap_check "a reader looks at the policy" "${as_user[@]}" hmemctl set-policy mine
tap_check "and at the heat" "${as_user[@]}" hmemctl heat mine
for verb in "set-policy --mode off" "migrate --home"; do
	# shellcheck disable=SC2086 # words
	tap_check_status 1 "but not: $verb" "${as_user[@]}" hmemctl $verb mine
	tap_matches "$tap_output" "no access to region mine: it belongs to user 0" "and is told why"
done
ctl info mine
tap_is "$(field '.[0].policy')" manual "nothing came of it"
chmod 0600 /dev/hmem/mine
tap_is "$("${as_user[@]}" hmemctl info mine 2>/dev/null |
	jq -c '.[0] | [.region, .policy, .near, .near_max, .tiering]')" '["mine","manual",0,0,null]' \
	"who may not open a region does not see what was done"
must hmemctl destroy-region mine

# --- keeping

must hmemctl migrate r --home
must hmemctl set-policy r --near-max 8M
ctl keep-range r --near --offset 2M --bytes 3M
tap_is "$status:$err $(field '.[0] | [.region, .kept, .offset, .bytes] | join(" ")')" "0: r near 2097152 4194304" \
	"keep-range keeps the extents around a range"
tap_is "$(near_bytes r)" 4194304 "which are near then"
ctl migrate r --home
tap_is "$(pages kept) $(near_bytes r)" "1024 4194304" "and stay there"
ctl migrate r --home --bytes 8M
tap_matches "$err" "to do: hmemctl release-range lets them go" "migrate says how to let them go"
ctl keep-range r --near --offset 4M --bytes 8M
tap_is "$status:$out" "1:" "more than near_max is not kept"
tap_matches "$err" "cannot keep .* of region r near: the region's near_max is used up" "and it says why"
tap_matches "$err" "warning: 6.00 MiB of it, from offset 4194304 on, are kept near" "how much was"
tap_matches "$err" "to do: hmemctl release-range r --offset 4194304 --bytes 6291456" "and how to undo it"
ctl release-range r --offset 4194304 --bytes 6291456
tap_is "$status:$err $(field '.[0] | [.region, .kept, .offset, .bytes] | map(tostring) | join(" ")')" \
	"0: r null 4194304 6291456" "release-range lets it go"
ctl migrate r --home
tap_is "$(pages kept) $(near_bytes r)" "512 2097152" "and it moves"
ctl keep-range r --home --bytes 2M
ctl migrate r --near --bytes 2M
tap_is "$(pages kept)" 512 "--home keeps out of DRAM"
ctl keep-range r --near --offset 24M
tap_is "$status:$out" "1:" "a range beyond the end"
tap_matches "$err" "keep all from offset 24M of region r: that goes beyond its end" "is refused"
ctl release-range r --bytes 25M
tap_matches "$status:$err" "1:.*release 25M from offset 0 of region r: that goes beyond" "by release-range as well"
same_shape keep-range keep-range r --home --bytes 2M
ctl release-range r
tap_is "$status $(field '.[0].bytes')" "0 25165824" "all of a region"
must hmemctl migrate r --home
must hmemctl migrate r --near --offset 2M --bytes 2M

# --- heat

ctl heat r
tap_is "$status" 0 "heat without a policy"
tap_matches "$err" "warning: the policy of region r is off" "says that nothing is measured"
tap_matches "$err" "to do: hmemctl set-policy r --mode manual" "and what to do"
tap_is "$(field '.[0] | [.region, .size, .cell, (.cells | length), (.histogram | length)] | join(" ")')" \
	"r 25165824 2097152 12 0" "a cell is an extent where these are few"
tap_is "$(field '[.[0].cells[] | .heat] | add') $(field '[.[0].cells[] | .near] | map(tostring) | join(" ")')" \
	"0 0 255 0 0 0 0 0 0 0 0 0 0" "what is near is seen"
ctl heat r --cell 3M
tap_is "$(field '.[0] | [.cell, (.cells | length), .cells[5].offset, .cells[0].near] | join(" ")')" \
	"4194304 6 20971520 127" "--cell, in whole extents"
ctl heat r --cell 1%
tap_is "$status:$out" "1:" "a cell that is less than an extent"
tap_matches "$err" "show region r in cells of 1%: that is less than an extent" "is refused"

heat_is_seen() {
	hmemctl heat r | jq -e '.[0] | .cells[0].heat > 0 and (.histogram | length) > 0' >/dev/null
}
all_hot_near() {
	[ "$(hmemctl heat r | jq '[.[0].cells[0:4][].near] | add')" = 1020 ]
}

must hmemctl migrate r --home
user_start user use r store
must hmemctl set-policy r --mode manual
cxl_wait 30 heat_is_seen || tap_diag "no heat is seen"
ctl heat r
tap_is "$status:$err" "0:" "heat with a policy"
tap_check "sees what is used" test "$(field '.[0].cells[0].heat')" -gt 2560
tap_is "$(field '[.[0].histogram[] | .near + .home] | add')" 6144 "every page is in the histogram"
same_shape heat heat r
tap_matches "$(field '.[0].cells[0].heat')" '^[0-9.]+ .?/(s|min|h)$' "-u tells how often in words"
ctl heat r --map
tap_is "$status $(wc -l <<<"$out") $(awk 'length > 80' <<<"$out" | wc -l)" "0 14 0" \
	"--map draws a row for each cell, in 80 columns"
tap_matches "$(sed -n 1p <<<"$out")" '^r: 24.00 MiB, policy manual, 12 rows of 2.00 MiB$' "under a title"
tap_matches "$(sed -n '3,6p' <<<"$out")" '^ *0 B +0% [|]-+ *[|] [0-9.]+ .?/(s|min)' "heat as bars"
tap_matches "$(tail -n 1 <<<"$out")" '^ *22.00 MiB +0% [|]' "by address"
# What is used is a page of each extent, which else would come alone.
must hmemctl set-policy r --mode auto --knob split=0
cxl_wait 30 all_hot_near || tap_diag "$(hmemctl heat r --map; hmemctl info r)"
ctl heat r --map
tap_matches "$(sed -n '3,6p' <<<"$out")" '^ *0 B 100% [|]#+ *[|]' "auto: what is used comes near"
user_end user

# --- other verbs

ctl info r
tap_is "$(field '.[0] | [.policy, .near, .near_max] | join(" ")')" "auto 8388608 8388608" "info has it"
tap_check "and what was done" test "$(field '.[0].tiering.promotions')" -ge 4096
ctl list
tap_is "$(field '.[0] | [.policy, .near, .near_max] | join(" ")')" "auto 8388608 8388608" "list as well"
tap_is "$(field '.[0] | has("tiering")')" false "but not what was done, as it opens no region"
same_shape list list
tap_check_status 1 "stdout that is full fails heat --map" bash -c 'hmemctl heat r --map >/dev/full'
tap_matches "$tap_output" "write the drawing to stdout: No space" "and is told"
must hmemctl destroy-region r

ctl create-region p --pool pool --size 8M --near-max 50% --policy auto
tap_is "$status $(field '.[0].region')" "0 p" "create-region with a policy"
ctl info p
tap_is "$(field '.[0] | [.policy, .near_max] | join(" ")')" "auto 4194304" "which it has"
ctl create-region q --pool pool --size 8M --policy manual --dry-run
tap_is "$status $(field '[.[].step] | join(" ")') $(field '.[-1].policy')" \
	"0 create-region set-policy manual" "a dry run has a step for that"
ctl create-region q --pool pool --size 8M --near-max 1%
tap_is "$status:$out" "1:" "a near_max that is less than an extent"
tap_matches "$err" "with a near_max of 1%: that is less than an extent" "is refused"
tap_is "$(kmod_names hmem)" p "and there is no region"
must hmemctl destroy-region p
must hmemctl detach-pool pool

# --- on CXL memory

ctl create-region c --type ram --size 8M --near-max all --policy manual
tap_is "$status" 0 "CXL: create-region with a policy"
pool=$(field '.[0].pool')
must kmodctl fill c 9
ctl migrate c --near
tap_is "$status $(pages moved)" "0 2048" "CXL: migrate --near"
tap_check "CXL: the data is what it was" kmodctl verify c 9
ctl migrate c --home
tap_is "$status $(pages moved)" "0 2048" "CXL: migrate --home"
tap_check "CXL: the data still is" kmodctl verify c 9
ctl heat c
tap_is "$status $(field '.[0].cells | length')" "0 4" "CXL: heat"
must hmemctl destroy-region c
must hmemctl detach-pool "$pool" --release
tap_done
