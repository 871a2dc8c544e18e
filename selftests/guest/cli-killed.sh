#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=mixed kernels=newest long=lts timeout=400
#
# hmemctl is killed at each of its steps in turn. Whatever it leaves behind, the next call
# works, or the doctor names commands after which it does.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

autoprobe=/sys/bus/dax/drivers_autoprobe

# works KIND: a region can be had
works() {
	hmemctl create-region after --size 4M --type "$1" && hmemctl destroy-region after
}

# advice: the commands that the doctor names for what is not as it should be
advice() {
	hmemctl doctor 2>/dev/null | jq -r '.[] | select(.status != "ok" and .fix != null) | .fix'
}

# Following an advice may uncover more, but not for ever.
cured() {
	local tries commands

	for tries in 1 2 3; do
		commands=$(advice)
		[ -n "$commands" ] || break
		tap_diag "try $tries: $commands"
		bash -c "$commands" </dev/null
	done
	[ -z "$(advice)" ] && works "$1"
}

clean() {
	local pool

	hmemctl destroy-region killed
	for pool in /sys/class/hmem_pool/*; do
		[ ! -e "$pool" ] || hmemctl detach-pool "${pool##*/}" --release
	done
	[ -z "$(cxl_regions)" ]
} >/dev/null 2>&1

# killed KIND WHAT COMMAND...: COMMAND, killed instead of each of its steps
killed() {
	local kind=$1 what=$2 n steps left=0

	shift 2
	steps=$("$here/kill_at" 0 "$@" 2>/dev/null </dev/null | tail -n 1)
	tap_check "$kind, $what: has $steps steps" [ "$steps" -gt 1 ]
	clean
	for n in $(seq "$steps"); do
		[ "$what" != detach ] || hmemctl attach-pool "$memdev" --type "$kind" >/dev/null 2>&1
		"$here/kill_at" "$n" "$@" >/dev/null 2>&1 </dev/null
		if [ $? != 137 ]; then
			tap_fail "$kind, $what: was killed at step $n"
			continue
		fi
		tap_run cured "$kind" || {
			tap_fail "$kind, $what: killed at step $n, cured"
			tap_diag "$tap_output"
			left=1
		}
		clean || tap_fail "$kind, $what: killed at step $n, can be cleaned up"
	done
	tap_is "$left" 0 "$kind, $what: after each kill the machine could be cured"
}

insmod /root/hmem.ko || tap_bail "hmem.ko does not load"
tap_is "$(advice)" "" "the doctor has nothing to say"
# A persistent one has a step more, its UUID.
memdev=$(cxl_memdev pmem) || tap_bail "no persistent device"
killed pmem create hmemctl create-region killed --size 8M --type pmem
memdev=$(cxl_memdev ram) || tap_bail "no volatile device"
hmemctl attach-pool "$memdev" --type ram >/dev/null 2>&1
killed ram detach hmemctl detach-pool "$(ls /sys/class/hmem_pool)" --release
tap_is "$(cat $autoprobe)" 1 "drivers bind by themselves as before"
tap_check "the module can be unloaded" rmmod hmem
tap_done
