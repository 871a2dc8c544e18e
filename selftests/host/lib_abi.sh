#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The library's boundary: it exports what its version script lists and its headers
# declare, no more and no less; every header stands alone, in C and in C++; every
# function of a header is described there.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

library=$HMEM_BUILD/libhmem.so.0
exported=$(nm -D --defined-only --with-symbol-versions "$library" | awk '$2 == "T" { print $3 }' | sort)
listed=$(sed -n 's/^\t\([a-z_]*\);$/\1@@LIBHMEM_0.1/p' lib/libhmem.map | sort)
declared=$(cat include/hmem/*.h | tr '\n' ' ' | grep -o 'HMEM_API [^;]*;' |
	grep -v '__attribute__((visibility' |
	sed 's/^HMEM_API [^(]*[ *]\([a-z_]*\)(.*/\1/' | sort)

tap_is "$exported" "$listed" "the library exports what lib/libhmem.map lists"
tap_is "${listed//@@LIBHMEM_0.1/}" "$declared" "and the headers declare exactly that"
tap_is "$(nm -D --defined-only "$library" | awk '$2 ~ /[BDGRSV]/')" "" "it exports no variable"
tap_is "$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" libhmem.so.0 "its soname"

tap_matches "$(readelf -d "$library")" "NODELETE" "it stays when it is closed"

for name in $declared; do
	tap_check "$name is described" grep -qE "^(/\*\*| \*) $name - " include/hmem/*.h
done

for header in include/hmem/*.h include/uapi/linux/hmem.h; do
	tap_check "${header#include/} stands alone in C" \
		gcc -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c "$header"
	if command -v g++ >/dev/null; then
		tap_check "${header#include/} stands alone in C++" \
			g++ -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only \
			-x c++ "$header"
	else
		tap_skip "${header#include/} stands alone in C++" "no g++ here"
	fi
done

cat >"$TMPDIR/use.cc" <<'CODE'
#include <hmem/hmem.h>

int main()
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_pool_options pool = HMEM_POOL_OPTIONS_INIT;
	struct hmem_layer_info layer = HMEM_LAYER_INFO_INIT;
	struct hmem_region *region;
	struct hmem_ctx *ctx;

	(void)pool;
	(void)layer;
	if (hmem_ctx_new(&ctx))
		return 1;
	options.bytes = 4096;
	if (hmem_region_create(ctx, "anon:", &options, &region))
		return 2;
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	return 0;
}
CODE
if nm -D "$library" | grep -q __asan_; then
	tap_skip "a C++ program uses the library" "the library is built with sanitizers"
elif ! command -v g++ >/dev/null; then
	tap_skip "a C++ program uses the library" "no g++ here"
else
	tap_check "a C++ program is linked" g++ -Wall -Wextra -Werror -Iinclude -o "$TMPDIR/use" \
		"$TMPDIR/use.cc" -L"$HMEM_BUILD" -Wl,-rpath,"$HMEM_BUILD" -lhmem
	tap_check "and runs" "$TMPDIR/use"
fi
tap_done
