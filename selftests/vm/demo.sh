#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The demo, as a newcomer runs it: it ends well, shows what it does, and notices when the
# region does not survive.
# hmem-test: timeout=400

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

start=$SECONDS
tap_check "the demo ends well" examples/demo.sh
tap_diag "it took $((SECONDS - start)) s"
transcript=$tap_output

for line in '# insmod hmem.ko' '# hmemctl create-region scratch --type ram --size 64M' \
	'# hmemctl create-region ledger --type pmem --size 64M' \
	'user\$ pattern hmem:scratch verify' '# hmem-power-cut' \
	'# hmemctl attach-pool --all --type pmem' 'checked: the owner of ledger is user:user' \
	'checked: the mode of ledger is 640' 'checked: the size of ledger is 67108864' \
	'The region survived the power cut'; do
	tap_matches "$transcript" "$line" "it shows: $line"
done
tap_is "$(grep -c '^verified 67108864 bytes$' <<<"$transcript")" 3 \
	"the data was read back from both regions, and from one after the power cut"

# With other data in the region than what the transcript says, the demo has to fail.
mkdir -p "$TMPDIR/tree/examples"
ln -s "$PWD/qemu" "$TMPDIR/tree/qemu"
cp examples/demo.sh "$TMPDIR/tree/examples/"
sed 's/^\thmem-power-cut$/su user -c "pattern --seed 8 hmem:ledger fill"\n&/' \
	examples/demo-guest.sh >"$TMPDIR/tree/examples/demo-guest.sh"
chmod +x "$TMPDIR/tree/examples/demo-guest.sh"
tap_check_status 1 "the demo fails when the data is not what was written" \
	"$TMPDIR/tree/examples/demo.sh"
tap_matches "$tap_output" "DEMO FAILED: exit status 1: pattern --seed 7 hmem:ledger verify" \
	"and says what was wrong"
tap_done
