#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl and shelves, in a file: made, filled from files and pipes, listed, emptied and
# removed; what it answers to what is not there, not allowed or does not fit.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

file=$TMPDIR/region
region=file:$file
truncate -s 16M "$file"

# --- usage

usage "create-shelf" "which shelf"
usage "create-shelf $region/a" "--size is missing"
usage "create-shelf plain --size 1M" "plain is no REGION/SHELF"
usage "create-shelf $region/ --size 1M" "is no REGION/SHELF"
usage "create-shelf $region/a $region/b --size 1M" "one at a time"
for size in 0 -1 1X; do
	usage "create-shelf $region/a --size $size" "$size is no size"
	usage "create-shelf $region/a --size 1M --max-size $size" "$size is no size"
done
for slots in 0 1024 x -1 1x; do
	usage "create-shelf $region/a --size 1M --slots $slots" "$slots is no number of threads"
done
usage "grow-shelf" "which shelf"
usage "grow-shelf $region/a" "--size is missing"
usage "grow-shelf $region/a $region/b --size 1M" "one at a time"
usage "grow-shelf plain --size 1M" "plain is no REGION/SHELF"
usage "grow-shelf $region/a --size 1X" "1X is no size"
usage "destroy-shelf" "which shelf"
usage "destroy-shelf plain" "plain is no REGION/SHELF"
usage "list-shelves" "which region"
usage "dump-shelf" "which shelf"
usage "dump-shelf $region/a $region/b" "one at a time"
usage "list-objects" "which shelf"
usage "list-objects $region/a x" "unexpected argument: x"
usage "put-object $region/a" "which object"
usage "put-object $region/a x f y" "unexpected argument: y"
usage "put-object $region/a x --create --replace" "exclude each other"
for align in 3 4M 0 x; do
	usage "put-object $region/a x --align $align" "$align is no alignment"
done
usage "get-object $region/a" "which object"
usage "delete-object $region/a" "which object"

# --- shelves

ctl list-shelves "$region"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "a region of zeroes has no shelves"
tap_is "$err" "hmemctl list-shelves: 0 shelves" "and that is counted"
ctl create-shelf "$region/people" --size 2M --max-size 4M --ordered
tap_is "$status" 0 "create-shelf"
tap_is "$(values shelf) $(values region) $(values size) $(values max_size) $(values ordered)" \
	"people $region 2097152 4194304 true" "tells what was made"
tap_is "$err" "hmemctl create-shelf: created 1 shelf" "and how many"
ctl create-shelf "$region/people" --size 2M
tap_is "$status:$out" "1:" "not twice"
tap_matches "$err" "has a shelf people already" "as it is there"
ctl create-shelf "$region/huge" --size 1G
tap_is "$status:$out" "1:" "not beyond the region"
tap_matches "$err" "has no room" "which has no room"
ctl create-shelf "$region/heap" --size 25% --slots 4
tap_is "$status:$(values size):$(values ordered)" "0:$(((64 - 1) << 16)):false" "a part of the region"
ctl create-shelf "$TMPDIR/none/a" --size 1M
tap_is "$status" 1 "in a region that is not there"
ctl list-shelves "$region" -u
tap_is "$status:$(values shelf):$(values size)" "0:people heap:2.00 MiB 3.94 MiB" "list-shelves"
ctl list-shelves "$region" "$TMPDIR/none"
tap_is "$status:$(values shelf)" "1:people heap" "of several regions, one of which is not there"

# --- growing

ctl grow-shelf "$region/people" --size 2560K
tap_is "$status:$(values shelf):$(values size)" "0:people:2621440" "grow-shelf"
tap_is "$err" "hmemctl grow-shelf: grew 1 shelf" "counts"
ctl grow-shelf "$region/people" --size 1M
tap_is "$status:$(values size)" "0:2621440" "a shelf that is larger stays so"
ctl grow-shelf "$region/people" --size 5M
tap_is "$status:${out//[[:space:]]/}" "1:[]" "not beyond what it was made for"
tap_matches "$err" "was created to grow to 4194304 bytes" "which is told"
ctl grow-shelf "$region/none" --size 5M
tap_is "$status" 1 "a shelf that is not there does not grow"

# --- objects

head -c 3000000 /dev/urandom >"$TMPDIR/large"
printf 'hello' >"$TMPDIR/small"
ctl put-object "$region/people" ada "$TMPDIR/small"
tap_is "$status:$(values object):$(values size):$(values name_hex)" "0:ada:5:616461" "put-object"
tap_is "$(hmemctl get-object "$region/people" ada 2>&1)" hello "get-object, to a pipe"
tap_check "put-object, from a pipe" bash -c \
	"cat '$TMPDIR/large' | hmemctl put-object '$region/heap' large --align 4K"
tap_check "and to one" bash -c \
	"hmemctl get-object '$region/heap' large | cmp - '$TMPDIR/large'"
