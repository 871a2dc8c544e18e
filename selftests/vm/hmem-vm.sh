#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest runner: what comes out of a guest, and what the runner makes of its end.
# hmem-test: timeout=900

. "$(dirname "$0")/../tap.sh"
cd "${HMEM_SOURCE:-$(dirname "$0")/../..}" || tap_bail "the source is not there"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
vm=qemu/hmem-vm
run() {
	"$vm" run --smp 1 --topology none --timeout 300 "$@"
}

# --- without a guest

tap_check_status 129 "no command is wrong usage" "$vm"
tap_check_status 129 "an unknown command is wrong usage" "$vm" frobnicate
tap_check_status 129 "run without a command is wrong usage" "$vm" run --kernel lts
tap_check_status 129 "an option without its value is wrong usage" "$vm" run --state
tap_check_status 129 "an unknown option is wrong usage" run --frobnicate -- true
tap_check_status 129 "a time that is none is wrong usage" run --timeout soon -- true
tap_check_status 129 "so is one of a boot" run --boot-timeout 0 -- true
tap_check_status 129 "a size that is none is wrong usage" run --size big -- true
tap_check_status 129 "an unknown way to build is wrong usage" "$vm" build --frobnicate
tap_check_status 129 "so is one for tests without a kernel" "$vm" build --tests
tap_check_status 125 "an unknown kernel is an error there, too" "$vm" build --tests 2.6
tap_check_status 125 "an unknown topology is an error" run --topology torus -- true
tap_matches "$tap_output" "no topology 'torus'.*interleave2.*switch4" "that says which there are"
tap_check_status 125 "a path is no topology" run --topology ../image/packages -- true
tap_check_status 125 "an unknown kernel is an error" run --kernel 2.6 -- true
tap_matches "$tap_output" 'no kernel 2.6.*lts \(6\.12\.' "that says which there are"
mkdir -p "$scratch/odd/pmem0"
tap_check_status 125 "a device whose contents would be a directory" run --state "$scratch/odd" -- true
tap_matches "$tap_output" "odd/pmem0 is no file" "which is said"
tap_check_status 125 "a file that is not there cannot be copied" run --copy "$scratch/nothing" -- true
tap_matches "$tap_output" "cannot copy $scratch/nothing" "which is said"
tap_check "help" "$vm" help
tap_check "list" "$vm" list
tap_matches "$tap_output" "switch4 +Four volatile devices" "shows topologies, and what they are"
tap_matches "$tap_output" "lts is 6\.12\.[^ ]+, newest is [0-9]" "and kernels"
newest=$(sed -n 's/.*newest is //p' <<<"$tap_output")

if [ "$(id -u)" = 0 ]; then
	# The checkout and $TMPDIR may lie where only root can read them.
	public=$(mktemp -d -p /tmp hmem-vm.XXXXXX)
	trap 'rm -rf "$scratch" "$public"' EXIT
	chmod 755 "$public"
	cp -r qemu "$public"
	tap_check_status 125 "without an image, somebody who cannot make one" \
		setpriv --reuid 65534 --regid 65534 --clear-groups \
		env HMEM_CACHE="$scratch/cache" "$public/$vm" run -- true
	tap_matches "$tap_output" "as root, run .*hmem-vm build" "is told what to do"
	tap_is "$([ -e "$scratch/cache" ] && echo there)" "" "and nothing was begun"
else
	tap_skip "without an image, somebody who cannot make one" "not root"
fi

# The mirror is what apt says, whatever else it knows.
mirrors() {
	(
		apt-get() { cat; }
		fail() { echo "$*"; }
		qemu_dir=qemu
		. qemu/image.bash
		image_mirrors
		echo "$mirror $mirror_security"
	)
}
tap_is "$(printf '%s\n' 'http://other.example/apt/|bookworm|main|Other' \
	'http://one.example/debian/|bookworm|contrib|Debian' \
	'http://two.example/debian/|bookworm|main|Debian' \
	'http://three.example/debian/|bookworm-updates|main|Debian' \
	'http://two.example/security/|bookworm-security|main|Debian' | mirrors)" \
	"http://two.example/debian/ http://two.example/security/" "the mirror is found by its origin"
tap_is "$(printf '%s\n' 'http://other.example/debian/extra/|stable|main|' \
	'http://one.example/debian/|stable|main|' | mirrors)" \
	"http://one.example/debian/ " "or by its address, before apt ever asked"
printf '# mirrors\n\nhttp://five.example/debian\tpriority:1\n' >"$scratch/list"
tap_is "$(echo "mirror+file:$scratch/list/|trixie|main|Debian" | mirrors)" \
	"http://five.example/debian " "or in a list of mirrors"
tap_matches "$(mirrors </dev/null)" "no source for Debian's main archive" \
	"it is an error when there is none"

# --- what goes in and what comes out

