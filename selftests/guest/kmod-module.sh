#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module comes and goes on a machine without CXL: refused while a region is used, and
# without a trace when none is.
#
# hmem-test: topology=none kernels=newest long=lts
. "$(dirname "$0")/kmod.sh"

kmod_clean
# What the first load of any module makes stays: the tracing directory of modules, say.
must kmodctl load
must kmodctl unload
snapshot "$scratch/before"

must kmodctl load
tap_is "$(stat -c %F /dev/hmem/control)" "character special file" "the control device is there"
tap_is "$(cat /sys/module/hmem/version)" "$(modinfo -F version "${HMEM_KO:-/root/hmem.ko}")" \
	"sysfs has the version that the file has"
# A kernel that knows no signatures misses none.
tap_matches "$(cat /sys/module/hmem/taint)" '^OE?$' "no taint but out-of-tree and unsigned"
refused EEXIST "it is not loaded twice" load
answer=$(kmodctl attach region0)
tap_matches "$answer" "^(ENOENT|EOPNOTSUPP)$" "no CXL here: attaching answers $answer"
must kmodctl ram p 16777216
must kmodctl create r p 4194304 1000 1000 0600

user_start user hold r open
refused EAGAIN "not unloaded while a region is open" unload
user_end user
user_start user hold r map
refused EAGAIN "nor while one is mapped" unload
tap_run rmmod hmem
tap_is "$tap_status" 1 "rmmod says so, too"
user_end user
user_start user hold r pin
refused EAGAIN "nor while a page of one is pinned" unload
user_end user
exec {control}<>/dev/hmem/control
refused EAGAIN "nor while the control device is open" unload
exec {control}>&-
tap_is "$(kmod_names hmem)" r "all of that has done no harm"
tap_check "unloaded with a pool and a region that nobody uses" cxl_wait 5 kmodctl unload
as_before "$scratch/before" "everything is as it was"

memory=$(memory_kb)
failures=0
for _ in $(seq 20); do
	kmodctl load && kmodctl ram p 8388608 && kmodctl create r p 8388608 &&
		kmodctl fill r 1 0 4194304 && kmodctl unload || failures=$((failures + 1))
done >/dev/null
tap_is "$failures" 0 "twenty times loaded, used and unloaded"
as_before "$scratch/before" "everything is as it was"
# What is touched would be 80 MiB. Lists of free pages that each CPU keeps come and go by
# 20 MiB and more.
lost=$((memory - $(memory_kb)))
tap_check "and no memory is gone ($lost kB)" [ "$lost" -lt 49152 ]
tap_done
