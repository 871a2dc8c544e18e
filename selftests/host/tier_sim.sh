#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The simulator of tiering runs, writes JSON, and the policy engine is better in it than doing
# nothing and than chance. How much better is for bench/tier.sh.

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

# settled WORKLOAD POLICY
settled() {
	sed -n "s/.*\"workload\": \"$1\", \"policy\": \"$2\",.*\"settled\": \([^,]*\).*/\1/p" "$json"
}

# above A B: as numbers.
above() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a + 0 > b + 0) }'
}

tap_check "a small run of GUPS" tier --workload gups-h8-d8 --policy none,random,lru,hmem
if command -v python3 >/dev/null; then
	tap_check "what it writes is JSON" python3 -m json.tool "$json"
else
	tap_skip "what it writes is JSON" "there is no python3"
fi
tap_is "$(grep -c '"workload": "gups-h8-d8"' "$json")" 4 "an object for each policy"
tap_check "the engine is better than none" above "$(settled gups-h8-d8 hmem)" \
	"$(settled gups-h8-d8 none)"
tap_check "and than chance" above "$(settled gups-h8-d8 hmem)" "$(settled gups-h8-d8 random)"
tap_check "by far" above "$(settled gups-h8-d8 hmem)" 0.8
tier --workload gups-h8-d8 --policy hmem >"$scratch/first"
tier --workload gups-h8-d8 --policy hmem >"$scratch/second"
tap_check "the same seed is the same run" cmp "$scratch/first" "$scratch/second"
tap_check "every workload runs" tier --accesses 200000
tap_check_status 1 "a workload that there is not" tier --workload nonesuch
tap_check_status 1 "a knob out of its range" tier --knob split=2
tap_check_status 129 "an option that there is not" tier --nonesuch
tap_done
