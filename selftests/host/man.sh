#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The manual pages: all of the library, the kernel's contract and hmemctl is in them, as
# it is in headers and code, and they can be shown.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

man=Documentation/man

# words REGEX FILE: all that match, each once.
words() {
	grep -oE -e "$1" "$2" | sort -u
}

# missing PAGE WORD...: those that the page does not have as a word. A page writes a
# hyphen as "\-", and may change its font in front of one.
missing() {
	local page=$1 word

	shift
	for word; do
		sed 's/\\-/-/g; s/\\f./ /g' "$page" | grep -qwF -e "$word" || echo "$word"
	done
}

# page_names PAGE: what stands before the dash under NAME.
page_names() {
	sed -n '/^\.SH NAME/,/\\-/{/^\.SH/d;s/\\-.*//;s/,/ /g;p}' "$1"
}

# --- every page

# What others have; the rest is here, by name.
known=" errno.3 exec.3 exit.3 malloc.3 posix_spawn.3 realloc.3 syslog.3 system.3 printf.3 memcmp.3 memset.3 cxl.1 cxl-create-region.1 daxctl.1 rm.1 "
known+=$(sed 's/$/.2/' <<<"chmod chown clone fdatasync fork fsync ftruncate ioctl lseek mmap msync munmap open poll read stat vfork write mbind" |
	sed 's/ /.2 /g')
for page in "$man"/*.[1-8]; do
	known+=" $(page_names "$page" | xargs -n 1 | sed "s/$/.${page##*.}/" | xargs) "
done

for page in "$man"/*.[1-8]; do
	if command -v groff >/dev/null; then
		tap_run groff -t -man -Tutf8 -ww -z "$page"
		tap_is "$tap_status:$tap_output" 0: "$page can be shown"
	else
		tap_skip "$page can be shown" "there is no groff"
	fi
	if command -v mandoc >/dev/null; then
		tap_check "mandoc can show it as well" mandoc -Tlint -Werror "$page"
	fi
	name=${page##*/}
	tap_matches " $(page_names "$page" | xargs) " " ${name%.*} " "it names itself"
	lost=
	for other in $(sed 's/\\-/-/g' "$page" |
		sed -n 's/^\.BR \([a-z_-]*\) (\([1-8]\)).*/\1.\2/p'); do
		[[ $known == *" $other "* ]] || lost+=" $other"
	done
	tap_is "$lost" "" "and refers to pages that there are"
done

# --- the library

for function in $(sed -n 's/^\t\(hmem_.*\);$/\1/p' lib/libhmem.map); do
	pages=
	for page in "$man"/*.3; do
		! page_names "$page" | grep -qwF "$function" || pages+=" ${page##*/}"
	done
	tap_matches "$pages" '^ [^ ]+$' "$function has one page"
done

# Without macros, quotes and white space, a line of the page is a line of C.
as_c() {
	sed -n '/^\.SH SYNOPSIS/,/^\.fi/p' "$1" | sed 's/^\.BI\? //' | tr -d '" \t\n'
}

for header in include/hmem/*.h; do
	name=$(basename "$header" .h)
	[ "$name" != hmem ] || continue
	page=$man/hmem_$name.3
	while read -r prototype; do
		tap_matches "$(as_c "$page")" "$(sed 's/[][().*]/\\&/g' <<<"$prototype")" \
			"${page##*/} has $prototype"
	done < <(tr '\n' ' ' <"$header" | grep -o 'HMEM_API [^;]*;' | grep -v visibility |
		sed 's/HMEM_API //; s/ *__attribute__.*;/;/' | tr -d ' \t')
	mapfile -t constants < <(words '\bHMEM_[A-Z_]+\b' "$header" |
		grep -vE '^HMEM_(API|BUILD|[A-Z]+_H|OPEN_|CAP_|LOG_|POOL_|POOL_WAS_|CREATE_|NAME_|SPACE_|INTERFACE_)$')
	tap_is "$(missing "$page" "${constants[@]}")" "" "it has every constant"
	mapfile -t errors < <(words '-E[A-Z0-9]{3,}' "$header" | tr -d -)
	tap_is "$(missing "$page" "${errors[@]}")" "" "and every error"
	mapfile -t members < <(sed -n '/^struct .* {$/,/^};/s/^\t\(.*\);.*/\1/p' "$header" |
		sed 's/.*(\*\([a-z_]*\)).*/\1/; s/\[.*//; s/.*[ *]//')
	tap_is "$(missing "$page" "${members[@]}")" "" "and every member of its structs"
done

# Examples are programs.
examples=0
for page in "$man"/*.[37]; do
	sed -n '/^\.SH EXAMPLES/,/^\.SH S/p' "$page" |
		sed -n '/^\.EX/,/^\.EE/{/^\./d;s/\\-/-/g;s/\\(rs/\\/g;p}' >"$TMPDIR/example.c"
	grep -q "^int main" "$TMPDIR/example.c" || continue
	tap_check "the example of ${page##*/} is compiled" "${CC:-cc}" -std=c11 -Wall -Wextra \
		-Werror -Iinclude -fsyntax-only "$TMPDIR/example.c"
	examples=$((examples + 1))
done
tap_check "there are some" test $examples -ge 3

# --- the kernel

uapi=include/uapi/linux/hmem.h
mapfile -t commands < <(sed -n 's/^#define \(HMEM_[A-Z_]*\)\t*_IO(.*/\1/p' $uapi)
tap_is "$(missing "$man/hmem.4" "${commands[@]}")" "" "hmem.4 has every command"
tap_check "which are some" test ${#commands[@]} -gt 5
mapfile -t errors < <(words '^ \*   -E[A-Z0-9]+' $uapi | sed 's/.*-//')
tap_is "$(missing "$man/hmem.4" "${errors[@]}")" "" "and every error"
tap_check "which are many" test ${#errors[@]} -gt 15

# --- hmemctl

# What a verb takes is told with it, or with what many verbs take.
for verb in $(hmemctl help | sed -n 's/^  *\([a-z][a-z-]*\)  .*/\1/p'); do
	mapfile -t options < <(hmemctl "$verb" --help |
		sed -n 's/^  \(-.\)\?,\? *\(--[a-z-]*\).*/\1 \2/p' | grep -o '[^ ]*')
	sed 's/\\-/-/g' "$man/hmemctl.1" | sed -n "/^\.SS $verb\$/,/^\.S/p; /^\.SH OPTIONS/,/^\.SH E/p" \
		>"$TMPDIR/verb"
	tap_is "$(missing "$TMPDIR/verb" "hmemctl $verb" "${options[@]}")" "" \
		"hmemctl.1 has $verb and its options (${options[*]})"
done
tap_done
