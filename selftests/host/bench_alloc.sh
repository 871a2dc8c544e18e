#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: timeout=300
#
# The benchmark of interfaces runs from end to end, and every row comes out of those who are
# installed. What its figures are in a run as short as this means nothing.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

scratch=$(mktemp -d) || tap_bail "no temporary directory"
trap 'rm -rf "$scratch"' EXIT
json=$scratch/json table=$scratch/table

# bench [NAME=VALUE]...: one quick round.
bench() {
	env BENCH_JSON="$json" BENCH_QUICK=1 BENCH_ROUNDS=1 "$@" bench/alloc.sh
}

# field METRIC PEER FIELD: from the JSON.
field() {
	sed -n "s/.*\"metric\": \"$1\",.*\"peer\": \"$2\",.*\"$3\": \([^,}]*\).*/\1/p" "$json"
}

# library NAME: is it where the loader looks?
library() {
	ldconfig -p | grep -qE "^[[:space:]]*$1"
}

if nm -D "$HMEM_BUILD/libhmem.so" | grep -qE '__(asan|tsan)_'; then
	tap_skip_all "the library is built with sanitizers, which the programs would not be"
fi
tap_check "a quick run of bench/alloc.sh" bench
echo "$tap_output" >"$table"
tap_check_status 1 "no comparison lacks samples" grep -q "not measured *$" "$table"
if [ ! -e "$HMEM_BUILD/libhmem-malloc.so" ]; then
	tap_check "why no program runs with LD_PRELOAD is said" \
		grep -q "not measured: there is no .*libhmem-malloc.so" "$table"
elif library libmimalloc.so.; then
	tap_is "$(field preload-gcc_large-user mimalloc met | grep -cE 'true|false')" 1 \
		"a program with LD_PRELOAD is compared with its goal"
	if command -v valgrind >/dev/null; then
		tap_is "$(field preload-gcc_large-instructions mimalloc met | grep -cE 'true|false')" 1 \
			"its instructions too"
	else
		tap_check "that valgrind is missing is said" grep -q "there is no valgrind" "$table"
	fi
else
	tap_check "that it takes mimalloc is said" grep -q "not measured: there is no libmimalloc" "$table"
fi

# Of hmem's own and glibc, which are there whoever else is.
for load in pair window fill; do
	tap_is "$(field slab-$load-64 general met | grep -cE 'true|false')" 1 \
		"slab-$load-64 is compared with its goal"
	tap_is "$(field handle-$load-4K general ratio | grep -c .)" 1 "handle-$load-4K is there"
	for size in 16 64 256 1K 4K 16K 64K 256K 512K 1M; do
		tap_check "$load-$size is in the table of medians" \
			grep -qE "^\| $load-$size \| ns \| [0-9]" "$table"
	done
done
for row in bump-fill-16:general shared-pair-64-2:general shared-window-64K-4:general held:glibc; do
	tap_is "$(field "${row%:*}" "${row#*:}" ratio | grep -c .)" 1 "${row%:*} is compared"
done
for size in 64K 1M 64M 256M; do
	tap_is "$(grep -c "\"metric\": \"copy-$size\"" "$json")" 1 "copy-$size is compared"
done
for row in handoff larson; do
	tap_check "$row is in the table of medians" grep -qE "^\| $row \| ns \| [0-9]" "$table"
done
for peer in mimalloc:libmimalloc.so. memkind:libmemkind.so.0; do
	if library "${peer#*:}"; then
		tap_is "$(field pair-64 "${peer%:*}" ratio | grep -c .)" 1 "pairs against ${peer%:*}"
	else
		tap_skip "pairs against ${peer%:*}" "there is no ${peer#*:}"
	fi
done

# A program that cannot be built ends the run.
tap_check_status 1 "a compiler that fails" bench CC=false

tap_done
