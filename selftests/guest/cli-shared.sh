#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl and regions over several persistent pools: made, filled, with shelves on them, withheld
# while a pool is missing, and what list, info, attach-pool and destroy-region say then.
#
# hmem-test: topology=pmem3 timeout=240

. "$(dirname "$0")/kmod.sh"
. "$(dirname "$0")/ctl.sh"

three() {
	[ "$(cxl_memdevs pmem | wc -l)" = 3 ]
}

kmod_begin
tap_check "three devices" cxl_wait 10 three
mapfile -t memdevs < <(cxl_memdevs pmem)
must hmemctl attach-pool "${memdevs[0]}" --name one --format
must hmemctl attach-pool "${memdevs[1]}" --name two --format
first=$(cat /sys/class/hmem_pool/one/source)
second=$(cat /sys/class/hmem_pool/two/source)
first_uuid=$(cat /sys/class/hmem_pool/one/uuid)
second_uuid=$(cat /sys/class/hmem_pool/two/uuid)
room=$(cat /sys/class/hmem_pool/one/free)

# --- made and used

ctl create-region s --size 12M --spread --pool two --pool one
tap_is "$status:$(field '.[0] | [.pools, .spread, .persistent]')" '0:[["two","one"],true,true]' \
	"spread over two persistent pools"
uuid=$(field '.[0].uuid')
must kmodctl fill s 4711 0 12582912
ctl create-region shelves --size 32M --fill --dry-run --type pmem
tap_is "$status:$(field '.[-1].pools')" '0:["one","two"]' "a dry run of filling says which"
ctl create-region shelves --size 32M --spread --type pmem
tap_is "$status:$(field '.[0].pools')" '0:["one","two"]' "without names: all of the kind"
must hmemctl create-shelf shelves/x --size 16M
printf 'a value' >"$scratch/value"
must hmemctl put-object shelves/x thing "$scratch/value"
ctl list
tap_is "$status:$(field 'map(has("state"))')" "0:[false,false]" "both are there"

# --- withheld

must hmemctl detach-pool two
ctl list
tap_is "$status:$(field 'length')" "0:2" "one pool is detached: both are listed"
tap_is "$(field '.[] | select(.region == "s") | [.state, .why, .pools, .missing_pools, .size]')" \
	"[\"withheld\",\"missing\",[\"one\"],[\"$second_uuid\"],12582912]" "with what is missing"
tap_is "$(field '.[] | select(.region == "s") | .uuid')" "$uuid" "and with its identity"
tap_matches "$err" "region s is withheld: not attached: pool $second_uuid" "people are told"
tap_matches "$err" "hmemctl attach-pool.*hmemctl destroy-region s" "and what to do"
tap_is "$(find /sys/class/hmem_withheld/one:s/ -maxdepth 1 -type f ! -name uevent -printf '%f\n' |
	sort | tr '\n' ' ')" "missing pool pools region size uuid why " "the files that there are in sysfs"
tap_is "$(setpriv --reuid 1000 --regid 1000 --clear-groups \
	cat /sys/class/hmem_withheld/one:s/{missing,pool,pools,region,size,uuid,why} 2>&1 | wc -w)" 8 \
	"an ordinary user reads them"
keys=$(field '[.[] | keys_unsorted]')
ctl list -u
tap_is "$(field '[.[] | keys_unsorted]')" "$keys" "for people it has the same shape"
tap_is "$(field '.[] | select(.region == "s") | .size')" "12.00 MiB" "and sizes that they read"
ctl list -p one -R -P
tap_is "$status:$(field '[(.[0].pools | length), (.[1].regions | length)]')" "0:[1,2]" \
	"a pool is asked for what it withholds"
ctl info s
tap_is "$status:$(field '.[0] | [.region, .state]')" '0:["s","withheld"]' "info knows it"
ctl create-region s --size 2M --pool one
tap_matches "$status:$err" "^1:.*waits for its pools.*hmemctl list" "its name is taken"
ctl set-policy s --mode off
tap_matches "$status:$out:$err" "^1::.*region s is withheld.*hmemctl list" "and it cannot be used"
ctl attach-pool "$second" --name two
tap_is "$status:$(grep -c withheld <<<"$err")" "0:0" "the pool comes back"
tap_matches "$err" "brought back 2 regions" "with both"
tap_check "the data is there" kmodctl verify s 4711 0 12582912
tap_is "$(hmemctl get-object shelves/x thing)" "a value" "on the shelf as well"
ctl check-shelf shelves/x
tap_is "$status:$(field 'length')" "0:0" "which is sound"

