#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl export-shelf and import-shelf: there and back through files and pipes, into shelves
# that are there and that are made; streams that are damaged, cut off or none; files that
# cannot be written.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

file=$TMPDIR/region
region=file:$file
truncate -s 64M "$file"
stream=$TMPDIR/stream

names() {
	hmemctl list-objects "$1" 2>/dev/null | sed -n 's/.*"object": "\(.*\)",/\1/p' | xargs
}

usage "export-shelf" "which shelf"
usage "export-shelf plain" "plain is no REGION/SHELF"
usage "export-shelf $region/a f g" "unexpected argument: g"
usage "import-shelf" "which shelf"
usage "import-shelf $region/a f g" "unexpected argument: g"
usage "import-shelf $region/a --size 1M" "sizes are for --create"
for size in 0 -1 1X; do
	usage "import-shelf $region/a --create --size $size" "$size is no size"
	usage "import-shelf $region/a --create --max-size $size" "$size is no size"
done

hmemctl create-shelf "$region/a" --size 8M --max-size 8M --ordered >/dev/null 2>&1
head -c 3000000 /dev/urandom >"$TMPDIR/large"
for name in one two three; do
	echo "value of $name" | hmemctl put-object "$region/a" $name --type "type of $name" >/dev/null 2>&1
done
hmemctl put-object "$region/a" large "$TMPDIR/large" --align 4K >/dev/null 2>&1

# --- there and back

ctl export-shelf "$region/a" "$stream"
tap_is "$status:$(values objects):$(values fuzzy)" "0:4:0" "export-shelf, to a file"
tap_is "$err" "hmemctl export-shelf: exported 4 objects" "counted"
tap_is "$(values stream_size)" "$(stat -c %s "$stream")" "its size is told"
tap_is "$(stat -c %a "$stream")" "$(printf %o $((0666 & ~$(umask))))" "and its mode is a file's"
tap_check "export-shelf, to a pipe, is the same" \
	bash -c "hmemctl export-shelf '$region/a' | cmp - '$stream'"
ctl import-shelf "$region/b" "$stream"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "import-shelf, to a shelf that is not there"
ctl import-shelf "$region/b" "$stream" --create --size 12M --max-size 16M
tap_is "$status:$(values object):$(values imported)" "0:large one three two:true true true true" \
	"import-shelf --create, in order"
