#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: topology=numa1 alone kernels=newest long=lts timeout=240
#
# hmemctl and CXL memory that is system RAM, without hmem.ko: it is listed, measured, and large
# blocks of a program are put there.

here=$(dirname "$0")
. "$here/../tap.sh"
. "$here/cxl.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
. "$here/ctl.sh"

if ! modprobe kmem; then
	tap_skip "CXL memory as system RAM" "this kernel has no kmem"
	tap_done
fi

# meminfo COUNT: of the node, in bytes
meminfo() {
	awk -v "of=$1:" '$3 == of { print $4 * 1024 }' "/sys/devices/system/node/node$node/meminfo"
}

# taken: how often memory was taken of the node, whatever was done with it since
taken() {
	awk '/^numa_(hit|miss) / { n += $2 } END { print n }' "/sys/devices/system/node/node$node/numastat"
}

# of_layer FILTER: what list-layers says of the layer of CXL memory
of_layer() {
	ctl list-layers
	field ".[] | select(.kind == \"cxl\") | $1"
}

ctl list-layers
tap_is "$status:$(field '[.[].kind] | join(" ")')" 0:dram "before there is such a node there is no layer"
ctl run --layer cxl -- true
tap_matches "$status:$err" '^1:.*there is no layer "cxl".*list-layers' "and no program is run with it"

node=$(cxl_online)
[ "$node" ] || tap_bail "no CXL memory comes online"
tap_is "$(cat /sys/devices/system/node/has_cpu)" 0 "one node has CPUs, and it is not that of CXL memory"
tap_is "$([ -d /sys/module/hmem ] || echo none)" none "hmem.ko is not there"

# --- what it is

tap_is "$(of_layer '[.layer, .device, .node] | @json')" "[\"cxl:$node\",\"$(cxl_regions)\",$node]" \
	"it is a layer, whose device is the region"
tap_is "$(of_layer '[.persistent, .local, .shareable, .allowed] | @json')" "[false,false,false,true]" \
	"of system RAM, not the nearest"
tap_is "$(of_layer '[.capacity, .capacity_from, .free_from] | @json')" \
	"[$(meminfo MemTotal),\"kernel\",\"kernel\"]" "its capacity the kernel counts"
free=$(of_layer .free)
tap_check "so it does what is free ($free)" [ $((free - $(meminfo MemFree))) -eq 0 ]
tap_is "$(of_layer '[.distance, .distance_from] | @json')" \
	"[$(cut -d ' ' -f $((node + 1)) /sys/devices/system/node/node0/distance),\"slit\"]" \
	"how far it is a table says"
tap_is "$(of_layer .tier)" "$(cd /sys/devices/virtual/memory_tiering &&
	for tier in memory_tier*; do [ "$(<"$tier/nodelist")" != "$node" ] || echo "${tier#memory_tier}"; done)" \
	"in the tier that the kernel put it into"
tap_is "$(of_layer '[.read_latency_ns, .read_latency_ns_from, .read_bandwidth, .read_bandwidth_from] | @json')" \
	"[null,null,null,null]" "how fast it is nobody has said"
ctl list-layers --draw
tap_matches "$out" "cxl:$node .*512.00 MiB" "it is drawn"
ctl list-layers -u
tap_is "$(field ".[] | select(.kind == \"cxl\") | .capacity")" "512.00 MiB" "and read by people"

# --- how fast it is

before=$(taken)
ctl probe-layer cxl --seconds 0.3 --bytes 32M
tap_is "$status:$(field '.[0] | [.layer, .read_latency_ns_from, .read_bandwidth_from, .write_bandwidth_from] | @json')" \
	"0:[\"cxl:$node\",\"probe\",\"probe\",\"probe\"]" "it is measured"
tap_is "$(field '.[0] | .read_latency_ns > 0 and .read_bandwidth > 0 and .write_bandwidth > 0 and .measured.bytes == 33554432')" \
	true "by its latency and its bandwidths"
