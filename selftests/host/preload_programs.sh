#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that know nothing of hmem, as they are, with most of what they allocate on a layer: Redis, which
# forks to save while it is written to, Python with NumPy, with threads and children, SQLite, and GCC,
# which starts others. What they answer is what they answer without.
# hmem-test: timeout=300

. "$(dirname "$0")/../tap.sh"

[ -e "$HMEM_BUILD/libhmem-malloc.so" ] || tap_skip_all "there is no libhmem-malloc.so with sanitizers"
unset LD_PRELOAD "${!HMEM_MALLOC_@}"
stats=$TMPDIR/stats
python=/usr/bin/python3
# Memory, where there is some.
directory=$(mktemp -d -p /dev/shm hmem-preload.XXXXXX 2>/dev/null) || directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

# came PROGRAM LEAST BYTES WHAT: that so many allocations of its processes came from the layer, and so
# many bytes at once; what is left is shown.
came() {
	local count peak

	count=$(sed -n "s/.*: $1\[.*: \([0-9]*\) allocations .*/\1/p" "$stats" | sort -n | tail -n 1)
	peak=$(sed -n "s/.*: $1\[.* at most \([0-9]*\) at once.*/\1/p" "$stats" | sort -n | tail -n 1)
	tap_check "$4: ${count:-0} allocations, ${peak:-0} bytes at once came from there" \
		test "${count:-0}" -ge "$2" -a "${peak:-0}" -ge "$3"
	tap_diag "$(sed -n 's/^libhmem-malloc: \([^:]*\):.*\(left: [^;]*\); .*/\1 \2/p' "$stats")"
	tap_is "$(grep -c 'bad frees' "$stats")" 0 "$4: and went back as it came"
}

# --- Redis

redis=$(command -v redis-server || command -v redis-check-rdb)
[ -z "$redis" ] || ln -sf "$redis" "$TMPDIR/redis-server"
socket=$TMPDIR/redis.socket
cli=(redis-cli -s "$socket")

# start COMMAND...: a server, by that command, that listens.
start() {
	"$@" "$TMPDIR/redis-server" --port 0 --unixsocket "$socket" --dir "$TMPDIR" --save "" \
		--io-threads 2 --enable-debug-command yes >"$TMPDIR/redis.log" 2>&1 &
	server=$!
	while kill -0 $server 2>/dev/null && [ "$("${cli[@]}" ping 2>&1)" != PONG ]; do sleep 0.05; done
}

# values WHICH: commands that set 4000 values, of up to 16000 bytes.
values() {
	awk -v which="$1" 'BEGIN { for (i = 0; i < 8000; i++) all = all (i % 10) which
		for (i = 0; i < 4000; i++) printf "SET key:%d %s\r\n", i, substr(all, i % 7 + 1, 100 + i * 4)
		for (i = 0; i < 4000; i++) printf "RPUSH list %d-%s\r\n", i, which }'
}

redis() {
	local name="redis-server on $1" digest

	rm -f "$TMPDIR/dump.rdb" "$stats"
	start hmemctl run -l "$@" --stats-file "$stats" --
	values a | "${cli[@]}" --pipe >/dev/null
	digest=$("${cli[@]}" debug digest)
	tap_is "$("${cli[@]}" bgsave)" "Background saving started" "$name: it forks"
	# The child has what was there, whatever its parent does.
	values b | "${cli[@]}" --pipe >/dev/null
	while "${cli[@]}" info persistence | grep -q '^rdb_bgsave_in_progress:1'; do sleep 0.05; done
	tap_matches "$("${cli[@]}" info persistence)" "rdb_last_bgsave_status:ok" "$name: and saves"
	tap_is "$("${cli[@]}" getrange key:3999 0 7)" "$(values b | sed -n 's/SET key:3999 \(........\).*/\1/p')" \
		"$name: the parent has what was written since"
	"${cli[@]}" flushall >/dev/null
	"${cli[@]}" shutdown nosave
	wait $server
	tap_is $? 0 "$name: it ends"
	came redis-server 4000 16000000 "$name"
	start env
	tap_is "$("${cli[@]}" debug digest)" "$digest" "$name: what was saved is what there was"
	"${cli[@]}" shutdown nosave
	wait $server
}

# --- Python

cat >"$TMPDIR/calculate.py" <<'END'
import multiprocessing, os, sys, threading
import numpy as np

rng = np.random.default_rng(7)
base = rng.random((600, 600))
total = [0.0] * 4

def work(i):
    a = base + i
    for step in range(10):
        b = np.concatenate([a, a]) * 2
        c = np.sort(b, axis=0)[: 600]
        a = c / c.max()
        d = np.zeros(50000 + step)
        d[::7] += i
        total[i] += float(a.sum() + d.sum())

