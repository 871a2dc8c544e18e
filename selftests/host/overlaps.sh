#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmem-test: timeout=300
#
# Calls on a shelf overlap, users of it die, and the power goes; Documentation/testing.md.

overlaps=$HMEM_BUILD/selftests/crash/overlaps

if [ ! -x "$overlaps" ]; then
	printf 'TAP version 13\n1..1\nok 1 - calls overlap # SKIP %s\n' \
		'sanitizers and tracing exclude one another'
	exit 0
fi
exec "$overlaps" 60
