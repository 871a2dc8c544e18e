#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is said where packages are missing: by a compiler that is not there.

. "$(dirname "$0")/../tap.sh"
cd "${HMEM_SOURCE:-$(dirname "$0")/../..}" || tap_bail "the source is not there"

scratch=$(mktemp -d -p /tmp hmem-deps.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
# The checkout may lie where only root can read it.
cp install-deps "$scratch"
message="hmem: missing Debian packages: gcc
hmem: as root, \`make deps\` or \`apt-get install gcc\` installs them"

tap_check "nothing is missing where the tests run" ./install-deps --check build tests
tap_check_status 1 "a missing compiler" env CC=no-such-compiler ./install-deps --check build
tap_is "$tap_output" "$message" "is one message, that says what to do"
tap_check_status 2 "make says the same" make --no-print-directory CC=no-such-compiler \
	BUILD="$scratch/build" all
tap_matches "$tap_output" "^$message" "before anything else"
tap_is "$(ls "$scratch")" install-deps "and has begun nothing"
ordinary=()
[ "$(id -u)" != 0 ] || ordinary=(setpriv --reuid 65534 --regid 65534 --clear-groups)
tap_check_status 1 "somebody who may not install" "${ordinary[@]}" \
	env CC=no-such-compiler "$scratch/install-deps" build tests
tap_is "$tap_output" "$message" "is told which packages"
tap_check_status 129 "a group that there is not" ./install-deps kitchen
tap_done
