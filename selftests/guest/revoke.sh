# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # kmod.sh, which is sourced before, sets what is shared
#
# A device is taken away while everything uses it, in each of the ways in which that
# happens; sourced by the tests, one for each kind of device:
#
#	revoke_case KIND WAY [MEMDEV...]	KIND: ram, pmem
#
# Little memory is touched: once a memdev was unbound, QEMU does every access to it by hand.
#
# WAY: disable (cxl disable-region), destroy (cxl destroy-region -f), unbind (the memdev
# from its driver), remove (the PCI device). Afterwards the device is configured, claimed
# and used again.

revoke_disable() {
	cxl disable-region "$1"
}

revoke_destroy() {
	cxl destroy-region -f "$1"
}

revoke_unbind() {
	echo "$2" >/sys/bus/cxl/drivers/cxl_mem/unbind
}

revoke_remove() {
	echo 1 >"$(readlink -f "$cxl_bus/$2")/../remove"
}

# What brings the device back; its old CXL region may be listed still, and is of no use.
restore_disable() {
	:
}

restore_destroy() {
	:
}

restore_unbind() {
	echo "$1" >/sys/bus/cxl/drivers/cxl_mem/bind
}

restore_remove() {
	echo 1 >/sys/bus/pci/rescan
}

no_claim() {
	! grep -q ' : hmem$' /proc/iomem
}

revoked() {
	[ -z "$(kmod_names hmem_pool)" ] && no_claim
}

holder_named=
names_holder() {
	dmesg | grep -q 'pinned: waiting for whoever holds pages at offset 0x0, 2097152 bytes$'
}

is_one_of() {
	local word=$1 name=$2

	shift 2
	tap_matches " $* " " $word " "$name ($word)"
}

revoke_case() {
	local kind=$1 way=$2 memdevs region memdev revoking name

	shift 2
	name="$kind, $way"
	memdevs=("$@")
	[ $# -gt 0 ] || memdevs=("$(cxl_memdev "$kind")")
	memdev=${memdevs[-1]}
	region=$(cxl_create "$kind" "${memdevs[@]}") || tap_bail "no CXL region"
	if [ "$kind" = pmem ]; then
		must kmodctl attach "$region" format
	else
		must kmodctl attach "$region"
	fi
	must kmodctl create kept "$region" 2097152 1000 1001 0640
	must kmodctl fill kept 4711 0 65536
	must kmodctl create used "$region" 4194304
	must kmodctl create pinned "$region" 2097152

	user_start storer use used store
	user_start storer2 use used store
	user_start reader use used read
	user_start asker use used info
	user_start churner churn "$region"
	user_start holder hold used map
	user_start pinner hold pinned pin

	"revoke_$way" "$region" "$memdev" >"$scratch/log" 2>&1 &
	revoking=$!
	is_one_of "$(user_answer storer)" "$name: a process that stores gets SIGBUS" SIGBUS
	is_one_of "$(user_answer storer2)" "$name: and so does another" SIGBUS
	is_one_of "$(user_answer reader)" "$name: one that reads and writes" ENODEV
	is_one_of "$(user_answer asker)" "$name: one that asks" ENODEV
	is_one_of "$(user_answer churner)" "$name: one that creates and destroys" \
		ENODEV ENOENT EBUSY
	# It takes ten seconds until that is said.
	if [ -z "$holder_named" ]; then
		tap_check "$name: the log names the region and the range that is held" cxl_wait 20 names_holder
		holder_named=yes
	fi
	# The page in the pipe is still the device's memory: it must not go before.
	tap_check "$name: what is pinned holds it up" kill -0 "$revoking"
	tap_check "$name: with the memory still claimed" grep -q ' : hmem$' /proc/iomem
	# Nothing of the device may be undone before its memory is given back.
	kill -TERM "${user_pid[pinner]}"
	tap_is "$(user_answer pinner)" intact "$name: and it is still what it was"
	user_end pinner
	wait "$revoking"
	tap_is "$?" 0 "$name: then it comes to its end"
	tap_check "$name: the pool is gone, and its claim" cxl_wait 5 revoked
	tap_is "$(kmod_names hmem)" "" "$name: its regions are gone"
	tap_is "$(ls /dev/hmem)" control "$name: and their devices"
	is_one_of "$(kmodctl detach "$region")" "$name: there is nothing to detach" ENOENT ENODEV
	for user in storer storer2 reader asker churner; do
		user_end "$user"
	done

	# One process has the old region mapped still, while the new one of its name is made.
	"restore_$way" "$memdev"
	cxl_wait 20 test -e "$cxl_bus/$memdev/driver" || {
		# Another probe order may have renamed it.
		[ $# -gt 0 ] || memdevs=("$(cxl_memdev "$kind")")
	}
	cxl_destroy_all 2>/dev/null
	region=$(cxl_create "$kind" "${memdevs[@]}") || tap_bail "$name: no CXL region again"
	tap_run kmodctl attach "$region"
	tap_is "$tap_status" 0 "$name: configured and attached again"
	if [ "$kind" = pmem ]; then
		tap_matches "$tap_output" "regions=[34]" "$name: with the regions that were there"
		tap_check "$name: and their data" kmodctl verify kept 4711 0 65536
		tap_matches "$(kmodctl info kept)" "owner=1000:1001 mode=0640" \
			"$name: and owner and mode"
		kmod_sweep
		must kmodctl attach "$region" format
	fi
	must kmodctl create used "$region" 2097152
	tap_check "$name: a new region reads as zeroes" kmodctl verify used 0 1048576 65536
	must kmodctl fill used 12 0 65536
	tap_check "$name: and holds what is stored" kmodctl verify used 12 0 65536
	user_end holder
	must kmodctl destroy used
	must kmodctl detach "$region"
	must cxl destroy-region -f "$region"
}

# revoke_leaks KIND: many times over, nothing is lost
revoke_leaks() {
	local kind=$1 region before lost flag=

	[ "$kind" = ram ] || flag=format
	for round in 0 1 2 3 4; do
		# The first round fills caches.
		[ "$round" != 1 ] || before=$(memory_kb)
		region=$(cxl_create "$kind") || tap_bail "no CXL region"
		# shellcheck disable=SC2086 # a flag or none
		must kmodctl attach "$region" $flag
		must kmodctl create used "$region" 4194304
		user_start storer use used store
		must cxl destroy-region -f "$region"
		user_end storer
		cxl_wait 5 revoked || tap_bail "the pool stays"
	done
	lost=$((before - $(memory_kb)))
	tap_check "$kind: four times revoked, no memory is lost ($lost kB)" [ "$lost" -lt 49152 ]
}
