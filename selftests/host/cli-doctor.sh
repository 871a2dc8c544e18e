#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The doctor, on copies of a machine's files: one that is well, then one thing wrong at
# a time.

. "$(dirname "$0")/../tap.sh"

command -v hmemctl >/dev/null || tap_bail "hmemctl was not built"
version=$(hmemctl version | sed -n 's/.*"hmemctl": "\(.*\)".*/\1/p')

# put PATH TEXT: a file of the machine
put() {
	mkdir -p "$(dirname "$root/$1")"
	printf '%s\n' "$2" >"$root/$1"
}

# A host with one volatile device of 1 GiB, all of it CXL region region0 and that a pool.
healthy() {
	local cxl=sys/bus/cxl/devices

	root=$(mktemp -d "$TMPDIR/root.XXXXXX")
	put proc/sys/kernel/osrelease 6.12.1-test
	put proc/sys/kernel/tainted 0
	put proc/cpuinfo "flags : fpu clwb"
	put proc/iomem "100000000-13fffffff : CXL Window 0
  100000000-13fffffff : region0
    100000000-13fffffff : hmem"
	put boot/config-6.12.1-test "CONFIG_CXL_BUS=y
CONFIG_CXL_PCI=m
CONFIG_CXL_ACPI=m
CONFIG_CXL_MEM=m
CONFIG_CXL_PORT=y
CONFIG_CXL_REGION=y
CONFIG_ZONE_DEVICE=y"
	put sys/module/hmem/version "$version"
	mkdir -p "$root"/sys/bus/acpi/devices/ACPI0017:00 "$root"/sys/bus/platform/drivers/cxl_acpi \
		"$root"/sys/bus/cxl/drivers/{cxl_port,cxl_mem,cxl_region} \
		"$root"/sys/bus/pci/drivers/cxl_pci "$root"/sys/bus/dax/devices
	put $cxl/decoder0.0/cap_ram 1
	put $cxl/decoder0.0/cap_pmem 0
	put $cxl/decoder0.0/size 0x40000000
	put $cxl/decoder0.0/interleave_ways 1
	put sys/bus/pci/devices/0000:01:00.0/class 0x050210
	ln -s ../../drivers/cxl_pci "$root/sys/bus/pci/devices/0000:01:00.0/driver"
	put $cxl/mem0/ram/size 0x40000000
	put $cxl/mem0/pmem/size 0
	ln -s ../../drivers/cxl_mem "$root/$cxl/mem0/driver"
	put $cxl/endpoint2/decoder2.0/dpa_size 0x40000000
	put $cxl/decoder2.0/dpa_size 0x40000000
	put $cxl/decoder2.0/mode ram
	put $cxl/decoder2.0/region region0
	put $cxl/endpoint2/decoder2.1/dpa_size 0
	put $cxl/decoder2.1/dpa_size 0
	ln -s ../mem0 "$root/$cxl/endpoint2/uport"
	put $cxl/region0/mode ram
	put $cxl/region0/size 0x40000000
	put $cxl/region0/resource 0x100000000
	put $cxl/region0/commit 1
	put $cxl/region0/interleave_ways 1
	put $cxl/region0/target0 decoder2.0
	ln -s ../../drivers/cxl_region "$root/$cxl/region0/driver"
	put sys/class/hmem_pool/store/source region0
}

# finding CHECK: "STATUS MESSAGE FIX" of the findings of one check
finding() {
	hmemctl doctor --root "$root" 2>/dev/null | tr -d '\n' | sed 's/},/}\n/g' |
		sed -n "s/.*\"check\": \"$1\", *\"status\": \"\([a-z]*\)\", *\"message\": \"\([^\"]*\)\", *\"fix\": \(.*[^ ]\) *}.*/\1 \2 \3/p"
}

# says STATUS CHECK REGEX NAME: the doctor's exit status, and what it finds
says() {
	tap_check_status "$1" "$4" hmemctl doctor --root "$root"
	tap_matches "$(finding "$2")" "$3" "it says: $3"
}

healthy
says 0 region "ok CXL region region0 \(ram, 1.00 GiB\) is pool store null" "a machine that is well"
tap_is "$(hmemctl doctor --root "$root" 2>&1 | grep -c '"status": "ok"')" \
	"$(hmemctl doctor --root "$root" 2>&1 | grep -c '"status"')" "has nothing but ok"

rm -r "${root:?}/sys/class/hmem_pool"
sed -i 's/: hmem$/: somebody/' "$root/proc/iomem"
says 0 holder "warn the memory of CXL region region0 is held by somebody" "memory that somebody holds"
sed -i 's/: somebody$/: Persistent Memory/' "$root/proc/iomem"
says 0 holder "^$" "what the kernel calls a persistent region holds nothing"

healthy; rm -r "${root:?}/sys/class/hmem_pool"
put sys/bus/cxl/devices/region0/dax_region0/dax0.0/size 1
mkdir -p "$root/sys/bus/dax/devices/dax0.0"
ln -s ../../drivers/kmem "$root/sys/bus/dax/devices/dax0.0/driver"
says 0 dax "warn .* is system RAM .*daxctl offline-memory dax0.0" "memory that is system RAM"

