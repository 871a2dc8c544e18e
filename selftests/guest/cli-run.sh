#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=none timeout=240 kernels=lts,newest
#
# hmemctl run with memory of the module: a region that is there, and a pool, where each process has
# one of its own. The program is a shell whose variables lie there, and whose subshells have copies.

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"

stats=$scratch/stats
# The last line is the parent's, which the children have changed nothing of.
program='all=
for i in {1..3000}; do a[i]=$i-value-$i-of-many-that-lie-in-the-space; all+=${a[i]}; done
for n in {1..4}; do
	( all=$n; for i in {1..3000}; do a[i]=$n; done; echo "child ${a[*]:7:3} $all" )
done
big=$(echo "$all" | tr 0-9 a-j)
echo "${#all} ${a[2999]} ${#big} ${big:5000:20}"'

# A program that holds what it has, and says so by a file, until it is killed.
holder='for i in {1..2000}; do a[i]=$i-value-$i-of-many-that-lie-in-the-space; done
echo held >"$0"; read -r _ <"$1"'

# spaces: regions that were made for processes.
spaces() {
	kmod_names hmem | grep '^space-'
}

holds() {
	[ -s "$scratch/held" ]
}

kmod_begin
must hmemctl attach-pool ram --size 64M --name pool
must hmemctl create-region r --pool pool --size 16M
must mkfifo "$scratch/never"
expected=$(bash -c "$program")

for layer in dram:0 pool:pool hmem:r; do
	size=()
	[ $layer = hmem:r ] || size=(--size 16M)
	rm -f "$stats"
	ctl run --layer $layer "${size[@]}" --above 32 --stats-file "$stats" -- bash -c "$program"
	tap_is "$status:$out" "0:$expected" "$layer: a program runs as without"
	tap_matches "$(tail -n 1 "$stats")" "bash.* $layer: [1-9][0-9]{3,} allocations" "$layer: its memory is from there"
	tap_is "$(spaces)" "" "$layer: nothing is left"
done

# One process at a time has a region.
rm -f "$stats"
ctl run --layer hmem:r --above 32 --stats-file "$stats" -- bash -c \
	'for i in {1..999}; do a[i]=$i-value-of-many-that-lie-in-the-space; done; bash -c "echo \$((6 * 7))"; echo "${a[9]}"'
tap_is "$status:$out" "0:42
9-value-of-many-that-lie-in-the-space" "a program that it starts runs"
tap_matches "$(head -n 1 "$stats")" "hmem:r: 0 allocations .*another process has it" "without the region"
must hmemctl destroy-region r

# What a process leaves that does not end by itself.
hmemctl run --layer pool:pool --size 16M --above 32 -- bash -c "$holder" "$scratch/held" "$scratch/never" &
pid=$!
tap_check "a program holds a region of the pool" cxl_wait 60 holds
tap_is "$(spaces | grep -c "^space-$pid-")" 1 "which is named by its number"
tap_check_status 1 "nobody takes it away" hmemctl destroy-region "$(spaces)"
kill -KILL $pid
wait $pid 2>/dev/null
tap_is "$(spaces | wc -l)" 1 "it stays when the program is killed"
tap_check "and can be destroyed then" hmemctl destroy-region "$(spaces)"

ctl run --layer pool:pool --size 1G -- true
tap_matches "$status:$err" "^1:.*pool:pool has .* free, not 1G" "more than the pool has is refused"
must hmemctl detach-pool pool
tap_done
