#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# `make install`: every file is where the variables say, a stranger's program builds and
# runs against what was installed, and `make uninstall` leaves nothing.
# hmem-test: timeout=300

. "$(dirname "$0")/../tap.sh"
cd "$HMEM_SOURCE" || tap_bail "HMEM_SOURCE is not set: run this with selftests/run"

root=$TMPDIR/root
version=$(sed -n 's/^HMEM_RELEASE := //p' version.mk)

# A build directory of its own: installing builds what it needs. Nobody waits for it to be
# made fast.
make_target() {
	make -s CFLAGS=-O0 BUILD="$TMPDIR/build" DESTDIR="$root" prefix=/opt/hmem libdir=/opt/hmem/lib64 "$1"
}

expected_files() {
	local file

	printf '/opt/hmem/%s\n' bin/hmemctl lib64/libhmem.a lib64/libhmem-malloc.so lib64/libhmem.so lib64/libhmem.so.0 \
		"lib64/libhmem.so.$version" lib64/pkgconfig/libhmem.pc include/linux/hmem.h \
		"src/hmem-$version/"{Kbuild,dkms.conf,version.mk,include/uapi/linux/hmem.h}
	for file in include/hmem/*.h; do echo "/opt/hmem/include/hmem/${file##*/}"; done
	find kmod -type f | sed "s|^|/opt/hmem/src/hmem-$version/|"
	for file in Documentation/man/*.[1-8]; do
		[ ! -e "$file" ] || echo "/opt/hmem/share/man/man${file##*.}/${file##*/}"
	done
	# A page can be found under every function that it describes.
	sed -n 's|^\t\(hmem_.*\);|/opt/hmem/share/man/man3/\1.3|p' lib/libhmem.map
	for file in tools/completion/*; do
		[ ! -e "$file" ] || echo "/opt/hmem/share/bash-completion/completions/${file##*/}"
	done
	for file in tools/udev/*.rules; do
		[ ! -e "$file" ] || echo "/opt/hmem/lib/udev/rules.d/${file##*/}"
	done
}

installed_files() {
	(cd "$root" && find . -not -type d) | sed 's/^\.//' | sort
}

tap_check "make install" make_target install || tap_diag "$tap_output"
tap_is "$(installed_files)" "$(expected_files | sort)" "the files that are installed"
tap_is "$(stat -c %a "$root/opt/hmem/bin/hmemctl")" 755 "hmemctl may be run by everybody"
tap_is "$(find "$root" -name '*.h' -not -perm 644)" "" "headers may be read by everybody"

for file in share/man/man1/hmemctl.1 share/bash-completion/completions/hmemctl; do
	tap_check "$file is among them" test -e "$root/opt/hmem/$file"
done
tap_is "$(find "$root" -xtype l)" "" "no link leads nowhere"
tap_matches "$(cat "$root/opt/hmem/share/man/man3/hmem_region_map.3")" "TH HMEM_REGION 3" \
	"man finds a function"
tap_check "a udev rule is among them" ls "$root"/opt/hmem/lib/udev/rules.d/*.rules

# As a stranger would, with nothing but pkg-config.
cat >"$TMPDIR/stranger.c" <<'END'
#include <hmem/hmem.h>
#include <stdio.h>

int main(void)
{
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	options.bytes = 2 << 20;
	if (hmem_ctx_new(&ctx) || hmem_region_create(ctx, "anon:", &options, &region))
		return 1;
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	puts(hmem_version());
	return 0;
}
END
# A program uses the library or the kernel's contract.
echo '#include <linux/hmem.h>' >"$TMPDIR/kernel.c"
pc() {
	PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$root/opt/hmem/lib64/pkgconfig \
		pkg-config "$@" libhmem
}
build_stranger() {
	# shellcheck disable=SC2046 # lists of words
	"${CC:-cc}" -std=c11 $(pc --cflags) -o "$TMPDIR/stranger" "$TMPDIR/stranger.c" $(pc --libs)
}
# Each program in the README is whole.
build_readme() {
	awk -v dir="$TMPDIR" '/^```$/ { file = "" }
		file { print >file }
		/^```c$/ { file = dir "/readme" ++n ".c" }' README.md
	[ -e "$TMPDIR/readme2.c" ] || return 1
	for program in "$TMPDIR"/readme*.c; do
		# shellcheck disable=SC2046 # lists of words
		"${CC:-cc}" -Wall -Wextra -Werror $(pc --cflags) -o "${program%.c}" "$program" \
			$(pc --libs) || return 1
	done
}
build_against_kernel() {
	# shellcheck disable=SC2046 # a list of words
	"${CC:-cc}" -std=c11 $(pc --cflags) -c -o "$TMPDIR/kernel.o" "$TMPDIR/kernel.c"
}
tap_is "$(pc --modversion)" "$version" "pkg-config knows the version"
tap_check "a program builds with what pkg-config says" build_stranger
tap_check "so do those in the README" build_readme
tap_check "so does one that uses the kernel's contract" build_against_kernel
export LD_LIBRARY_PATH=$root/opt/hmem/lib64
tap_check "it runs with the installed library" "$TMPDIR/stranger"
tap_is "$tap_output" "$version" "the library is of that version"
tap_check "so does the installed hmemctl" "$root/opt/hmem/bin/hmemctl" version
tap_check "and a program runs on the installed libhmem-malloc.so" "$root/opt/hmem/bin/hmemctl" run \
	--layer dram --above 0 --stats-file "$TMPDIR/stats" -- "$TMPDIR/stranger"
tap_matches "$(cat "$TMPDIR/stats")" "stranger.*dram:[0-9]*: [1-9]" "which gives it memory"
tap_is "$(readelf -d "$root/opt/hmem/bin/hmemctl" | grep -c 'R.*PATH')" 0 \
	"which looks for it only where the system does"

tap_check "make uninstall" make_target uninstall
tap_is "$(installed_files)" "" "nothing is left"

# The same sources for DKMS: its configuration names what is there.
tap_check "make install once more" make_target install
dkms_conf() {
	# shellcheck disable=SC1090,SC2034 # dkms.conf uses what is set for it
	(kernel_source_dir=/kernel dkms_tree=/dkms; . "$root/opt/hmem/src/hmem-$version/dkms.conf"
	eval "echo \"\${$1}\"")
}
tap_is "$(dkms_conf 'PACKAGE_NAME')-$(dkms_conf PACKAGE_VERSION)" "hmem-$version" \
	"dkms.conf names package and version"
tap_is "$(dkms_conf 'MAKE[0]')" "make -C /kernel M=/dkms/hmem/$version/build modules" \
	"dkms.conf builds in its own tree"
for release in 6.12.0-amd64 6.13.1 6.100 7.2.12+deb13-amd64 10.0; do
	[[ $release =~ $(dkms_conf BUILD_EXCLUSIVE_KERNEL) ]]
	tap_is $? 0 "dkms builds for $release"
done
for release in 6.1.0-25-amd64 6.11.9 5.12.1; do
	[[ $release =~ $(dkms_conf BUILD_EXCLUSIVE_KERNEL) ]]
	tap_is $? 1 "dkms does not build for $release"
done
tap_done
