#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Interfaces against other allocators. Rounds on all of them alternate, in one process as far as
# they can be; each is asked by the same function, which writes to the first word of a block.
# BENCH_ROUNDS says how many. BENCH_QUICK=1 takes runs that are too short to mean anything, and
# installs nothing.
#
# bench/alloc/main.c and those beside it have what is done, bench/alloc/heap_NAME.c those that do
# it. mimalloc has an arena as large as the space.
# bench/alloc/preload.sh runs whole programs.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
rounds=${BENCH_ROUNDS:-5}
quick=${BENCH_QUICK:-}
place=$(mktemp -d /dev/shm/hmem-bench.XXXXXX)
samples=$place/samples
goals=$place/goals
trap 'rm -rf "$place"' EXIT
# jemalloc is opened when the program runs, and has more for each thread than is spare then.
export GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384

[ -n "$quick" ] || "$root/install-deps" bench-alloc

"${CC:-cc}" -O2 -std=gnu11 -D_GNU_SOURCE -pthread -I"$root/include" -o "$place/alloc" \
	"$root"/bench/alloc/*.c -L"$HMEM_BUILD" -Wl,-rpath,"$HMEM_BUILD" -lhmem -ldl
"${CXX:-c++}" -O2 -fPIC -shared -o "$place/boost.so" "$root/bench/alloc/heap_boost.cc" \
	2>"$place/errors" || [ -n "$quick" ] || {
	cat "$place/errors" >&2
	exit 1
}

# What the machine did for others: jiffies of all, and stolen ones.
jiffies() {
	awk '$1 == "cpu" { for (i = 2; i <= 9; i++) all += $i; print all, $9 }' /proc/stat
}

# Rounds of each part in one run of the program, of which there are $rounds.
parts="pairs:8 threads:4 shared:2 copy:2 held:1"

before=$(jiffies)
for ((round = 0; round < rounds; round++)); do
	echo "alloc: round $((round + 1)) of $rounds" >&2
	for part in $parts; do
		n=${part#*:}
		[ -z "$quick" ] || n=1
		"$place/alloc" "${part%:*}" $((round * n)) "$n" "$place" >>"$samples" || {
			echo "alloc: ${part%:*} failed" >&2
			exit 1
		}
		rm -f "$place/shared" "$place/boost.segment"
	done
done
after=$(jiffies)

# What is compared with others is called hmem, and what of it is measured in the metric; -all is
# the geometric mean over the sizes of a round.
awk '
$1 ~ /^(pair|window|fill)-/ {
	load = $1
	sub(/-.*/, "", load)
	key = load SUBSEP $3 SUBSEP (++nr[$1, $3])
	sum[key] += log($4)
	sizes[key]++
	if ($3 ~ /^(kept|slab|bump|handle)$/)
		print $3 "-" $1, $2, "hmem", $4
	if ($3 ~ /^(mimalloc|memkind)$/)
		print "kept-" $1, $2, $3, $4
	if ($3 != "hmem")
		next
	print "slab-" $1, $2, "general", $4
	print "handle-" $1, $2, "general", $4
	if (load == "fill")
		print "bump-" $1, $2, "general", $4
}
END {
	for (key in sum) {
		split(key, part, SUBSEP)
		mean = exp(sum[key] / sizes[key])
		print part[1] "-all", "ns", part[2], mean
		if (part[2] == "kept")
			print "kept-" part[1] "-all", "ns", "hmem", mean
		if (part[2] ~ /^(mimalloc|memkind)$/)
			print "kept-" part[1] "-all", "ns", part[2], mean
	}
}
$1 ~ /^(handoff|larson)$/ {
	if ($3 == "kept")
		print "kept-" $1, $2, "hmem", $4
	if ($3 ~ /^(mimalloc|memkind)$/)
		print "kept-" $1, $2, $3, $4
}' "$samples" >"$samples.more"
cat "$samples.more" >>"$samples"

"$root/bench/alloc/preload.sh" "$rounds" "$place" "$samples" "$goals"

# --- what is compared ----------------------------------------------------------------

# goal METRIC WHO GOAL: with who is there.
goal() {
	if [ -n "$quick" ] && ! grep -qE "^$1 [^ ]* $2 " "$samples"; then
		echo "alloc: not against $2: it is not on this machine" >&2
		return 0
	fi
	echo "$1 $2 $3" >>"$goals"
}

