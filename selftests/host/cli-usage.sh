#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl where there is no module: usage errors, sizes, what it says without hmem.ko,
# and the completion.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

[ ! -e /dev/hmem ] || tap_skip_all "hmem.ko is loaded here"

# --- usage

usage "" "usage: hmemctl VERB"
usage "frobnicate" "no such verb: frobnicate"
tap_matches "$err" "to do: hmemctl help" "an unknown verb leads to help"
for pair in region-create:create-region creat-region:create-region pool-attach:attach-pool \
	destroy:destroy-region lsit:list dotcor:doctor; do
	usage "${pair%:*}" "to do: hmemctl ${pair#*:}"
done
usage "list extra" "unexpected argument: extra"
usage "list --nonsense" "no such option: --nonsense"
usage "list -x" "no such option: -x"
usage "list --pool" "--pool needs a value"
usage "info" "which region or pool"
usage "create-region" "--size is missing"
usage "create-region a b --size 1G" "one region at a time"
usage "create-region file:/tmp/a --size 1G" "a file is made by fallocate"
for size in 0 -1 G 1X 1..5G 64GB 1e9 -5% 0% 9E 16E 9223372036854775808 1G1 %; do
	usage "create-region --size $size" "$size is no size"
done
usage "create-region --size 1G --type disk" "disk is no type"
usage "create-region --size 1G --owner no-such-user" "no user no-such-user"
usage "create-region --size 1G --group no-such-group" "no group no-such-group"
for mode in 888 1777 0 rw -1 ""; do
	usage "create-region --size 1G --mode=$mode" "is no mode"
done
for ways in 0 17 two -1; do
	usage "create-region --size 1G --ways $ways" "is no number of devices"
done
usage "resize-region" "which region"
usage "resize-region a" "--size is missing"
usage "resize-region a --size nothing" "nothing is no size"
usage "resize-region a b --size 1G" "one region at a time"
usage "destroy-region" "which region"
usage "create-region --size 1G --near-max much" "much is no size"
usage "create-region --size 1G --policy fair" "fair is no policy: off, manual or auto"
usage "set-policy" "which region"
usage "set-policy a b" "one region at a time"
usage "set-policy a --mode on" "on is no mode: off, manual or auto"
for size in -1 G 1X 64GB 00 ""; do
	usage "set-policy a --near-max=$size" "$size is no size"
done
for knob in split =1 split= split=x split=1x split=-1 split=+1 "split=99999999999999999999" \
	a2345678901234567890123456789012=1; do
	usage "set-policy a --knob $knob" "${knob/+/.} is no knob: NAME=VALUE"
done
usage "set-policy a --knob" "--knob needs a value"
usage "set-policy a $(printf -- '--knob=split=1 %.0s' {1..65})" "--knob is given too often"
usage "migrate" "which region"
usage "migrate a" "where to"
usage "migrate a --near --home" "one too many"
usage "migrate a b --near" "one region at a time"
usage "migrate a --near --offset here" "here is no offset"
usage "migrate a --near --bytes 0" "0 is no size"
usage "list-poison" "which region"
usage "list-poison a b" "one region at a time"
usage "clear-poison" "which region"
usage "clear-poison a b" "one region at a time"
usage "clear-poison a --offset here" "here is no offset"
usage "clear-poison a --bytes 0" "0 is no size"
usage "report-poison" "which pool"
usage "report-poison a b" "one pool at a time"
usage "report-poison a" "how much is bad"
usage "report-poison a --bytes 50%" "is no range in bytes"
usage "keep-range" "which region"
usage "keep-range a b --near" "one region at a time"
usage "keep-range a" "where. --near or --home"
usage "keep-range a --near --home" "one too many"
usage "keep-range a --near --offset here" "here is no offset"
usage "keep-range a --home --bytes 0" "0 is no size"
usage "release-range" "which region"
usage "release-range a --offset here" "here is no offset"
usage "release-range a --near" "no such option: --near"
usage "heat" "which region"
usage "heat a b" "one region at a time"
usage "heat a --cell 0" "0 is no size"
for seconds in 0 -1 1e3 nan . 1..2 0.0001 1000001 "" 0x10; do
	usage "heat a --seconds=$seconds" "$seconds is no time in seconds"
	usage "heat a --interval=$seconds" "$seconds is no time in seconds"
