#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: timeout=900
#
# A million states that a loss of power may leave a shelf in; Documentation/testing.md.

explore=$HMEM_BUILD/selftests/crash/explore

if [ ! -x "$explore" ]; then
	printf 'TAP version 13\n1..1\nok 1 - states are recovered # SKIP %s\n' \
		'sanitizers and tracing exclude one another'
	exit 0
fi
exec "$explore" 1000000
