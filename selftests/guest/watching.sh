# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # what it sets is for those who source it
#
# For tests of what hmemctl shows of regions: on a terminal, and in the background until a
# signal comes. Beside kmod.sh and ctl.sh.

# terminal KIND COMMAND: runs it on a terminal; $out is what that shows, $plain the same without
# escapes
terminal() {
	out=$(TERM=$1 script -qec "$2" /dev/null </dev/null)
	status=$?
	plain=$(sed 's/\x1b\[[?0-9;]*[a-zA-Z]//g; s/\r//g' <<<"$out")
}

# It has looked at least once, and waits for its next time, or a signal.
watch_is_on() {
	[[ $(<"/proc/$watch_pid/wchan") == do_sigtimedwait* ]]
}

# watch_start ARGUMENTS...: hmemctl in the background, with an interrupt as in the foreground
watch_start() {
	env --default-signal=INT hmemctl "$@" >"$scratch/watch" 2>"$scratch/err" </dev/null &
	watch_pid=$!
	cxl_wait 30 watch_is_on || tap_bail "hmemctl $*: does not begin: $(<"$scratch/err")"
}

# watch_end: it has ended; $out, $err and $status as with ctl
watch_end() {
	wait "$watch_pid"
	status=$?
	out=$(<"$scratch/watch")
	err=$(<"$scratch/err")
}
