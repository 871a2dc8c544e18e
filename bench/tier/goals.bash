# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # $samples and $goals are of who reads this
#
# What runs of workloads are by the goals, for bench/report: what bench/tier.sh and
# bench/tier-guest.sh have in common. Both set $samples and $goals, files to be added to.

# field FILE WORKLOAD FIELD - of the engine's run; what never came about is 100
field()
{
	sed -n "s/.*\"workload\": \"$2\", \"policy\": \"hmem\",.*\"$3\": \([^,}]*\).*/\1/p" "$1" |
		sed 's/null/100/'
}

# goal METRIC UNIT VALUE NUMBER GOAL - beside a number
goal()
{
	printf '%s %s hmem %s\n%s %s limit%s %s\n' "$1" "$2" "$3" "$1" "$2" "$4" "$4" >>"$samples"
	echo "$1 limit$4 $5" >>"$goals"
}

percent()
{
	awk -v x="$1" 'BEGIN { print x == 100 ? 100 : x * 100 }'
}

# goals_of RUNS - all that the engine ran
goals_of()
{
	local name

	for name in $(sed -n 's/.*"workload": "\([^"]*\)", "policy": "hmem".*/\1/p' "$1"); do
		case $name in
		gups-*) goal "$name-settled" oracle "$(field "$1" "$name" settled)" 0.95 ">=1" ;;
		zipf-scrambled-*)
			goal "$name-settled" oracle "$(field "$1" "$name" settled)" 0.9 ">=1"
			;;
		scan-*) goal "$name-left" share "$(field "$1" "$name" watched_left)" 0.97 ">=1" ;;
		thrash-*)
			goal "$name-moved" % "$(percent "$(field "$1" "$name" late_copied_by_touched)")" \
				1 "<=1"
			;;
		*) goal "$name-settled" oracle "$(field "$1" "$name" settled)" 1 - ;;
		esac
		case $name in
		*-shift)
			goal "$name-regained" % "$(percent "$(field "$1" "$name" shift_90)")" 5 "<=1"
			;;
		esac
	done
}