healthy; put proc/sys/kernel/osrelease 6.1.0-test
says 1 kernel-version "fail Linux 6.1.0-test cannot make volatile" "a kernel that is too old"
healthy; put proc/sys/kernel/osrelease 6.8.0
says 0 kernel-version "warn Linux 6.8.0 is older" "a kernel that was not tested"
healthy; sed -i '/CXL_REGION/d' "$root/boot/config-6.12.1-test"
says 1 kernel-config "fail the kernel is built without CONFIG_CXL_REGION" "a kernel without regions"
healthy; rm -r "${root:?}/boot"
says 0 kernel-config "warn .* not checked" "a configuration that is not there"
healthy; rm -r "${root:?}/sys/module"
says 1 module "fail hmem.ko is not loaded .*insmod hmem.ko" "no module"
healthy; put sys/module/hmem/version 0.0.0
says 0 module "warn hmem.ko is 0.0.0, hmemctl $version" "a module of another version"
healthy; put proc/sys/kernel/tainted 128
says 0 kernel-oops "warn .*reboot" "a kernel that had an oops"
for driver in platform/drivers/cxl_acpi cxl/drivers/cxl_mem cxl/drivers/cxl_port pci/drivers/cxl_pci; do
	healthy; rm -r "${root:?}/sys/bus/$driver"
	says 1 drivers "fail the CXL driver ${driver##*/} is not loaded .*modprobe ${driver##*/}" \
		"${driver##*/} is missing"
done
healthy; put proc/cpuinfo "flags : fpu hypervisor"
says 1 cache-flush "fail .* refuses to commit .*max,-hypervisor" "a hypervisor that is seen"
echo CONFIG_CXL_REGION_INVALIDATION_TEST=y >>"$root/boot/config-6.12.1-test"
says 0 cache-flush "^ok the kernel is built to make" "and a kernel that does not mind"
healthy; rm -r "${root:?}/sys/bus/cxl/devices/decoder0.0"
says 1 window "fail .* no window .*cxl-fmw.0.size" "no window"
healthy; put sys/bus/cxl/devices/decoder0.0/cap_ram 0
says 0 window "warn window decoder0.0 .* neither" "a window for no memory"
healthy; rm "${root:?}/sys/bus/pci/devices/0000:01:00.0/driver"
says 1 pci-device "fail .* 0000:01:00.0 has no driver .*cxl_pci/bind" "a device without driver"
healthy; rm -r "${root:?}/sys/bus/pci/devices/0000:01:00.0"
says 1 pci-device "fail there is no CXL memory device" "no device"
healthy; rm "${root:?}/sys/bus/cxl/devices/mem0/driver"
says 1 memdev "fail memory device mem0 is disabled.*cxl enable-memdev mem0" "a disabled device"
healthy; rm -r "${root:?}/sys/bus/cxl/devices/endpoint2"
says 1 memdev "fail memory device mem0 has no endpoint" "a device without endpoint"
healthy; put sys/bus/cxl/devices/decoder2.1/dpa_size 1
says 0 memdev "warn memory device mem0: all 2 decoders" "a device without free decoder"
healthy; put sys/bus/cxl/devices/decoder2.0/dpa_size 0
says 0 capacity "ok mem0: 1.00 GiB volatile, 1.00 GiB of it not configured .*create-region --type ram" \
	"capacity that is free"
put sys/bus/cxl/devices/mem0/pmem/size 0x40000000
put sys/bus/cxl/devices/decoder2.0/dpa_size 0x40000000
put sys/bus/cxl/devices/decoder2.0/mode pmem
says 0 capacity "warn mem0: its volatile capacity cannot be" "capacity that was skipped"
healthy; put sys/bus/cxl/devices/region0/commit 0
says 0 region "warn .* is not committed.*cxl destroy-region -f region0" "a region half made"
healthy; put sys/bus/cxl/devices/region0/commit 0
put sys/bus/cxl/devices/region0/interleave_ways 0
says 0 region "warn .* is not committed.*delete_region" "a region that has no shape yet"
healthy; put sys/bus/cxl/devices/region0/commit 0
put sys/bus/cxl/devices/region0/target0 ""
says 0 region "warn .* is not committed.*delete_region" "a region that lacks a device"
healthy; put sys/bus/cxl/devices/decoder2.0/region ""
says 0 decoder "warn 1.00 GiB of mem0 .* no CXL region.*echo 0 > .*/decoder2.0/dpa_size" \
	"capacity that is allocated for nothing"
healthy; put sys/bus/dax/drivers_autoprobe 1
says 0 dax "^$" "drivers that bind by themselves"
healthy; put sys/bus/dax/drivers_autoprobe 0
says 0 dax "warn new dax devices get no driver.*echo 1 > .*drivers_autoprobe" "and do not"
healthy; rm "${root:?}/sys/bus/cxl/devices/region0/driver"
says 0 region "warn .* is disabled .*cxl enable-region region0" "a disabled region"
healthy; rm -r "${root:?}/sys/bus/acpi" "$root/sys/bus/cxl"
says 2 firmware "fail the firmware describes no CXL" "a machine without CXL"
root=$TMPDIR/nothing
says 2 kernel-version "warn the kernel's version is unknown" "no machine at all"
tap_done
