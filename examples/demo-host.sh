#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The example program without a device, a module or root: on a file and on anonymous
# memory. Run by `make demo-host`, which builds the program first.

set -e
cd "$(dirname "$0")/.."
build=${BUILD:-build}
file=$(mktemp -u "${TMPDIR:-/tmp}/hmem-demo.XXXXXX")
trap 'rm -f "$file"' EXIT

show() {
	echo "\$ $*"
	"$@"
}

echo "One process fills a region, another reads it back; the region is a file:"
show "$build/examples/pattern" --create 64M "file:$file" fill
show "$build/examples/pattern" "file:$file" verify
echo
echo "The same program on memory that nobody else sees:"
show "$build/examples/pattern" --create 64M anon: fill verify
echo
echo "On a CXL host the name is hmem:NAME, and nothing else changes (make demo shows it)."
