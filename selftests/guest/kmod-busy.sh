#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory that somebody else has, or that is not ready, is not claimed; the log says who
# has it.
#
# hmem-test: topology=ram1 kernels=lts long=newest alone
. "$(dirname "$0")/kmod.sh"

log_mark() {
	marker="hmem test mark $RANDOM$RANDOM"
	echo "$marker" >/dev/kmsg
}

log_since() {
	dmesg | sed -n "/$marker/,\$p"
}

kmod_begin
region=$(cxl_create_held ram) || tap_bail "no CXL region"
dax=$(cxl_dax_devices "$region" | head -n 1)
[ -n "$dax" ] || tap_bail "$region has no dax device"

# Held by device-dax. On this machine the device may not have a driver yet.
modprobe device_dax
[ -e "/sys/bus/dax/devices/$dax/driver" ] || {
	echo "$dax" >/sys/bus/dax/drivers/device_dax/new_id
	echo "$dax" >/sys/bus/dax/drivers/device_dax/bind 2>/dev/null
}
[ -e "/sys/bus/dax/devices/$dax/driver" ] || tap_bail "device_dax does not take $dax"
log_mark
refused EBUSY "held by device-dax" attach "$region"
tap_matches "$(log_since)" "$dax" "the log names the holder"
refused EBUSY "a look says so as well" attach "$region" check
tap_check "the holder still has it" grep -q "$dax" /proc/iomem
tap_is "$(kmod_names hmem_pool)" "" "there is no pool"
echo "$dax" >/sys/bus/dax/drivers/device_dax/unbind
tap_check "when device-dax has let go" kmodctl attach "$region"
refused EBUSY "attached twice under two names" attach "$region" name=other
refused EEXIST "attached twice under one name" attach "$region"
tap_run bash -c "echo $dax >/sys/bus/dax/drivers/device_dax/bind"
tap_is "$tap_status" 1 "device-dax does not get it now"
must kmodctl detach "$region"

# There, but not committed; not enabled; not there.
cxl_destroy "$region" 2>/dev/null
refused ENOENT "no such region" attach "$region"
refused ENOENT "nor this" attach region4711
refused ENOENT "a memdev is no region" attach "$(cxl_memdev ram)"
refused ENOENT "a decoder is no region" attach decoder0.0
name=$(cat /sys/bus/cxl/devices/decoder0.0/create_ram_region)
must eval "echo $name >/sys/bus/cxl/devices/decoder0.0/create_ram_region"
refused ENXIO "a region that is not committed" attach "$name"
refused ENXIO "a look says so as well" attach "$name" check
echo "$name" >/sys/bus/cxl/devices/decoder0.0/delete_region
region=$(cxl_create ram) || tap_bail "no CXL region"
must cxl disable-region "$region"
refused ENXIO "a region that is disabled" attach "$region"
must cxl enable-region "$region"
cxl_wait 10 cxl_dax_settled "$region"
cxl_release "$region"
tap_check "once enabled" kmodctl attach "$region"
tap_check "a look at what is attached is refused" eval \
	'[ "$(kmodctl attach "$region" check)" = EBUSY ] || [ "$(kmodctl attach "$region" check)" = EEXIST ]'

# Held as ordinary memory. Whether the kernel gives it back is up to who uses it by then,
# and a region whose memory the kernel uses must stay: this guest ends here.
must kmodctl detach "$region"
dax=$(cxl_dax_devices "$region" | head -n 1)
echo "$dax" >/sys/bus/dax/drivers/device_dax/remove_id 2>/dev/null
echo online_movable >/sys/devices/system/memory/auto_online_blocks
modprobe kmem
if echo "$dax" >/sys/bus/dax/drivers/kmem/bind 2>/dev/null ||
	[ -e "/sys/bus/dax/devices/$dax/driver" ]; then
	log_mark
	refused EBUSY "held by kmem" attach "$region"
	tap_matches "$(log_since)" "System RAM|kmem|$dax" "the log names the holder"
	if daxctl offline-memory "$dax" >/dev/null 2>&1; then
		echo "$dax" >/sys/bus/dax/drivers/kmem/unbind
		tap_check "when kmem has let go" kmodctl attach "$region"
	else
		tap_skip "when kmem has let go" "the memory does not go offline"
	fi
else
	tap_skip "held by kmem" "kmem does not take $dax"
fi
kmodctl unload
trap - EXIT
tap_done