# Of huge pages each counts once.
tap_check "with memory of the node ($before, $(taken))" [ $(($(taken) - before)) -ge 16 ]
before=$(taken)
ctl probe-layer dram --seconds 0.1 --bytes 32M
tap_is "$status:$(taken)" "0:$before" "and DRAM without"
ctl probe-layer cxl --bytes 1G
tap_matches "$status:$err" "^1:.*probing cxl:$node" "what it has not is not measured"

# --- a program's blocks

# As libc has them, and as hmemctl runs the program.
tap_check "a program's blocks are DRAM" "$here/cxl_node_blocks" 0 0
stats=$scratch/stats
ctl run --layer cxl --above 64K --stats-file "$stats" -- "$here/cxl_node_blocks" "$node" 0
tap_is "$status:$out" "0:" "with --layer cxl the large ones are CXL memory, the small ones DRAM"
tap_matches "$(tail -n 1 "$stats")" "cxl_node_blocks.* cxl:$node: 3 allocations of .* elsewhere: 0 of 0" \
	"as the program says at its end"
ctl run --layer "cxl:$node" --above 0 -- "$here/cxl_node_blocks" "$node" "$node"
tap_is "$status:$out" "0:" "with --above 0 all of them are CXL memory"
ctl run --layer dram --above 64K -- "$here/cxl_node_blocks" 0 0
tap_is "$status:$out" "0:" "with --layer dram they are DRAM"
ctl run --layer cxl --above 64K -- bash -c "'$here/cxl_node_blocks' $node 0 && '$here/cxl_node_blocks' $node 0"
tap_is "$status:$out" "0:" "those of programs that it starts as well"
tap_check "nothing is left of them" [ "$(($(meminfo MemFree) + 8 * 1048576))" -ge "$free" ]

# Of a node that is full others' pages are taken, and no program is ended. Others take what was free
# when it began.
mkdir "$scratch/full"
mount -t tmpfs -o "size=100%,mpol=bind:$node" none "$scratch/full" || tap_bail "no tmpfs"
cat >"$scratch/program" <<'END'
dd if=/dev/zero of="$1" bs=1M count="$2" status=none
awk '/MemFree/ { print $4 }' /sys/devices/system/node/node"$3"/meminfo
for i in {1..100}; do a+=$(head -c 300000 /dev/zero | tr "\0" x); done
echo ${#a}
END
ctl run --layer cxl --above 64K --size 64M -- bash "$scratch/program" "$scratch/full/hog" \
	$(($(meminfo MemFree) / 1048576 - 8)) "$node"
tap_matches "$status:$out" "^0:[0-9]{4,5}
30000000$" "a program that needs more than the node has runs on"
ctl run --layer cxl --size 64M -- true
tap_matches "$status:$err" "^1:.*cxl:$node has .* free, not 64M" "and is not run where it is told to have that"
umount "$scratch/full"

# --- a process that may not have it

echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control && mkdir /sys/fs/cgroup/near &&
	echo 0 >/sys/fs/cgroup/near/cpuset.mems || tap_bail "no cpuset"
near() {
	bash -c 'echo $$ >/sys/fs/cgroup/near/cgroup.procs && exec "$@"' near hmemctl "$@"
}
tap_is "$(near list-layers 2>/dev/null | jq -c '[.[] | [.layer, .allowed]]')" \
	"[[\"dram:0\",true],[\"cxl:$node\",false]]" "a cpuset without the node keeps it from a process"
tap_check_status 1 "which runs nothing there" near run --layer cxl -- true
tap_matches "$tap_output" "cpuset of this process keeps it from layer \"cxl\"" "and says why"
tap_check_status 1 "nor measures it" near probe-layer cxl
tap_matches "$tap_output" "cpuset of this process keeps it from node $node" "and says why"
rmdir /sys/fs/cgroup/near

# --- it goes offline

dax=$(cxl_dax_devices "$(cxl_regions)")
if cxl_wait 10 daxctl offline-memory "$dax" >/dev/null 2>&1; then
	tap_is "$(of_layer .layer)" "" "when its memory is taken offline there is no layer"
else
	tap_skip "the memory is taken offline" "somebody uses it"
fi
tap_done
