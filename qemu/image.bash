# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # $qemu_dir is hmem-vm's
#
# Images: a Debian tree that runs QEMU, builds the project for the guest and is packed
# into what guests boot from.
#
# An image lives in the cache, in a directory named after the versions it holds and a
# hash of the recipe (everything in image/), complete from the moment that it has its
# name:
#
#   tree/                         the Debian tree
#   root.erofs kernels versions   see image/pack
#   boot/RELEASE/                 vmlinuz and initramfs of each kernel
#
# The link RECIPE names the image in use for that recipe, so that an image stays in use
# until somebody asks for a new one, whatever its mirror has by then. Whoever uses an
# image holds a shared lock on its directory; one that nobody used for 30 days is
# removed when another is built.

image_release=trixie
image_cache=${HMEM_CACHE:-/var/cache/hmem}

# image_recipe - the name of the recipe of this checkout
image_recipe()
{
	local hash

	hash=$(cd "$qemu_dir/image" && sha256sum ./* | sha256sum)
	echo "$image_release-${hash:0:10}"
}

# image_mirrors - the URIs of Debian and of its security updates, as the host's apt has
# them, in $mirror and $mirror_security (empty when the host has none)
image_mirrors()
{
	local uri suite component origin list

	mirror=''
	mirror_security=''
	# apt itself knows every format that its sources can have.
	# shellcheck disable=SC2016 # apt's variables
	while IFS='|' read -r uri suite component origin; do
		[[ $component == main ]] || continue
		# A list of mirrors, of which any will do.
		if [[ $uri == mirror+file:* ]]; then
			list=${uri#mirror+file:}
			uri=$(awk '!/^#/ && NF { print $1; exit }' "${list%/}")
		fi
		# Without an update since the host was installed, apt does not know whose it is.
		[[ $origin == Debian || (! $origin && $uri =~ /debian(-security)?/*$) ]] || continue
		case $suite in
		*-security | */updates) mirror_security=${mirror_security:-$uri} ;;
		*) mirror=${mirror:-$uri} ;;
		esac
	done < <(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)' \
			'Identifier: Packages')
	[[ $mirror ]] || fail "apt on this host has no source for Debian's main archive;" \
		"add one to /etc/apt/sources.list.d"
}

# image_need_mmdebstrap - make sure that this process can build an image
image_need_mmdebstrap()
{
	# Its recommended packages are for modes other than root's.
	local -a install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq install
		--no-install-recommends mmdebstrap)
	local output

	((EUID == 0)) ||
		fail "there is no guest image in $image_cache yet, and building it needs root:" \
			"as root, run $0 build (it installs mmdebstrap where that is missing)"
	! command -v mmdebstrap > /dev/null || return 0
	say "installing mmdebstrap"
	output=$("${install[@]}" 2>&1 || { apt-get -qq update && "${install[@]}"; } 2>&1) ||
		fail "cannot install mmdebstrap; apt says: $output"
}

# image_packages SUITE - packages of "release" or "backports", one per line
image_packages()
{
	awk -v suite="$1" '$1 == suite { print $2 }' "$qemu_dir/image/packages"
}

