#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The power goes while a persistent pool is used: what was created is there, what was
# stored is there, what a former owner left is not; at whatever moment it went.
# hmem-test: timeout=400

. "$(dirname "$0")/../tap.sh"
cd "${HMEM_SOURCE:-$(dirname "$0")/../..}" || tap_bail "the source is not there"

state=${TMPDIR:-/tmp}/powercut-state
kernel=lts
guest() {
	qemu/hmem-vm run --smp 1 --kernel $kernel --topology pmem1 --state "$state" --timeout 300 -- \
		bash /root/selftests/vm/powercut-guest.sh "$@"
}

# said REGEX NAME: the guest has said so
said() {
	tap_matches "$tap_output" "$1" "$2"
}

tap_check_status 137 "regions are made and used, the power goes" guest make
made=$(grep '^region ' <<<"$tap_output")
kernel=newest
tap_check "the other kernel finds the pool" guest find
tap_is "$(grep '^region ' <<<"$tap_output")" "$made" "its regions are as they were"
said "kept: whole" "stored data is there"
said "new, touched: whole" "what a new owner stored before the cut is not zeroed again"
said "new, untouched: zero zero" "what it did not touch shows nothing of the former owner"
said "stranger: EUSERS" "another host is told that the pool was not detached"
said "owner: .*regions=" "the host that had it may attach"
said "stranger after detach: .*regions=" "once detached, so may any"
said "take over: .*regions=" "and before that, with take-over"

# Cut while regions are created, resized and destroyed without a pause.
for delay in 0.3 1.1; do
	tap_check_status 137 "the power goes $delay s into changes of the table" guest churn $delay
	tap_check "the pool is intact after it" guest intact
	said "kept: whole" "with what was stored"
	said "sizes: right" "and no region half made"
done
tap_done
