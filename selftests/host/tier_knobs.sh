#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The table of knobs in Documentation/tiering.md is what the policy engine has: the same knobs in
# the same order, with the same defaults, ranges and units, each with a reason and a source.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

scratch=$(mktemp -d) || tap_bail "no temporary directory"
trap 'rm -rf "$scratch"' EXIT

tap_check "the simulator is built" "${CC:-cc}" -O1 -std=gnu11 -D_GNU_SOURCE -o "$scratch/tier" \
	bench/tier/*.c kmod/policy*.c -lm
"$scratch/tier" --list | sed -n 's/^knob //p' >"$scratch/engine"
# The first table under the heading.
sed -n '/^| knob | default |/,/^$/p' Documentation/tiering.md | sed -n '/^| `/p' >"$scratch/page"

# number FILE: of its knobs.
number() {
	grep -c '^| `[a-z0-9_]*` |' "$1"
}

tap_check "the engine has knobs" test "$(number "$scratch/engine")" -gt 40
tap_is "$(number "$scratch/page")" "$(number "$scratch/engine")" "the page has as many"

# columns FIRST-LAST FILE
columns() {
	cut -d'|' -f "$1" "$2"
}

tap_is "$(diff <(columns 2 "$scratch/page") <(columns 2 "$scratch/engine"))" "" \
	"of the same names, in the same order"
tap_is "$(diff <(columns 2,3 "$scratch/page") <(columns 2,3 "$scratch/engine"))" "" \
	"and the same defaults"
tap_is "$(diff <(columns 2,4 "$scratch/page") <(columns 2,4 "$scratch/engine"))" "" \
	"and the same ranges"
tap_is "$(diff <(columns 2,5 "$scratch/page") <(columns 2,5 "$scratch/engine"))" "" \
	"in the same units"
# Each of a few letters in brackets, which the page explains.
for rows in engine page; do
	tap_is "$(columns 2,6 "$scratch/$rows" | grep -v '[^ ].*\[[A-Z]*\] *$')" "" \
		"each has a reason and a source: $rows"
done
for source in $(grep -o '\[[A-Z]*\]' "$scratch/engine" | sort -u); do
	tap_check "$source is explained" grep -qF "$source " <(sed -n '/^### Knobs$/,/^| knob/p' \
		Documentation/tiering.md)
done

# What is told of one knob, in runs too short to mean anything.
tap_check "half and twice of a knob are simulated" env BENCH_JSON="$scratch/json" BENCH_SEEDS="1 2" \
	BENCH_ACCESSES=1000000 BENCH_KNOBS=budget_ppm BENCH_WORKLOADS=gups-h8-d8,thrash-d8 \
	bench/tier-knobs.sh
tap_is "$(echo "$tap_output" | grep -cE '^\| `budget_ppm` \| 9000 \| (4500|18000) \| [0-9.]+ (gups-h8-d8|thrash-d8) \|')" \
	2 "a row for each"
tap_is "$(jq -r '[.[] | .knob, .set] | map(tostring) | join(" ")' "$scratch/json")" \
	"budget_ppm 4500 budget_ppm 18000" "and the same as JSON"
tap_check_status 1 "a knob that there is not" env BENCH_JSON="$scratch/json" BENCH_KNOBS="split budget_pm" \
	BENCH_ACCESSES=1000000 bench/tier-knobs.sh
tap_is "$tap_output" "tier-knobs: there is no knob budget_pm" "is told"
tap_check_status 1 "nowhere for the results" env BENCH_JSON= bench/tier-knobs.sh
tap_check_status 1 "a compiler that fails" env BENCH_JSON="$scratch/json" CC=false bench/tier-knobs.sh
tap_done
