#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A persistent device goes away under live mappings, pinned pages and ioctls.
#
# hmem-test: topology=pmem1 kernels=lts,newest timeout=180
. "$(dirname "$0")/kmod.sh"
. "$here/revoke.sh"

kmod_begin
revoke_leaks pmem
for way in disable destroy unbind remove; do
	revoke_case pmem $way
done
tap_check "the module can be unloaded" cxl_wait 5 kmod_unload_swept
tap_done
