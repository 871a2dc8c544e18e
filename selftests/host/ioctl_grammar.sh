#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The grammar of the ioctl fuzzer is that of the contract: every command, every member of every
# struct, and every errno that linux/hmem.h names.
. "$(dirname "$0")/../tap.sh"

header=include/uapi/linux/hmem.h
grammar=selftests/guest/ioctl_grammar.h

# commands: of the header, one per line
commands() {
	sed -n 's/^#define[[:space:]]*\(HMEM_[A-Z_]*\)[[:space:]]*_IO(.*/\1/p' "$header"
}

# members: STRUCT MEMBER, of structs that begin with their size
members() {
	awk '
		/^struct [a-z_]+ \{/ { name = $2; first = 1; next }
		/^\};/ { name = ""; next }
		name && first { first = 0; if ($2 != "size;") name = ""; next }
		name { sub(/;.*/, "", $2); sub(/\[.*/, "", $2); print name, $2 }' "$header"
}

# errors: those that the comment at the head explains
errors() {
	sed -n '1,/^ \*\//s/^ \*   -\(E[A-Z0-9]*\) .*/\1/p' "$header"
}

missing=
for command in $(commands); do
	grep -q "[{ ]$command," "$grammar" || missing+=" $command"
done
tap_is "$missing" "" "every command is there ($(commands | wc -l))"
missing=
while read -r struct member; do
	grep -q "M($struct, $member," "$grammar" || missing+=" $struct.$member"
done < <(members)
tap_is "$missing" "" "and every member ($(members | wc -l))"
missing=
for error in $(errors); do
	grep -qw "$error" "$grammar" || missing+=" $error"
done
tap_is "$missing" "" "and every errno ($(errors | wc -l))"
tap_done
