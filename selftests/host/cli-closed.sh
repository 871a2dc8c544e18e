#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl when stdin, stdout or stderr is closed: the region's file must not take its place,
# or what is printed is written over the shelves.

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

file=$TMPDIR/region
shelf=file:$file/s
head -c 300000 /dev/urandom >"$TMPDIR/value"
truncate -s 16M "$file"
ctl create-shelf "$shelf" --size 8M
ctl put-object "$shelf" a "$TMPDIR/value"
tap_is "$status" 0 "a shelf with an object"

# sound NAME: what the shelf is after that.
sound() {
	ctl check-shelf "$shelf"
	tap_is "$status" 0 "$1: the shelf is sound"
	tap_check "$1: the object is what it was" bash -c \
		"hmemctl get-object '$shelf' a 2>/dev/null | cmp - '$TMPDIR/value'"
}

hmemctl export-shelf "$shelf" >&- 2>"$TMPDIR/err"
tap_is "$?" 1 "export-shelf without stdout fails"
tap_matches "$(<"$TMPDIR/err")" "write stdout" "and says that it cannot write"
sound "export-shelf without stdout"
hmemctl get-object "$shelf" a >&- 2>/dev/null
tap_is "$?" 1 "get-object without stdout fails"
sound "get-object without stdout"
hmemctl put-object "$shelf" b "$TMPDIR/value" >/dev/null 2>&-
tap_is "$?" 0 "put-object without stderr does what it is told"
sound "put-object without stderr"
hmemctl put-object "$shelf" c >/dev/null 2>"$TMPDIR/err" <&-
tap_is "$?" 1 "put-object without stdin fails"
ctl list-objects "$shelf"
tap_is "$(values object | tr " " "\n" | sort | xargs)" "a b" "and stores no empty object"
hmemctl list-objects "$shelf" <&- >&- 2>&-
tap_is "$?" 1 "list-objects without all three fails"
sound "list-objects without all three"

tap_done
