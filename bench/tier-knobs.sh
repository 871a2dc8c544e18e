#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What half and twice of each knob of the policy engine do, in the simulator of bench/tier: how much
# of the oracle's near accesses is left when the run has settled, and how much is copied, both as
# ratios against the same run with the defaults. A switch is turned the other way.
#
# BENCH_KNOBS names knobs, with blanks in between (those whose reason ends with [D]), BENCH_WORKLOADS the workloads,
# BENCH_ACCESSES how many accesses each makes (10^8), BENCH_SEEDS the seeds; of those the median.
# $BENCH_JSON has the same as the table.
set -euo pipefail

: "${BENCH_JSON:?says which file the results go to}"
root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
accesses=${BENCH_ACCESSES:-100000000}
workloads=${BENCH_WORKLOADS:-gups-h8-d8-shift,gups-h4-d4-shift,zipf-scrambled-d8,zipf-packed-d8,scan-d8,thrash-d8,ycsb-e,pagerank-d8}
seeds=${BENCH_SEEDS:-1 2 3}

"${CC:-cc}" -O2 -std=gnu11 -Wall -Wextra -D_GNU_SOURCE -o "$place/tier" \
	"$root"/bench/tier/*.c "$root"/kmod/policy*.c -lm

# knobs - NAME DEFAULT LEAST MOST of each that is asked for
knobs()
{
	"$place/tier" --list | awk -F ' *[|] *' -v asked="${BENCH_KNOBS:-}" '
		BEGIN { n = split(asked, names, " "); for (i = 1; i <= n; i++) want[names[i]] }
		$1 == "knob" {
			gsub(/`/, "", $2)
			split($4, range, " to ")
			if (asked != "" ? $2 in want : $0 ~ /\[D\]/)
				print $2, $3, range[1], range[2]
		}'
}

# run KNOB=VALUE... - SETTLED and COPIED of each workload, of all seeds; for awk, with the names
run()
{
	local seed

	for seed in $seeds; do
		"$place/tier" --accesses "$accesses" --seed "$seed" --policy hmem \
			--workload "$workloads" "${@/#/--knob=}" --json "$place/json" >/dev/null
		sed -n 's/.*"workload": "\([^"]*\)".*"settled": \([^,]*\),.*"copied_bytes": \([^,]*\),.*/'"$seed"' \1 \2 \3/p' \
			"$place/json"
	done
}

# compare - what the two files RUNS and DEFAULTS say: the workload that loses most, the one that
# gains most, and the most that is copied
compare()
{
	awk '
		function median(values, n,   i, j, t) {
			for (i = 1; i < n; i++)
				for (j = i + 1; j <= n; j++)
					if (values[j] < values[i]) {
						t = values[i]; values[i] = values[j]; values[j] = t
					}
			return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
		}
		NR == FNR { settled[$1, $2] = $3; copied[$1, $2] = $4; next }
		{
			n = ++seen[$2]
			share[$2, n] = $3 / settled[$1, $2]
			bytes[$2, n] = copied[$1, $2] ? $4 / copied[$1, $2] : $4 ? 1e9 : 1
		}
		END {
			least = most = ""
			for (w in seen) {
				n = seen[w]
				for (i = 1; i <= n; i++) {
					s[i] = share[w, i]
					b[i] = bytes[w, i]
				}
				m = median(s, n)
				c = median(b, n)
				if (least == "" || m < least) { least = m; loser = w }
				if (most == "" || m > most) { most = m; winner = w }
				if (c > dear) { dear = c; dearest = w }
			}
			printf "%.3f %s %.3f %s %.2f %s\n", least, loser, most, winner, dear, dearest
		}' "$place/defaults" "$1"
}

knobs >"$place/knobs"
for name in ${BENCH_KNOBS:-}; do
	grep -q "^$name " "$place/knobs" || {
		echo "tier-knobs: there is no knob $name" >&2
		exit 1
	}
done
run >"$place/defaults"
awk '!($3 > 0) { exit 1 }' "$place/defaults" || {
	echo "tier-knobs: a run has no settled share: BENCH_ACCESSES is too few" >&2
	exit 1
}
echo "| knob | default | set to | least settled | most settled | most copied |"
echo "|---|---|---|---|---|---|"
while read -r name value least most; do
	for set in "$((value / 2))" "$((value ? 2 * value : 1))"; do
		[ "$set" -ge "$least" ] || set=$least
		[ "$set" -le "$most" ] || set=$most
		[ "$set" -ne "$value" ] || continue
		run "$name=$set" >"$place/runs"
		read -r loss loser gain winner copied copier < <(compare "$place/runs")
		echo "| \`$name\` | $value | $set | $loss $loser | $gain $winner | $copied $copier |"
		cat >>"$place/rows" <<-EOF
			{"knob": "$name", "default": $value, "set": $set,
			 "least_settled": $loss, "least_settled_in": "$loser",
			 "most_settled": $gain, "most_settled_in": "$winner",
			 "most_copied": $copied, "most_copied_in": "$copier"},
		EOF
	done
done <"$place/knobs"
{
	echo '['
	sed '$ s/,$//' "$place/rows"
	echo ']'
} >"$BENCH_JSON"
