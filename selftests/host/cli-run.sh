#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hmemctl run: what it sets, what it refuses before a program starts, and what the library does
# with settings that make no sense.
# hmem-test: timeout=240

. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/ctl.sh"

[ -e "$HMEM_BUILD/libhmem-malloc.so" ] || tap_skip_all "there is no libhmem-malloc.so with sanitizers"
unset LD_PRELOAD "${!HMEM_MALLOC_@}"
cd "$TMPDIR" || tap_bail "TMPDIR is not there"
stats=$TMPDIR/stats
# Not what some machines have in its place, which is a script.
python=/usr/bin/python3
# Allocates 1000000 bytes in this process, and says so.
large="import ctypes; l = ctypes.CDLL(None); l.malloc.restype = ctypes.c_void_p; \
l.free.argtypes = [ctypes.c_void_p]; l.free(l.malloc(1000000)); print('done')"

# allocations: from the layer and elsewhere, by the lines in $stats, which is emptied.
allocations() {
	sed -n 's/.*: \([0-9]*\) allocations of .*elsewhere: \([0-9]*\) of.*/\1 \2/p' "$stats" | xargs
	rm -f "$stats"
}

# --- usage

usage "run" "which program"
usage "run --layer dram" "which program"
usage "run true" "which layer"
usage "run --layer dram --above some true" "some is no size"
usage "run --layer dram --above -1 true" "-1 is no size"
usage "run --layer dram --share 0 true" "0 is no share"
usage "run --layer dram --share 101 true" "101 is no share"
usage "run --layer dram --share -5 true" "-5 is no share"
usage "run --layer dram --share 5x true" "5x is no share"
usage "run --layer dram --size 1K true" "1K is no size of a space"
usage "run --layer dram --size much true" "much is no size of a space"
usage "run --layer dram --allocator jemalloc true" "jemalloc is no allocator: libc or mimalloc"
usage "run --layer dram --stats --stats-file x true" "one too many"
usage "run --layer $(printf 'x%.0s' {1..300}) true" "at most 255 bytes"
usage "run --layer dram --nonsense true" "no such option: --nonsense"
tap_is "$(hmemctl run --help | head -n 1)" \
	"usage: hmemctl run -l LAYER [OPTION...] [--] PROGRAM [ARGUMENT...]" "--help"

# --- what is set

set_by() {
	hmemctl run "$@" -- env 2>"$TMPDIR/err" | grep '^HMEM_MALLOC\|^LD_PRELOAD' | sort | xargs
}
library=$(realpath "$HMEM_BUILD/libhmem-malloc.so")
tap_matches "$(set_by -l dram)" "^HMEM_MALLOC_LAYER=dram:[0-9]+ HMEM_MALLOC_SIZE=[0-9]{7,} LD_PRELOAD=$library\$" \
	"a layer is named in full, and has what is free"
tap_matches "$(HMEM_MALLOC_ABOVE=1 HMEM_MALLOC_STATS=x HMEM_MALLOC_SHARE=2 set_by -l dram:0)" \
	"^HMEM_MALLOC_LAYER=dram:0 HMEM_MALLOC_SIZE=[0-9]+ LD_PRELOAD=[^ ]*\$" "what was set before is not"
tap_is "$(set_by -l dram:0 -a 1M --share 20% -s 64M --stats-file rel)" \
	"HMEM_MALLOC_ABOVE=1M HMEM_MALLOC_LAYER=dram:0 HMEM_MALLOC_SHARE=20% HMEM_MALLOC_SIZE=67108864 HMEM_MALLOC_STATS=$PWD/rel LD_PRELOAD=$library" \
	"options are settings"
rm -f rel
tap_is "$(set_by -l "file:$TMPDIR" -S)" \
	"HMEM_MALLOC_LAYER=file:$TMPDIR HMEM_MALLOC_STATS=stderr LD_PRELOAD=$library" \
	"of files the library chooses the size"
tap_matches "$(LD_PRELOAD=libm.so.6 set_by -l dram:0)" "LD_PRELOAD=$library:libm.so.6" \
	"what is preloaded already comes behind"
