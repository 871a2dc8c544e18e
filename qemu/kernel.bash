# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with hmem-vm and image.bash
#
# Kernels: those of the image, and two that are built here, small ones that watch themselves:
# kasan, from the sources of lts, and kasan-newest. Such a kernel lives in the cache, in a
# directory named after a hash of its recipe (everything in kernel/) and its version, complete
# from the moment that it has its name:
#
#   boot/        kernel and initramfs, as an image has them
#   headers/     what a module is built with
#   modules/     the kernel's own modules, those in its tree's usr/lib/modules
#   config       as it came out
#
# It is built by the image's compiler, in the image's tree with what else it takes laid over it.

# kernel_find NAME - a kernel by its name: its release in $kernel, where it boots from in
# $kernel_boot, and, for one that was built here, $kernel_built (else empty)
kernel_find()
{
	kernel_built=''
	case $1 in
	kasan) kernel_open lts ;;
	kasan-newest) kernel_open newest ;;
	*)
		kernel=$(image_kernel "$1") || exit
		kernel_boot=$image/boot/$kernel
		;;
	esac
}

# kernel_memory NAME - what a guest has of it, where its topology asks for nothing: one that watches
# itself needs an eighth more, and remembers where each object was allocated
kernel_memory()
{
	[[ $1 == kasan* ]] && echo 3G || echo 2G
}

# kernel_open NAME - the kernel made from the sources of the image's lts or newest; built if there
# is none yet, and held as an image is
kernel_open()
{
	local base version hash

	base=$(image_kernel "$1") || exit
	version=$(awk -v kernel="$base" '$1 == kernel { print $2 }' "$image/kernels")
	hash=$(cd "$qemu_dir/kernel" && sha256sum ./* | sha256sum)
	kernel_built=$image_cache/kasan-${hash:0:10}_linux-$version
	[[ -e $kernel_built/boot/kernel ]] || kernel_build "$version"
	exec {kernel_lock}< "$kernel_built"
	flock --shared "$kernel_lock"
	touch -c "$kernel_built" 2> /dev/null || :
	kernel=$(< "$kernel_built/headers/include/config/kernel.release")
	kernel_boot=$kernel_built/boot
}

# kernel_build VERSION - build it into $kernel_built
kernel_build()
{
	local version=$1 log started=$SECONDS

	((EUID == 0)) || fail "there is no kernel ${kernel_built##*/} in $image_cache yet, and" \
		"building it needs root"
	# As for images: one at a time, and what was left unfinished goes.
	exec {image_build_lock}> "$image_cache/lock"
	if ! flock --nonblock "$image_build_lock"; then
		say "waiting for somebody else who is building an image or a kernel"
		flock "$image_build_lock"
	fi
	[[ ! -e $kernel_built/boot/kernel ]] || return 0
	rm -rf --one-file-system "$image_cache"/making.*
	image_making=$(mktemp -d "$image_cache/making.XXXXXX") || fail "cannot write to $image_cache"
	chmod 755 "$image_making"
	log=$image_cache/kernel.log
	say "building ${kernel_built##*/} in $image_cache (takes a quarter of an hour; log: $log)"
	mkdir "$image_making"/{tree,upper,work,out,source}
	# shellcheck disable=SC2016 # the other shell's arguments
	# The overlay is in a name space of its own, and gone with it.
	run_job nice unshare --mount --propagation private -- sh -ec '
			mount -t overlay overlay \
				-o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/tree"
			HMEM_TREE_WRITABLE=1 exec "$3/in-tree" "$2/tree" "$2/out=out" \
				"$2/source=source" "$3/kernel=kernel" -- \
				/mnt/kernel/build /mnt/out "$4"' \
		sh "$image/tree" "$image_making" "$qemu_dir" "$version" > "$log" 2>&1 < /dev/null ||
		{ tail -n 20 "$log" >&2; fail "building the kernel failed; the end of $log is above"; }
	mv "$image_making/out" "$kernel_built"
	rm -rf --one-file-system "$image_making"
	image_making=''
	exec {image_build_lock}>&-
	say "built it in $((SECONDS - started)) s"
}