# image_make_tree DIR LOG - make the Debian tree
image_make_tree()
{
	local tree=$1 log=$2 exclude proxy
	local -a options sources backports

	image_mirrors
	while read -r exclude; do
		[[ $exclude == /* ]] && options+=(--dpkgopt="path-exclude=$exclude")
	done < "$qemu_dir/image/excludes"
	proxy=$(apt-config dump --format '%v' Acquire::http::Proxy)
	[[ ! $proxy ]] || options+=(--aptopt="Acquire::http::Proxy \"$proxy\"")

	sources=("deb $mirror $image_release main" "deb $mirror $image_release-updates main"
		"deb $mirror $image_release-backports main")
	[[ ! $mirror_security ]] || sources+=("deb $mirror_security $image_release-security main")
	mapfile -t backports < <(image_packages backports)
	# A tree that is not finished is thrown away: nothing of it needs to be on the disk before.
	options+=(--dpkgopt=force-unsafe-io)

	# INITRD: nobody boots the initrds that the kernel packages would spend a minute on.
	# Its mounts are in a name space of its own, and gone with it whatever happens.
	INITRD=No run_job unshare --mount --propagation private -- \
		mmdebstrap --mode=root --variant=apt --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' "${options[@]}" \
		--include="$(image_packages release | paste -sd,)" \
		--customize-hook="copy-in $(printf %q "$qemu_dir/image/customize") /usr/lib" \
		--customize-hook="chroot \"\$1\" /usr/lib/customize $image_release ${backports[*]}" \
		"$image_release" "$tree" "${sources[@]}" >> "$log" 2>&1 < /dev/null
}

# image_build - build the image of this checkout's recipe from what the mirror has now
image_build()
{
	local log name recipe started=$SECONDS

	image_need_mmdebstrap
	mkdir -p "$image_cache" || fail "cannot make the cache $image_cache (HMEM_CACHE names another)"

	exec {image_build_lock}> "$image_cache/lock"
	if ! flock --nonblock "$image_build_lock"; then
		say "waiting for somebody else who is building an image"
		flock "$image_build_lock"
		# They may have built what is wanted here.
		[[ $1 == refresh || ! -e $image_cache/$(image_recipe)/kernels ]] || return 0
	fi

	recipe=$(image_recipe)
	rm -rf --one-file-system "$image_cache"/making.*
	image_making=$(mktemp -d "$image_cache/making.XXXXXX") || fail "cannot write to $image_cache"
	chmod 755 "$image_making"
	log=$image_cache/build.log
	say "building a guest image in $image_cache (takes a few minutes; log: $log)"
	: > "$log"

	if ! image_make_tree "$image_making/tree" "$log" ||
	   ! HMEM_TREE_WRITABLE=1 run_job "$qemu_dir/in-tree" "$image_making/tree" \
			"$image_making=image" \
			"$qemu_dir/image=image-recipe" -- \
			/mnt/image-recipe/pack /mnt/image >> "$log" 2>&1 < /dev/null; then
		tail -n 20 "$log" >&2
		fail "building the guest image failed; the end of $log is above"
	fi

	name=$recipe$(image_versions "$image_making")
	if [[ -e $image_cache/$name ]]; then
		say "nothing is newer than $name"
	else
		mv "$image_making" "$image_cache/$name"
		say "built $name in $((SECONDS - started)) s"
	fi
	ln -sfn "$name" "$image_making.link"
	mv -T "$image_making.link" "$image_cache/$recipe"
	rm -rf --one-file-system "$image_making"
	image_making=''
	touch "$image_cache/$name"
	exec {image_build_lock}>&-
	image_prune
}

# image_versions DIR - what is in a finished image, for its name
image_versions()
{
	local kernels qemu

	kernels=$(awk '{ sub(/^[0-9]+:/, "", $2); printf "_linux-%s", $2 }' "$1/kernels")
	qemu=$(awk '$1 == "qemu-system-x86" { sub(/^[0-9]+:/, "", $2); print $2 }' "$1/versions")
	echo "${kernels}_qemu-$qemu"
}

# image_prune - remove images and kernels that nobody uses, and has not for a month
image_prune()
{
	local image lock

	for image in "$image_cache/$image_release"-*_linux-* "$image_cache"/kasan-*_linux-*; do
		[[ $(find "$image" -maxdepth 0 -mtime +30) ]] || continue
		exec {lock}< "$image"
		if flock --nonblock --exclusive "$lock"; then
			say "removing what was not used for 30 days: ${image##*/}"
			rm -rf --one-file-system "$image"
		fi
		exec {lock}<&-
	done
	find "$image_cache" -maxdepth 1 -xtype l -delete
}

# image_open - find the image of this checkout's recipe, build it if there is none, hold
# it, and leave its directory in $image
image_open()
{
	local link

	link=$image_cache/$(image_recipe)
	while :; do
		[[ -e $link/kernels ]] || image_build once
		image=$(readlink -f "$link")
		exec {image_lock}< "$image"
		flock --shared "$image_lock"
		# Gone between finding and holding it: somebody cleaned up.
		[[ ! -e $image/kernels ]] || break
		exec {image_lock}<&-
	done
	# Says when it was used last; the cache may belong to somebody else.
	touch -c "$image" 2> /dev/null || :
}

# image_kernel NAME - the release of kernel lts, newest or a version's beginning
image_kernel()
{
	local -a kernels
	local kernel found=

	mapfile -t kernels < <(awk '{ print $1 }' "$image/kernels" | sort -V)
	case $1 in
	newest) found=${kernels[-1]} ;;
	lts) found=${kernels[0]} ;;
	*)
		for kernel in "${kernels[@]}"; do
			[[ $kernel != "$1" && $kernel != "$1"[.+-]* ]] || found=$kernel
		done
		;;
	esac
	[[ $found ]] || fail "no kernel $1 in the image: there are lts (${kernels[0]})," \
		"newest (${kernels[-1]}) and their versions"
	echo "$found"
}
