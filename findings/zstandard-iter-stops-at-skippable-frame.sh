#!/usr/bin/env bash
# A zstd file may have several frames, and frames to be skipped: pzstd begins each part of its output with one, and zstd reads
# them all as one. zstandard 0.25.0 (PyPI) does so in stream_reader, copy_stream and open. Its read_to_iter, which one takes
# for a download in pieces and which has no option to say otherwise, ends with the first frame, without a word: half a NAR,
# and of what pzstd has written not one byte. Its manual tells that of decompress and decompressobj, not of read_to_iter.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv" && "$room/venv/bin/pip" install --quiet zstandard==0.25.0
cat > "$room/see.py" <<'PY'
import io
import struct
import zstandard
def reader(data): return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
def pieces(data): return b"".join(zstandard.ZstdDecompressor().read_to_iter(io.BytesIO(data)))
one, two = (zstandard.ZstdCompressor().compress(part) for part in (b"one ", b"two"))
skipped = [struct.pack("<III", 0x184D2A50, 4, len(part)) for part in (one, two)]
for name, data in (("two frames", one + two), ("as pzstd", skipped[0] + one + skipped[1] + two)):
    print(name, reader(data), pieces(data))
PY
seen=$("$room/venv/bin/python" "$room/see.py")
printf 'zstandard 0.25.0: stream_reader and read_to_iter:\n%s\n' "$seen"
[ "$seen" = "$(printf "two frames b'one two' b'one '\nas pzstd b'one two' b''")" ]
