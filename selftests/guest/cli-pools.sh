#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl and several pools: create-region --spread and --fill, what list says of such regions,
# and drain-pool under running programs, up to the CXL region being destroyed.
#
# hmem-test: topology=ram2 timeout=240

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"
. "$(dirname "$0")/watching.sh"

two() {
	[ "$(cxl_memdevs ram | wc -l)" = 2 ]
}

kmod_begin
tap_check "two devices" cxl_wait 10 two
mapfile -t memdevs < <(cxl_memdevs ram)
# The bridge's decoders can be given anew from the last one on only, and that is one's.
must hmemctl attach-pool "${memdevs[0]}" --name two
must hmemctl attach-pool "${memdevs[1]}" --name one
first=$(cat /sys/class/hmem_pool/one/source)
second=$(cat /sys/class/hmem_pool/two/source)

# --- regions

ctl create-region s --size 12M --spread --pool two --pool one
tap_is "$status:$(field '.[0].pools')" '0:["two","one"]' "spread over the pools that are named"
tap_is "$(field '[.[0].pool, .[0].spread]')" '["two",true]' "and says so"
ctl create-region f --size 8M --fill
tap_is "$status:$(field '[.[0].pools, .[0].spread]')" '0:[["one"],false]' \
	"without names it takes what is there"
ctl list
tap_is "$(field '[.[].pools] | sort')" '[["one"],["two","one"]]' "list has the pools"
ctl create-region x --size 200% --spread
tap_is "$status" 129 "no more than all"
ctl create-region x --size 1T --fill
tap_is "$status:$out" "1:" "no room"
tap_matches "$err" "carve 1T out of pools of one kind: together they have .*free.*hmemctl list -P" "is said, and what to do"
ctl create-region x --size 2M --fill --pool one --pool nowhere
tap_matches "$status:$err" "^1:.*no pool nowhere" "a pool that is not there"
ctl create-region x --size 2M --fill --pool one --pool one
tap_matches "$status:$err" "^1:.*one comes twice" "a pool that comes twice"
ctl create-region x --size 2M --spread --dry-run
tap_is "$status:$(field '.[-1].pools')" '0:["one","two"]' "a dry run says which pools"
must hmemctl destroy-region f

# --- draining

must kmodctl fill s 4711 10485760 65536
user_start storer use s store
user_start reader use s read
ctl drain-pool nowhere
tap_matches "$status:$err" "^1:.*there is no pool nowhere" "draining what is not there"
ctl drain-pool one --dry-run
tap_is "$status:$(field '.[0].to_move')" "0:6291456" "a dry run says how much"
tap_is "$(cat /sys/class/hmem_pool/one/draining)" 0 "and does nothing"

kmodctl create p one 2097152
user_start pinner hold p pin
# More than are named in words.
for i in 1 2 3 4 5 6 7 8; do
	kmodctl create "q$i" one 2097152
	user_start "pinner$i" hold "q$i" pin
done
# It waits a second for who holds a page, and shows how far it is: three extents of twelve.
terminal xterm "hmemctl drain-pool one"
tap_matches "$status:$plain" '^1:.*hmemctl drain-pool: \[#{10}\.{30}\] 6.00 MiB' \
	"a terminal shows how far it is"
ctl drain-pool one
tap_check "and nothing else does" [ "$err" = "${err//[$'\r\e']/}" ]
tap_is "$status:$(field '.[0].held[0]')" '1:{"region":"p","offset":0,"bytes":2097152}' \
	"somebody holds a page"
tap_is "$(field '[.[0].held[].region]')" '["p","q1","q2","q3","q4","q5","q6","q7","q8"]' \
	"all that is held is listed"
tap_matches "$err" "region p at offset 0.*io_uring" "who does is said"
tap_matches "$err" "the first of 9 ranges held" "and how much"
tap_matches "$err" "held are: 2097152 bytes of region p at offset 0, .* of region q7 at offset 0, and 1 more" \
	"and what"
tap_matches "$err" "to go on: the same command" "and what to do"
tap_is "$(cat /sys/class/hmem/s/pools)" two "all else has moved"
ctl create-region x --size 2M --pool one
tap_matches "$status:$err" "^1:.*drained" "nothing new comes to it"
ctl drain-pool one --stop
tap_is "$status:$(cat /sys/class/hmem_pool/one/draining)" "0:0" "until that is ended"
kill -TERM "${user_pid[pinner]}"
tap_is "$(user_answer pinner)" intact "what was held is what it was"
user_end pinner
must cxl_wait 5 kmodctl destroy p
for i in 1 2 3 4 5 6 7 8; do
	user_end "pinner$i"
	must cxl_wait 5 kmodctl destroy "q$i"
done

ctl drain-pool one --keep
tap_is "$status:$(field '[.[0].pool, .[0].held]')" '0:["one",[]]' "drained, and kept"
tap_is "$(cat /sys/class/hmem_pool/one/regions)" 0 "it is empty"
ctl drain-pool one
tap_is "$status" 0 "drained, and detached"
tap_is "$(kmod_names hmem_pool)" two "it is gone"
tap_check "its CXL region can be destroyed" cxl_destroy "$first"
tap_check "while the region is in use" kill -0 "${user_pid[storer]}"
tap_is "$(user_answer storer 1):$(user_answer reader 1)" nothing:nothing "and nobody notices"
tap_check "it has its data" kmodctl verify s 4711 10485760 65536

# The other way, with the CXL region's removal.
ctl drain-pool two
tap_is "$status:$out" "1:" "there is nowhere to go"
tap_matches "$err" "not enough room.*attach another" "that is said"
must hmemctl attach-pool "${memdevs[1]}" --name one
ctl drain-pool two --release
tap_is "$status:$(field '.[0].moved')" "0:10485760" "to the first again"
tap_check "the CXL region is gone with the pool" [ ! -e "$cxl_bus/$second" ]
tap_check "and nobody notices" kill -0 "${user_pid[storer]}" "${user_pid[reader]}"
tap_is "$(user_answer storer 1):$(user_answer reader 1)" nothing:nothing "nobody at all"
tap_check "it has its data still" kmodctl verify s 4711 10485760 65536
user_end storer
user_end reader

# Ended by a signal, it does nothing any more.
must hmemctl attach-pool ram --size 16M --name ram
user_start pinner hold s pin
hmemctl drain-pool one >"$scratch/out" 2>&1 &
draining=$!
is_draining() {
	[ "$(cat /sys/class/hmem_pool/one/draining)" = 1 ]
}
tap_check "a drain that is held up" cxl_wait 5 is_draining
kill -INT "$draining" 2>/dev/null || kill -TERM "$draining"
wait "$draining"
tap_check "ends with a signal, or by itself" [ $? -ne 0 ]
user_end pinner
tap_check "it goes on" cxl_wait 5 hmemctl drain-pool one
tap_is "$(cat /sys/class/hmem/s/pools)" ram "to the end"
tap_check "with the data" kmodctl verify s 4711 10485760 65536
tap_done
