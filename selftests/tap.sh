# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The Test Anything Protocol for tests in bash:
#
#	. "$(dirname "$0")/../tap.sh"
#	tap_check "the module loads" insmod hmem.ko
#	tap_check_status 129 "no arguments is a usage error" hmemctl
#	tap_is "$(stat -c %a /dev/hmem/db)" 640 "the mode is as asked"
#	tap_skip "the poison list is empty" "this QEMU has no poison list"
#	tap_done
#
# tap_done prints the plan and exits, so a test that dies on its way there has no plan
# and counts as failed. tap_check and its like keep what the command printed in
# $tap_output, without showing it unless the check fails. They run the command in this
# shell, so functions and changes to variables work.

tap_count=0
tap_failures=0
tap_output=
tap_status=0
echo "TAP version 13"

# A line, or several, for people.
tap_diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

tap_pass() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $*"
}

tap_fail() {
	tap_count=$((tap_count + 1))
	tap_failures=$((tap_failures + 1))
	echo "not ok $tap_count - $*"
	return 1
}

# tap_skip NAME REASON: a check that cannot be made here, and why.
tap_skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# tap_skip_all REASON: the whole test cannot be run here. Does not return.
tap_skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# tap_bail REASON: nothing that follows makes sense. Does not return.
tap_bail() {
	echo "Bail out! $*"
	exit 1
}

# tap_run COMMAND...: sets $tap_status and $tap_output (stdout and stderr), reports nothing.
tap_run() {
	local log

	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null
	tap_status=$?
	tap_output=$(tr -d '\0' <"$log")
	rm -f "$log"
	return "$tap_status"
}

# tap_check NAME COMMAND...: passes when the command exits with 0.
tap_check() {
	tap_check_status 0 "$@"
}

# tap_check_status STATUS NAME COMMAND...: passes when the command exits with STATUS;
# "fail" stands for every status but 0.
tap_check_status() {
	local want=$1 name=$2

	shift 2
	tap_run "$@"
	if [ "$want" = "$tap_status" ] || { [ "$want" = fail ] && [ "$tap_status" -ne 0 ]; }; then
		tap_pass "$name"
		return
	fi
	tap_fail "$name"
	tap_diag "exit status $tap_status, not $want: $*"
	[ -z "$tap_output" ] || tap_diag "$tap_output"
	return 1
}

# tap_is GOT WANT NAME: passes when two strings are equal.
tap_is() {
	if [ "$1" = "$2" ]; then
		tap_pass "$3"
		return
	fi
	tap_fail "$3"
	tap_diag "got:  $1"
	tap_diag "want: $2"
	return 1
}

# tap_matches TEXT REGEX NAME: passes when an extended regular expression is found.
tap_matches() {
	if [[ $1 =~ $2 ]]; then
		tap_pass "$3"
		return
	fi
	tap_fail "$3"
	tap_diag "no match for: $2"
	tap_diag "in: $(tail -n 20 <<<"$1")"
	return 1
}

# Prints the plan and exits: 0 when every check passed and there was one.
tap_done() {
	echo "1..$tap_count"
	[ "$tap_failures" -eq 0 ] && [ "$tap_count" -gt 0 ]
	exit
}
