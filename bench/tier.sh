#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The policy engine of kmod/policy*.c beside baselines, in the simulator of bench/tier: no module
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

"${CC:-cc}" -O2 -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -o "$place/tier" \
	"$root"/bench/tier/*.c "$root"/kmod/policy*.c -lm
"$place/tier" --accesses "$accesses" --seed "$seed" --json "$runs"

# What tracking costs where rounds are long: 64 GiB, all of it in use, when the haste of the start
# is over.
echo
echo "64 GiB:"
"$place/tier" --region 68719476736 --accesses "$((2 * accesses))" --seed "$seed" --policy hmem \
	--workload gups-h16-d16 --json "$place/large.json"

# Pages are found as fast as scans are paid for, and 40 s are not much more than that takes.
echo
echo "Five times as long:"
"$place/tier" --accesses "$((5 * accesses))" --seed "$seed" --policy hmem \
	--workload zipf-scrambled-d8,zipf-scrambled-d4 --json "$place/long.json"

. "$root/bench/tier/goals.bash"
goals_of "$runs"
for name in zipf-scrambled-d8 zipf-scrambled-d4; do
	goal "$name-long" oracle "$(field "$place/long.json" "$name" settled)" 0.9 ">=1"
	goal "$name-long-found" % "$(percent "$(field "$place/long.json" "$name" start_90)")" 100 -
done
goal tracking-64GiB % "$(percent "$(field "$place/large.json" gups-h16-d16 tracking_of_a_core_late)")" 1 "<=1"

echo
"$root/bench/report" "$goals" "$samples"
