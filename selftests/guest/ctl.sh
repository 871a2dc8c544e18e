# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # what it sets is for those who source it
#
# For tests of hmemctl: it is run, and what it printed is looked at. Beside kmod.sh.

# Runs hmemctl; stdout goes to $out, stderr to $err, the exit status to $status.
ctl() {
	out=$(hmemctl "$@" 2>"$scratch/err" </dev/null)
	status=$?
	err=$(<"$scratch/err")
}

# field FILTER: one value out of what hmemctl printed on stdout: text as it is, all else as JSON
# in one line
field() {
	jq -rc "$1" <<<"$out"
}