ctl get-object "$region/heap" large "$TMPDIR/copy"
tap_is "$status:$(values size)" "0:3000000" "get-object, to a file"
tap_check "which is the same" cmp "$TMPDIR/large" "$TMPDIR/copy"
ctl put-object "$region/heap" array "$TMPDIR/small" --type 'float64 2x3'
tap_is "$status:$(values type_text):$(values type)" "0:float64 2x3:666c6f6174363420327833" \
	"put-object --type"
ctl list-objects "$region/heap" -l array
tap_is "$(values object):$(values type_text)" "array:float64 2x3" "list-objects tells it"
ctl list-objects "$region/heap" -l large
tap_is "$(values object):$(values type_text)" "large:null" "and where there is none"
ctl put-object "$region/heap" array "$TMPDIR/small" --type "$(printf 'x%.0s' {1..257})"
tap_is "$status" 129 "a type of 257 bytes"
ctl put-object "$region/people" nothing
tap_is "$status:$(values size)" "0:0" "an empty object"
tap_is "$(hmemctl get-object "$region/people" nothing - 2>&1)" "" "is got"
ctl put-object "$region/people" ada "$TMPDIR/small" --create
tap_is "$status" 1 "put-object --create does not replace"
ctl put-object "$region/people" bob "$TMPDIR/small" --replace
tap_is "$status" 1 "put-object --replace does not create"
ctl put-object "$region/people" bob "$TMPDIR/none"
tap_is "$status:$out" "1:" "nor from a file that is not there"
tap_matches "$err" "open $TMPDIR/none: No such file" "that is told"
ctl put-object "$region/people" bob "$TMPDIR/large"
tap_is "$status" 1 "nor more than has room"
tap_matches "$err" "has no room for bob" "that is told"
ctl get-object "$region/people" bob "$TMPDIR/bob"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "get-object of what is not there"
tap_check_status 1 "makes no file" test -e "$TMPDIR/bob"
ctl get-object "$region/people" ada "$TMPDIR/none/x"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "nor to where nothing can be"

for name in bob carol $'\xff\xfe' "a b" Zoe adam; do
	ctl put-object "$region/people" "$name" "$TMPDIR/small"
	[ $status -eq 0 ] || break
done
tap_is "$status" 0 "more of them"
ctl list-objects "$region/people"
tap_is "$status:$(values object)" "0:Zoe a b ada adam bob carol nothing null" "in order"
tap_is "$(values name_hex | sed 's/.* //')" fffe "a name that is no text is shown by its bytes"
tap_is "$err" "hmemctl list-objects: 8 objects" "counted"
ctl put-object "$region/people" $'c\xc2\x9b31m' "$TMPDIR/small"
ctl list-objects "$region/people" -l c
tap_is "$(values object | sed 's/.* //'):$(values name_hex | sed 's/.* //')" null:63c29b33316d \
	"nor is one with control characters of two bytes"
ctl delete-object "$region/people" $'c\xc2\x9b31m'
ctl list-objects "$region/people" -l ad
tap_is "$(values object):$err" "ada adam:hmemctl list-objects: 2 objects" "those that begin so"
tap_is "$(hmemctl get-object "$region/people" $'\xff\xfe' 2>&1)" hello "any name can be got"
if command -v jq >/dev/null; then
	tap_check "what is listed is JSON" bash -c "hmemctl list-objects '$region/people' | jq -e ."
else
	tap_skip "what is listed is JSON" "there is no jq"
fi

ctl dump-shelf "$region/people"
tap_is "$status:$(values objects):$(values ordered)" "0:8:true" "dump-shelf"
tap_is "$(values head | cut -d' ' -f2)" 68656c6c6f "shows how objects begin"

ctl delete-object "$region/people" bob --dry-run
tap_is "$status:$(values object)" "0:bob" "delete-object --dry-run"
ctl delete-object "$region/people" bob dave carol
tap_is "$status:$(values object)" "1:bob carol" "delete-object, one of them not there"
tap_matches "$err" "no object dave.*deleted 2 objects" "that is told"
ctl list-objects "$region/people"
tap_is "$(values object)" "Zoe a b ada adam nothing null" "the others are left"

ctl rename-object "$region/people" adam eve
tap_is "$status:$(values object)" "0:eve" "rename-object"
tap_matches "$err" "renamed 1 object" "counts it"
ctl rename-object "$region/people" eve ada --create
tap_is "$status" 1 "rename-object --create: not over another"
tap_matches "$err" "has an object ada already" "that is told"
ctl rename-object "$region/people" nobody ada
tap_is "$status" 1 "rename-object: one that is not there"
tap_matches "$err" "no object nobody" "that is told"
hmemctl get-object "$region/people" ada "$TMPDIR/ada" >/dev/null 2>&1
hmemctl get-object "$region/people" eve "$TMPDIR/eve" >/dev/null 2>&1
ctl rename-object "$region/people" ada eve --swap
tap_is "$status:$(values object)" "0:ada eve" "rename-object --swap"
tap_check "the one has the other's value" bash -c \
	"hmemctl get-object '$region/people' ada - 2>&1 | cmp - '$TMPDIR/eve'"
tap_check "and the other the one's" bash -c \
	"hmemctl get-object '$region/people' eve - 2>&1 | cmp - '$TMPDIR/ada'"
