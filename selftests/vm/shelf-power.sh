#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The power goes while four processes write to shelves on a persistent CXL device, and now
# and then while what they left is being recovered. After each cut another boot, with the
# other kernel in turn, attaches the pool, opens the shelves, which recovers them, and
# compares them with what was acknowledged; then the writers go on from there.
#
#	selftests/vm/shelf-power.sh [CUTS [SEED]]
#
# hmem-test: timeout=900

. "$(dirname "$0")/../tap.sh"
cd "${HMEM_SOURCE:-$(dirname "$0")/../..}" || tap_bail "the source is not there"

cuts=${1:-20}
seed=${2:-$RANDOM}
RANDOM=$seed
tap_diag "seed $seed"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
: >"$scratch/report"
build=()

# guest WORD...: a boot, with the kernel whose turn it is. What was acknowledged is kept. On one
# processor the writers are as many and the boot is faster: only some have two.
guest() {
	kernels=("${kernels[1]}" "${kernels[0]}")
	tap_run qemu/hmem-vm run --kernel "${kernels[0]}" --smp "$smp" --topology pmem1 "${build[@]}" \
		--state "$scratch/state" --copy "$scratch/report" --timeout 400 -- \
		bash /root/selftests/vm/shelf-power-guest.sh "$@"
	cat "$scratch/report" - <<<"$tap_output" | awk '
		$1 == "acked" && NF == 3 { if ($3 + 0 > last[$2]) last[$2] = $3 }
		END { for (name in last) print "acked", name, last[name] }' >"$scratch/next"
	mv "$scratch/next" "$scratch/report"
}

# seconds FROM TO: at random, of milliseconds
seconds() {
	local ms=$(($1 + RANDOM % ($2 - $1 + 1)))

	printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}

# The first boot of each kernel builds what its guests run.
kernels=(newest lts)
smp=2
guest make "$(seconds 100 900)"
for ((cut = 1; cut <= cuts; cut++)); do
	tap_is "$tap_status:$(grep -E '^(failed|wrong|found)' <<<"$tap_output")" "137:" \
		"cut $cut, after $(awk '{ sum += $3 } END { print sum + 0 }' "$scratch/report") updates" ||
		tap_diag "$(grep -v ^acked <<<"$tap_output")"
	[ "$cut" -lt 2 ] || build=(--no-build)
	smp=$((cut % 4 ? 1 : 2))
	if [ "$cut" = "$cuts" ]; then
		guest look
	elif [ $((cut % 4)) = 3 ]; then
		guest recover "$(seconds 0 500)"
	else
		guest go "$(seconds 50 1200)"
	fi
done
tap_is "$tap_status" 0 "after the last the shelves are as acknowledged" || tap_diag "$tap_output"
tap_matches "$tap_output" "verified: [0-9]+ updates" "all of them"
tap_matches "$tap_output" "durability 2, dirty shutdowns [1-9]" "by recovery"
tap_diag "$(grep -v ^acked <<<"$tap_output")"
tap_done
