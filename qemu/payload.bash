# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # $image: image.bash
#
# Payload: what a run adds to the image's root: the project, built in the image's tree
# for the guest's kernel, the files to copy, the command, and the guest's init.

project_dir=$(cd "$qemu_dir/.." && pwd)

# Built apart from what the host builds for itself.
payload_build=build/guest

# payload_make KERNEL - build the project for the guest, as far as something changed
payload_make()
{
	local log=$project_dir/$payload_build.log lock

	[[ -e $project_dir/Makefile ]] || {
		say "no Makefile in $project_dir: the guest has no hmem.ko, hmemctl and libhmem"
		return
	}
	mkdir -p "$project_dir/$payload_build"
	exec {lock}> "$project_dir/$payload_build/.lock"
	flock "$lock"
	# kmod: the rest is for every kernel, hmem.ko for one.
	if ! "$qemu_dir/in-tree" "$image/tree" "$project_dir=project" -- \
		sh -ec 'cd /mnt/project
			status=0
			[ ! -e Kbuild ] ||
				make -k --no-print-directory "BUILD=$1" "KDIR=/lib/modules/$2/build" kmod ||
				status=1
			make -k --no-print-directory -j "$(nproc)" "BUILD=$1" \
				lib tools examples selftests || status=1
			exit $status' \
		make "$payload_build" "$1" > "$log" 2>&1 < /dev/null; then
		if [[ $keep_going ]]; then
			say "not everything could be built for the guest, see $log"
		else
			tail -n 40 "$log" >&2
			fail "building for the guest failed; the end of $log is above"
		fi
	fi
	exec {lock}>&-
}

# payload_stage_project KERNEL - put what was built where the guest will find it
payload_stage_project()
{
	local build=$project_dir/$payload_build selftests=$payload_stage/root/selftests
	local -a programs

	cp -d "$build"/libhmem.so* "$payload_stage/usr/lib/x86_64-linux-gnu/" 2> /dev/null
	mapfile -t programs < <(find "$build/hmemctl" "$build/examples" -type f -perm -u+x 2> /dev/null)
	((!${#programs[@]})) || cp "${programs[@]}" "$payload_stage/usr/bin/"
	cp "$build/kmod/$1/hmem.ko" "$payload_stage/root/" 2> /dev/null

	# Scripts as they are, programs in place of their sources.
	mkdir -p "$selftests"
	cp -rL "$project_dir/selftests/." "$selftests/" 2> /dev/null
	find "$selftests" -name '*.[ch]' -delete
	cp -rL "$build/selftests/." "$selftests/" 2> /dev/null
	find "$selftests" -name '*.d' -delete
}

# payload_create OUT KERNEL MACHINE_ID COPIES COMMAND... - write the payload, a tar
# archive to be unpacked over the image's root, to OUT. COPIES is the name of an array
# of files.
payload_create()
{
	local out=$1 kernel=$2 machine_id=$3 file
	local -n files=$4

	shift 4
	payload_stage=$run_dir/payload
	(umask 022; mkdir -p "$payload_stage"/{etc,root,usr/bin,usr/lib/x86_64-linux-gnu,usr/lib/hmem-vm})
	chmod 700 "$payload_stage/root"

	[[ $no_build ]] || payload_make "$kernel"
	payload_stage_project "$kernel"
	cp "$qemu_dir/guest/init" "$payload_stage/usr/lib/hmem-vm/init"
	cp "$qemu_dir/guest/hmem-power-cut" "$payload_stage/usr/bin/"
	echo "$machine_id" > "$payload_stage/etc/machine-id"
	echo "hmem-${machine_id:0:8}" > "$payload_stage/etc/hostname"
	printf '%q ' "$@" > "$payload_stage/usr/lib/hmem-vm/command"
	for file in "${files[@]}"; do
		cp -rL "$file" "$payload_stage/root/" || fail "cannot copy $file"
	done
	tar -C "$payload_stage" --numeric-owner --owner=0 --group=0 -cf "$out" . ||
		fail "cannot write the payload $out"
	rm -rf "$payload_stage"
}
