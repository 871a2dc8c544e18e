#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The part of the demo that runs inside a guest, as root: `demo-guest.sh before` until the
# power is cut, `demo-guest.sh after` once it is back. What is shown is what is run; what
# is not as it should be ends the demo with exit status 1.

exec 2>&1

say() {
	echo
	printf '%s\n' "$@"
}

# root COMMAND...: as root, at a prompt.
root() {
	echo "# $*"
	"$@" || fail "exit status $?: $*"
}

# user COMMAND...: the same as an ordinary user.
user() {
	echo "user\$ $*"
	su user -c "$*" || fail "exit status $?: $*"
}

fail() {
	echo "DEMO FAILED: $*"
	exit 1
}

# expect WHAT GOT WANT
expect() {
	[ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
	echo "  checked: $1 is $3"
}

# How many CXL regions there are.
cxl_regions() {
	find /sys/bus/cxl/devices -name 'region*' | wc -l
}

before() {
	say "A host with two CXL memory devices that nobody configured: one volatile, one persistent."
	root cxl list -M -u
	expect "the number of CXL regions" "$(cxl_regions)" 0

	say "Load the module. Nothing is claimed yet."
	root insmod hmem.ko
	root ls /dev/hmem

	say "A region on the volatile device, for an ordinary user. hmemctl sets up the device," \
		"takes it from device-dax, attaches it as a pool and carves the region out of it."
	root hmemctl create-region scratch --type ram --size 64M --owner user -u -v

	say "One on the persistent device, which others of the group may read."
	root hmemctl create-region ledger --type pmem --size 64M --owner user --group user \
		--mode 0640 -u -v

	say "From here on they are files with an owner and a mode."
	root ls -l /dev/hmem
	root hmemctl list --pools -u

	say "An ordinary user fills them with the example program; another process reads them back."
	user pattern hmem:scratch fill
	user pattern hmem:scratch verify
	user pattern --seed 7 hmem:ledger fill
	user pattern --seed 7 hmem:ledger verify

	say "Somebody else may not."
	echo "other\$ pattern hmem:ledger verify"
	! su other -c "pattern hmem:ledger verify" || fail "another user could read the region"

	expect "the owner of ledger" "$(stat -c %U /dev/hmem/ledger)" user
	say "The power goes. Nothing is synced, nothing is shut down."
	echo "# hmem-power-cut"
	hmem-power-cut
}

after() {
	say "The power is back; the CXL devices are as unconfigured as they were."
	expect "the number of CXL regions" "$(cxl_regions)" 0
	root insmod hmem.ko

	say "Attach what is there. A persistent device that holds a pool brings its regions along."
	root hmemctl attach-pool --all --type pmem -u -v
	root ls -l /dev/hmem
	expect "the owner of ledger" "$(stat -c %U:%G /dev/hmem/ledger)" user:user
	expect "the mode of ledger" "$(stat -c %a /dev/hmem/ledger)" 640
	expect "the size of ledger" "$(cat /sys/class/hmem/ledger/size)" $((64 << 20))

	say "And its data."
	user pattern --seed 7 hmem:ledger verify
	[ ! -e /dev/hmem/scratch ] || fail "the volatile region came back"
	echo "  checked: the volatile region is gone, as it has to be"

	say "Everything can be taken down again."
	root hmemctl destroy-region ledger -u
	for pool in /sys/class/hmem_pool/*; do
		root hmemctl detach-pool "${pool##*/}" --release -u
	done
	root rmmod hmem
}

"$1"
