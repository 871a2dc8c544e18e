#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# preload.sh ROUNDS PLACE SAMPLES GOALS - programs with large blocks in a space of hmem and small
# ones of mimalloc (hmemctl run), beside the same with mimalloc alone and with neither
#
# Samples and goals as bench/report reads them. Says why where it is not measured.
set -euo pipefail

[ $# -eq 4 ] || {
	echo "usage: preload.sh ROUNDS PLACE SAMPLES GOALS" >&2
	exit 129
}
rounds=$1 place=$2/preload samples=$3 goals=$4
scale=${BENCH_QUICK:+50}
scale=${scale:-1}

skip() {
	echo "alloc: programs with LD_PRELOAD are not measured: $1" >&2
	exit 0
}

[ -e "$HMEM_BUILD/libhmem-malloc.so" ] || skip "there is no $HMEM_BUILD/libhmem-malloc.so"
[ -x "$HMEM_BUILD/hmemctl" ] || skip "there is no $HMEM_BUILD/hmemctl"
mimalloc=
for path in /usr/lib/*/libmimalloc.so.[23]; do
	[ ! -e "$path" ] || mimalloc=$path
done
[ -n "$mimalloc" ] || skip "there is no libmimalloc"
mkdir -p "$place"

# Those that are not installed are left out, which install-deps sees to where it may.
programs=()
left_out() {
	echo "alloc: $1 is not measured with LD_PRELOAD: there is no $2" >&2
}
if command -v redis-check-rdb >"$place/out" && command -v redis-benchmark >"$place/out"; then
	programs+=(redis)
else
	left_out redis redis-tools
fi
if /usr/bin/python3 -c "import numpy" 2>"$place/err"; then
	programs+=(numpy)
else
	left_out numpy python3-numpy
fi
if command -v sqlite3 >"$place/out"; then
	programs+=(sqlite)
else
	left_out sqlite sqlite3
fi
programs+=(gcc_large)

# What a program is started by: valgrind(1), when instructions are counted.
counter=()

# with WHO PROGRAM [ARGUMENT...]
with() {
	case $1 in
	hmem)
		"${counter[@]}" "$HMEM_BUILD/hmemctl" run --layer dram --above 64K \
			--allocator mimalloc -- "${@:2}"
		;;
	mimalloc) "${counter[@]}" env LD_PRELOAD="$mimalloc" "${@:2}" ;;
	none) "${@:2}" ;;
	esac
}

# Its name says what it is.
[[ " ${programs[*]} " != *" redis "* ]] || ln -s "$(command -v redis-check-rdb)" "$place/redis-server"

# --- programs: each is called with WHO, and prints its wall and user time in seconds --------

TIMEFORMAT='%R %U'

timed() {
	{ time with "$@" >"$place/out" 2>"$place/err"; } 2>&1 || {
		cat "$place/err" >&2
		return 1
	}
}

numpy() {
	timed "$1" /usr/bin/python3 "$place/arrays.py" $((400 / scale + 1))
}

sqlite() {
	timed "$1" sqlite3 :memory: ".read $place/sqlite.sql"
}

gcc_large() {
	timed "$1" "${CC:-cc}" -O1 -c -o "$place/large.o" "$place/large.c"
}

# The client is the same for all; user time is the server's.
redis() {
	local socket=$place/redis.sock begin end user tries=0

	with "$1" "$place/redis-server" --port 0 \
		--unixsocket "$socket" --save "" --appendonly no --daemonize no \
		>"$place/out" 2>"$place/err" &
	until redis-cli -s "$socket" ping >"$place/ping" 2>&1 && grep -q PONG "$place/ping"; do
		sleep 0.05
		[ $((++tries)) -lt 600 ] || {
			cat "$place/err" >&2
			return 1
		}
	done
	begin=$(date +%s.%N)
	redis-benchmark -s "$socket" -q -n $((30000 / scale)) -r 10000 -t set,get,lpush,lrange_100 \
		>"$place/bench"
	redis-benchmark -s "$socket" -q -n $((1500 / scale)) -r 100 -d 200000 -t set,get \
		>"$place/bench"
	end=$(date +%s.%N)
	user=$(redis-cli -s "$socket" info cpu | tr -d '\r' | sed -n 's/^used_cpu_user://p')
	redis-cli -s "$socket" shutdown nosave >"$place/bench" 2>&1 || true
	wait $! || true
	awk -v begin="$begin" -v end="$end" -v user="$user" 'BEGIN { print end - begin, user }'
}

cat >"$place/arrays.py" <<'END'
import sys
import numpy

state = numpy.random.default_rng(1)
total = 0.0
for turn in range(int(sys.argv[1])):
    a = state.random(50000 + 1000 * (turn % 50))
    b = numpy.sort(a * 2 + 1)
    c = numpy.concatenate([a, b]).reshape(2, -1)
    total += float(c.T.copy().sum())
    names = {str(i): [i, float(i)] for i in range(2000)}
    total += len(names)
print(total)
END

# What they work on, by $scale.
inputs() {
	cat >"$place/sqlite.sql" <<END
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $((300000 / scale)))
	INSERT INTO t SELECT i, 'name-' || (i * 7919 % 300007), randomblob(i % 200) FROM n;
CREATE INDEX by_name ON t (name);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $((300 / scale)))
	INSERT INTO t SELECT 1000000 + i, 'large', randomblob(200000 + i) FROM n;
SELECT count(*), sum(length(body)) FROM t WHERE name LIKE 'name-1%' OR name = 'large';
UPDATE t SET name = name || 'x' WHERE id % 3 = 0;
DELETE FROM t WHERE id % 2 = 0;
SELECT length(group_concat(name)) FROM t;
END

	awk -v nr=$((1000 / scale)) 'BEGIN {
		for (i = 0; i < nr; i++)
			printf "int f%d(int *a, int n)\n{\n\tint s = %d;\n\n\tfor (int i = 0; i < n; i++)\n" \
			       "\t\ts += a[i] * %d + (a[i] > s ? s : i);\n\treturn s;\n}\n", i, i, i % 17
	}' >"$place/large.c"
}
inputs

# --- rounds --------------------------------------------------------------------------

who=(hmem mimalloc none)
for ((round = 0; round < rounds; round++)); do
	for program in "${programs[@]}"; do
		for ((i = 0; i < ${#who[@]}; i++)); do
			one=${who[(i + round) % ${#who[@]}]}
			times=$("$program" "$one") || {
				echo "alloc: $program with $one failed" >&2
				exit 1
			}
			echo "preload-$program-wall s $one ${times% *}" >>"$samples"
			echo "preload-$program-user s $one ${times#* }" >>"$samples"
		done
	done
done

# --- instructions --------------------------------------------------------------------

# counted WHO PROGRAM - in millions, of all its processes, in user mode
counted() {
	rm -f "$place"/count.*
	"$2" "$1" >"$place/times" || return
	awk '/^(summary|totals):/ { sum += $2; nextfile }
		END { printf "%.3f", sum / 1e6; exit !sum }' "$place"/count.*
}

# One run of a tenth: the counts are the same each time, to a thousandth or so. NumPy is long at
# being imported.
to_count=("${programs[@]}")
[ -z "${BENCH_QUICK:-}" ] || to_count=(gcc_large)
if command -v valgrind >"$place/out"; then
	counter=(valgrind --tool=callgrind --trace-children=yes
		--callgrind-out-file="$place/count.%p")
	scale=$((10 * scale))
	inputs
	for program in "${to_count[@]}"; do
		for one in hmem mimalloc; do
			millions=$(counted "$one" "$program") || {
				echo "alloc: $program with $one failed under valgrind" >&2
				exit 1
			}
			echo "preload-$program-instructions 10^6 $one $millions" >>"$samples"
		done
		echo "preload-$program-instructions mimalloc <=1.05" >>"$goals"
	done
else
	echo "alloc: instructions of programs are not counted: there is no valgrind" >&2
fi
for program in "${programs[@]}"; do
	echo "preload-$program-wall mimalloc <=1.05"
	echo "preload-$program-user mimalloc <=1.05"
done >>"$goals"
