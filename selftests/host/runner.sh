#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of the runner itself: made-up tests that pass, fail, die, hang and lie, on the
# host and in a made-up guest, and what selftests/run makes of each.
# hmem-test: timeout=180

. "$(dirname "$0")/../tap.sh"

runner=$(cd "$(dirname "$0")/.." && pwd)/run
fake=$(mktemp -d)
trap 'rm -rf "$fake"' EXIT
mkdir -p "$fake/tests/host" "$fake/tests/guest" "$fake/tests/vm" "$fake/bin"

# fake_test KIND/NAME [HMEM-TEST-LINE]: a test whose body is read from stdin.
fake_test() {
	{ echo '#!/bin/bash'; echo "# hmem-test: ${2:-}"; cat; } >"$fake/tests/$1.sh"
	chmod +x "$fake/tests/$1.sh"
}

# A guest that is this host: runs the batch with a kernel log of its own.
cat >"$fake/bin/vm" <<'END'
#!/bin/bash
if [ "$1" = build ]; then
	echo "$* ${HMEM_NO_BUILD:-}" >>"$FAKE/builds"
	exit 0
fi
echo "$* build=${HMEM_NO_BUILD:-yes}" >>"$FAKE/boots"
while [ "$1" != /root/guest-batch ]; do
	[[ $1 != HMEM_TEST_*=* ]] || export "$1"
	shift
done
shift
export HMEM_GUEST_TESTS=$FAKE/tests/guest HMEM_GUEST_KMSG=$FAKE/kmsg.$$ HMEM_GUEST_CGROUPS=$FAKE/none
export HMEM_GUEST_LOCKDEP=$FAKE/lockdep.$$ HMEM_GUEST_KMEMLEAK=$FAKE/none
export FAKE_GUEST=$$
echo "[    1.000000] WARNING: from before any test" >"$HMEM_GUEST_KMSG"
PATH=$FAKE/bin:$PATH bash "$RUNNER_DIR/guest-batch" "$@"
exit "${FAKE_VM_STATUS:-0}"
END
cat >"$fake/bin/dmesg" <<'END'
#!/bin/bash
cat "$HMEM_GUEST_KMSG"
END
chmod +x "$fake/bin/vm" "$fake/bin/dmesg"

