#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What `make install` leaves for DKMS builds with the command in its dkms.conf, for Debian's own
# kernel; with HMEM_TEST_LONG=1 for both of the image for guests.
# hmem-test: timeout=400

# shellcheck disable=SC1090,SC2034 # dkms.conf uses what is set for it

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

version=$(sed -n 's/^HMEM_RELEASE := //p' version.mk)
tap_check "make install" make -s CFLAGS=-O0 BUILD="$TMPDIR/build" DESTDIR="$TMPDIR/root" prefix=/usr install

qemu_dir=$PWD/qemu
say() { tap_diag "$*"; }
fail() { tap_bail "$*"; }
. qemu/image.bash
image_open

# As dkms does it: a copy of the sources, at $dkms_tree/NAME/VERSION/build.
dkms_build() {
	local dkms_tree=/mnt kernel_source_dir=/lib/modules/$1/build
	local PACKAGE_NAME PACKAGE_VERSION MAKE

	. "$TMPDIR/root/usr/src/hmem-$version/dkms.conf"
	mkdir -p "$TMPDIR/$1/$version"
	cp -r "$TMPDIR/root/usr/src/hmem-$version" "$TMPDIR/$1/$version/build"
	# shellcheck disable=SC2154 # image_open sets it
	qemu/in-tree "$image/tree" "$TMPDIR/$1=$PACKAGE_NAME" -- sh -c "${MAKE[0]}"
}

module_info() {
	qemu/in-tree "$image/tree" "$TMPDIR/$1/$version/build=module" -- \
		modinfo -F "$2" /mnt/module/hmem.ko | cut -d ' ' -f 1
}

for name in lts ${HMEM_TEST_LONG:+newest}; do
	kernel=$(image_kernel $name)
	tap_check "dkms.conf builds for $kernel ($name)" dkms_build "$kernel"
	[[ $tap_output != *arning:* ]] || tap_diag "$tap_output"
	[[ $tap_output != *arning:* ]]
	tap_is $? 0 "without a warning"
	tap_is "$(module_info "$kernel" version)" "$version" "the module knows its version"
	tap_is "$(module_info "$kernel" vermagic)" "$kernel" "and its kernel"
done
tap_done
