#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Shelves against libpmemobj and LMDB, on tmpfs: times are what the instructions cost, not what
# a medium does. libpmemobj flushes as on persistent memory (PMEM_IS_PMEM_FORCE), and so does
# the shelf. Rounds on all of them alternate; BENCH_ROUNDS says how many. BENCH_QUICK=1 takes
# a hundredth of the names and calls and installs nothing: its figures mean nothing.
#
# bench/shelf/load.c drives the stores, bench/shelf/store_NAME.c is one each. "bare" is the
# least that a durable put can be: append, write back, fence; and memcpy where 1 GiB is filled
# in. A name that ends in -64 makes 64 calls durable together. "limit" is a number that is a
# goal by itself.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
rounds=${BENCH_ROUNDS:-5}
quick=${BENCH_QUICK:-}
place=$(mktemp -d /dev/shm/hmem-bench.XXXXXX)
samples=$place/samples
goals=$place/goals
trap 'rm -rf "$place"' EXIT
export PMEM_IS_PMEM_FORCE=1

[ -n "$quick" ] || "$root/install-deps" bench

build() {
	"${CC:-cc}" -O2 -std=gnu11 -D_GNU_SOURCE -pthread -I"$root/include" -o "$place/$1" \
		"$root/bench/shelf/load.c" "$root/bench/shelf/store_$1.c" "${@:2}" -lm
}

# peer NAME PACKAGE LIBRARY...: built, or left out of a quick run.
peer() {
	build "$1" "${@:3}" 2>"$place/errors" && return
	[ -n "$quick" ] || {
		cat "$place/errors" >&2
		exit 1
	}
	echo "shelf: not against $1: there is no $2" >&2
	return 1
}

build hmem -L"$HMEM_BUILD" -Wl,-rpath,"$HMEM_BUILD" -lhmem
build append -L"$HMEM_BUILD" -Wl,-rpath,"$HMEM_BUILD" -lhmem
stores="hmem hmem-64 bare"
! peer pmemobj libpmemobj-dev -lpmemobj -ldl || stores+=" libpmemobj"
! peer lmdb liblmdb-dev -llmdb ||
	stores+=" lmdb lmdb-64 lmdb-writemap lmdb-writemap-64 lmdb-nosync lmdb-nosync-64"

# How transactions change ranges: as store.h has it.
ways="put write add"

# What is measured: METRIC UNIT LOAD BYTES NAMES CALLS DISTRIBUTION WORKERS STORES, of which @
# stands for all.
loads() {
	local names part readers=hmem,libpmemobj,lmdb,lmdb-64

	for part in 8 64 1024; do
		echo "put-$part ns put $part 8000 300000 uniform threads-1 @"
	done
	echo "put-65536 ns put 65536 1000 10000 uniform threads-1 @"
	echo "put-64-2-threads ns put 64 8000 150000 uniform threads-2 @"
	for part in 1 2; do
		echo "put-64-$part-processes ns put 64 8000 300000 uniform processes-$part hmem,bare"
	done
	for names in 8000 1000000; do
		for part in uniform zipf; do
			echo "get-$names-$part ns get 64 $names 2000000 $part threads-1 $readers"
		done
		echo "get-$names-2-threads ns get 64 $names 1000000 uniform threads-2 $readers"
	done
	echo "delete-64 ns delete 64 200000 200000 uniform threads-1 @"
	echo "mixed-64 ns mixed 64 8000 300000 uniform threads-1 @"
	echo "mixed-64-2-threads ns mixed 64 8000 150000 uniform threads-2 @"
	for part in 1 4 64; do
		for names in $ways; do
			echo "tx-$part-$names ns tx-$names-$part 64 8000 $((80000 / (part + 3)))" \
				"uniform threads-1 hmem,libpmemobj"
		done
	done
	echo "fill-1GiB GiB/s fill $((1 << 30)) 2 4 uniform threads-1 hmem,bare,libpmemobj"
	echo "open-clean ms open 64 1000000 1 uniform threads-1 hmem"
	echo "open-after-power-cut ms open 64 1000000 1 uniform threads-1 recover"
	for part in 8 64 256; do
		echo "recovery-$part M/s recover $part 1000000 1 uniform threads-1 recover"
	done
	for part in 8 64; do
		echo "overhead-$part B used $part 200000 1 uniform threads-1 hmem,libpmemobj,lmdb"
	done
}

# The program, mode and batch of a store.
program() {
	local batch=1 name=${1%-64}

	[ "$name" = "$1" ] || batch=64
	case $name in
	hmem) echo hmem default $batch ;;
	recover) echo hmem recover 1 ;;
	bare) echo append default 1 ;;
	libpmemobj) echo pmemobj default 1 ;;
	lmdb) echo lmdb default $batch ;;
	lmdb-*) echo lmdb "${name#lmdb-}" $batch ;;
	esac
}

# measure STORE METRIC UNIT LOAD BYTES NAMES CALLS DISTRIBUTION WORKERS: one sample.
measure() {
	local store=$1 metric=$2 unit=$3 load=$4 bytes=$5 names=$6 calls=$7
	local kind mode batch sample path=$place/store

	if [ -n "$quick" ]; then
		[ "$load" != fill ] || bytes=$((bytes / 1024))
		names=$((names > 20000 ? names / 100 : names > 500 ? 500 : names))
		calls=$((calls > 100 ? calls / 100 : calls))
	fi
	read -r kind mode batch <<<"$(program "$store")"
	[ "$kind" = pmemobj ] || [ "$kind" = lmdb ] || path=file:$path
	sample=$("$place/$kind" "$path" "$mode" "$batch" "$load" "$bytes" "$names" "$calls" "$8" \
		"${9%-*}" "${9#*-}") || {
		echo "shelf: $metric of $store failed" >&2
		exit 1
	}
	rm -f "$place"/store*
	[ "$store" != recover ] || store=hmem
	echo "$metric $unit $store $sample" >>"$samples"
}

