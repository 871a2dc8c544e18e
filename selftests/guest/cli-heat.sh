#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=none timeout=240 kernels=lts,newest
#
# hmemctl heat over time: what it answers in a pipe, on a terminal and as files; that it ends
# when it is told to, and what becomes of it when the region goes.

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"
. "$(dirname "$0")/watching.sh"

heat_is_seen() {
	hmemctl heat r | jq -e '.[0] | .cells[0].heat > 0' >/dev/null
}

kmod_begin
must hmemctl attach-pool ram --size 64M --name pool
must hmemctl create-region r --pool pool --size 24M --near-max 4M --policy manual
must kmodctl fill r 1 0 2097152
must hmemctl migrate r --near
user_start user use r store
cxl_wait 30 heat_is_seen || tap_diag "no heat is seen"

# --- in a pipe

ctl heat r
tap_is "$status:$err $(field length) $(field '.[0] | [.region, (.time == 0 | tostring)] | join(" ")')" "0: 1 r true" \
	"in a pipe it looks once, and answers in JSON"
ctl heat r --count 3 --interval 0.05
tap_is "$status:$err $(field length)" "0: 3" "--count looks as often"
tap_is "$(field '[.[].time] | [.[0] == 0, .[1] >= 0.05, .[2] > .[1]] | map(tostring) | join(" ")')" "true true true" \
	"one after the other"
tap_is "$(field '[.[] | .cells | length] | map(tostring) | join(" ")')" "12 12 12" "each with all cells"
ctl heat r --seconds 0.2 --interval 0.1
tap_is "$status $(field length)" "0 3" "--seconds and --interval"
ctl heat r --seconds 0.1 --count 2 -u
tap_is "$status $(field length) $(field '.[0].size')" "0 2 24.00 MiB" "--seconds and --count, with -u"

ctl heat r --draw --seconds 0.2
tap_is "$status:$err $(wc -l <<<"$out") $(awk 'length > 80' <<<"$out" | wc -l)" "0: 17 0" \
	"--draw draws 12 rows, in 80 columns"
tap_is "$(tr -d ' -~\n' <<<"$out")" "" "of plain characters"
tap_matches "$(sed -n 1p <<<"$out")" '^r: 24.00 MiB, near_max 4.00 MiB, 64 samples in [0-9.]+ s$' "under a title"
tap_matches "$(sed -n 2p <<<"$out")" '^ *0 B [|][1-8]{64}[|]$' "what is near and used has its level"
tap_matches "$(sed -n 3p <<<"$out")" '^ *2.00 MiB [|][.:=+*%@-]{64}[|]$' "what is at home another mark"
tap_matches "$(sed -n 13p <<<"$out")" '^ *22.00 MiB [|] {64}[|]$' "and what nobody uses none"
tap_matches "$(tail -n 1 <<<"$out")" 'touched [0-9.]+ .?/(s|min|h) to [0-9.]+ .?/(s|min)$' "with a legend"
ctl heat r --draw --count 2 --seconds 0.1 --cell 50%
tap_is "$(wc -l <<<"$out")" 7 "--cell says how many rows there are"
tap_check_status 1 "stdout that is full" bash -c 'hmemctl heat r --draw --count 1 >/dev/full'
tap_matches "$tap_output" "write the drawing to stdout: No space" "is told"

# --- on a terminal

terminal xterm "stty columns 60 rows 12; hmemctl heat r --seconds 0.2 2>/dev/null"
tap_is "$status $(wc -l <<<"$plain") $(awk 'length > 60' <<<"$plain" | wc -l)" "0 11 0" \
	"on a terminal it draws, as it fits"
tap_matches "$out" $'\033\\[48;5;' "with colours"
terminal dumb "hmemctl heat r --seconds 0.1"
tap_is "$status:$(grep -c $'\033\\[48' <<<"$out")" "0:0" "but not on a dumb one"
terminal xterm "NO_COLOR=1 hmemctl heat r --seconds 0.1"
tap_is "$status:$(grep -c $'\033\\[48' <<<"$out")" "0:0" "nor where nobody wants them"
terminal xterm "hmemctl heat r --json --count 2 --seconds 0.1 2>/dev/null"
tap_is "$status $(tr -d '\r' <<<"$out" | jq length)" "0 2" "--json is JSON there as well"

