#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=none timeout=240 kernels=lts,newest
#
# hmemctl monitor: what it says of regions as they come, move and go, in a pipe, as JSON and on a
# terminal.

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"
. "$(dirname "$0")/watching.sh"

lines_with() {
	jq -c "select($1)" "$scratch/watch" 2>/dev/null | grep -q .
}

kmod_clean
ctl monitor
tap_is "$status:$out" "1:" "without the module there is nothing to watch"
tap_matches "$err" "hmem.ko is not loaded.*to do: modprobe hmem" "and it says so"
kmod_begin
must hmemctl attach-pool ram --size 64M --name pool

ctl monitor --count 1 --json
tap_is "$status:$out:$err" "0::" "no regions: no lines"
ctl monitor --count 1
tap_matches "$out" '  0 regions.REGION  ' "no regions: a table without any"
ctl monitor nobody
tap_is "$status:$out" "1:" "a region that is not there"
tap_matches "$err" "there is no region nobody" "is said not to be"
truncate -s 4M "$scratch/file"
ctl monitor "$scratch/file"
tap_is "$status:$out" "2:" "a file has no near copies"

# --- numbers

must hmemctl create-region r --pool pool --size 24M --near-max 8M --policy manual
must kmodctl fill r 1 0 8388608
ctl monitor --count 2 --interval 0.1 --json
tap_is "$status:$err $(jq -s length <<<"$out") $(wc -l <<<"$out")" "0: 2 2" "a line of JSON for each time"
tap_is "$(sed -n 1p <<<"$out" | jq -r '[.region, .size, .policy, .near, .near_max, .home, .dirty, .promotions_per_second, .cell, (.cells | length)] | map(tostring) | join(" ")')" \
	"r 25165824 manual 0 8388608 25165824 0 null 2097152 12" "the first knows no rates"
tap_is "$(sed -n 2p <<<"$out" | jq -r '[.promotions_per_second, .demotions_per_second] | map(. == 0 | tostring) | join(" ")')" \
	"true true" "the second does"
ctl monitor r hmem:r --count 1 --json
tap_is "$status:$(wc -l <<<"$out")" "0:1" "named twice it has one line"
raw=$(head -n 1 <<<"$out" | jq -c '[.. | objects | keys_unsorted]')
ctl monitor --count 1 --json -u
tap_is "$(jq -c '[.. | objects | keys_unsorted]' <<<"$out")" "$raw" "-u changes no member's name"
tap_matches "$(field '[.time, .size] | join(" ")')" '^20[0-9-]+T[0-9:]+Z 24.00 MiB$' "but how values are written"

watch_start monitor r --json --interval 0.05
# Of what is no terminal the size does not matter, and nothing is said twice.
kill -WINCH "$watch_pid"
must hmemctl migrate r --near
tap_check "near copies are seen" cxl_wait 20 lines_with '.near == 8388608 and .home == 16777216'
kill -WINCH "$watch_pid"
tap_check "with their rate" cxl_wait 20 lines_with '.promotions_per_second > 0'
must hmemctl migrate r --home
tap_check "and that they go" cxl_wait 20 lines_with '.demotions_per_second > 0'
must hmemctl set-policy r --mode auto
user_start user use r store
tap_check "what is used is hit near, in the end" cxl_wait 60 lines_with '.hit_share > 0.9'
tap_check "and hot" lines_with '.cells[0].heat > 0 and .cells[0].near == 255'
user_end user
kill -INT "$watch_pid"
watch_end
tap_is "$status:$err" "0:" "an interrupt ends it"
tap_is "$(jq -s 'map(.time) | length - (unique | length)' <<<"$out")" 0 "each time is told once"
tap_is "$(jq -s 'map(select(.near + .home != .size)) | length' <<<"$out")" 0 "near and home are all there is"

# --- coming and going: it has each region open for a part of the time, more so on a slow machine

watch_start monitor --json --interval 0.4
must hmemctl create-region other --pool pool --size 4M
tap_check "a region that comes is seen" cxl_wait 20 lines_with '.region == "other"'
tap_check "one that is watched can be destroyed" cxl_wait 20 hmemctl destroy-region other
must hmemctl create-region other --pool pool --size 8M
tap_check "another of that name is another" cxl_wait 20 lines_with '.region == "other" and .size == 8388608'
tap_check "which has no rate at first" lines_with \
	'.region == "other" and .size == 8388608 and .promotions_per_second == null'
cxl_wait 20 hmemctl destroy-region other
kill -TERM "$watch_pid"
watch_end
tap_is "$status" 0 "its termination ends it"

