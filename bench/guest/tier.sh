#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tier.sh OPTION... run|faults|moves|scans - in a guest with a volatile CXL device: tier_guest
# with these arguments on a pool of it
set -euo pipefail

# What a command says is news only when it fails.
quiet()
{
	local said

	said=$("$@" 2>&1) || { echo "tier.sh: $*: $said" >&2; return 1; }
}

quiet insmod /root/hmem.ko
region=$(cxl create-region -m -t ram -d decoder0.0 mem0 2> /dev/null | sed -n 's/.*"region":"\([^"]*\)".*/\1/p')
[[ $region ]] || { echo "tier.sh: no CXL region can be made" >&2; exit 1; }
quiet hmemctl attach-pool "$region" --name bench
"${0%/*}/tier_guest" --pool bench "$@"
quiet hmemctl detach-pool bench
quiet rmmod hmem
