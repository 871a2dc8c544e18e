#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl and what objects come from and go to: pipes that do not end, files that are there
# already, the region's own file, and names that a terminal would obey.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

mkdir "$TMPDIR/in" "$TMPDIR/out"
file=$TMPDIR/in/region
region=file:$file
shelf=$region/s
truncate -s 16M "$file"
hmemctl create-shelf "$shelf" --size 2M --max-size 8M >/dev/null 2>&1
printf hello >"$TMPDIR/small"
head -c 1500000 /dev/urandom >"$TMPDIR/large"
hmemctl put-object "$shelf" small "$TMPDIR/small" >/dev/null 2>&1
hmemctl put-object "$shelf" large "$TMPDIR/large" >/dev/null 2>&1

# --- pipes that do not end

# too_much WHAT COMMAND: refused, long before the end of it.
too_much() {
	tap_check_status 1 "$1" bash -c "$2"
	tap_matches "$tap_output" "it is larger than shelf s, which has 2.00 MiB.*to do: hmemctl grow-shelf" \
		"and says so"
	tap_is "$(hmemctl get-object "$shelf" small 2>&1)" hello "what was there stays"
}

too_much "put-object from a pipe ends when there is more than the shelf has" \
	"hmemctl put-object '$shelf' small < <(head -c 2G /dev/zero)"
too_much "and from one that is named" \
	"hmemctl put-object '$shelf' small <(head -c 2G /dev/zero)"
tap_matches "$tap_output" "read /dev/fd/[0-9]+: " "which it names"
too_much "and when it is a byte more" \
	"hmemctl put-object '$shelf' small < <(head -c $(((2 << 20) + 1)) /dev/zero)"
ctl check-shelf "$shelf"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "the shelf is well"
hmemctl delete-object "$shelf" large >/dev/null 2>&1
tap_check "what fits is put" bash -c "hmemctl put-object '$shelf' large <'$TMPDIR/large'"
tap_check "and is the same" bash -c "hmemctl get-object '$shelf' large | cmp - '$TMPDIR/large'"

# A shelf that grows while the pipe is read: when all that it had has come.
mkfifo "$TMPDIR/fifo"
hmemctl put-object "$shelf" grown <"$TMPDIR/fifo" >/dev/null 2>"$TMPDIR/err" &
put=$!
exec 3>"$TMPDIR/fifo"
head -c 2000000 /dev/zero >&3
ctl grow-shelf "$shelf" --size 8M
head -c 1000000 /dev/zero >&3
exec 3>&-
tap_check "a shelf that grew meanwhile has more" wait $put
ctl list-objects "$shelf" -l grown
tap_is "$(values size)" 3000000 "and all is there"
ctl put-object "$region/none" small "$TMPDIR/small"
tap_is "$status" 1 "a shelf that is not there gets nothing"

# --- the region's own file

ln "$file" "$TMPDIR/in/hard"
ln -s region "$TMPDIR/in/soft"
sum=$(hmemctl list-objects "$shelf" 2>/dev/null | sha1sum)
for verb in "get-object $shelf small" "export-shelf $shelf"; do
	for to in "$file" "$TMPDIR/in/hard" "$TMPDIR/in/soft" "$TMPDIR/in/../in/region" /dev/fd/4 \
		/proc/self/fd/4; do
		# shellcheck disable=SC2086 # words
		ctl $verb "$to" 4<>"$file"
		tap_is "$status:$(grep -c 'is the region itself' <<<"$err")" 1:1 \
			"${verb%% *} does not write to the region: ${to##*/}"
	done
	tap_check_status 1 "nor to stdout that is" bash -c "hmemctl $verb 1<>'$file'"
	tap_matches "$tap_output" "stdout is the region itself" "which is told"
done
tap_is "$(find "$TMPDIR/in" | wc -l):$(stat -c %s "$file")" "4:$((16 << 20))" "the file is there"
tap_is "$(hmemctl list-objects "$shelf" 2>/dev/null | sha1sum)" "$sum" "and all that is in it"
ctl check-shelf "$shelf"
tap_is "$status:${out//[[:space:]]/}" "0:[]" "and it is well"

# --- files that are there already

old=$TMPDIR/out/old
echo old >"$old"
chmod 640 "$old"
exec 5<"$old"
ctl get-object "$shelf" small "$old"
tap_is "$status:$(cat "$old"):$(stat -c %a "$old")" "0:hello:640" "get-object replaces a file, and keeps its mode"
tap_is "$(cat <&5)" old "it is another"
exec 5<&-
ctl export-shelf "$shelf" "$old"
tap_is "$status:$(stat -c %a "$old")" "0:640" "export-shelf as well"
if [ "$(id -u)" = 0 ]; then
	chown 12:34 "$old"
	ctl get-object "$shelf" small "$old"
	tap_is "$status:$(stat -c %u:%g:%a "$old")" "0:12:34:640" "and its owner"
else
	tap_skip "and its owner" "not root"
fi
echo old >"$TMPDIR/target"
ln -s ../target "$TMPDIR/out/link"
ctl get-object "$shelf" small "$TMPDIR/out/link"
tap_is "$status:$(readlink "$TMPDIR/out/link"):$(cat "$TMPDIR/target")" "0:../target:hello" \
	"a link leads to the file that is replaced"
