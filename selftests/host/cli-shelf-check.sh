#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl check-shelf: what it says of a shelf that is well, of one that somebody uses, of
# damage to records, to what is rebuilt from them, and to the superblock; what --repair saves.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

file=$TMPDIR/region
region=file:$file
shelf=$region/s

# find_bytes TEXT...: where in the file each occurrence begins
find_bytes() {
	LC_ALL=C grep -abo -F -e "$1" "$file" | cut -d: -f1
}

# spoil OFFSET [TEXT]
spoil() {
	printf %s "${2:-#}" | dd of="$file" bs=1 seek="$1" conv=notrunc status=none
}

# make [OPTION...]: a new shelf of three objects
make() {
	rm -f "$file"
	truncate -s 16M "$file"
	hmemctl create-shelf "$shelf" --size 4M "$@" >/dev/null 2>&1
	for name in one two three; do
		echo "value of $name" | hmemctl put-object "$shelf" $name >/dev/null 2>&1
	done
}

usage "check-shelf" "which shelf"
usage "check-shelf plain" "plain is no REGION/SHELF"
usage "check-shelf $region/a $region/b" "one at a time"

make
ctl check-shelf "$shelf"
tap_is "$status:${out//[[:space:]]/}:$err" "0:[]:hmemctl check-shelf: 0 violations" "a shelf that is well"
ctl check-shelf --repair "$shelf"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "has nothing to repair"
ctl check-shelf "$region/none"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "one that is not there"
tap_matches "$err" "has no shelf none" "is said not to be"
tap_is "$(grep -c -e violation -e 'to do' <<<"$err")" 0 "and nothing else"

# --- while somebody uses it

mkfifo "$TMPDIR/fifo"
hmemctl put-object "$shelf" large <(head -c 1M /dev/zero) >/dev/null 2>&1
hmemctl get-object "$shelf" large >"$TMPDIR/fifo" 2>/dev/null &
exec 3<"$TMPDIR/fifo"
IFS= read -r -n 1 -d '' -u 3 _
ctl check-shelf "$shelf"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "a shelf that somebody uses"
tap_matches "$err" "it is open, and was to be opened exclusively" "is left to him"
exec 3<&-
wait
ctl check-shelf "$shelf"
tap_is "$status" 0 "afterwards it can be checked"

if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null &&
	chmod 755 "$TMPDIR" &&
	setpriv --reuid nobody --clear-groups test -x "$(command -v hmemctl)" -a -x "$TMPDIR"; then
	chmod 644 "$file"
	tap_check "who may only read can look" setpriv --reuid nobody --clear-groups \
		hmemctl check-shelf "$shelf"
	tap_matches "$tap_output" "warning: .* do not allow it; looking only" "and is told so"
	tap_check_status 1 "but not repair" setpriv --reuid nobody --clear-groups \
		hmemctl check-shelf --repair "$region/none"
else
	tap_skip "who may only read can look" "no other user can be here"
fi

# --- a record

for order in --ordered ""; do
	# shellcheck disable=SC2086 # an option or none
	make $order
	at=$(find_bytes $'value of two')
	spoil $((at + 13))
	ctl check-shelf "$shelf"
	tap_is "$status" 1 "a record whose name was changed ${order:-(no order)}"
	tap_matches "$out" '"part": "record",[^}]*"object": "#wo",[^}]*"text": "its checksum does not hold"' \
		"is named, as it is"
	tap_matches "$err" "[1-9] violations?.*to do: hmemctl check-shelf --repair $shelf" \
		"with what to do"
	ctl list-objects "$shelf"
	tap_is "$status" 1 "the shelf is not used like that"
	tap_matches "$err" "1 records are damaged; check it" "and says why"
	ctl check-shelf "$shelf"
	tap_is "$status:$(values state):$(values part)" "1:found:record" \
		"it is found as well when the shelf cannot be opened"
	ctl check-shelf --repair "$shelf"
	tap_is "$status:$(values state)" "1:found lost" "--repair gives it up"
	tap_is "$(values object)" "#wo #wo" "and says so"
	tap_matches "$err" "1 violation, and something was lost" "in the end, too"
	ctl check-shelf "$shelf"
	tap_is "$status:${out//[[:space:]]/}" "0:[]" "the shelf is well then"
	tap_is "$(hmemctl list-objects "$shelf" 2>/dev/null | grep -c '"object": "\(one\|three\)"')" 2 \
		"with the others"
	tap_is "$(hmemctl get-object "$shelf" three 2>&1)" "value of three" "which are whole"
done

# --- what is rebuilt from records

make --ordered
# The node of the list stands where the name does and the value does not.
for at in $(find_bytes two); do
	[ "$at" = $(($(find_bytes 'value of two') + 9)) ] ||
		[ "$at" = $(($(find_bytes 'value of two') + 13)) ] || spoil "$at" Z
done
ctl check-shelf --repair "$shelf"
tap_is "$status" 0 "damage to the order of names is repaired"
tap_matches "$out" '"part": "order"' "after it was named"
tap_matches "$err" "violations, all repaired, nothing lost" "and nothing is lost"
tap_is "$(hmemctl list-objects "$shelf" 2>/dev/null | sed -n 's/.*"object": "\(.*\)",/\1/p' | xargs)" \
	"one three two" "all are there"

# --- the superblock

for order in --ordered ""; do
	# shellcheck disable=SC2086 # an option or none
	make $order
	mapfile -t copies < <(find_bytes HMMESHLF)
	spoil $((copies[0] + 200))
	ctl check-shelf "$shelf"
	tap_is "$status:$(values part)" "0:" "one copy of the superblock that is damaged is renewed"
	spoil $((copies[0] + 200))
	spoil $((copies[1] + 200))
	ctl check-shelf "$shelf"
	tap_is "$status:${out//[[:space:]]/}" "1:[]" "without both the shelf cannot be opened"
	tap_matches "$err" "both of its superblocks are damaged" "and says so"
	ctl check-shelf --repair "$shelf"
	tap_is "$status:$(values part):$(values state)" "1:superblock:lost" "--repair makes it anew"
	tap_matches "$out" "made anew, of $([ -n "$order" ] && echo an ordered || echo a plain) shelf" \
		"as it was"
	ctl check-shelf "$shelf"
	tap_is "$status:${out//[[:space:]]/}" "0:[]" "and all is well"
	tap_is "$(hmemctl dump-shelf "$shelf" 2>/dev/null | grep -cE "\"objects\": 3|\"ordered\": $([ -n "$order" ] && echo true || echo false)")" \
		2 "with all objects"
done
tap_done
