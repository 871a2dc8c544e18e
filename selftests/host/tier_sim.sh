#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The simulator of tiering runs, writes JSON, and the policy engine is better in it than doing
# nothing and than chance. How much better is for bench/tier.sh. What looking at memory and faults
# would take in instructions is told of every policy, and can be true.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

scratch=$(mktemp -d) || tap_bail "no temporary directory"
trap 'rm -rf "$scratch"' EXIT
json=$scratch/json

tap_check "it is built without a warning" "${CC:-cc}" -O2 -std=gnu11 -Wall -Wextra -Wshadow -Werror \
	-D_GNU_SOURCE -o "$scratch/tier" bench/tier/*.c kmod/policy*.c -lm
tier() {
	"$scratch/tier" --region 536870912 --accesses 10000000 --json "$json" "$@"
}

# field WORKLOAD POLICY FIELD
field() {
	sed -n "s/.*\"workload\": \"$1\", \"policy\": \"$2\",.*\"$3\": \([^,}]*\).*/\1/p" "$json"
}

settled() {
	field "$1" "$2" settled
}

# projected POLICY KERNEL FIELD: of GUPS
projected() {
	field gups-h8-d8 "$1" "projected_$2_$3"
}

# above A B: as numbers.
above() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a + 0 > b + 0) }'
}

gups() {
	tier --workload gups-h8-d8 >"$scratch/table"
}

tap_check "a small run of GUPS" gups
if command -v python3 >/dev/null; then
	tap_check "what it writes is JSON" python3 -m json.tool "$json"
else
	tap_skip "what it writes is JSON" "there is no python3"
fi
tap_is "$(grep -c '"workload": "gups-h8-d8"' "$json")" 6 "an object for each policy"
tap_is "$(awk -F '|' '{ print NF }' "$scratch/table" | uniq | wc -l)" 1 \
	"the rows of its table are as long as its head"
tap_check "the engine is better than none" above "$(settled gups-h8-d8 hmem)" \
	"$(settled gups-h8-d8 none)"
tap_check "and than chance" above "$(settled gups-h8-d8 hmem)" "$(settled gups-h8-d8 random)"
tap_check "by far" above "$(settled gups-h8-d8 hmem)" 0.8

for kernel in lts newest; do
	for policy in none random; do
		tap_is "$(projected $policy $kernel scan_instructions_per_gib)" 0 \
			"$policy, $kernel: nothing is looked at"
		tap_is "$(projected $policy $kernel fault_instructions_p50)" null \
			"and nothing faults for it"
		tap_is "$(projected $policy $kernel fault_instructions_p99)" null "not even seldom"
	done
	for policy in two-touch accessed-bit lru hmem; do
		p50=$(projected $policy $kernel fault_instructions_p50)
		p99=$(projected $policy $kernel fault_instructions_p99)
		tap_check "$policy, $kernel: looking takes instructions" above \
			"$(projected $policy $kernel scan_instructions_per_gib)" 100000
		tap_check "so many a second" above \
			"$(projected $policy $kernel scan_instructions_per_gib_s)" 100000
		tap_check "a fault takes thousands" above "$p50" 1999
		tap_check "and one in a hundred waits for a copy" above "$p99" 100000
		tap_check "which is longer" above "$p99" "$p50"
	done
	# 256 extents ten times a second, of which every one is touched: a visit and a bit, 500 to 800.
	cost=$(projected accessed-bit $kernel scan_instructions_per_gib_s)
	tap_check "accessed-bit, $kernel: every extent in every window" above "$cost" $((512 * 10 * 500))
	tap_check "and no oftener" above $((512 * 10 * 800)) "$cost"
	# 10^7 of them in half a GiB.
	tap_check "lru, $kernel: every access is looked at" above \
		"$(projected lru $kernel scan_instructions_per_gib)" 2000000000
done

# By loads of whole extents, whose parts are about what the knobs say. 2*10^9 instructions a second.
looking() {
	awk -v a="$(field zipf-scrambled-d8 hmem-whole projected_newest_scan_instructions_per_gib_s)" \
		-v b="$(field zipf-scrambled-d8 hmem-whole tracking_of_a_core)" \
		'BEGIN { ratio = a / 2 / 2e9 / b; print ratio; exit !(ratio > 0.75 && ratio < 1.33) }'
}

tier --workload zipf-scrambled-d8 --policy hmem-whole >/dev/null
tap_check "hmem-whole: what looking takes is about what it is charged" looking

tier --workload gups-h8-d8 --policy hmem >"$scratch/first"
tier --workload gups-h8-d8 --policy hmem >"$scratch/second"
tap_check "the same seed is the same run" cmp "$scratch/first" "$scratch/second"
tap_check "every workload runs" tier --accesses 200000
tap_check_status 1 "a workload that there is not" tier --workload nonesuch
tap_check_status 1 "a knob out of its range" tier --knob split=2
tap_check_status 129 "an option that there is not" tier --nonesuch
tap_done