mkdir "$scratch/folder"
echo "in a folder" >"$scratch/folder/file"
echo "a file" >"$scratch/a file"
cat >"$scratch/look" <<'END'
echo "directory $PWD"
cat "a file" folder/file
echo "arguments <$1> <$2>"
[[ -e hmem.ko && -d selftests ]] && echo "module and tests"
type hmemctl
runuser -u user -- bash -c 'echo "user $UID"; echo reopened >/dev/stderr'
echo "other $(id -u other)"
dd if=/dev/zero of=/dev/vdb bs=1M count=64 oflag=direct status=none && echo "scratch disk written"
dd if=/dev/zero of=/dev/vdb bs=1M count=65 oflag=direct status=none 2>/dev/null || echo "64M of it"
ls /sys/bus/cxl/devices /dev/cxl 2>/dev/null
echo "machine $(cat /etc/machine-id)"
seq 50000
sleep 1000 &
exit 7
END
# The image is there by now, and then nothing needs a network.
offline=()
[ "$(id -u)" != 0 ] || offline=(unshare --net)
"${offline[@]}" "$vm" run --topology none --timeout 300 --copy "$scratch/folder" \
	--copy "$scratch/a file" --copy "$scratch/look" --log "$scratch/log" -- bash look '' "two  words" >"$scratch/out" 2>"$scratch/err" </dev/null
tap_is $? 7 "the command's exit status is the runner's"
tap_is "$(cat "$scratch/err")" reopened "stderr is what the command wrote there, and no more"
output=$(head -n -50000 "$scratch/out")
for line in 'directory /root' 'a file' 'in a folder' 'arguments <> <two  words>' \
	'module and tests' 'hmemctl is /usr/bin/hmemctl' 'user 1000' 'other 1001' \
	'scratch disk written' '64M of it'; do
	tap_matches $'\n'"$output"$'\n' $'\n'"$line"$'\n' "in the guest: $line"
done
tap_matches "$output" 'machine [0-9a-f]{32}$' "and a machine id"
tap_is "$(tail -n 50000 "$scratch/out" | cksum)" "$(seq 50000 | cksum)" \
	"much output arrives complete although the guest ended at once"
tap_matches "$(head -n 30 "$scratch/log")" "Linux version 6\.12\." "the kernel log has the first line"
tap_matches "$(tail -n 3 "$scratch/log")" "Power down" "and the last"

# --- ends

tap_check_status 123 "a call trace in the kernel log fails a run that went well" \
	run --kernel newest -- bash -c 'uname -r; echo l >/proc/sysrq-trigger'
tap_is "$(grep -cFx "$newest" <<<"$tap_output")" 1 "the newest kernel ran"
tap_matches "$tap_output" "Call Trace:" "and the trace is shown"
tap_check_status 9 "but not when that is asked for" \
	run --allow-splat --kernel "$newest" -- bash -c 'echo l >/proc/sysrq-trigger; exit 9'

tap_check_status 125 "a guest whose power went off by itself has died" \
	run -- bash -c 'echo o >/proc/sysrq-trigger; sleep 1000'
tap_check_status 125 "a QEMU that does not start is the runner's failure" \
	run --qemu-arg -frobnicate -- true
tap_matches "$tap_output" "frobnicate: invalid option" "and QEMU's own words are shown"

mark=hmem-vm-test-$$
# qemus: the processes that have the mark among their arguments
qemus() {
	local file arguments

	for file in /proc/[0-9]*/cmdline; do
		mapfile -d '' arguments 2>/dev/null <"$file" || continue
		[[ " ${arguments[*]} " != *" -name $mark "* ]] || echo "${arguments[0]} ${file//[!0-9]/}"
	done 2>/dev/null
}
tap_check_status 124 "a guest is killed when its time is over" \
	run --qemu-arg -name --qemu-arg "$mark" --timeout 6 -- sleep 1000
tap_matches "$tap_output" "did not end within 6 s" "which is said"
tap_is "$(qemus)" "" "and its QEMU is gone"
tap_check_status 125 "a guest that hangs while it boots" run --qemu-arg -S --boot-timeout 2 -- true
tap_matches "$tap_output" "said nothing for 2 s.*booting once more.*hung while it booted, three times" \
	"is booted again, and given up"
# What stops the first QEMU as soon as it is there, and kills the next one as soon as its kernel
# has said something.
(
	until pid=$(qemus | sed -n 's/^qemu-system[^ ]* //p') && [ "$pid" ]; do :; done
	kill -STOP "$pid"
	until next=$(qemus | sed -n 's/^qemu-system[^ ]* //p') && [ "$next" ] && [ "$next" != "$pid" ] &&
		[ -s "/proc/$next/root/mnt/run/kernel.log" ]; do :; done
	kill -KILL "$next"
) &
tap_is "$(run --qemu-arg -name --qemu-arg "$mark" --boot-timeout 5 -- echo there 2>"$scratch/err")" there \
	"one that hangs once, and dies once before init runs, runs the command then"
