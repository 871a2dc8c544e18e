#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a page fault costs on an hmem region and on device-dax over the same CXL region, in
# instructions: the guest runs with one instruction a nanosecond, so its time stamp counter
# counts them. Both kernels; in each, rounds on the one and the other alternate.
#
# A first touch of an hmem region zeroes the extent, which device-dax never does; a string
# instruction that fills memory counts once for every step here.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
rounds=${BENCH_ROUNDS:-5}
samples=$(mktemp)
goals=$(mktemp)
trap 'rm -f "$samples" "$goals"' EXIT

for kernel in lts newest; do
	echo "fault: kernel $kernel, $rounds rounds" >&2
	"$root/qemu/hmem-vm" run --kernel "$kernel" --topology ram1 --smp 1 \
		--qemu-arg -icount --qemu-arg shift=0,sleep=off --timeout 900 \
		--copy "$HMEM_BUILD/bench/fault" --copy "$root/bench/guest/fault.sh" -- \
		bash fault.sh "$rounds" | sed "s/^/$kernel-/" >> "$samples"
	for page in 2M 4K; do
		cat >> "$goals" <<-END
			$kernel-first-touch-$page device-dax -
			$kernel-refault-$page device-dax <=1.0
		END
	done
done
"$root/bench/report" "$goals" "$samples"
