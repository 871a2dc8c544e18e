#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From insmod to a region that is still there after the power went, in a guest with
# emulated CXL devices. Run by `make demo`, which brings what it needs.

cd "$(dirname "$0")/.." || exit 1
state=$(mktemp -d "${TMPDIR:-/tmp}/hmem-demo.XXXXXX")
trap 'rm -rf "$state"' EXIT
trap 'exit 130' INT TERM

power_cut=137 # hmem-vm: the guest cut its own power

guest() {
	qemu/hmem-vm run --topology mixed --state "$state" --timeout 300 \
		--copy examples/demo-guest.sh -- /root/demo-guest.sh "$1"
}

failed() {
	echo "$*"
	echo "The demo has failed."
	exit 1
}

qemu/hmem-vm build || failed "There is no guest to show it in."
echo "Booting a guest (Linux in QEMU)."
guest before
status=$?
[ $status -eq $power_cut ] || failed "The guest ended with status $status instead of losing its power."

echo
echo "Booting it again."
guest after || failed "The guest ended with status $?."
echo
echo "The region survived the power cut: name, owner, mode and data."
