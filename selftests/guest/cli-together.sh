#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed kernels=newest long=lts timeout=120
#
# Several hmemctl at once: each gets what it would have got alone, and what one was told it
# has no other takes away.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

insmod /root/hmem.ko || tap_bail "hmem.ko does not load"
cxl_wait 10 cxl_has_memdev ram && cxl_wait 10 cxl_has_memdev pmem || tap_bail "no devices"
scratch=$(mktemp -d)

# Two of each kind: the first of them sets the device up, the second carves.
failed=0
for round in 1 2 3 4 5; do
	pids=()
	for i in 1 2 3 4; do
		hmemctl create-region "r$i" --size 8M --type "$([ $((i % 2)) = 0 ] && echo ram || echo pmem)" \
			>"$scratch/$i" 2>&1 &
		pids+=($!)
	done
	for i in 1 2 3 4; do
		wait "${pids[i - 1]}" && [ -c "/dev/hmem/r$i" ] && continue
		failed=$((failed + 1))
		tap_diag "round $round: $(cat "$scratch/$i")"
	done
	for i in 1 2 3 4; do
		hmemctl destroy-region "r$i"
	done >/dev/null 2>&1
	for pool in /sys/class/hmem_pool/*; do
		hmemctl detach-pool "${pool##*/}" --release >/dev/null 2>&1 &
	done
	wait
	[ -z "$(cxl_regions)" ] || tap_bail "round $round: CXL regions are left: $(cxl_regions)"
done
tap_is "$failed" 0 "4 at once, 5 times: all get their region"

memdev=$(cxl_memdev pmem)
hmemctl attach-pool "$memdev" >"$scratch/1" 2>&1 &
first=$!
hmemctl attach-pool "$memdev" >"$scratch/2" 2>&1 &
wait "$first"
first=$?
wait $!
second=$?
tap_is "$((first + second))" 1 "of two that attach one device one gets it"
tap_is "$(find /sys/class/hmem_pool -mindepth 1 | wc -l) $(cxl_regions | wc -l)" "1 1" \
	"which is attached once"
hmemctl detach-pool "$(ls /sys/class/hmem_pool)" --release >/dev/null 2>&1
tap_is "$(cxl_regions)" "" "nothing is left"
rm -r "$scratch"
tap_check "the module can be unloaded" rmmod hmem
tap_done
