#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl list-layers, on the machines that were captured in machines/.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"
machines=$(dirname "$0")/machines
. "$machines/unpack.bash"

for file in "$machines"/*.files; do
	name=$(basename "$file" .files)
	root=$(mktemp -d "$TMPDIR/root.XXXXXX")
	machine_unpack "$file" "$root"
	hmemctl list-layers --sysroot "$root" >"$TMPDIR/$name.json" 2>"$TMPDIR/$name.err"
	tap_is $? 0 "$name: is listed"
	tap_check "$name: as it is known" diff -u "$machines/$name.json" "$TMPDIR/$name.json"
	hmemctl list-layers --sysroot "$root" --dot >"$TMPDIR/$name.dot" 2>"$TMPDIR/$name.err"
	tap_check "$name: as a graph" diff -u "$machines/$name.dot" "$TMPDIR/$name.dot"
	LC_ALL=C.UTF-8 hmemctl list-layers --sysroot "$root" --draw \
		>"$TMPDIR/$name.draw" 2>"$TMPDIR/$name.err"
	tap_check "$name: drawn" diff -u "$machines/$name.draw" "$TMPDIR/$name.draw"
done
tap_is "$(cat "$machines"/*.draw | LC_ALL=C.UTF-8 sed -n '/^.\{81\}/p')" "" "drawings have 80 columns"
if command -v dot >/dev/null; then
	for file in "$machines"/*.dot; do
		tap_check "Graphviz understands $(basename "$file")" dot -Tcanon -o /dev/null "$file"
	done
fi

# sysroot FILE: that machine, in $root
sysroot() {
	root=$(mktemp -d "$TMPDIR/root.XXXXXX")
	machine_unpack "$machines/$1.files" "$root"
}

# --- for whom

sysroot two-sockets-hbm
ctl list-layers --sysroot "$root" --from 1
tap_is "$status:$(values layer)" "0:dram:0 dram:1 hbm:2 hbm:3" "as node 1 sees it: the same kinds"
tap_is "$(values local)" "false true false false" "its own memory is local"
tap_is "$(values distance)" "21 10 23 13" "and its distances are told"
tap_is "$(values read_latency_ns)" "231 110 230 130" "what is published for node 0 is scaled by them"
tap_is "$(values read_latency_ns_from)" "slit firmware slit firmware" "as is said"
ctl list-layers --sysroot "$root" --from 2
tap_is "$status:$out" "1:" "node 2 cannot ask"
tap_matches "$err" "node 2 has no processors .* those of nodes 0-1 can" "as it has no processors"
ctl list-layers --sysroot "$root" -u
tap_is "$(values read_latency_ns | cut -d' ' -f1,2)" "110 ns" "-u: with units"
tap_is "$(values read_bandwidth | cut -d' ' -f1,2)" "262.1 GB/s" "-u: also of bandwidths"

# --- pictures

ctl list-layers --sysroot "$root" --dot --from 1
tap_is "$(grep -c ellipse <<<"$out"):$(grep -c -- "of node 1\" --" <<<"$out")" "1:4" \
	"--from: a graph of the ways from one node"
sysroot pmem
LC_ALL=C ctl list-layers --sysroot "$root" -d
tap_is "$out" "$(<"$machines/pmem.ascii")" "without UTF-8 it is drawn in ASCII"
printf '/dev/pmem9 /m"\\134\\012\303\251\377 xfs rw,dax 0 0\n' >"$root/proc/self/mounts"
ctl list-layers --sysroot "$root" --dot
tap_matches "$out" '"fsdax:/m\\"\\\\\?\?\?\?" \[shape=cylinder' "a graph has no names that end it"
printf '/dev/pmem9 /m\303\251%099d xfs rw,dax 0 0\n' 0 >"$root/proc/self/mounts"
LC_ALL=C.UTF-8 ctl list-layers --sysroot "$root" --draw
tap_is "$(LC_ALL=C.UTF-8 sed -n '/^.\{81\}/p' <<<"$out"):$(grep -c 'fsdax:/mé0*\.\.' <<<"$out")" ":1" \
	"a long name is cut off"
printf '/dev/pmem9 /m\303\251 xfs rw,dax 0 0\n' >"$root/proc/self/mounts"
LC_ALL=C ctl list-layers --sysroot "$root" --draw
tap_matches "$out" 'fsdax:/m\?\? ' "and has only what the locale has"
sysroot two-sockets-hbm

# --- what is missing, or is no figure

rm "$root/sys/devices/system/node/node2/access1/initiators/read_bandwidth"
echo many >"$root/sys/devices/system/node/node2/access0/initiators/read_bandwidth"
ctl list-layers --sysroot "$root"
tap_is "$status:$(values layer)" "0:dram:0 dram:1 dram:2 hbm:3" "without a bandwidth no kind is guessed"
rm -r "$root/sys/devices/system/node/node1/meminfo"
ctl list-layers --sysroot "$root"
tap_is "$status:$(values layer)" "0:dram:0 dram:2 hbm:3" "a node whose memory cannot be read is left out"
find "$root" -type f -exec sh -c 'echo "?" >"$1"' sh {} \;
ctl list-layers --sysroot "$root"
tap_is "$status:$(echo $out)" "0:[ ]" "nothing but rubbish: no layers"
mkdir "$TMPDIR/empty"
ctl list-layers --sysroot "$TMPDIR/empty"
tap_is "$status:$(echo $out)" "0:[ ]" "nothing: no layers"
tap_matches "$err" "0 layers" "and that is said"
mkdir "$TMPDIR/empty/proc"
echo "MemTotal: 1024 kB" >"$TMPDIR/empty/proc/meminfo"
ctl list-layers --sysroot "$TMPDIR/empty"
tap_is "$(values layer) $(values capacity)" "dram:0 1048576" "a kernel that knows no nodes has one"

# --- what the kernel publishes of CXL regions

# published CLASS READ_LATENCY READ_BANDWIDTH: of region0, in ns and MB/s
published() {
	local dir=$root/sys/bus/cxl/devices/region0/access$1

	mkdir -p "$dir"
	echo "$2" >"$dir/read_latency"
	echo 300 >"$dir/write_latency"
	echo "$3" >"$dir/read_bandwidth"
	echo 20000 >"$dir/write_bandwidth"
}

# of LAYER KEY: what is told of it
of() {
	sed -n "\\|\"layer\": \"$1\"|,/}/p" <<<"$out" | sed -n "s/.*\"$2\": \"\{0,1\}\([^\",]*\).*/\1/p"
}