done
for count in 0 -1 1.5 1000001 many "" 99999999999999999999; do
	usage "heat a --count=$count" "$count is no number of samples"
done
usage "heat a --seconds 1 --interval 1 --count 1" "are one too many"
usage "heat a --seconds 1000 --interval 0.001" "too many samples"
usage "heat a --seconds 1 --count 2000" "too many samples"
usage "heat a --map --draw" "one of --map, --draw and --json"
usage "heat a --map --svg b" "--map shows one instant"
usage "heat a --map --count 1" "--map shows one instant"
usage "heat a --png" "--png needs a value"
for seconds in 0 -1 1e3 1000001 ""; do
	usage "monitor --interval=$seconds" "$seconds is no time in seconds"
done
usage "monitor --count 0" "0 is no number of samples"
usage "monitor --count" "--count needs a value"
usage "attach-pool" "which source"
usage "attach-pool --all region0" "--all takes no source"
usage "attach-pool --all --format" "--all goes without"
usage "attach-pool region0 region1" "only memory devices"
usage "attach-pool region0 --size 1G" "CXL memory is taken whole"
usage "attach-pool ram" "ram needs --size and --name"
usage "attach-pool ram --size all --name a" "all is no size of system RAM"
usage "attach-pool ram --size 1G --name a --node x" "x is no NUMA node"
usage "attach-pool mem0 --ways 99" "99 is no number of devices"
usage "attach-pool mem0 --type tape" "tape is no type"
usage "detach-pool" "which pool"
usage "drain-pool" "which pool"
usage "drain-pool a b" "one at a time"
usage "drain-pool a --keep --stop" "one of --release, --keep and --stop"
usage "drain-pool a --stop --dry-run" "no dry run"
usage "create-region --size 1G --spread --fill" "spread or --fill"
usage "create-region --size 1G --spread --ways 2" "take pools that are there"
usage "create-region --size 1G --pool a --pool b" "with --spread or --fill"
usage "doctor extra" "unexpected argument"
usage "version extra" "unexpected argument"
usage "help frobnicate" "no such verb"

# --- help and version

for verb in list info create-region resize-region destroy-region set-policy migrate keep-range \
	release-range heat list-poison clear-poison report-poison monitor \
	attach-pool detach-pool drain-pool doctor version help; do
	ctl "$verb" --help
	tap_is "$status:$err" "0:" "$verb --help succeeds, on stdout"
	tap_matches "$out" "^usage: hmemctl $verb" "and tells how $verb is called"
	ctl help "$verb"
	tap_matches "$status:$out" "^0:usage: hmemctl $verb" "help $verb tells the same"
done
ctl --version
tap_matches "$status:$out" '^0:.*"hmemctl": "[0-9.]+"' "--version"

# --- without the module

ctl list
tap_is "$status:$(tr -d ' \n' <<<"$out")" "0:[]" "list is empty without the module"
tap_matches "$err" "hmem.ko is not loaded" "and says that there is none"
tap_matches "$err" "0 regions" "and counts"
for args in "create-region --size 64M" "attach-pool region0" "attach-pool --all" \
	"create-region --size 50% --dry-run"; do
	# shellcheck disable=SC2086 # words
	ctl $args
	tap_is "$status:$out" "1:" "$args fails without the module"
	tap_matches "$err" "error: open /dev/hmem/control: No such file" "saying what was tried"
	tap_matches "$err" "to do: load the module.*insmod hmem.ko" "and what to do"