half=$(set_by -l dram:0 --size 50% | sed 's/.*SIZE=\([0-9]*\).*/\1/')
all=$(set_by -l dram:0 --size all | sed 's/.*SIZE=\([0-9]*\).*/\1/')
tap_check "parts are of what is free" test "$half" -lt "$all" -a "$half" -gt $((all / 4))
ctl run -v -l dram:0 --size 2M -- true
tap_matches "$err" "hmemctl run: HMEM_MALLOC_SIZE=2097152" "-v: each step"

# --- running

ctl run -l dram -S -- $python -c "$large"
tap_is "$status:$out" "0:done" "a program runs"
tap_matches "$err" "libhmem-malloc: python3\[[0-9]*\]: dram:[0-9]+: [1-9]" "and says how much came from there"
ctl run -l dram:0 -- sh -c 'exit 7'
tap_is "$status" 7 "its exit status is the program's"
ctl run -l dram:0 sh -c 'echo "$1"' -- -l
tap_is "$status:$out" "0:-l" "options of the program are its own"
ctl run -l dram:0 no-such-program
tap_is "$status" 127 "a program that there is not"
tap_matches "$err" "error: run no-such-program: No such file" "is named"
ctl run -l dram:0 "$TMPDIR"
tap_is "$status" 126 "one that cannot be run"
hmemctl run -l dram:0 --stats-file "$stats" -- sh -c "$python -c \"$large\"; $python -c \"$large\"; true" >/dev/null
tap_is "$(allocations | wc -w)" 4 "programs that it starts have it as well, and it says nothing, as it has none"
ctl run -l dram:0 -S -- sh -c 'exec 2>"$0"; exec "$1" -c "$2"' "$TMPDIR/other" $python "$large"
tap_is "$status:$out" "0:done" "a program with another stderr"
tap_matches "$(<"$TMPDIR/other")" "python3.*allocations" "tells it there"
ctl run -l dram:0 -S -- $python -c "$large; import os; os.closerange(0, 1000); \
[os.open('$TMPDIR/own', os.O_RDWR | os.O_CREAT) for i in range(300)]"
tap_is "$status:$(cat "$TMPDIR/own")" "0:" "what a program opened in its place is left alone"

# --- layers

for layer in nosuch cxl:999 dram:999 hmem:no-such-region pool:no-such-pool "file:$TMPDIR/no/such" dax:nosuch; do
	ctl run --layer "$layer" -- touch "$TMPDIR/started"
	tap_is "$status:$out" "1:" "layer $layer is refused"
	tap_matches "$err" "hmemctl run: error: .*${layer#*:}" "and named"
done
tap_check_status 1 "no program has been started" test -e "$TMPDIR/started"
if [ "$(id -u)" = 0 ]; then
	mkdir -m 700 "$TMPDIR/closed"
	chmod 755 "$TMPDIR"
	tap_check_status 1 "a directory of somebody else's" setpriv --reuid 65534 --clear-groups \
		env "PATH=$PATH" hmemctl run -l "file:$TMPDIR/closed" -- true
fi
ctl run -l dram:0 --size 8000P -- true
tap_matches "$status:$err" "^1:.*dram:0 has .* free, not 8000P" "more than there is"
ctl run -l "file:$TMPDIR" --size 50% -- true
tap_matches "$status:$err" "^1:.*give --size in bytes" "a part of what is not known"

hmemctl run -l "file:$TMPDIR" -s 8M --stats-file "$stats" -- $python -c "$large" >/dev/null
tap_matches "$(allocations)" "^[1-9][0-9]* [0-9]+\$" "a file without a name"
tap_is "$(find "$TMPDIR" -name '.hmem*')" "" "nothing of it is left"
truncate -s 16M "$TMPDIR/there"
tap_check "a file that is there" hmemctl run -l "file:$TMPDIR/there" --stats-file "$stats" -- $python -c "$large"
tap_matches "$(allocations)" "^[1-9][0-9]* 0\$" "gives memory"
tap_is "$(stat -c %s "$TMPDIR/there")" 16777216 "and is as large as before"
ctl run -l "file:$TMPDIR/there" --size 8M -- true
tap_matches "$status:$err" "^1:.*has the size that it has" "it has no other size"
# While one process has it, another one, which it starts, does without.
hmemctl run -l "file:$TMPDIR/there" --stats-file "$stats" -- $python -c \
	"$large; import subprocess, sys; subprocess.check_call([sys.executable, '-c', sys.argv[1]])" \
	"$large" >/dev/null
