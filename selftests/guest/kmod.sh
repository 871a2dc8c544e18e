# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the kernel-contract tests in shell begin with: TAP, CXL regions, the module through
# kmodctl, and processes that use a region until something stops them. At the end, however
# it comes, everything is taken away again.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../tap.sh"
. "$here/cxl.sh"

scratch=$(mktemp -d)
declare -A user_pid user_fd

kmodctl() {
	"$here/kmodctl" "$@"
}

# kmod_names CLASS: the regions (hmem) or pools (hmem_pool)
kmod_names() {
	local name

	for name in "/sys/class/$1"/*; do
		[ ! -e "$name" ] || [ "${name##*/}" = control ] || echo "${name##*/}"
	done
}

kmod_sweep() {
	local name

	for name in $(kmod_names hmem); do
		kmodctl destroy "$name" >/dev/null
	done
	for name in $(kmod_names hmem_pool); do
		kmodctl detach "$name" >/dev/null
	done
}

kmod_unload_swept() {
	[ -e /sys/module/hmem ] || return 0
	kmod_sweep
	kmodctl unload >/dev/null
}

kmod_end() {
	local name

	for name in "${!user_pid[@]}"; do
		user_end "$name"
	done
	cxl_wait 5 kmod_unload_swept || tap_diag "hmem.ko cannot be unloaded"
	cxl_destroy_all 2>/dev/null
	rm -rf "$scratch"
}

# kmod_clean: a machine without the module and without CXL regions, whatever was before
kmod_clean() {
	cxl_wait 5 kmod_unload_swept || tap_bail "hmem.ko is loaded and in use"
	cxl_destroy_all 2>/dev/null
	trap kmod_end EXIT
}

# kmod_begin: the same, with the module
kmod_begin() {
	kmod_clean
	kmodctl load || tap_bail "hmem.ko cannot be loaded"
}

# must COMMAND...: nothing that follows makes sense if it fails
must() {
	local output

	output=$("$@" 2>&1) || tap_bail "$*: $output"
}

# refused ERRNO NAME COMMAND...: kmodctl answers with that errno
refused() {
	local want=$1 name=$2 output

	shift 2
	output=$(kmodctl "$@")
	tap_is "$output" "$want" "$name"
}

# user_start NAME ARGUMENTS...: runs kmodctl in the background, until its first line is out
user_start() {
	local name=$1 fd line

	shift
	exec {fd}< <(exec "$here/kmodctl" "$@" </dev/null)
	user_pid[$name]=$!
	user_fd[$name]=$fd
	read -r -t 180 -u "$fd" line || tap_bail "kmodctl $*: no answer"
	case $line in
	running | held) ;;
	*) tap_bail "kmodctl $*: $line" ;;
	esac
}

# user_answer NAME [SECONDS]: what a user has to say next, "nothing" if it says nothing
user_answer() {
	local line

	read -r -t "${2:-180}" -u "${user_fd[$1]}" line || line=nothing
	echo "$line"
}

user_end() {
	local fd=${user_fd[$1]}

	kill -KILL "${user_pid[$1]}" 2>/dev/null
	wait "${user_pid[$1]}" 2>/dev/null
	exec {fd}<&-
	unset "user_pid[$1]" "user_fd[$1]"
}

# snapshot FILE: what the machine shows of memory, devices and classes
snapshot() {
	{
		cat /proc/iomem /proc/devices /proc/misc
		find /dev -printf '%p %y %m %U:%G\n'
		find /sys/class /sys/bus /sys/devices /sys/module /sys/fs /sys/kernel/tracing/events \
			-maxdepth 4 ! -path '/sys/fs/cgroup*' -printf '%p %y\n' 2>/dev/null
	} | sort >"$1"
}

# as_before FILE NAME: nothing has changed since snapshot FILE
as_before() {
	snapshot "$1.now"
	tap_is "$(diff "$1" "$1.now")" "" "$2"
}

# memory_kb: what is free, once everything that goes by itself has gone
memory_kb() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "MemFree:" { print $2 }' /proc/meminfo
}