done
for args in "resize-region x --size 1G" "destroy-region x" "detach-pool x" "drain-pool x" \
	"info x" "set-policy x" "migrate x --near" "keep-range x --near" "release-range x" \
	"heat x" "list-poison x" "clear-poison x" "report-poison x --bytes 4K" "monitor x" \
	monitor; do
	# shellcheck disable=SC2086 # words
	ctl $args
	tap_is "$status" 1 "$args fails without the module"
	tap_matches "$err" "error: " "and says why"
done

# Regions that need no module, by the same verbs.
truncate -s 4M "$TMPDIR/region"
ctl info "$TMPDIR/region"
tap_matches "$status:$out" '^0:.*"size": 4194304' "info knows files"
ctl resize-region "$TMPDIR/region" --size 8M
tap_is "$status:$(stat -c %s "$TMPDIR/region")" "0:8388608" "resize-region too"
for args in set-policy "set-policy --mode off" "migrate --home" "keep-range --home" release-range \
	heat list-poison clear-poison monitor; do
	# shellcheck disable=SC2086 # words
	ctl $args "$TMPDIR/region"
	tap_is "$status:$out" "2:" "but they have no near copies: $args"
	tap_matches "$err" "only regions of hmem.ko have" "and it says so"
done
ctl resize-region "$TMPDIR/region" --size 50%
tap_is "$status" 1 "but there is no pool to take a part of"
ctl destroy-region "$TMPDIR/region"
tap_is "$status" 0 "destroy-region removes it"
tap_check_status 1 "and it is gone" test -e "$TMPDIR/region"

# --- stdout that is full

if [ -w /dev/full ]; then
	tap_check_status 1 "an answer that cannot be written is a failure" \
		bash -c 'hmemctl list >/dev/full'
	tap_matches "$tap_output" "write the answer to stdout: No space left" "that is told"
	for words in help "list --help"; do
		tap_check_status 1 "so is help: $words" bash -c "hmemctl $words >/dev/full"
		tap_matches "$tap_output" "write to stdout: No space left" "which is told"
	done
else
	tap_skip "an answer that cannot be written" "there is no /dev/full"
fi

# --- JSON, by somebody else's parser

if command -v jq >/dev/null; then
	parser=(jq -e 'type == "array"')
elif [ -x /usr/bin/python3 ]; then
	parser=(/usr/bin/python3 -c 'import json, sys; assert type(json.load(sys.stdin)) is list')
else
	parser=()
fi
for args in list "list -P" "list -P -R -u" version doctor "doctor -u"; do
	if [ ${#parser[@]} -eq 0 ]; then
		tap_skip "$args prints a JSON array" "there is neither jq nor python3"
		continue
	fi
	tap_check "$args prints a JSON array" \
		bash -c "hmemctl $args 2>/dev/null | \"\$@\"" bash "${parser[@]}"
done

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	tap_check_status 1 "a system without /sys has not merely no regions" \
		unshare -m bash -c 'umount -l /sys && hmemctl list'
	tap_matches "$tap_output" "mount sysfs on /sys" "and is told so"
else
	tap_skip "a system without /sys has not merely no regions" "takes a mount namespace"
fi

# --- completion

tap_is "$(complete_for creat)" "create-region create-shelf" "completion of verbs"
tap_is "$(complete_for help res)" resize-region "completion of verbs after help"
tap_is "$(complete_for create-region --ow)" --owner "completion of options"
tap_is "$(complete_for create-region --type p)" pmem "completion of types"
tap_is "$(complete_for set-policy a --mode m)" manual "completion of modes"
tap_is "$(complete_for create-region --policy a)" auto "completion of policies"
tap_is "$(complete_for create-region --mode a)" "" "which are others for create-region"
tap_is "$(complete_for create-region --owner roo)" root "completion of owners"
tap_is "$(complete_for migrate a --n)" --near "completion of places"
tap_is "$(complete_for keep-range a --h | xargs)" "--home --human" "for keep-range as well"
tap_is "$(complete_for attach-pool ra)" ram "completion of sources"
tap_done
