#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A volatile device goes away under live mappings, pinned pages and ioctls.
#
# hmem-test: topology=ram1 kernels=lts long=newest timeout=180
. "$(dirname "$0")/kmod.sh"
. "$here/revoke.sh"

kmod_begin
revoke_leaks ram
# Each takes long: two ways here, the others on the other kind of device, and all of them on both
# in make check-long. After unbinding QEMU does every access by hand, so it comes last.
ways='destroy unbind'
[ -z "$HMEM_TEST_LONG" ] || ways='disable destroy remove unbind'
for way in $ways; do
	revoke_case ram $way
done
tap_check "the module can be unloaded" cxl_wait 5 kmod_unload_swept
tap_done