def in_child(i):
    base[i] += 1000
    x = np.full((300, 300), float(i))
    return float(base.sum() + (x @ x).sum())

threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for t in threads: t.start()
before = float(base.sum())
with multiprocessing.get_context("fork").Pool(3) as pool:
    sums = pool.map(in_child, range(6), chunksize=1)
for t in threads: t.join()
assert float(base.sum()) == before
text = "x" * 100000
words = [text[: i % 9000] for i in range(3000)]
words.sort()
print([round(t, 6) for t in total], len(sums), all(s > before for s in sums), len("".join(words)))
print(os.popen("echo from a shell").read().strip())
END

numpy() {
	local name="python3 with NumPy on $1"

	rm -f "$stats"
	tap_check "$name: runs" hmemctl run -l "$@" --stats-file "$stats" -- $python "$TMPDIR/calculate.py"
	tap_is "$tap_output" "$numbers" "$name: and comes to the same"
	came python3 200 2000000 "$name"
	rm -f "$stats"
	tap_check "$name, all objects by malloc" env PYTHONMALLOC=malloc hmemctl run -l "$@" --above 100 \
		--stats-file "$stats" -- $python "$TMPDIR/calculate.py"
	tap_is "$tap_output" "$numbers" "$name: comes to the same"
	came python3 5000 2000000 "$name"
}

# --- SQLite

cat >"$TMPDIR/tables.sql" <<'END'
PRAGMA cache_size = 5000;
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, data BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, 'name ' || (i * 7919 % 20011), zeroblob(i % 300) FROM n;
CREATE INDEX by_name ON t(name);
DELETE FROM t WHERE id % 3 = 0;
UPDATE t SET data = CAST(hex(name) AS BLOB) WHERE id % 5 = 0;
SELECT count(*), sum(length(data)), max(name) FROM t;
SELECT a.id, b.id FROM t a JOIN t b ON a.name = b.name ORDER BY a.name LIMIT 3;
PRAGMA integrity_check;
END

sqlite() {
	local name="sqlite3 on $1"

	rm -f "$stats"
	tap_check "$name: runs" hmemctl run -l "$@" --stats-file "$stats" -- \
		sh -c 'sqlite3 :memory: <"$0"' "$TMPDIR/tables.sql"
	tap_is "$tap_output" "$tables" "$name: and answers the same"
	came sqlite3 500 3000000 "$name"
	tap_matches "$(<"$stats")" "sqlite3.*left: [0-9] of [0-9]{1,5} bytes" "$name: little is left, of stdio"
}

# --- GCC

compile() {
	gcc -std=gnu11 -O2 -g -D_GNU_SOURCE -I"$HMEM_SOURCE/include" -c -o "$1" "$HMEM_SOURCE/lib/binned_span.c"
}

compiler() {
	local name="gcc on $1"

	rm -f "$stats" "$TMPDIR/there.o"
	export -f compile
	tap_check "$name: runs" hmemctl run -l "$@" --stats-file "$stats" -- bash -c "compile $TMPDIR/there.o"
	tap_check "$name: and makes the same" cmp "$TMPDIR/here.o" "$TMPDIR/there.o"
	came cc1 500 4000000 "$name"
	came as 1 10000 "$name"
}

# --- each of them, on each

numbers=$($python "$TMPDIR/calculate.py" 2>/dev/null)
tables=$(sqlite3 :memory: 2>/dev/null <"$TMPDIR/tables.sql")
compile "$TMPDIR/here.o"
ways=("dram:0 -a 512 -s 512M" "file:$directory -a 1K -s 96M")
if /sbin/ldconfig -p | grep -q 'libmimalloc\.so\.'; then
	ways+=("dram:0 -A mimalloc -a 4K --share 60")
else
	tap_skip "the same with mimalloc" "mimalloc is not installed"
fi
for way in "${ways[@]}"; do
	read -ra words <<<"$way"
	if [ -n "$redis" ]; then
		redis "${words[@]}"
	else
		tap_skip "redis-server on $way" "Redis is not installed"
	fi
	if [ -n "$numbers" ]; then
		numpy "${words[@]}"
	else
		tap_skip "python3 with NumPy on $way" "there is no NumPy for $python"
	fi
	if [ -n "$tables" ]; then
		sqlite "${words[@]}"
	else
		tap_skip "sqlite3 on $way" "SQLite is not installed"
	fi
	compiler "${words[@]}"
done
tap_is "$(ls -A "$directory")" "" "no file is left"
tap_done