sysroot cxl-hmem
published 0 270 30000
ctl list-layers --sysroot "$root"
tap_is "$(of pool:region0 read_latency_ns) $(of pool:region0 read_latency_ns_from)" "88 module" \
	"the latency of a pool is what the module measured"
tap_is "$(of pool:region0 write_latency_ns) $(of pool:region0 read_bandwidth) $(
	of pool:region0 write_bandwidth) $(of pool:region0 read_bandwidth_from)" \
	"300 30000000000 20000000000 firmware" "all else is of its CXL region"
tap_is "$(of hmem:db read_bandwidth)" 30000000000 "its regions have it too"
published 1 260 25000
ctl list-layers --sysroot "$root"
tap_is "$(of pool:region0 read_bandwidth)" 25000000000 "what is published for processors is preferred"
rm "$root/sys/class/hmem_pool/region0/home_ns"
ctl list-layers --sysroot "$root"
tap_is "$(of pool:region0 read_latency_ns) $(of pool:region0 read_latency_ns_from)" "260 firmware" \
	"nothing was measured"

rm -r "$root/sys/class"
mkdir -p "$root/sys/bus/dax/drivers/device_dax"
dax=$(readlink -f "$root/sys/bus/dax/devices/dax0.0")
ln -s "$root/sys/bus/dax/drivers/device_dax" "$dax/driver"
ctl list-layers --sysroot "$root"
tap_is "$(of dax:/dev/dax0.0 device) $(of dax:/dev/dax0.0 read_latency_ns) $(
	of dax:/dev/dax0.0 read_bandwidth)" "region0 260 25000000000" "a dax device is of a CXL region"