for ((round = 1; round <= rounds; round++)); do
	echo "shelf: round $round of $rounds" >&2
	while read -r metric unit load bytes names calls distribution workers who; do
		[ "$who" != @ ] || who=${stores// /,}
		read -ra order <<<"${who//,/ }"
		# None is always the first, which may find the caches as nobody else does.
		for ((i = 0; i < ${#order[@]}; i++)); do
			store=${order[(i + round - 1) % ${#order[@]}]}
			[[ $store != bare || $load =~ ^(put|fill)$ ]] || continue
			[[ $store != hmem-64 || $load =~ ^(put|mixed)$ ]] || continue
			[[ $store == recover || " $stores " == *" $store "* ]] || continue
			measure "$store" "$metric" "$unit" "$load" "$bytes" "$names" "$calls" \
				"$distribution" "$workers"
		done
	done < <(loads)
done

# How much more two do than one, in each round.
awk '$1 ~ /^put-64-[12]-processes$/ {
		workers = substr($1, 8, 1)
		time[$3, workers, ++nr[$3, workers]] = $4
	}
	END {
		for (i in time) {
			split(i, part, SUBSEP)
			if (part[2] == 1)
				print "scaling-2-processes", "times", part[1], time[i] / time[part[1], 2, part[3]]
		}
	}' "$samples" >"$samples.more"
cat "$samples.more" >>"$samples"

# --- what is compared ----------------------------------------------------------------

# goal METRIC STORE GOAL: with a store, or with a number that is called limitNUMBER.
goal() {
	if [[ $2 == limit* ]]; then
		echo "$1 $(awk -v m="$1" '$1 == m { print $2; exit }' "$samples") $2 ${2#limit}" >>"$samples"
	elif [[ " $stores " != *" $2 "* ]]; then
		return 0
	fi
	echo "$1 $2 $3" >>"$goals"
}

for metric in put-8 put-64; do goal $metric libpmemobj "<=0.143"; done
goal put-1024 libpmemobj "<=0.2"
goal put-65536 libpmemobj "<=0.833"
for name in lmdb lmdb-writemap; do goal put-64 $name "<=0.1"; done
for metric in put-8 put-64 put-1024 put-65536; do goal $metric bare -; done
for metric in put-64-2-threads mixed-64 mixed-64-2-threads delete-64; do
	for name in libpmemobj lmdb lmdb-writemap lmdb-nosync; do goal $metric $name -; done
done
goal scaling-2-processes bare ">=0.85"
goal get-8000-uniform limit60 "<=1"
goal get-1000000-uniform lmdb "<=0.4"
for names in 8000 1000000; do
	for part in uniform zipf 2-threads; do
		for name in libpmemobj lmdb lmdb-64; do
			[ "$names-$part-$name" = 1000000-uniform-lmdb ] || goal "get-$names-$part" "$name" -
		done
	done
done
for part in 1 4 64; do
	for names in $ways; do
		goal "tx-$part-$names" libpmemobj "$([ $part = 4 ] && echo "<=0.333" || echo -)"
	done
done
goal fill-1GiB bare ">=0.95"
goal fill-1GiB libpmemobj -
goal open-clean limit10 "<=1"
goal open-after-power-cut limit200 -
for part in 8 64 256; do goal recovery-$part limit5 ">=1"; done
for part in 8 64; do
	goal overhead-$part limit64 "<=1"
	for name in libpmemobj lmdb; do goal overhead-$part $name -; done
done

status=0
"$root/bench/report" "$goals" "$samples" || status=$?

echo
echo "All medians, each with its fences by the call (of LMDB: calls that sync) behind a slash:"
awk -v stores="$stores" '
function median(key,   n, i, j, t, v) {
	n = nr[key]
	for (i = 1; i <= n; i++) {
		t = sample[key, i]
		for (j = i - 1; j >= 1 && v[j] > t; j--)
			v[j + 1] = v[j]
		v[j + 1] = t
	}
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
$3 !~ /^limit/ {
	if (!($1 in unit))
		order[++rows] = $1
	unit[$1] = $2
	sample[$1 SUBSEP $3, ++nr[$1 SUBSEP $3]] = $4
	fences[$1 SUBSEP $3] = $5
}
END {
	columns = split(stores, who, " ")
	printf "| metric | unit |"
	for (i = 1; i <= columns; i++)
		printf " %s |", who[i]
	printf "\n|---|---|"
	for (i = 1; i <= columns; i++)
		printf "---|"
	print ""
	for (row = 1; row <= rows; row++) {
		printf "| %s | %s |", order[row], unit[order[row]]
		for (i = 1; i <= columns; i++) {
			key = order[row] SUBSEP who[i]
			if (!nr[key])
				printf " |"
			else if (fences[key] == "" || fences[key] < 0)
				printf " %.4g |", median(key)
			else
				printf " %.4g / %.3g |", median(key), fences[key]
		}
		print ""
	}
}' "$samples"
echo
echo "$rounds rounds on tmpfs: times are instruction cost, not media durability. Where one thread is"
echo "at work they are its CPU time, where there are two wall time. Load average: $(cut -d' ' -f1-3 /proc/loadavg)."
exit $status
