#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu/hmem-vm on a host that cannot run guests: one message, before anything is begun,
# says what is wrong and what to do.

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

cache=$TMPDIR/cache
root=$TMPDIR/root
namespace=(unshare --mount --propagation private)
[ "$(id -u)" = 0 ] || namespace=(unshare --map-root-user --mount --propagation private)

# refused WORDS REGEX COMMAND...: COMMAND, which runs hmem-vm, ends with that message alone.
refused() {
	local words=$1 regex=$2

	shift 2
	HMEM_CACHE=$cache tap_check_status 125 "$words" "$@"
	tap_is "$(wc -l <<<"$tap_output")" 1 "$words: in one line"
	tap_matches "$tap_output" "^hmem-vm: $regex" "$words: that says what to do"
	tap_is "$(ls -d "$cache" 2>/dev/null)" "" "$words: before anything is begun"
}

# --- no right to mount, played by an unshare of ours

mkdir "$TMPDIR/bin"
printf '#!/bin/sh\necho "unshare: unshare failed: Operation not permitted" >&2\nexit 1\n' \
	>"$TMPDIR/bin/unshare"
chmod +x "$TMPDIR/bin/unshare"
who="root cannot .*Operation not permitted.*privileged"
[ "$(id -u)" = 0 ] || who="there is no guest image .*as root"
for command in build "build --refresh" "run -- true" shell; do
	# shellcheck disable=SC2086 # words
	refused "$command without the right to mount" "$who" \
		env PATH="$TMPDIR/bin:$PATH" qemu/hmem-vm $command
done
tap_check "list needs none of this" env PATH="$TMPDIR/bin:$PATH" qemu/hmem-vm list

# --- a chroot, made of what this host has

# in_chroot [COMMAND...] -- PROGRAM...: run PROGRAM with $root as its root, after COMMAND.
in_chroot() {
	"${namespace[@]}" bash -ec '
		root=$1
		shift
		before=()
		while [ "$1" != -- ]; do
			before+=("$1")
			shift
		done
		shift
		[ ${#before[@]} -eq 0 ] || "${before[@]}"
		for directory in usr etc dev source; do
			from=/$directory
			[ $directory != source ] || from=.
			mount --rbind "$from" "$root/$directory"
		done
		for link in bin lib lib64 sbin; do
			[ ! -L /$link ] || [ -e "$root/$link" ] || ln -s "$(readlink /$link)" "$root/$link"
		done
		[ -e "$root/no-proc" ] || mount --rbind /proc "$root/proc"
		exec chroot "$root" "$@"' bash "$root" "$@"
}

mkdir -p "$root"/{usr,etc,dev,source,proc,tmp,var}
if ! tap_run in_chroot -- true; then
	tap_skip "a plain chroot" "no chroot can be made here: $tap_output"
	tap_done
fi
refused "a plain chroot" "the root directory .*mount --bind DIR DIR" \
	in_chroot -- env TMPDIR=/tmp HMEM_CACHE=/tmp/cache source/qemu/hmem-vm build
tap_is "$(ls -A "$root/tmp")" "" "nor in the chroot"
tap_check_status fail "it has no mounts to give" in_chroot -- source/qemu/in-tree --try
tap_check "but it has as a mount point" \
	in_chroot mount --bind "$root" "$root" -- source/qemu/in-tree --try
touch "$root/no-proc"
refused "a chroot without /proc" "/proc is not mounted .*mount -t proc proc /proc" \
	in_chroot -- env HMEM_CACHE=/tmp/cache source/qemu/hmem-vm run -- true
tap_is "$(ls -A "$root/tmp")" "" "nor in the chroot"
tap_done
