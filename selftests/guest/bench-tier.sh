#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: timeout=120 kernels=lts,newest
#
# The program that measures tiering in guests runs, and what it says can be true: nothing is near
# without a policy, the hottest extents by request are all that fits, and the module's policy comes
# near to that. How near is for bench/tier-guest.sh.

. "$(dirname "$0")/kmod.sh"

# run POLICY ACCESSES: half of a region of 128 MiB in little time, as an emulated machine can
run() {
	/root/bench/tier_guest --pool pool --extents 64 --workload gups-h8-d8 --policy "$1" \
		--accesses "$2" --request 64 --every-us 1000 --knob budget_ppm=200000 \
		--json "$scratch/$1" run
}

# field POLICY NAME
field() {
	jq -r ".[0].$2" "$scratch/$1"
}

# between LEAST MOST VALUE
between() {
	awk -v least="$1" -v most="$2" -v value="$3" 'BEGIN { exit !(value >= least && value <= most) }'
}

kmod_begin
must hmemctl attach-pool ram --size 130M --name pool

for policy in none random oracle; do
	tap_check "$policy: a run" run "$policy" 640000
done
tap_is "$(field none near_share)" 0 "none: nothing is served near"
tap_is "$(field none copied_bytes)" 0 "and nothing is copied"
tap_check "oracle: nine of ten accesses are served near" between 0.85 0.95 "$(field oracle near_share)"
tap_check "which is what can be had" between 0.97 1.03 "$(field oracle settled)"
tap_check "random: hardly more than the share of DRAM" between 0 0.6 "$(field random settled)"

# A busy host has its guests learn slower: it may take as long as it takes, up to a limit.
for accesses in 500000 2000000; do
	tap_diag "the policy learns for $accesses accesses"
	run hmem "$accesses" >"$scratch/said" 2>&1 || break
	between 0.7 1.03 "$(field hmem settled)" && break
done
tap_diag "$(cat "$scratch/said")"
tap_check "auto: most of that comes near by itself" between 0.7 1.03 "$(field hmem settled)"
tap_check "and pages were copied for it" between $((8 << 20)) 1e12 "$(field hmem copied_bytes)"

tap_check_status 129 "without a pool it says how it is used" /root/bench/tier_guest run
tap_check_status 1 "no such workload" /root/bench/tier_guest --pool pool --workload none run
tap_check_status 1 "no such pool" /root/bench/tier_guest --pool no --workload gups-h8-d8 run
tap_check "nothing is left of it" kmodctl detach pool

tap_done
