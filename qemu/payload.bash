# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2016,SC2154 # variables are shared, or another shell's
#
# Payload: what a run adds to the image's root: the project, built in the image's tree
# for the guest's kernel, the files to copy, the command, and the guest's init.

project_dir=$(cd "$qemu_dir/.." && pwd)

# Built apart from what the host builds for itself.
payload_build=build/guest

# payload_lock - nobody else builds or uses what was built, until $payload_locked is closed
payload_lock()
{
	mkdir -p "$project_dir/$payload_build"
	exec {payload_locked}> "$project_dir/$payload_build/.lock" ||
		fail "cannot write to $project_dir/$payload_build"
	flock "$payload_locked"
}

# payload_make KERNEL TARGET... - build hmem.ko and these parts of the project for the guest,
# as far as something changed
payload_make()
{
	local log=$project_dir/$payload_build.log kdir=/lib/modules/$1/build
	local -a headers=()

	shift
	[[ -e $project_dir/Makefile ]] ||
		fail "$project_dir has no Makefile to build the project with (--no-build goes without)"
	if [[ $kernel_built ]]; then
		kdir=/mnt/headers
		headers=("$kernel_built/headers=headers")
	fi
	# Everything is tried, so that --keep-going has as much as possible.
	run_job "$qemu_dir/in-tree" "$image/tree" "$project_dir=project" "${headers[@]}" -- \
		sh -c 'cd /mnt/project || exit
			status=0
			[ ! -e Kbuild ] ||
				make -k --no-print-directory -j "$(nproc)" "BUILD=$1" \
				"KDIR=$2" kmod kmod-inject || status=1
			build=$1
			shift 2
			make -k --no-print-directory -j "$(nproc)" "BUILD=$build" "$@" || status=1
			exit $status' \
		sh "$payload_build" "$kdir" "$@" > "$log" 2>&1 < /dev/null && return
	if [[ $keep_going ]]; then
		say "not everything could be built for the guest, see $log"
	else
		tail -n 40 "$log" >&2
		fail "building for the guest failed; the end of $log is above (--keep-going goes on)"
	fi
}

# payload_stage_project KERNEL - put what was built where the guest will find it
payload_stage_project()
{
	local build=$project_dir/$payload_build root=$payload_stage/root
	local file

	if [[ $kernel_built ]]; then
		mkdir "$payload_stage/usr/lib/modules"
		cp -r "$kernel_built/modules/$1" "$payload_stage/usr/lib/modules/"
	fi

	for file in "$build"/libhmem.so* "$build/libhmem-malloc.so"; do
		[[ ! -f $file ]] || cp -d "$file" "$payload_stage/usr/lib/x86_64-linux-gnu/"
	done
	for file in "$build"/hmemctl "$build"/examples/*; do
		[[ ! -f $file || ! -x $file ]] || cp "$file" "$payload_stage/usr/bin/"
	done
	[[ ! -f $build/kmod/$1/hmem.ko ]] || cp "$build/kmod/$1/hmem.ko" "$root/"

	# Scripts as they are, programs in place of their sources.
	mkdir "$root/selftests"
	[[ ! -d $project_dir/selftests ]] || cp -r "$project_dir/selftests/." "$root/selftests/"
	[[ ! -f $build/kmod/$1/inject/hm_inject.ko ]] ||
		cp "$build/kmod/$1/inject/hm_inject.ko" "$root/selftests/guest/"
	[[ ! -d $build/selftests ]] || cp -r "$build/selftests/." "$root/selftests/"
	find "$root/selftests" -name '*.[chd]' -delete

	mkdir "$root/bench"
	cp "$project_dir"/bench/guest/*.sh "$root/bench/"
	[[ ! -f $build/bench/tier_guest ]] || cp "$build/bench/tier_guest" "$root/bench/"
}

# payload_make_init - build the guest's init, in an archive to follow the image's initramfs
payload_make_init()
{
	local init=$project_dir/$payload_build/init

	[[ ! $init.cpio -nt $qemu_dir/guest/init.c ]] || return 0
	run_job "$qemu_dir/in-tree" "$image/tree" "$qemu_dir/guest=guest" "${init%/*}=build" -- \
		sh -ec 'gcc -std=gnu11 -O2 -Wall -Wextra -static -o /tmp/init /mnt/guest/init.c
			cd /tmp
			echo init | cpio --quiet -o -H newc -R 0:0 > /mnt/build/init.cpio.new
			mv /mnt/build/init.cpio.new /mnt/build/init.cpio' >&2 < /dev/null ||
		fail "cannot build the guest's init"
}

# payload_create KERNEL MACHINE_ID COPIES COMMAND... - write the run's initramfs and
# payload.erofs, to be laid over the image's root, into its directory. COPIES is the name
# of an array of files.
payload_create()
{
	local kernel=$1 machine_id=$2 file
	local -n files=$3

	shift 3
	payload_stage=$run_dir/payload
	(umask 022; mkdir -p "$payload_stage"/{etc,root,usr/bin,usr/lib/x86_64-linux-gnu,usr/lib/hmem-vm})
	chmod 700 "$payload_stage/root"

	payload_lock
	[[ $no_build ]] || payload_make "$kernel" lib tools examples selftests
	payload_stage_project "$kernel"
	payload_make_init
	exec {payload_locked}>&-

	cp "$qemu_dir/guest/hmem-power-cut" "$payload_stage/usr/bin/"
	echo "$machine_id" > "$payload_stage/etc/machine-id"
	echo "hmem-${machine_id:0:8}" > "$payload_stage/etc/hostname"
	printf '%s\0' "$@" > "$payload_stage/usr/lib/hmem-vm/command"
	echo "$(stty size 2> /dev/null || echo 24 80) ${TERM:-linux}" > "$payload_stage/usr/lib/hmem-vm/terminal"
	for file in "${files[@]}"; do
		cp -rL "$file" "$payload_stage/root/" || fail "cannot copy $file"
	done
	run_job "$qemu_dir/in-tree" "$image/tree" "$run_dir=run" -- \
		mkfs.erofs --quiet --all-root /mnt/run/payload.erofs /mnt/run/payload > "$run_dir/mkfs.log" 2>&1 ||
		fail "cannot write the run's files:" "$(tail -n 1 "$run_dir/mkfs.log")"
	rm -rf "$payload_stage"

	cat "$kernel_boot/initramfs" "$project_dir/$payload_build/init.cpio" > "$run_dir/initramfs" ||
		fail "cannot write the run's initramfs"
}