ctl rename-object "$region/people" eve adam
ctl list-objects "$region/people"
tap_is "$(values object)" "Zoe a b ada adam nothing null" "no other is"
usage "rename-object $region/people" "which object"
usage "rename-object $region/people ada" "to which name"
usage "rename-object $region/people ada eve adam" "unexpected argument"
usage "rename-object $region/people ada eve --create --swap" "exclude one another"

# What only looks needs no more than that.
chmod 711 "$TMPDIR"
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null &&
	setpriv --reuid nobody --clear-groups test -x "$(command -v hmemctl)" -a -x "$TMPDIR"; then
	chmod 644 "$file"
	tap_check "who may only read can list" setpriv --reuid nobody --clear-groups \
		hmemctl list-objects "$region/people"
	tap_check_status 1 "and not put" setpriv --reuid nobody --clear-groups \
		hmemctl put-object "$region/people" x "$TMPDIR/small"
else
	tap_skip "who may only read can list" "no other user can be here"
fi

# --- completion

tap_is "$(complete_for get-object "$region/people" ad)" "ada adam" "completion of objects"
tap_is "$(complete_for put-object "$region/people" x "$TMPDIR/sma")" "$TMPDIR/small" "and of files"

# --- away with them

ctl destroy-shelf "$region/people" --dry-run
tap_is "$status:$(values shelf)" "0:people" "destroy-shelf --dry-run"
ctl destroy-shelf "$region/people" "$region/none" "$region/heap"
tap_is "$status:$(values shelf)" "1:people heap" "destroy-shelf, one of them not there"
tap_matches "$err" "has no shelf none.*destroyed 2 shelves" "that is told"
ctl list-objects "$region/people"
tap_is "$status:$out" "1:" "there is nothing to list"
ctl list-shelves "$region"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "and no shelf"

# --- all of a region

truncate -s 16M "$TMPDIR/whole"
whole=file:$TMPDIR/whole
ctl create-shelf "$whole/all" --size all
tap_is "$status" 0 "create-shelf --size all"
ctl create-shelf "$whole/more" --size all
tap_is "$status" 1 "after which nothing is left"
tap_matches "$err" "has 0 bytes that are no shelf's" "which is said"
hmemctl destroy-shelf "$whole/all" >/dev/null 2>&1
ctl create-shelf "$whole/all" --size 100%
tap_is "$status" 0 "create-shelf --size 100%"
hmemctl destroy-shelf "$whole/all" >/dev/null 2>&1
ctl create-shelf "$whole/a" --size 50%
ctl create-shelf "$whole/b" --size 50%
tap_is "$status" 0 "50%, twice"
ctl create-shelf "$whole/c" --size 50%
tap_is "$status" 1 "and not more often"
for shelf in a b; do
	ctl check-shelf "$whole/$shelf"
	tap_is "$status" 0 "$shelf is sound"
done
hmemctl destroy-shelf "$whole/b" >/dev/null 2>&1
ctl create-shelf "$whole/c" --size all
tap_is "$status" 0 "all of what is left"
hmemctl destroy-shelf "$whole/c" >/dev/null 2>&1
for size in all 100%; do
	ctl create-shelf "$whole/g" --size 1M --slots 8
	ctl grow-shelf "$whole/g" --size "$size"
	tap_is "$status" 0 "grow-shelf --size $size"
	tap_check "gives all that is left" test "$(values size)" -gt $((7 << 20))
	grown=$(values size)
	ctl create-shelf "$whole/c" --size all
	tap_matches "$status $err" "^1 .*has 0 bytes that are no shelf's" "after which nothing is"
	ctl grow-shelf "$whole/g" --size "$size"
	tap_is "$status:$(values size)" "0:$grown" "and once more changes nothing"
	ctl check-shelf "$whole/g"
	tap_is "$status" 0 "it is sound"
	hmemctl destroy-shelf "$whole/g" >/dev/null 2>&1
done
ctl create-shelf "$whole/g" --size 1M --max-size 3M
ctl grow-shelf "$whole/g" --size all
tap_is "$status:$(values size)" "0:$((3 << 20))" "as far as it may grow"

# --- names that are no text

odd=$TMPDIR/$'\xfe'
truncate -s 8M "$odd"
ctl create-shelf "file:$odd/"$'\xff' --size 1M
tap_is "$status:$(values shelf):$(values shelf_hex)" "0:null:ff" "a shelf's name that is no UTF-8"
tap_is "$(values region):$(values region_hex)" \
	"null:$(printf %s "file:$odd" | od -An -v -tx1 | tr -d ' \n')" "and a region's"
tap_check "what is printed is UTF-8" iconv -f utf8 -t utf8 <<<"$out"
ctl check-shelf "file:$odd/"$'\xff'
tap_is "$status" 0 "such a shelf can be checked"
ctl list-shelves "file:$odd"
tap_is "$(values shelf):$(values shelf_hex)" "null:ff" "and listed"
head -c 1M /dev/urandom >"$TMPDIR/noise"
ctl list-shelves "$TMPDIR/noise"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "a file that holds something else"
tap_done
