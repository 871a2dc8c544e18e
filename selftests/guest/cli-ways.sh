#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=switch4 timeout=180 kernels=lts long=newest
#
# hmemctl and several devices: interleaving on request, and ports that are full.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"

insmod /root/hmem.ko || tap_bail "hmem.ko does not load"

tap_check "a dry run over four devices" hmemctl create-region --size 2M --ways 4 --dry-run
tap_check_status 1 "five devices are more than there are" \
	hmemctl create-region --size 2M --ways 5
tap_matches "$tap_output" "5 ways wanted, but only 4 devices have" "and that is said"
tap_check "a region over two devices" hmemctl create-region wide --size 4M --ways 2
pool=$(cat /sys/class/hmem/wide/pool)
tap_is "$(cat "/sys/bus/cxl/devices/$pool/interleave_ways")" 2 "is interleaved over two"
tap_check "it can be written and read" \
	bash -c 'head -c 100000 /bin/bash >/tmp/cli-wide && cp /tmp/cli-wide /dev/hmem/wide &&
		cmp -n 100000 /tmp/cli-wide /dev/hmem/wide'
tap_check "a second region in the same pool" hmemctl create-region big --size 2M --pool "$pool"
# The bridge of this guest has one decoder, so one CXL region is all that it takes.
tap_check "attach-pool --all passes over the other two" hmemctl attach-pool --all
tap_matches "$tap_output" "a port on the way has no decoder left" "and says why"
hmemctl destroy-region wide big >/dev/null 2>&1
# shellcheck disable=SC2046 # names
tap_check "all pools can be released" \
	hmemctl detach-pool $(ls /sys/class/hmem_pool) --release
tap_is "$(cxl_regions)" "" "and no CXL region is left"
rmmod hmem
tap_done
