#!/usr/bin/env bash
# Starlark's hash of a string is the same everywhere and always (the specification, a copy of which this package ships, names
# the function; Bazel, starlark-rust and starlark-go agree on 93515266 for "bazel"). starlark 0.6.0 (PyPI), a port of
# Bazel's own interpreter, answers with Python's hash, which is salted: another number in every process. Whoever evaluates
# .bzl code with it gets other shards, ports or target names than Bazel does, and others on the next run.
set -euo pipefail
room=$(mktemp -d); trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
# This package and starlark-pyo3 share the import name `starlark`, so each has a folder of its own.
"$room/venv/bin/pip" install --quiet --no-deps --target "$room/port" starlark==0.6.0
"$room/venv/bin/pip" install --quiet --no-deps --target "$room/rust" starlark-pyo3==2026.1.3
port() { env -u PYTHONHASHSEED PYTHONPATH="$room/port" "$room/venv/bin/python" -c "import starlark; print(starlark.eval('$1'))"; }
rust=$(PYTHONPATH="$room/rust" "$room/venv/bin/python" -c \
    "import starlark as s; print(s.eval(s.Module(), s.parse('a', 'hash(\"bazel\")'), s.Globals.standard()))")
first=$(port 'hash("bazel")') second=$(port 'hash("bazel")') third=$(port 'hash("bazel")')
same=no; [ "$first" = "$second" ] && [ "$second" = "$third" ] && same=yes
right=no; for each in "$first" "$second" "$third"; do [ "$each" = 93515266 ] && right=yes; done
echo "hash(\"bazel\"): starlark-pyo3 $rust; starlark 0.6.0 in three processes: the same number: $same, 93515266: $right"
[ "$rust,$same,$right" = 93515266,no,no ]