# In the other order, one by one.
must hmemctl detach-pool one two
ctl attach-pool "$second" --name two
tap_matches "$status:$err" "^0:.*region s is withheld: not attached: pool $first_uuid" \
	"the first to come says what it waits for"
tap_check "and brings back nothing" [ -z "$(grep 'brought back' <<<"$err")" ]
ctl attach-pool "$first" --name two
tap_is "$status:$(dmesg | grep -c "pool two: a pool of that name is attached already")" "1:1" \
	"a name that is taken is refused, and the kernel log says why"
ctl attach-pool "$first" --name one
tap_is "$status:$(grep -c withheld <<<"$err")" "0:0" "the second ends that"
tap_check "the data is there" kmodctl verify s 4711 0 12582912

# --- two of one name

must hmemctl detach-pool one
must hmemctl attach-pool "${memdevs[2]}" --name three --format
must hmemctl detach-pool two
must hmemctl create-region s --size 2M --pool three
must hmemctl attach-pool "$first" --name one
ctl destroy-region s
tap_matches "$status:$err" "^1:.*two regions have that name.*detach the pools of the one that is to stay" \
	"neither of two is destroyed"
must hmemctl attach-pool "$second" --name two
ctl list
tap_matches "$err" "region s is withheld: another region has its name" "why one is not there"
tap_matches "$err" "to do: detach a pool of that one, and this one appears" "and what to do"
must hmemctl detach-pool three --release
ctl list
tap_is "$status:$(field 'map(select(.region == "s") | [.size, .state])')" '0:[[12582912,null]]' \
	"which does it"
tap_check "the data is there" kmodctl verify s 4711 0 12582912

# --- sizes, draining

ctl resize-region s --size 20M
tap_is "$status:$(field '.[0].size')" "0:20971520" "it grows"
ctl resize-region s --size $((room * 2))
tap_matches "$status:$err" "^1:.*its pool two and the others have no room" "not beyond all its pools"
ctl resize-region s --size $((room + 4194304))
tap_is "$status" 0 "but beyond one of them"
ctl resize-region s --size 12M
tap_is "$status" 0 "and shrinks"
user_start storer use s store
user_start reader use s read
ctl drain-pool one
tap_is "$status:$(field '.[0].pool')" "0:one" "a pool with a part of it is drained, and detached"
tap_is "$(cat /sys/class/hmem/{s,shelves}/pools | tr '\n' ' ')" "two two " "all is on the other"
tap_is "$(user_answer storer 1):$(user_answer reader 1)" nothing:nothing "and nobody notices"
tap_check "the data is there" kmodctl verify s 4711 10485760 65536
user_end storer
user_end reader
must hmemctl detach-pool two
must hmemctl attach-pool "$second" --name two
ctl list
tap_is "$status:$(field 'map(.state)')" "0:[null,null]" "which is enough"
tap_check "the data is there" kmodctl verify s 4711 10485760 65536
tap_is "$(hmemctl get-object shelves/x thing)" "a value" "on the shelf as well"
must hmemctl destroy-region s shelves
must hmemctl attach-pool "$first" --name one
must hmemctl create-region s --size 12M --spread --type pmem
must hmemctl create-region shelves --size 32M --spread --type pmem

# --- one pool is lost

must hmemctl detach-pool two --release
ctl destroy-region s --dry-run
tap_is "$status:$(field '.[0].state')" '0:withheld' "a dry run of destroying says what it is"
tap_matches "$err" "region s is withheld: what its pools have of it would be given up" "and what would go"
ctl destroy-region s shelves
tap_matches "$err" "region s was withheld: what its pools have of it is given up" "so does destroying"
tap_is "$status:$(field 'map(.region) | sort')" '0:["s","shelves"]' "without the other pool they are given up"
ctl destroy-region s
tap_is "$status:$(field 'length')" "1:0" "once"
ctl list
tap_is "$status:$(field 'length')" "0:0" "nothing is left"
tap_is "$(cat /sys/class/hmem_pool/one/free)" "$room" "and the first pool has its room"
must hmemctl attach-pool "${memdevs[1]}" --name two
tap_is "$(cat /sys/class/hmem_pool/two/free):$(kmod_names hmem_withheld)" "$room:" \
	"so has the second when it is found after all"
tap_done