env --ignore-signal=HUP hmemctl monitor r --json --interval 0.1 >"$scratch/watch" 2>"$scratch/err" </dev/null &
watch_pid=$!
cxl_wait 30 watch_is_on || tap_bail "hmemctl monitor: does not begin"
for ((i = 0; i < 20; i++)); do
	kill -HUP "$watch_pid"
done
lines=$(wc -l <"$scratch/watch")
goes_on() {
	[ "$(wc -l <"$scratch/watch")" -gt $((lines + 2)) ]
}
tap_check "with nohup a hang-up does not" cxl_wait 30 goes_on
kill -TERM "$watch_pid"
watch_end
tap_is "$status" 0 "but its termination does"

# A pipe that nobody reads: it waits where it writes.
mkfifo "$scratch/pipe"
exec 8<>"$scratch/pipe"
writes() {
	[[ $(<"/proc/$watch_pid/wchan") == *pipe_write* ]]
}
hmemctl monitor --json --interval 0.001 >"$scratch/pipe" 2>"$scratch/err" </dev/null &
watch_pid=$!
tap_check "nobody reads what it prints" cxl_wait 60 writes
kill -TERM "$watch_pid"
wait "$watch_pid"
tap_is "$?" 1 "it can be terminated all the same"
tap_matches "$(<"$scratch/err")" "Interrupted system call" "and says what was cut off"
exec 8>&-

watch_start monitor r --json --interval 0.4
says_gone() {
	grep -q 'warning: region r is gone' "$scratch/err"
}
cxl_wait 20 hmemctl destroy-region r
tap_check "one that was asked for and goes is told" cxl_wait 20 says_gone
must hmemctl create-region r --pool pool --size 4M
tap_check "and seen when it comes back" cxl_wait 20 lines_with '.size == 4194304'
kill -INT "$watch_pid"
watch_end
tap_is "$status $(grep -c 'is gone' <<<"$err")" "0 1" "it was told once"

must hmemctl create-region mine --pool pool --size 4M --owner 1000
out=$(setpriv --reuid 1000 --regid 1000 --clear-groups hmemctl monitor --count 2 --interval 0.05 --json 2>"$scratch/err")
tap_is "$(jq -r .region <<<"$out" | sort -u) $(grep -c 'region r may not be read' "$scratch/err")" "mine 1" \
	"an ordinary user sees his, and is told once of others"
out=$(setpriv --reuid 1000 --regid 1000 --clear-groups hmemctl monitor --count 1)
tap_matches "$out" 'r  +may not be read' "and in the table"
must hmemctl destroy-region mine

# --- in a pipe, and where it ends

ctl monitor --count 2 --interval 0.05
tap_is "$status:$err $(grep -c '^REGION ' <<<"$out") $(awk 'length > 80' <<<"$out" | wc -l)" "0: 2 0" \
	"a table each time, in 80 columns"
tap_is "$(tr -d ' -~\n' <<<"$out")" "" "of plain characters"
for option in --json -u; do
	tap_check_status 1 "stdout that is full, $option" bash -c "hmemctl monitor $option --interval 0.05 >/dev/full"
	tap_matches "$tap_output" "write to stdout: No space" "is told, and ends it"
	tap_check_status 1 "stdout that is closed, $option" bash -c "hmemctl monitor $option --interval 0.05 >&-"
done
tap_is "$(hmemctl monitor --json --interval 0.05 | head -n 3 | wc -l)" 3 "a reader that goes ends it"

# --- on a terminal

terminal xterm "stty columns 80 rows 10; hmemctl monitor --count 2 --interval 0.05"
tap_is "$status:$(grep -o $'\033\\[[?0-9;]*[lhJH]' <<<"$out" | tr -d '\033' | xargs)" \
	"0:[?25l [2J [H [J [H [J [?25h" "on a terminal it draws over what was there"
tap_matches "$plain" 'Z  1 region; Ctrl-C ends it' "and says how to end it"

# strip COLUMNS: one that is as wide, without colours, was drawn
strip() {
	tr -d '\r' <"$scratch/screen" | sed 's/\x1b\[[?0-9;]*[a-zA-Z]//g' | grep -qE "^  \[ {$1}\]\$"
}
env --default-signal=INT TERM=xterm script -qfec "stty columns 80 rows 10; exec hmemctl monitor --interval 1000" \
	"$scratch/screen" </dev/null >/dev/null &
tap_check "a strip is as wide as the terminal" cxl_wait 30 strip 74
watch_pid=$(pgrep -x hmemctl)
must stty -F "$(readlink "/proc/$watch_pid/fd/1")" columns 50
tap_check "and drawn anew when that has another size" cxl_wait 30 strip 44
kill -INT "$watch_pid"
wait $!
must hmemctl destroy-region r
must hmemctl detach-pool pool
tap_done