tap_matches "$(head -n 1 "$stats")" "there: 0 allocations .*there is no space: .*another process has it" \
	"one process at a time has it"
tap_matches "$(tail -n 1 "$stats")" "there: [1-9][0-9]* allocations" "the first one"
rm "$stats"
tap_check "the file is free again" flock -n "$TMPDIR/there" true
# A child of fork(2) does not have it, and does not keep it from others.
hmemctl run -l "file:$TMPDIR/there" -- $python -c "$large; import os, time
if os.fork(): os._exit(0)
open('$TMPDIR/pid', 'w').write(str(os.getpid())); time.sleep(600)" >/dev/null
while [ ! -s "$TMPDIR/pid" ]; do sleep 0.05; done
tap_check "not even while a child lives" flock -n "$TMPDIR/there" true
kill "$(<"$TMPDIR/pid")"

# --- allocators

if /sbin/ldconfig -p | grep -q 'libmimalloc\.so\.'; then
	tap_matches "$(set_by -l dram:0 -A mimalloc)" "LD_PRELOAD=$library:libmimalloc.so" "mimalloc comes behind"
	out=$(hmemctl run -l dram:0 -A mimalloc --stats-file "$stats" -- env MIMALLOC_VERBOSE=1 \
		$python -c "$large; print(any('mimalloc' in l for l in open('/proc/self/maps')))" 2>"$TMPDIR/err")
	tap_is "$out" "done
True" "a program with both"
	tap_matches "$(tail -n 1 "$stats")" "python3.*dram:0: [1-9]" "has large blocks from the layer"
	tap_matches "$(<"$TMPDIR/err")" "mimalloc" "and the others from mimalloc"
	rm -f "$stats"
else
	tap_skip "mimalloc comes behind" "mimalloc is not installed"
fi
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	tap_run unshare -m sh -c 'for f in /usr/lib/*/libmimalloc.so.*; do
		[ ! -e "$f" ] || mount --bind /dev/null "$f"; done
		exec hmemctl run -l dram:0 -A mimalloc -- true'
	tap_matches "$tap_status:$tap_output" "^1:.*mimalloc is not installed here.*to do: apt-get install libmimalloc" \
		"without mimalloc it says what to install"
fi

if command -v g++ >/dev/null; then
	cat >"$TMPDIR/new.cc" <<'CODE'
#include <cstdio>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

struct alignas(256) Wide { char bytes[4096]; };