run() {
	FAKE=$fake RUNNER_DIR=${runner%/*} HMEM_TESTS=$fake/tests HMEM_VM=$fake/bin/vm \
		HMEM_TEST_PATIENCE=1 HMEM_TEST_GRACE=5 HMEM_TEST_BOOT_LIMIT=5 BUILD=$fake/build "$runner" "$@"
}

# outcome NAME STATUS LAST-LINE ARGUMENTS...: how a run of the tests named ends.
outcome() {
	tap_run run "${@:4}"
	tap_is "$tap_status" "$2" "$1: exit status $2" || tap_diag "$tap_output"
	tap_is "$(tail -n 1 <<<"$tap_output")" "$3" "$1: $3" || tap_diag "$tap_output"
}

fake_test host/passes <<'END'
printf '1..2\nok 1 - one\nok 2 - two\n'
END
outcome "a test that passes" 0 "2 passed, 0 failed, 0 skipped" host/passes.sh

tap_matches "$tap_output" "took [0-9]+ s; .* had [0-9]+%" "how long it took, and how busy the host is"

fake_test host/fails <<'END'
printf 'ok 1 - one\nnot ok 2 - two\n1..2\n'
echo "the reason why"
exit 1
END
outcome "a failed check" 1 "1 passed, 1 failed, 0 skipped" host/fails.sh
tap_matches "$tap_output" "the reason why" "a failed test's output is shown"

fake_test host/skips <<'END'
printf 'ok 1 - one\nok 2 - two # SKIP no such device\n1..2\n'
END
outcome "a skipped check" 0 "1 passed, 0 failed, 1 skipped" host/skips.sh
tap_matches "$tap_output" "skipped: two: no such device" "a skip's reason is shown"

fake_test host/skips-all <<'END'
echo '1..0 # SKIP not here'
END
outcome "a skipped test" 0 "0 passed, 0 failed, 1 skipped" host/skips-all.sh
tap_matches "$tap_output" "not here" "its reason is shown"

fake_test host/no-plan <<'END'
echo 'ok 1 - one'
kill -SEGV $$
END
outcome "a test that crashes" 1 "1 passed, 1 failed, 0 skipped" host/no-plan.sh

fake_test host/no-tap <<'END'
echo "all is well"
END
outcome "a test that prints no TAP" 1 "0 passed, 1 failed, 0 skipped" host/no-tap.sh

fake_test host/short <<'END'
printf '1..3\nok 1 - one\nok 2 - two\n'
END
outcome "a plan that is not finished" 1 "2 passed, 1 failed, 0 skipped" host/short.sh

fake_test host/liar <<'END'
printf '1..1\nok 1 - one\n'
exit 3
END
outcome "an exit status against the checks" 1 "1 passed, 1 failed, 0 skipped" host/liar.sh

fake_test host/bails <<'END'
printf 'ok 1 - one\nBail out! the disk is full\n'
exit 1
END
outcome "a test that gives up" 1 "1 passed, 1 failed, 0 skipped" host/bails.sh

fake_test host/hangs timeout=1 <<'END'
echo 'ok 1 - one'
sleep 1000
END
outcome "a test that hangs" 1 "1 passed, 1 failed, 0 skipped" host/hangs.sh
tap_matches "$tap_output" "timed out after 1 s" "the time-out is named"
tap_run env FAKE="$fake" HMEM_TESTS="$fake/tests" HMEM_TEST_PATIENCE=2 BUILD="$fake/build" \
	"$runner" host/hangs.sh
tap_matches "$tap_output" "timed out after 2 s" "one with patience for busy machines"

fake_test host/absent <<'END'
END
chmod -x "$fake/tests/host/absent.sh"
fake_test host/aid helper <<'END'
END
tap_run run --list --only host
tap_matches "$tap_output" "host/passes.sh" "--list names tests"
[[ $tap_output != *aid* && $tap_output != *absent* ]]
tap_is $? 0 "what is no test is not listed"
tap_check_status 1 "a pattern that matches nothing" run no-such-test
tap_check_status 129 "an unknown option" run --no-such-option

exec 7>"$fake/build/test-lock"
flock 7
tap_check_status 1 "a second run in the same build directory" run host/passes.sh
tap_matches "$tap_output" "running already" "is told so"
exec 7>&-

# In the guest. Every boot's log starts with a splat that belongs to no test.
fake_test guest/a-passes "kernels=lts" <<'END'
echo "[    2.000000] traps: x[7] general protection fault ip:5 sp:7 error:402 in x[5]" >>"$HMEM_GUEST_KMSG"
printf '1..1\nok 1 - one\nand an unfinished line'
END
fake_test guest/b-splats "kernels=lts" <<'END'
echo "[    2.000000] WARNING: CPU: 0 PID: 1 at somewhere" >>"$HMEM_GUEST_KMSG"
printf '1..1\nok 1 - one\n'
END
fake_test guest/c-hangs "kernels=lts timeout=3" <<'END'
printf '1..1\nok 1 - one\n'
sleep 1000
END
fake_test guest/d-dies "kernels=lts" <<'END'
printf '1..2\nok 1 - one\n'
kill -KILL -- -"$FAKE_GUEST"
END
fake_test guest/e-last "kernels=lts" <<'END'
printf 'ok 1 - one\nok 2 - two\n1..2\n'
END
fake_test guest/f-alone "kernels=lts alone" <<'END'
printf 'ok 1 - one\n1..1\n'
END
fake_test guest/g-both "topology=ram1" <<'END'
[ "$HMEM_TEST_PATIENCE" = 1 ] && printf 'ok 1 - one\n1..1\n'
END
outcome "a guest test that passes" 0 "1 passed, 0 failed, 0 skipped" guest/a-passes.sh
outcome "a guest test that splats" 1 "1 passed, 1 failed, 0 skipped" guest/b-splats.sh
tap_matches "$tap_output" "WARNING: CPU: 0 PID: 1" "the splat is shown"
outcome "a guest test that hangs" 1 "1 passed, 1 failed, 0 skipped" guest/c-hangs.sh
# In its log: that lists all the processes of this host, more than the runner shows.
tap_matches "$(grep sleep "$fake/build/test-logs/guest.c-hangs.sh@lts.log")" \
	"# [0-9]+ S sleep 1000" "what it is at is in its log"
outcome "a test that the guest dies of" 1 "1 passed, 1 failed, 0 skipped" guest/d-dies.sh
outcome "a test for both kernels" 0 "2 passed, 0 failed, 0 skipped" g-both.sh

fake_test guest/h-long "kernels=lts long=newest" <<'END'
[ "$HMEM_TEST_LONG" = "$WANT_LONG" ] && printf 'ok 1 - one\n1..1\n'
END
WANT_LONG='' outcome "a test that takes long" 0 "1 passed, 0 failed, 0 skipped" h-long.sh
WANT_LONG=1 outcome "and is to take longer" 0 "2 passed, 0 failed, 0 skipped" --long h-long.sh
rm "$fake/tests/guest/h-long.sh"

fake_test guest/h-locks "kernels=lts" <<'END'
printf ' lock-classes: 1\n debug_locks: %12s\n' "${WANT_LOCKS:-1}" >"$HMEM_GUEST_LOCKDEP"
printf 'ok 1 - one\n1..1\n'
END
outcome "a kernel with lockdep" 0 "1 passed, 0 failed, 0 skipped" h-locks.sh
WANT_LOCKS=0 outcome "one whose lockdep gave up" 1 "1 passed, 1 failed, 0 skipped" h-locks.sh
tap_matches "$tap_output" "lockdep has turned itself off" "which is said"
rm "$fake/tests/guest/h-locks.sh"
outcome "tests on one kernel" 0 "1 passed, 0 failed, 0 skipped" --kernel kasan g-both.sh
fake_test guest/h-newest "kernels=newest" </dev/null
fake_test guest/i-long "kernels=newest long=lts" </dev/null
tap_check_status 0 "tests of a kernel are listed" run --list --kernel kasan guest/
tap_matches "$tap_output" "guest/a-passes.sh@kasan.*guest/g-both.sh@kasan.*guest/i-long.sh@kasan" \
	"on one of the same sources as that which they name"
[[ $tap_output != *h-newest* ]]
tap_is $? 0 "but not what can run on another one only"
tap_check_status 0 "and those of another one" run --list --kernel 6.1 guest/
tap_matches "$tap_output" "guest/h-newest.sh@6.1" "of any other kernel that is not known"
rm "$fake"/tests/guest/{h-newest,i-long}.sh
tap_matches "$(tail -n 1 "$fake/boots")" "kernel kasan" "which is that one"

rm "$fake/boots"
outcome "a batch goes on after each of them" 1 "9 passed, 3 failed, 0 skipped" guest/
tap_is "$(grep -c 'kernel lts --topology mixed' "$fake/boots")" 5 \
	"a test that spoils its guest is followed by a fresh boot"
tap_is "$(grep -c 'topology ram1' "$fake/boots")" 2 "another topology is another boot"
tap_is "$(grep -c 'build=yes' "$fake/boots")" 0 "no boot builds what runs in it"
rm "$fake/builds"
HMEM_NO_BUILD=1 outcome "tests for both kernels" 0 "2 passed, 0 failed, 0 skipped" g-both.sh
tap_is "$(<"$fake/builds")" "build --tests lts newest " "because that was built before, for all of them"

export FAKE_VM_STATUS=1
outcome "a guest that fails although its tests pass" 1 "2 passed, 1 failed, 0 skipped" e-last.sh
unset FAKE_VM_STATUS
printf '#!/bin/sh\n[ $1 = build ] || echo no image here, build=${HMEM_NO_BUILD:-yes}\nexit 1\n' >"$fake/bin/vm"
outcome "no guest" 1 "0 passed, 2 failed, 0 skipped" g-both.sh
tap_matches "$tap_output" "no image here, build=yes" "what hmem-vm says is shown, which tried again"
printf '#!/bin/sh\n[ $1 = build ] || exec sleep 1000\n' >"$fake/bin/vm"
outcome "a guest that never boots" 1 "0 passed, 2 failed, 0 skipped" g-both.sh

fake_test vm/passes <<'END'
[ -n "$HMEM_BUILD" ] && [ -n "$HMEM_SOURCE" ] && [ -d "$TMPDIR" ] && printf 'ok 1 - one\n1..1\n'
END
outcome "a vm test" 0 "1 passed, 0 failed, 0 skipped" vm/passes.sh
tap_done