ln -sf nowhere "$TMPDIR/out/link"
ctl get-object "$shelf" small "$TMPDIR/out/link"
tap_is "$status:$(readlink "$TMPDIR/out/link")" "1:nowhere" "one that leads to nothing is refused"
rm "$TMPDIR/out/link"
echo old >"$old"
tap_check_status fail "a file that is too large for the limit of files" bash -c \
	"trap '' XFSZ; ulimit -f 100; hmemctl get-object '$shelf' large '$old'"
tap_matches "$tap_output" "write $old: File too large" "is told"
tap_is "$(cat "$old"):$(ls "$TMPDIR/out")" "old:old" "the old one stays what it was, and no other is there"
tap_check_status fail "also when that ends it" bash -c \
	"ulimit -f 100; hmemctl get-object '$shelf' large '$old'"
tap_is "$(cat "$old"):$(ls "$TMPDIR/out")" "old:old" "it stays"
ctl get-object "$shelf" none "$old"
tap_is "$status:$(cat "$old")" "1:old" "an object that is not there leaves it as well"
if [ "$(id -u)" = 0 ] && id nobody >/dev/null 2>&1 && command -v setpriv >/dev/null &&
	chmod 711 "$TMPDIR" "$TMPDIR/in" && chmod 644 "$file" &&
	setpriv --reuid nobody --clear-groups test -x "$(command -v hmemctl)" -a -x "$TMPDIR"; then
	chmod 777 "$TMPDIR/out"
	chmod 644 "$old"
	tap_check_status 1 "nor does who may not write to it replace it" setpriv --reuid nobody \
		--clear-groups hmemctl get-object "$shelf" small "$old"
	tap_is "$(cat "$old")" old "though he could"
else
	tap_skip "nor does who may not write to it replace it" "no other user can be here"
fi

# --- what is no file

tap_is "$(hmemctl get-object "$shelf" small /dev/null 2>/dev/null | grep -c '"size": 5'):$(stat -c %F /dev/null)" \
	"1:character special file" "a device stays one"
tap_is "$(hmemctl get-object "$shelf" small /dev/stderr 2>&1 >/dev/null | head -c 5)" hello "a pipe gets it"
hmemctl get-object "$shelf" small "$TMPDIR/fifo" >/dev/null 2>&1 &
tap_is "$(cat "$TMPDIR/fifo")" hello "a pipe with a name as well"
wait $!
tap_check "and stays one" test -p "$TMPDIR/fifo"
ctl export-shelf "$shelf" "$TMPDIR/stream"
tap_check "export-shelf to a pipe by its number" bash -c \
	"hmemctl export-shelf '$shelf' /dev/fd/3 3>&1 >/dev/null 2>&1 | cmp - '$TMPDIR/stream'"
exec 6<>"$TMPDIR/gone"
rm "$TMPDIR/gone"
ctl get-object "$shelf" small /dev/fd/6
tap_is "$status:$(cat <&6)" "0:hello" "a file that has no name any more is written as it is"
exec 6>&-
if [ -c /dev/full ]; then
	ctl get-object "$shelf" small /dev/full
	tap_is "$status" 1 "a device that is full"
	tap_matches "$err" "write /dev/full: No space left on device" "is told"
fi
ctl get-object "$shelf" small "$TMPDIR/out"
tap_is "$status:$(grep -c 'Is a directory' <<<"$err")" "1:1" "a directory is told to be one"

# --- names that a terminal would obey

evil=$'x\e]0;pwned\a\e[31m\x7f\xc2\x9b31m\r'
shown='x\?\]0;pwned\?\?\[31m\?\?\?31m\?'
# tame WORDS...: whatever hmemctl says of the name, it is not the name.
tame() {
	ctl "$@"
	tap_is "$(LC_ALL=C tr -cd '\000-\011\013-\037\177' <<<"$out$err" | wc -c):$(LC_ALL=C grep -c $'\xc2\x9b' <<<"$out$err")" \
		0:0 "no control characters: hmemctl $1"
	tap_matches "$err" "$shown" "but the name"
}

tame "$evil"
tame list "$evil"
tame list "--$evil"
tame create-shelf "$evil"
tame create-shelf "$region/t" --size "$evil"
tame list-shelves "$TMPDIR/$evil"
tame list-objects "$region/$evil"
tame get-object "$shelf" "$evil"
tame get-object "$shelf" small "$TMPDIR/none/$evil"
tame put-object "$shelf" small "$TMPDIR/$evil"
tame import-shelf "$shelf" "$TMPDIR/$evil"
tame export-shelf "$shelf" "$TMPDIR/none/$evil"
truncate -s 1M "$TMPDIR/$evil"
tame import-shelf "$shelf" "$TMPDIR/$evil"
truncate -s 16M "$TMPDIR/$evil"
hmemctl create-shelf "file:$TMPDIR/$evil/$evil" --size 1M >/dev/null 2>&1
tame put-object "file:$TMPDIR/$evil/$evil" x <(head -c 2M /dev/zero)
tame check-shelf "file:$TMPDIR/$evil/none"
tap_done