# --- as files

ctl heat r --seconds 0.2 --svg "$scratch/a.svg" --png "$scratch/a.png"
tap_is "$status:$err $(field '.[0] | [.region, .samples, .svg, .png] | join(" ")')" \
	"0: r 64 $scratch/a.svg $scratch/a.png" "--svg and --png say what was written"
tap_matches "$(head -c 60 "$scratch/a.svg")$(tail -n 1 "$scratch/a.svg")" '^<[?]xml .*</svg>$' "a whole SVG"
tap_is "$(od -An -t x1 -N 8 "$scratch/a.png") $(tail -c 8 "$scratch/a.png" | head -c 4)" \
	' 89 50 4e 47 0d 0a 1a 0a IEND' "and a whole PNG"
echo old >"$scratch/old.svg"
ctl heat nobody --svg "$scratch/old.svg"
tap_is "$status:$out:$(<"$scratch/old.svg")" "1::old" "a region that is not there leaves the file as it is"
ctl heat r --seconds 1000 --svg "$scratch/none/a.svg"
tap_is "$status:$out" "1:" "a file that cannot be made is known before anybody waits"
tap_matches "$err" "open $scratch/none/a.svg: No such file" "and is told"
ctl heat r --seconds 1000 --png /dev/hmem/r
tap_is "$status:$out" "1:" "the region itself is no place for its picture"
tap_matches "$err" "/dev/hmem/r is the region itself" "and that is told"
for file in svg png; do
	ctl heat r --count 1 --$file /dev/full
	tap_is "$status" 1 "--$file to what is full fails"
	tap_matches "$err" "write /dev/full: No space" "and that is told"
done

ctl heat r --count 1 --svg ""
tap_is "$status:$out" "129:" "a file without a name is bad usage"
ctl heat r --count 1 --svg "$scratch/one" --png "$scratch/one"
tap_is "$status:$(test -e "$scratch/one" || echo none)" "129:none" "so are two drawings in one file"

# --- its end

mkfifo "$scratch/pipe"
opens() {
	[[ $(<"/proc/$watch_pid/wchan") == wait_for_partner* ]]
}
hmemctl heat r --count 2 --interval 0.01 --png "$scratch/pipe" >/dev/null 2>"$scratch/err" </dev/null &
watch_pid=$!
tap_check "nobody reads the pipe that it is to draw to" cxl_wait 60 opens
kill -TERM "$watch_pid"
wait "$watch_pid"
tap_is "$?" 1 "it can be terminated all the same"
tap_matches "$(<"$scratch/err")" "open .*/pipe: Interrupted system call" "and says where"
watch_start heat r --draw --interval 1000 --count 3
kill -INT "$watch_pid"
watch_end
tap_is "$status $(grep -c '1 sample in' <<<"$out")" "0 1" "an interrupt ends it, and it draws what it has seen"
watch_start heat r --interval 1000 --count 3 --svg "$scratch/a.svg"
kill -TERM "$watch_pid"
watch_end
tap_is "$status $(field '.[0].samples')" "0 1" "so does its termination"
user_end user

watch_start heat r --interval 0.05 --count 100000
tap_check "it keeps nobody from destroying the region" cxl_wait 10 hmemctl destroy-region r
watch_end
tap_is "$status $([ "$(field length)" -gt 0 ] && echo some)" "1 some" "which ends it, with what it has seen"
# It may have come in between.
tap_matches "$err" "there is no region r|region r.* just being destroyed" "and the reason"

must hmemctl create-region r --pool pool --size 24M
watch_start heat r --interval 0.5 --count 100000
kill -STOP "$watch_pid"
must hmemctl destroy-region r
must hmemctl create-region r --pool pool --size 8M
kill -CONT "$watch_pid"
watch_end
tap_is "$status" 1 "another region of that name ends it as well"
tap_matches "$err" "it was destroyed, and there is another one" "and is not taken for the first"
must hmemctl destroy-region r
must hmemctl detach-pool pool
tap_done