int main(int argc, char **)
{
	long sum = 0;
	for (int i = 0; i < 100; i++) {
		std::vector<int> many(100000, i);
		std::string text(200000, 'x');
		auto *wide = new Wide[32];
		auto *small = new int(i);
		char *none = new (std::nothrow) char[500000];
		if (reinterpret_cast<std::uintptr_t>(wide) % 256)
			return 2;
		sum += many[i] + *small + (text[7] == 'x');
		delete[] wide;
		delete small;
		delete[] none;
	}
	std::printf("%ld\n", sum);
	if (argc > 1)
		return 0;
	volatile std::size_t huge = std::size_t(-1) / 4;
	try {
		std::vector<char> all(huge);
		return 3;
	} catch (const std::exception &) {
	}
	try {
		::operator delete(::operator new(huge));
		return 4;
	} catch (const std::bad_alloc &) {
	}
}
CODE
	tap_check "a C++ program is compiled" g++ -std=c++17 -O1 -o "$TMPDIR/new" "$TMPDIR/new.cc"
	# mimalloc ends a program that asks for too much, as it does not throw.
	for allocator in libc mimalloc; do
		[ $allocator = libc ] || /sbin/ldconfig -p | grep -q 'libmimalloc\.so\.' || continue
		ctl run -l dram:0 -A $allocator --stats-file "$stats" -- "$TMPDIR/new" ${allocator#libc}
		tap_is "$status:$out" "0:10000" "new and delete, with $allocator"
		tap_matches "$(<"$stats")" ": 400 allocations .*left: 0 of 0 " "come from the layer"
		rm -f "$stats"
	done
	ctl run -l dram:0 --share 50 --above 1K --stats-file "$stats" -- "$TMPDIR/new"
	read -r here _ < <(allocations)
	tap_check "half of them ($here)" test "$here" -gt 150 -a "$here" -lt 250
else
	tap_skip "new and delete" "no g++ here"
fi

# --- where the library is

mkdir "$TMPDIR/lib" "$TMPDIR/a lib"
cp "$HMEM_BUILD/libhmem.so.0" "$TMPDIR/lib"
cp "$HMEM_BUILD/libhmem.so.0" "$HMEM_BUILD/libhmem-malloc.so" "$TMPDIR/a lib"
LD_LIBRARY_PATH=$TMPDIR/lib ctl run -l dram:0 -- touch "$TMPDIR/started"
tap_matches "$status:$err" "^1:.*find $TMPDIR/lib/libhmem-malloc.so: No such file" "it is not there"
LD_LIBRARY_PATH="$TMPDIR/a lib" ctl run -l dram:0 -- touch "$TMPDIR/started"
tap_matches "$status:$err" "^1:.*a lib/libhmem-malloc.so cannot be preloaded" "it has a path that cannot be given"
tap_check_status 1 "no program has been started" test -e "$TMPDIR/started"
cp "$TMPDIR/a lib/libhmem-malloc.so" "$TMPDIR/lib"
tap_is "$(LD_LIBRARY_PATH=$TMPDIR/lib set_by -l dram:0 | sed 's/.*LD_PRELOAD=//')" \
	"$(realpath "$TMPDIR/lib")/libhmem-malloc.so" "it is taken from beside libhmem"

# --- settings that make no sense

# wrong NAME VALUE REGEX: one line, and the program runs on.
wrong() {
	tap_run env LD_PRELOAD="$library" HMEM_MALLOC_LAYER=dram:0 HMEM_MALLOC_STATS="$stats" "$1=$2" \
		$python -c "$large"
	tap_is "$tap_status:$(grep -c . <<<"$tap_output"):$(tail -n 1 <<<"$tap_output")" "0:2:done" \
		"$1=$2: a line, and the program runs"
	tap_matches "$tap_output" "^libhmem-malloc: $1=.*$3.*next malloc" "that says what is wrong"
	tap_check_status 1 "and has nothing of the layer" test -e "$stats"
}
wrong HMEM_MALLOC_ABOVE lots "is no size"
wrong HMEM_MALLOC_ABOVE 9E "is no size"
wrong HMEM_MALLOC_ABOVE "" "is no size"
wrong HMEM_MALLOC_SHARE 0 "is no share"
wrong HMEM_MALLOC_SHARE 200 "is no share"
wrong HMEM_MALLOC_SHARE 5y "is no share"
wrong HMEM_MALLOC_SIZE 5x "is no size of a space"
wrong HMEM_MALLOC_SIZE 1K "is no size of a space"
wrong HMEM_MALLOC_LAYER "$(printf 'x%.0s' {1..300})" "too long"
for layer in nosuch cxl:4294967296 dram:700 hmem: pool:none file:/no/such/file fsdax:/no/such ; do
	tap_run env LD_PRELOAD="$library" HMEM_MALLOC_LAYER=$layer HMEM_MALLOC_STATS="$stats" $python -c "$large"
	tap_is "$tap_status:$tap_output" "0:done" "layer $layer: a program runs without"
	tap_matches "$(cat "$stats")" ": 0 allocations .*elsewhere: [1-9].*there is no space: ..." "and why is told"
	rm -f "$stats"
done
tap_run env LD_PRELOAD="$library" HMEM_MALLOC_STATS="$stats" $python -c "$large"
tap_is "$tap_status:$tap_output:$(find "$stats" 2>/dev/null)" "0:done:" "no layer: nothing"
tap_check "a kind alone is looked for" env LD_PRELOAD="$library" HMEM_MALLOC_LAYER=dram \
	HMEM_MALLOC_STATS="$stats" $python -c "$large"
tap_matches "$(allocations)" "^[1-9][0-9]* 0\$" "and found"

# --- completion

tap_matches "$(complete_for run --all)" "^--allocator\$" "options are completed"
tap_is "$(complete_for run --allocator m)" mimalloc "allocators"
tap_matches "$(complete_for run --layer dra)" "dram:" "layers"
tap_matches " $(complete_for run --layer dram:0 -- pytho) " " python3 " "programs"
tap_is "$(cd "$TMPDIR" && complete_for run --layer dram:0 cat the)" there "and files"
tap_done
