# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # the variables of selftests/run
#
# Sourced by selftests/run: tests that run inside a guest. selftests/guest-batch, in the
# guest, runs them in turn and marks in its output where each begins and ends; here the
# output is taken apart again. A guest that dies or hangs fails the test it was at.

# What hmem-vm takes for a splat, when it looks at the whole log.
splat=$(. qemu/boot.bash && echo "$boot_splat")

# run_in_guest KERNEL TOPOLOGY NAME:FILE:SECONDS...
run_in_guest() {
	local kernel=$1 topology=$2 remaining

	shift 2
	remaining=("$@")
	# Every boot settles one test or more, so this ends.
	while [ ${#remaining[@]} -gt 0 ] && [ ! -e "$logs/stopped" ]; do
		boot_and_run "$kernel" "$topology"
	done
}

# end_of_test STATUS WHY: the first of the remaining tests is done.
end_of_test() {
	local name=${remaining[0]%%:*}

	report "$name" "$1" $((SECONDS - begin)) "$2"
	remaining=("${remaining[@]:1}")
	at_test=
}

# One boot: runs what it can of the remaining tests.
boot_and_run() {
	local kernel=$1 topology=$2 mark scratch boot_log guest line entry name file limit status
	local at_test="" begin=$SECONDS deadline=$((SECONDS + boot_limit)) total=0 why="" unfit="" batch=()

	# No test can guess the mark, so none can print one.
	mark=$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')
	for entry in "${remaining[@]}"; do
		IFS=: read -r name file limit <<<"$entry"
		batch+=("$(basename "$file" .c):$limit")
		total=$((total + limit + grace))
	done
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/hmem-guest.XXXXXX")
	boot_log=$logs/boot.$kernel.$topology.$BASHPID.log
	mkfifo "$scratch/output"
	setsid "$vm" run --kernel "$kernel" --topology "$topology" \
		--timeout $((total + boot_limit)) --copy "$PWD/selftests/guest-batch" -- \
		env HMEM_TEST_LONG="${HMEM_TEST_LONG:-}" HMEM_TEST_PATIENCE="$patience" \
		/root/guest-batch "$mark" "$splat" "${batch[@]}" >"$scratch/output" 2>&1 </dev/null 8>&- &
	guest=$!
	echo $guest >"$logs/running.$BASHPID"

	: >"$boot_log"
	exec 3<"$scratch/output"
	while true; do
		line=
		IFS= read -r -t $((deadline - SECONDS + 1)) line <&3
		status=$?
		if [ $status -gt 128 ]; then
			why="the guest hung"
			break
		fi
		[ $status -eq 0 ] || [ -n "$line" ] || break
		line=${line%$'\r'}
		case $line in
		"$mark start "*)
			at_test=$(log_of "${remaining[0]%%:*}")
			begin=$SECONDS
			deadline=$((SECONDS + ${remaining[0]##*:} + grace))
			: >"$at_test"
			;;
		*"$mark end "*)
			# A test may have left its last line unfinished.
			entry=${line%%"$mark"*}
			[ -z "$entry" ] || echo "$entry" >>"$at_test"
			read -r _ _ status why <<<"${line##*"$mark "}"
			unfit=$why
			end_of_test "$status" "$why"
			why=
			deadline=$((SECONDS + boot_limit))
			;;
		*)
			printf '%s\n' "$line" >>"${at_test:-$boot_log}"
			;;
		esac
	done
	exec 3<&-
	[ -z "$why" ] || kill -TERM -- -$guest 2>/dev/null
	{ wait $guest; } 2>/dev/null
	status=$?
	rm "$logs/running.$BASHPID"
	rm -rf "$scratch"

	if [ -n "$at_test" ]; then
		end_of_test $status "${why:-the guest died (hmem-vm exit status $status)}"
	elif [ ${#batch[@]} -eq ${#remaining[@]} ]; then
		# No use in booting again for each.
		while [ ${#remaining[@]} -gt 0 ]; do
			cp "$boot_log" "$(log_of "${remaining[0]%%:*}")"
			end_of_test $status "${why:-no guest (hmem-vm exit status $status)}"
		done
	elif [ $status -ne 0 ] && [ -z "$unfit" ]; then
		# A splat while booting or between tests belongs to none of them.
		cp "$boot_log" "$(log_of "guest/boot@$kernel.$topology")"
		report "guest/boot@$kernel.$topology" $status $((SECONDS - begin)) \
			"hmem-vm exit status $status although its tests had ended"
	fi
}
