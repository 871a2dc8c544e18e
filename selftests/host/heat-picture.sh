#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pictures of heat, read by others than who wrote them: the SVG as XML, the PNG point by point, and
# that both are the same picture. heat_picture.c makes them up.

. "$(dirname "$0")/../tap.sh"

python=/usr/bin/python3
[ -x $python ] || tap_skip_all "there is no python3"

tap_check "pictures are made" "$HMEM_BUILD/selftests/host/heat_picture" "$TMPDIR/a.svg" "$TMPDIR/a.png"

cat >"$TMPDIR/read.py" <<'CODE'
import struct, sys, zlib
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"

def colour(text):
    return tuple(int(text[i:i + 2], 16) for i in (1, 3, 5))

class Svg:
    def __init__(self, path):
        self.root = tree.parse(path).getroot()
        assert self.root.tag == SVG + "svg"
        self.width, self.height = (int(self.root.get(k)) for k in ("width", "height"))
        self.rects = self.root.findall(SVG + "rect")
        self.words = [w.text for w in self.root.findall(SVG + "text")]

    def points(self):
        rows = [[(255, 255, 255)] * self.width for _ in range(self.height)]
        for rect in self.rects:
            x, y = (int(rect.get(k, 0)) for k in ("x", "y"))
            width, height = (int(rect.get(k)) for k in ("width", "height"))
            assert width > 0 and height > 0
            assert x >= 0 and y >= 0 and x + width <= self.width and y + height <= self.height
            for row in rows[y:y + height]:
                row[x:x + width] = [colour(rect.get("fill"))] * width
        return rows

def png(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, colours, interlaced) == (8, 2, 0)
        if kind == b"IDAT":
            packed += body
        at += 12 + length
    assert kind == b"IEND"
    raw, rows, before = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        line = bytearray(raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)])
        kind, line = line[0], line[1:]
        for i in range(len(line)):
            left = line[i - 3] if i >= 3 else 0
            up, corner = before[i], before[i - 3] if i >= 3 else 0
            near = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, near)[kind]) & 255
        before = bytes(line)
        rows.append([tuple(line[i:i + 3]) for i in range(0, len(line), 3)])
    return rows

svg = Svg(sys.argv[1])
if sys.argv[2] == "words":
    print("\n".join(svg.words))
elif sys.argv[2] == "cells":
    print(sum(1 for rect in svg.rects if rect.find(SVG + "title") is not None))
elif sys.argv[2] == "about":
    print(sorted({rect.find(SVG + "title").text.split(": ", 1)[1] for rect in svg.rects
                  if rect.find(SVG + "title") is not None}))
else:
    # Letters are black, and stand where there is no heat.
    drawn, read = svg.points(), png(sys.argv[2])
    assert (len(read), len(read[0])) == (svg.height, svg.width)
    letters = sum(1 for a, b in zip(drawn, read) for x, y in zip(a, b) if x != y and y == (0, 0, 0))
    others = sum(1 for a, b in zip(drawn, read) for x, y in zip(a, b) if x != y and y != (0, 0, 0))
    print(letters > 1000, others)
CODE

reads() {
	$python "$TMPDIR/read.py" "$TMPDIR/a.svg" "$1" 2>&1
}

words=$(reads words)
tap_is "$(head -n 1 <<<"$words")" "r<&>: 96.00 GiB, near_max 24.00 GiB, 100 samples in 9.9 s" \
	"the SVG is XML, and its title what was written"
for word in offset time "0 B" "84.00 GiB" "0.0 s" "8.0 s" "home near" "953.7 /s" "55.9 /min" \
	"home, unknown" "near, unknown"; do
	tap_matches "$(grep -cxF -e "$word" <<<"$words")" '^[1-9]' "it says: $word"
done
# One of the 48 cells of each of the 100 samples is in two parts.
tap_is "$(reads cells)" 4900 "and has a rectangle for each cell"
tap_is "$(reads about)" \
	"['55.9 /min, 0% near', '55.9 /min, 33% near', '953.7 /s, 0% near', '953.7 /s, 100% near', 'unknown, 0% near']" \
	"that says what it stands for"
tap_is "$(reads "$TMPDIR/a.png")" "True 0" "the PNG is the same, beside its letters"
tap_done
