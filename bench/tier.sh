#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The policy engine of kmod/policy.c beside baselines, in the simulator of bench/tier: no module
# and no CXL memory are at work, time is simulated by the costs that were measured once
# (kmod/policy_knobs.h). Prints all runs, then what they are by the goals.
#
# BENCH_ACCESSES says how many accesses a workload makes (2*10^8), BENCH_SEED which ones. All runs
# are kept in $BENCH_JSON with .runs before .json.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
samples=$place/samples
goals=$place/goals
trap 'rm -rf "$place"' EXIT
seed=${BENCH_SEED:-1}
accesses=${BENCH_ACCESSES:-200000000}
runs=${BENCH_JSON%.json}.runs.json

"${CC:-cc}" -O2 -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -o "$place/tier" "$root"/bench/tier/*.c -lm
"$place/tier" --accesses "$accesses" --seed "$seed" --json "$runs"

# What tracking costs where rounds are long: 64 GiB, all of it in use, when the haste of the start
# is over.
echo
echo "64 GiB:"
"$place/tier" --region 68719476736 --accesses "$((2 * accesses))" --seed "$seed" --policy hmem \
	--workload gups-h16-d16 --json "$place/large.json"

# field FILE WORKLOAD FIELD: of the engine's run; what never came about is 100.
field() {
	sed -n "s/.*\"workload\": \"$2\", \"policy\": \"hmem\",.*\"$3\": \([^,}]*\).*/\1/p" "$1" |
		sed 's/null/100/'
}

# goal METRIC UNIT VALUE NUMBER GOAL: beside a number.
goal() {
	printf '%s %s hmem %s\n%s %s limit%s %s\n' "$1" "$2" "$3" "$1" "$2" "$4" "$4" >>"$samples"
	echo "$1 limit$4 $5" >>"$goals"
}

percent() {
	awk -v x="$1" 'BEGIN { print x == 100 ? 100 : x * 100 }'
}

for name in $(sed -n 's/.*"workload": "\([^"]*\)", "policy": "hmem".*/\1/p' "$runs"); do
	case $name in
	gups-*) goal "$name-settled" oracle "$(field "$runs" "$name" settled)" 0.95 ">=1" ;;
	zipf-scrambled-*) goal "$name-settled" oracle "$(field "$runs" "$name" settled)" 0.9 ">=1" ;;
	scan-*) goal "$name-left" share "$(field "$runs" "$name" watched_left)" 0.97 ">=1" ;;
	thrash-*)
		goal "$name-moved" % "$(percent "$(field "$runs" "$name" late_copied_by_touched)")" 1 "<=1"
		;;
	*) goal "$name-settled" oracle "$(field "$runs" "$name" settled)" 1 - ;;
	esac
	case $name in
	*-shift) goal "$name-regained" % "$(percent "$(field "$runs" "$name" shift_90)")" 5 "<=1" ;;
	esac
done
goal tracking-64GiB % "$(percent "$(field "$place/large.json" gups-h16-d16 tracking_of_a_core_late)")" 1 "<=1"

echo
"$root/bench/report" "$goals" "$samples"
