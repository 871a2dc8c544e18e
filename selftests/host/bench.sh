#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: timeout=300
#
# The benchmark of shelves runs from end to end, and every row comes out. What its figures
# are in a run as short as this means nothing.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

scratch=$(mktemp -d) || tap_bail "no temporary directory"
trap 'rm -rf "$scratch"' EXIT
json=$scratch/json table=$scratch/table

# bench [NAME=VALUE]...: one quick round.
bench() {
	env BENCH_JSON="$json" BENCH_QUICK=1 BENCH_ROUNDS=1 "$@" \
		bench/shelf.sh
}

# field METRIC PEER FIELD: from the JSON.
field() {
	sed -n "s/.*\"metric\": \"$1\",.*\"peer\": \"$2\",.*\"$3\": \([^,}]*\).*/\1/p" "$json"
}

if nm -D "$HMEM_BUILD/libhmem.so" | grep -qE '__(asan|tsan)_'; then
	tap_skip_all "the library is built with sanitizers, which the programs would not be"
fi
tap_check "a quick run of bench/shelf.sh" bench
echo "$tap_output" >"$table"
tap_check_status 1 "no comparison lacks samples" grep -q "not measured" "$table"
tap_check "the table says what its times are" grep -q "not media durability" "$table"

# Against a number, and so there whoever else is installed.
for row in get-8000-uniform:limit60 fill-1GiB:bare scaling-2-processes:bare open-clean:limit10 \
	recovery-8:limit5 recovery-64:limit5 recovery-256:limit5 overhead-8:limit64; do
	tap_is "$(field "${row%:*}" "${row#*:}" met | grep -cE 'true|false')" 1 \
		"${row%:*} is compared with its goal"
done
tap_is "$(field put-64 bare fences)" 1.000 "a put makes one fence"
for row in put-8 put-64 put-1024 put-65536 put-64-2-threads delete-64 mixed-64 tx-1-put tx-4-put \
	tx-64-put tx-1-write tx-4-write tx-64-write tx-1-add tx-4-add tx-64-add get-8000-uniform get-8000-zipf get-1000000-uniform \
	get-1000000-zipf fill-1GiB open-clean open-after-power-cut overhead-64; do
	tap_check "$row is in the table of medians" grep -qE "^\| $row \|[^|]*\| [0-9]" "$table"
done
for peer in libpmemobj:libpmemobj.h lmdb:lmdb.h; do
	if [ -e "/usr/include/${peer#*:}" ]; then
		tap_is "$(field put-64 "${peer%:*}" ratio | grep -c .)" 1 "puts against ${peer%:*}"
	else
		tap_skip "puts against ${peer%:*}" "there is no /usr/include/${peer#*:}"
	fi
done

# A store that fails ends the run.
tap_check_status 1 "a compiler that fails" bench CC=false

tap_done