tap_matches "$(<"$scratch/err")" \
	"said nothing for 5 s.*booting once more.*the guest died before init ran; booting once more" \
	"which is said"
tap_check_status 123 "a kernel that panics before it runs init" run --append rdinit=/none -- true
tap_matches "$tap_output" \
	"booting once more.*Kernel panic.*booting once more.*the guest died; .*Kernel panic" \
	"is booted again, with what it said, and given up"
tap_check_status 125 "a QEMU that does not start" run --qemu-arg -none -- true
tap_is "$(grep -c "booting once more" <<<"$tap_output")" 0 "is not started again"
tap_is "$(qemus)" "" "and no QEMU is left"

# A shell starts what is in the background without SIGINT, but the runner needs it.
mkfifo "$scratch/pipe"
env --default-signal=INT "$vm" run --topology none --timeout 300 --qemu-arg -name --qemu-arg "$mark" -- \
	bash -c 'echo up; sleep 1000' >"$scratch/pipe" 2>/dev/null &
runner=$!
read -r word <"$scratch/pipe"
tap_is "$word" up "output arrives while the command runs"
tap_matches "$(qemus)" "qemu-system" "its QEMU is there"
kill -INT $runner
wait $runner
tap_is $? 130 "an interrupted run says so"
tap_is "$(qemus)" "" "and its QEMU is gone"

# --- persistent devices

cat >"$scratch/pmem" <<'END'
cxl create-region -m -t pmem -d decoder0.0 \
	$(cxl list -M | jq -r '.[] | select(.pmem_size) | .memdev') >/dev/null 2>&1
# What a region holds appears a moment later.
if [[ $1 == write ]]; then
	ndctl create-namespace -m raw -r region0 >/dev/null
	until [[ -b /dev/pmem0 ]]; do :; done
	echo "written before" | dd of=/dev/pmem0 bs=4096 conv=sync oflag=direct status=none
	cat /etc/machine-id
	hmem-power-cut
	echo "not reached"
fi
until [[ -b /dev/pmem0 ]]; do :; done
head -c 14 /dev/pmem0
echo
cat /etc/machine-id
END
tap_check_status 137 "hmem-power-cut cuts the power" \
	run --topology pmem1 --state "$scratch/state" --copy "$scratch/pmem" -- bash pmem write
host=$(grep -xE '[0-9a-f]{32}' <<<"$tap_output")
tap_matches "$host" '^.{32}$' "what was written before that arrives"
tap_is "$(grep -c "not reached" <<<"$tap_output")" 0 "nothing comes after"

exec 3<>"$scratch/pipe"
run --topology mixed --kernel newest --state "$scratch/state" --copy "$scratch/pmem" -- \
	bash -c 'bash pmem read; exec sleep 1000' >&3 2>/dev/null &
runner=$!
read -r -t 300 data <&3
read -r -t 120 again <&3
tap_is "$data" "written before" "the device is there after the power cut, in another topology"
tap_is "$again" "$host" "and so is the host"
tap_check "meanwhile, a second run on the same state" \
	run --topology pmem1 --state "$scratch/state" --copy "$scratch/pmem" -- bash pmem read
tap_matches "$tap_output" "written before" "has the same device"
second=$(grep -xE '[0-9a-f]{32}' <<<"$tap_output")
tap_check "it is another host" [ -n "$second" -a "$second" != "$host" ]
kill $runner
wait $runner
tap_is $? 143 "a terminated run says so"

# --- a project that does not build

mkdir "$scratch/project"
cp -r qemu "$scratch/project/"
printf 'lib tools examples:\nselftests guest-tests:\n\t@echo no tests today; false\n' \
	>"$scratch/project/Makefile"
unset HMEM_NO_BUILD
tap_check_status 125 "a project that does not build" "$scratch/project/qemu/hmem-vm" run -- true
tap_matches "$tap_output" "no tests today" "is not run, and the reason is shown"
tap_check_status 125 "nor are its tests built" "$scratch/project/qemu/hmem-vm" build --tests lts
tap_matches "$tap_output" "no tests today" "for the same reason"
tap_check_status 123 "it is if that is asked for; a panic is a splat, too" \
	"$scratch/project/qemu/hmem-vm" run --topology none --keep-going -- \
	bash -c 'echo c >/proc/sysrq-trigger'
tap_matches "$tap_output" "the guest died" "of which the guest died"
HMEM_NO_BUILD=1 tap_check_status 127 "or if nothing is to be built; a command that the guest lacks" \
	"$scratch/project/qemu/hmem-vm" run --topology none -- frobnicate
tap_matches "$tap_output" "cannot run frobnicate in the guest" "is named"
tap_done