rm -r "$root"/sys/bus/cxl/devices/region0/access*
node=$root/sys/devices/system/node/node1
mkdir -p "$node/access1/initiators/node0"
echo 250 >"$node/access1/initiators/read_latency"
echo 1 >"$dax/target_node"
ctl list-layers --sysroot "$root"
tap_is "$(of dax:/dev/dax0.0 read_latency_ns)" 250 "or what would be its node's"

# --- what hwloc was told

if ldconfig -p | grep -q libhwloc.so.15; then
	sysroot laptop
	cp "$machines/laptop.xml" "$root/hwloc.xml"
	ctl list-layers --sysroot "$root"
	tap_is "$(values read_latency_ns) $(values read_latency_ns_from)" "85 hwloc" "a latency told to hwloc"
	tap_is "$(values read_bandwidth) $(values read_bandwidth_from)" "51200000000 hwloc" \
		"and a bandwidth"
	echo "<no topology" >"$root/hwloc.xml"
	ctl list-layers --sysroot "$root"
	tap_is "$status:$(values layer):$(values read_latency_ns)" "0:dram:0:null" \
		"what hwloc does not understand is left out"
else
	tap_skip "what hwloc was told" "there is no libhwloc"
fi

# --- this machine

ctl list-layers
tap_is "$status" 0 "this machine is listed"
tap_matches "$(values kind)" "^dram" "it has DRAM"
tap_matches "$(values local)" "true" "some of it is local"

# --- measuring

ctl probe-layer dram --bytes 64K --seconds 0.02 --threads 1
tap_is "$status:$(values kind)" "0:dram" "a layer is measured"
tap_is "$(values read_latency_ns_from) $(values write_bandwidth_from)" "probe probe" "as is said"
tap_is "$(values bytes) $(values threads) $(values writes)" "65536 1 true" "and how"
tap_matches "$out" '"how": "median of [0-9]+; latency: ' "in words as well"
ctl probe-layer nosuch dram -u -b 64K -s 0.02 -t 1
tap_is "$status:$(values kind):$(values bytes)" "1:dram:64.00 KiB" "one of several that is not there"
tap_matches "$err" 'there is no layer "nosuch"' "is named"
tap_matches "$(values read_latency_ns)" " ns$" "-u: with units"
tap_is "$(complete_for probe-layer dra)" "$(values layer)" "layers are completed"
if command -v script >/dev/null; then
	bar=$(script -qec "hmemctl probe-layer dram -b 64K -s 1 -t 1" /dev/null)
	tap_matches "$bar" "hmemctl measuring: \[#+\.+\] [01]\.[0-9] s" "a bar, on terminals"
else
	tap_skip "a bar, on terminals" "no script(1) here"
fi

# --- usage

usage "list-layers --dot -d" "choose one"
usage "list-layers --dot -u" "choose one"
usage "probe-layer" "which layer"
usage "probe-layer dram --bytes many" "many is no size"
usage "probe-layer dram --bytes 0" "0 is no size"
usage "probe-layer dram --seconds 0" "0 is no time in seconds"
usage "probe-layer dram --seconds 4000" "4000 is no time in seconds"
usage "probe-layer dram --threads 0" "0 is no number of threads"
usage "probe-layer dram --from x" "x is no number of a NUMA node"

usage "list-layers extra" "unexpected argument: extra"
usage "list-layers --from x" "x is no number of a NUMA node"
usage "list-layers --from -1" "-1 is no number of a NUMA node"
usage "list-layers --from 99999999999" "99999999999 is no number of a NUMA node"
ctl list-layers --from 1000
tap_is "$status" 1 "no such node here"
tap_matches "$err" "NUMA node 1000 has no processors" "as is said"
tap_done
