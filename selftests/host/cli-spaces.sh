#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl list-spaces: spaces of programs that run.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

if [ -e "$HMEM_BUILD/libhmem-malloc.so" ]; then
	# A program with a space, while it has it: the shell allocates, and looks at itself.
	# shellcheck disable=SC2016 # it is that shell's number
	of_shell='x=$(printf "%200000s"); hmemctl list-spaces $$'
	out=$(hmemctl run --layer dram --above 4K --size 64M -- bash -c "$of_shell; true" 2>"$TMPDIR/err")
	tap_is "$?" 0 "a program's space is listed"
	tap_is "$(values space):$(values size):$(values granule)" "malloc:67108864:65536" "with its name and size"
	tap_is "$(values command):$(values shared):$(values interfaces)" "bash:false:1" "and whose it is"
	tap_matches "$out" '"dram:[0-9]+"|"dram"' "and of which layer"
	tap_check "something of it is used" test "$(values used)" -gt 0
	tap_check "as was at most" test "$(values peak)" -ge "$(values used)"
	tap_is "$(<"$TMPDIR/err")" "hmemctl list-spaces: 1 space" "which is counted"
	out=$(hmemctl run --layer dram --above 4K --size 64M -- bash -c "$of_shell -u; true" 2>"$TMPDIR/err")
	tap_is "$(values size)" "64.00 MiB" "-u: sizes as people write them"
else
	tap_skip "of a program under hmemctl run" "there is no libhmem-malloc.so with sanitizers"
fi

ctl list-spaces
tap_is "$status:${out:0:1}" "0:[" "all of them are an array"
ctl list-spaces $$
tap_is "$status:${out//[[:space:]]/}:$err" "0:[]:hmemctl list-spaces: 0 spaces" "a process without has none"
ctl list-spaces 2147483647
tap_is "$status:$out" "1:" "there is no such process"
tap_matches "$err" "there is no process 2147483647" "which is said"
usage "list-spaces x" "x is no number of a process"
usage "list-spaces 0" "0 is no number of a process"
usage "list-spaces -1" "no such option: -1"
tap_matches "$(complete_for list-spaces $$)" "\\b$$\\b" "processes are completed"

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null &&
	setpriv --reuid 65534 --clear-groups test -x "$(command -v hmemctl)" -a -x "$TMPDIR"; then
	setpriv --reuid 65534 --clear-groups hmemctl list-spaces >"$TMPDIR/out" 2>"$TMPDIR/err"
	tap_is "$?" 0 "who is not root sees his own"
	tap_matches "$(<"$TMPDIR/err")" "[0-9]+ process.* of other users could not be looked at" \
		"and how many he does not"
	out=$(setpriv --reuid 65534 --clear-groups hmemctl list-spaces 1 2>"$TMPDIR/err")
	tap_is "$?:$out" "1:" "one of others is refused"
	tap_matches "$(<"$TMPDIR/err")" "process 1 cannot be looked at" "as the error says"
else
	tap_skip "of other users" "needs root, setpriv, and a build that others can reach"
fi

tap_done