tap_is "$(names "$region/b")" "large one three two" "all are there"
tap_is "$(hmemctl list-objects "$region/b" 2>&1 | grep -o '"type of [^"]*"' | xargs)" \
	"type of one type of three type of two" "with their types"
tap_check "and the same" bash -c "hmemctl get-object '$region/b' large | cmp - '$TMPDIR/large'"
tap_check "export-shelf | import-shelf" \
	bash -c "hmemctl export-shelf '$region/b' | hmemctl import-shelf '$region/c' - --create --max-size 16M"
tap_is "$(hmemctl get-object "$region/c" two 2>&1)" "value of two" "is the same again"
ctl import-shelf "$region/b" "$stream" --create
tap_is "$status:${out//[[:space:]]/}" "1:[]" "--create of what is there"
tap_matches "$err" "has a shelf b already" "is refused"

# --- into one that has some already

echo other | hmemctl put-object "$region/b" one >/dev/null 2>&1
hmemctl delete-object "$region/b" two >/dev/null 2>&1
ctl import-shelf "$region/b" "$stream"
tap_is "$status:$(values imported)" "1:false false false true" "what is there stays"
tap_matches "$out" "there is one already" "and it is said why"
tap_matches "$err" "3 of 4 objects were not imported.*--replace.*imported 1 object" "counted"
tap_is "$(hmemctl get-object "$region/b" one 2>&1)" other "it is what it was"
ctl import-shelf "$region/b" "$stream" --replace
tap_is "$status:$(values imported)" "0:true true true true" "--replace"
tap_is "$(hmemctl get-object "$region/b" one 2>&1)" "value of one" "replaces it"

# --- bad streams

hmemctl create-shelf "$region/d" --size 8M --max-size 8M >/dev/null 2>&1
size=$(stat -c %s "$stream")
ctl import-shelf "$region/d" <(head -c 2000000 "$stream")
tap_is "$status:$(values imported)" "1:false false false false" "a stream that is cut off in the first object"
tap_matches "$out" "the stream ends before it does" "names what is missing"
ctl import-shelf "$region/d" <(head -c $((size - 100)) "$stream")
tap_is "$status:$(values imported)" "1:true true false false" "or later"
hmemctl delete-object "$region/d" large one >/dev/null 2>&1
ctl import-shelf "$region/d" <(head -c $((size - 1)) "$stream")
tap_is "$status:$(values imported)" "1:true true true true" "or at its very end"
tap_matches "$err" "ends too early" "which is told as well"
hmemctl delete-object "$region/d" large one two three >/dev/null 2>&1
cp "$stream" "$TMPDIR/bad"
printf '\0\0\0\0' | dd of="$TMPDIR/bad" bs=1 seek=1500000 conv=notrunc status=none
ctl import-shelf "$region/d" "$TMPDIR/bad"
tap_is "$status:$(values imported)" "1:false true true true" "damage to one object leaves the others"
tap_matches "$out" '"object": "large",[^}]*its part of the stream is damaged' "and is named"
head -c 100 "$stream" >"$TMPDIR/start"
for what in /dev/null "$TMPDIR/large" "$TMPDIR/start"; do
	ctl import-shelf "$region/d" "$what"
	tap_is "$status:${out//[[:space:]]/}" "1:[]" "what is no stream: ${what##*/}"
done
ctl import-shelf "$region/d" "$TMPDIR/none"
tap_is "$status:$out" "1:" "a file that is not there"
tap_matches "$err" "open $TMPDIR/none: No such file" "is told"
ctl import-shelf "$region/small" "$stream" --create --size 1M
tap_is "$status:$(values imported)" "1:false true true true" "a shelf that is too small for one"
tap_matches "$out" "the shelf has no room for it" "says so"

# What nothing comes of leaves no shelf, and can be tried once more.
for bytes in 1000 100000 2000000; do
	head -c $bytes "$stream" >"$TMPDIR/cut$bytes"
done
for what in /dev/null "$TMPDIR"/{large,start,cut1000,cut100000,cut2000000}; do
	ctl import-shelf "$region/new" "$what" --create --max-size 16M
	tap_is "$status:$(hmemctl list-shelves "$region" 2>&1 | grep -c '"new"')" "1:0" \
		"--create for what is no stream, or cut off, makes no shelf: ${what##*/}"
done
tap_matches "$err" "4 of 4 objects were not imported.*shelf new has been removed again" "which is told"
ctl import-shelf "$region/new" "$stream" --create --size 1M
tap_is "$status:$(names "$region/new")" "1:one three two" "a shelf that got something stays"
hmemctl destroy-shelf "$region/new" >/dev/null 2>&1
hmemctl create-shelf "$region/empty" --size 1M >/dev/null 2>&1
hmemctl export-shelf "$region/empty" "$TMPDIR/empty" >/dev/null 2>&1
ctl import-shelf "$region/new" "$TMPDIR/empty" --create --max-size 16M
tap_is "$status:$(hmemctl list-shelves "$region" 2>&1 | grep -c '"new"')" "0:1" \
	"one without objects is imported"
ctl import-shelf "$region/new" <(head -c 2000000 "$stream")
tap_is "$status:$(hmemctl list-shelves "$region" 2>&1 | grep -c '"new"')" "1:1" \
	"and one that was there stays, whatever comes"
hmemctl destroy-shelf "$region/new" "$region/empty" >/dev/null 2>&1

# --- files that cannot be written

ctl export-shelf "$region/none" "$stream"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "a shelf that is not there"
tap_is "$(stat -c %s "$stream")" "$size" "leaves the file that was there"
tap_is "$(find "$TMPDIR" -name 'stream?*')" "" "and no other"
ctl export-shelf "$region/a" "$TMPDIR/none/x"
tap_is "$status:${out//[[:space:]]/}" "1:[]" "nor where nothing can be"
if [ -c /dev/full ]; then
	tap_check_status 1 "a full disk" bash -c "hmemctl export-shelf '$region/a' >/dev/full"
	tap_matches "$tap_output" "write stdout: No space left on device" "is told"
	ctl export-shelf "$region/a" /dev/full
	tap_is "$status" 1 "a device gets no other name"
	tap_check "and stays one" test -c /dev/full
fi

# --- completion, and who may not change the shelf

COMP_WORDS=(hmemctl import-shelf "$region/a" "$TMPDIR/strea")
COMP_CWORD=3
. "${HMEM_SOURCE:-$(dirname "$0")/../..}/tools/completion/hmemctl"
_hmemctl
tap_is "${COMPREPLY[*]}" "$stream" "completion of files"

# --- without room for what is there already

hmemctl create-shelf "$region/full" --size 8M >/dev/null 2>&1
head -c 3000000 /dev/urandom >"$TMPDIR/big"
for i in 1 2; do
	hmemctl put-object "$region/full" big$i "$TMPDIR/big" >/dev/null 2>&1
done
hmemctl export-shelf "$region/full" "$TMPDIR/full" >/dev/null 2>&1
ctl import-shelf "$region/full" "$TMPDIR/full"
tap_is "$status:$(grep -c 'there is one already' <<<"$out")" "1:2" \
	"what is there needs no room to be left alone"

# --- files that are links, and ends that come too early

mkdir "$TMPDIR/out"
echo old >"$TMPDIR/target"
ln -s ../target "$TMPDIR/out/link"
ctl export-shelf "$region/a" "$TMPDIR/out/link"
tap_check "export-shelf to a symbolic link leaves the link" test -L "$TMPDIR/out/link"
tap_check "and writes to what it leads to" cmp "$TMPDIR/target" "$stream"
ln -sf nowhere "$TMPDIR/out/link"
ctl export-shelf "$region/a" "$TMPDIR/out/link"
tap_is "$status:$(readlink "$TMPDIR/out/link")" "1:nowhere" "one that leads to nothing is refused"
rm "$TMPDIR/out/link"
tap_check_status fail "an export that is too large for the limit of files fails" bash -c \
	"ulimit -f 100; hmemctl export-shelf '$region/full' '$TMPDIR/out/cut'"
tap_is "$(ls -A "$TMPDIR/out")" "" "and leaves no file, although a signal ends it"
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null &&
	chmod 755 "$TMPDIR" && chmod 644 "$file" &&
	setpriv --reuid nobody --clear-groups test -x "$(command -v hmemctl)" -a -x "$TMPDIR"; then
	tap_check "who may only read can export" bash -c \
		"setpriv --reuid nobody --clear-groups hmemctl export-shelf '$region/a' | cmp - '$stream'"
	tap_check_status 1 "and not import" bash -c \
		"setpriv --reuid nobody --clear-groups hmemctl import-shelf '$region/a' <'$stream'"
else
	tap_skip "who may only read can export" "no other user can be here"
fi
tap_done
