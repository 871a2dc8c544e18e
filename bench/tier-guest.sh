#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tiering as the module does it, in guests: the workloads of bench/tier on a region with near_max
# set and policy auto, beside nothing near, extents by chance and the hottest extents by request;
# and what faults, moves and scans cost. The guests run with one instruction a nanosecond, so what
# is reported are shares, counts and instructions, and time is counted in these too.
#
# BENCH_WORKLOADS=NAME,... runs some workloads (all), BENCH_POLICIES=NAME,... some policies (all; hmem is
# needed), BENCH_ACCESSES says how many accesses one makes (4*10^6), BENCH_SEED which,
# BENCH_KERNEL on which kernel (newest). What instructions things take is measured on both; with
# BENCH_COSTS=no not at all. All runs are kept in $BENCH_JSON with .runs before .json.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
samples=$place/samples
goals=$place/goals
trap 'rm -rf "$place"' EXIT
runs=${BENCH_JSON%.json}.runs.json
options="--accesses ${BENCH_ACCESSES:-4000000} --seed ${BENCH_SEED:-1}"
[[ ! ${BENCH_WORKLOADS:-} ]] || options+=" --workload $BENCH_WORKLOADS"
[[ ! ${BENCH_POLICIES:-} ]] || options+=" --policy $BENCH_POLICIES"
touch "$samples" "$goals"

# guest KERNEL PROCESSORS COMMAND - run it where an instruction takes a nanosecond
guest() {
	"$root/qemu/hmem-vm" run --kernel "$1" --topology ram1 --smp "$2" \
		--qemu-arg -icount --qemu-arg shift=0,sleep=off --timeout "${BENCH_TIMEOUT:-5400}" -- \
		bash -c "$3"
}

# With one processor an instruction that is counted is one of who waits for it.
costs() {
	local kernel=$1 metric

	echo "tier-guest: what things cost, kernel $kernel" >&2
	guest "$kernel" 1 "bash bench/tier.sh moves faults scans" >"$place/costs"
	sed "s/^/$kernel-/" "$place/costs" >>"$samples"
	for metric in moved-near-load moved-near-store moved-home-load moved-home-store; do
		echo "$kernel-$metric plain <=1.2" >>"$goals"
	done
	for metric in scan-whole visit scan-split-{1,51,256,512}; do
		echo "$kernel-$metric knobs -" >>"$goals"
	done
	echo "$kernel-wakeup visit -" >>"$goals"
	echo "$kernel-projected-64GiB limit1 <=1" >>"$goals"
	echo "faults while the policy works, kernel $kernel: count, then p50 and p99 in instructions"
	grep -E -- '-(count|p50|p99) ' "$place/costs" | awk '{
		name = $1
		sub(/-[^-]*$/, "", name)
		if (name != last)
			printf "%s%-32s", last ? "\n" : "", name
		last = name
		printf " %10d", $4
	} END { print "" }'
}

# shellcheck disable=SC1091 # beside this one
. "$root/bench/tier/goals.bash"

echo "tier-guest: workloads, kernel ${BENCH_KERNEL:-newest}" >&2
guest "${BENCH_KERNEL:-newest}" 2 "bash bench/tier.sh $options --json /tmp/runs run && cat /tmp/runs" |
	tee "$place/said" | grep '^|'
grep -v '^|' "$place/said" >"$runs"
goals_of "$runs"
if [[ ${BENCH_COSTS:-} != no ]]; then
	costs lts
	costs newest
fi

echo
"$root/bench/report" "$goals" "$samples"
