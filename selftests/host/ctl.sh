# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # what it sets is for those who source it
#
# For tests of hmemctl, beside tap.sh.

command -v hmemctl >/dev/null || tap_bail "hmemctl was not built"

# Runs hmemctl; stdout goes to $out, stderr to $err, the exit status to $status.
ctl() {
	out=$(hmemctl "$@" 2>"$TMPDIR/err" </dev/null)
	status=$?
	err=$(<"$TMPDIR/err")
}

# usage WORDS REGEX: bad usage is 129, stdout stays empty, stderr has REGEX.
usage() {
	# shellcheck disable=SC2086 # words
	ctl $1
	tap_is "$status:$out" "129:" "bad usage: hmemctl $1"
	tap_matches "$err" "$2" "says: $2"
}

# values KEY: those of a member, in the order of the array.
values() {
	sed -n "s/^ *\"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" <<<"$out" | xargs
}

# complete_for WORD...: what completion offers for the last word.
complete_for() {
	COMP_WORDS=(hmemctl "$@")
	COMP_CWORD=$#
	[ "$(type -t _hmemctl)" ] || . "${HMEM_SOURCE:-$(dirname "$0")/../..}/tools/completion/hmemctl"
	_hmemctl
	echo "${COMPREPLY[*]}"
}