sizes="16 64 256 1K 4K 16K 64K 256K 512K 1M"
for kept in "" kept-; do
	for load in pair window fill; do
		for size in $sizes all; do
			goal "$kept$load-$size" mimalloc "<=1.2"
			goal "$kept$load-$size" memkind "<=0.125"
		done
	done
	for load in handoff larson; do
		goal $kept$load mimalloc "<=1.2"
		goal $kept$load memkind "<=0.125"
	done
done
for load in pair window fill; do
	for size in $sizes; do goal "slab-$load-$size" general "<=1"; done
done
for size in $sizes; do goal "bump-fill-$size" general "<=1"; done
for load in pair window fill; do
	for size in 64 4K 1M; do goal "handle-$load-$size" general -; done
done
for n in 2 4; do
	for load in pair window; do
		for size in 64 1K 64K; do
			goal shared-$load-$size-$n boost "<=0.1"
			goal shared-$load-$size-$n general "<=3"
		done
	done
done
# The best of the ways to copy is the one with the best median.
for size in 64K 1M 64M 256M; do
	best=$(awk -v metric="copy-$size" '$1 == metric && $3 != "hmem" { print $3, $4 }' "$samples" |
		sort -k1,1 -k2,2g | awk '
		{ v[$1, ++nr[$1]] = $2 }
		END {
			for (who in nr) {
				median = v[who, int((nr[who] + 1) / 2)]
				if (median > most) { most = median; best = who }
			}
			print best
		}')
	goal copy-$size "$best" "$([ $size = 64K ] && echo - || echo ">=0.95")"
	awk -v metric="copy-$size" -v who="$best" '$1 == metric && $3 == who {
		print "copy-begin-" substr($1, 6), $2, $3, $4 }' "$samples" >"$samples.more"
	cat "$samples.more" >>"$samples"
	goal copy-begin-$size "$best" -
done
for who in kept mimalloc jemalloc glibc memkind; do goal held $who -; done

status=0
"$root/bench/report" "$goals" "$samples" || status=$?

echo
echo "All medians, behind a slash how far the quartiles are apart, in % of it:"
grep -vE '^(kept|slab|bump|handle)-|^[^ ]* [^ ]* limit' "$samples" | sort -s -k1,1 -k3,3 -k4,4g | awk '
function quartile(part,   at, low) {
	at = 1 + (n - 1) * part
	low = int(at)
	return low < n ? v[low] + (at - low) * (v[low + 1] - v[low]) : v[n]
}
function flush() {
	if (!n)
		return
	shown[metric, who] = sprintf("%.4g / %.0f", quartile(0.5),
				     100 * (quartile(0.75) - quartile(0.25)) / quartile(0.5))
	if (!(metric in unit))
		order[++rows] = metric
	unit[metric] = of
	if (!(who in column)) {
		column[who] = ++columns
		name[columns] = who
	}
	used[who] = 1
	n = 0
}
BEGIN {
	columns = split("hmem kept general mimalloc jemalloc glibc memkind slab bump handle boost none " \
			"memcpy movsb stream stream-pages", name, " ")
	for (i = 1; i <= columns; i++)
		column[name[i]] = i
}
metric != $1 || who != $3 { flush() }
{ metric = $1; of = $2; who = $3; v[++n] = $4 }
END {
	flush()
	printf "| metric | unit |"
	for (i = 1; i <= columns; i++)
		if (name[i] in used)
			shows[++nr] = name[i]
	for (i = 1; i <= nr; i++)
		printf " %s |", shows[i]
	printf "\n|---|---|"
	for (i = 1; i <= nr; i++)
		printf "---|"
	print ""
	for (row = 1; row <= rows; row++) {
		printf "| %s | %s |", order[row], unit[order[row]]
		for (i = 1; i <= nr; i++)
			printf " %s |", shown[order[row], shows[i]]
		print ""
	}
}'
echo
echo "$rounds runs of several rounds each. Where one thread is at work times are its CPU time, else"
echo "wall time. Load average: $(cut -d' ' -f1-3 /proc/loadavg); taken by others on the host:" \
	"$(echo "$before $after" | awk '{ printf "%.1f", 100 * ($4 - $2) / ($3 - $1) }') % of the time."
exit $status
