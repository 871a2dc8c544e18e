#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: timeout=300
#
# Writers of a shelf die, and the power goes; Documentation/testing.md.

deaths=$HMEM_BUILD/selftests/crash/deaths

if [ ! -x "$deaths" ]; then
	printf 'TAP version 13\n1..1\nok 1 - states are recovered # SKIP %s\n' \
		'sanitizers and tracing exclude one another'
	exit 0
fi
exec "$deaths" 8000
