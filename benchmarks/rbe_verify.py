"""How long `gfattach rbe verify` takes for evidence of 10,000 spawns, beside what only reads the same logs.

python benchmarks/rbe_verify.py [ROUNDS]

The logs are as large as Bazel's. Measured with 7.7.1 and gcc: a C++ compilation has 32 arguments (900 bytes
of a compact log), and four more for each external repository that it includes from. So 50 is one that has
some dependencies, 300 one with very many; a genrule has 3, and scripts have about 10. Around each spawn stand
the entries of 4 files (100 bytes, most of them a digest) and 3 of sets of inputs; a record of a JSON log has
40 inputs. A directory of evidence holds each log twice, the proof's and that of the control with its cache
accepted, so the readers beside read both. Needs zstd and jq.

zstd reads a compact log in less time than a Python starts in. What is there before anything is verified is
therefore measured in the same rounds, as what is installed starts, with its modules compiled: `python -c
pass` and `gfattach --version`. What a verification takes beyond that start has the limit for itself; the
whole has it too, but where the start alone is more than that: there a note says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from timing import in_turn, rounds_asked, seconds_of

from benchmarks.figures import Figure, Results
from gfattach.bazel.logs.call_excerpt import keep_calls
from tests.harness.execution import evidence as harness
from tests.harness.execution import logs

SPAWNS = 10_000
INPUTS = 40

#: What is measured: arguments of a spawn, and whether the log is a compact one.
MEASURED = ((50, True), (300, True), (10, True), (50, False))

#: How often the time of the reader beside it a verification may take, and what memory.
LIMIT = 3.0
MEMORY = 100 * 1024 * 1024

#: The command as it is installed.
GFATTACH = [str(Path(sys.executable).with_name("gfattach"))]

#: Of a C++ compilation, as Bazel 7.7.1 calls gcc.
_FLAGS = (
    *("-U_FORTIFY_SOURCE", "-fstack-protector", "-Wall", "-Wunused-but-set-parameter"),
    *("-Wno-free-nonheap-object", "-fno-omit-frame-pointer", "-g0", "-O2", "-D_FORTIFY_SOURCE=1", "-DNDEBUG"),
    *("-ffunction-sections", "-fdata-sections", "-std=c++14", "-fPIC", "-fno-canonical-system-headers"),
    *("-Wno-builtin-macro-redefined", '-D__DATE__="redacted"', '-D__TIMESTAMP__="redacted"'),
    *('-D__TIME__="redacted"', "-iquote", ".", "-iquote", "bazel-out/k8-opt/bin"),
)


def spawns(count: int, arguments: int) -> list[logs.Action]:
    """`count` actions of `arguments` arguments; the first is the target's."""
    return [
        logs.Action(
            label=harness.LABEL if number == 0 else f"//package_{number % 100}:target_{number}",
            mnemonic="CppCompile",
            digest=_digest("action", number),
            environment={"GFATTACH_RBE_NONCE": harness.NONCE, "PATH": "/bin:/usr/bin"},
            arguments=_arguments(number, arguments),
            outputs=2,
        )
        for number in range(count)
    ]


def _arguments(number: int, count: int) -> tuple[str, ...]:
    stem = f"package_{number % 100}/file_{number}"
    built = f"bazel-out/k8-opt/bin/package_{number % 100}/_objs/target_{number}/file_{number}.pic"
    own = ("-MD", "-MF", f"{built}.d", f"-frandom-seed={built}.o", "-c", f"{stem}.cc", "-o", f"{built}.o")
    shared = [*_FLAGS]
    for repository in range(count):
        for root in ("external", "bazel-out/k8-opt/bin/external"):
            shared += ["-iquote", f"{root}/repository_{repository:03}"]
    return ("/usr/bin/gcc", *shared[: count - 1 - len(own)], *own)


def _digest(kind: str, number: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def write_compact_log(path: Path, actions: Sequence[logs.Action]) -> None:
    """As Bazel writes it: around a spawn are its files, of which only the digests are new, and its inputs."""
    out = [logs.compact_entries([])]
    for number, action in enumerate(actions):
        for kind in ("cc", "h", "pic.d", "pic.o"):
            out.append(_entry(_file(number, kind)))
        out += [
            _entry(b"\x08" + logs.varint(number + part) + b"\x32\x04\x2a\x02\x28\x09") for part in range(3)
        ]
        out.append(_entry(logs.compact_entry(action)))
    path.write_bytes(logs.compressed(b"".join(out)))


def _entry(content: bytes) -> bytes:
    return logs.varint(len(content)) + content


def _file(number: int, kind: str) -> bytes:
    name = f"package_{number % 100}/file_{number}.{kind}".encode()
    digest = b"\x0a\x40" + _digest(kind, number).encode() + b"\x10" + logs.varint(1000 + number)
    file = b"\x0a" + _entry(name) + b"\x12" + _entry(digest)
    return b"\x08" + logs.varint(number) + b"\x1a" + _entry(file)


def write_json_log(path: Path, actions: Sequence[logs.Action]) -> None:
    """As Bazel writes it, one object behind another."""
    inputs = [
        {
            "path": f"external/repository_{n:03}/include/directory/header_{n}.h",
            "digest": {"hash": _digest("input", n), "sizeBytes": "4711", "hashFunctionName": "SHA-256"},
        }
        for n in range(INPUTS)
    ]
    # The library encodes line by line when it indents: what all records share is encoded once.
    shared = json.dumps(inputs, indent=2).replace("\n", "\n  ")
    with path.open("w") as file:
        for action in actions:
            record = json.dumps({**logs.json_record(action), "inputs": "INPUTS"}, indent=2)
            file.write(record.replace('"INPUTS"', shared))


def directory_of(place: Path, actions: list[logs.Action], *, compact: bool) -> Path:
    """Evidence that holds, with these spawns."""
    write_log = write_compact_log if compact else write_json_log
    made = harness.Evidence(place, actions=actions, before=None, write_log=write_log)
    made.write()
    for log in place.glob("*remote-calls.log"):  # as `rbe prove` keeps them
        whole = log.rename(log.with_suffix(".whole"))
        keep_calls(whole, log)
        whole.unlink()
    made.relist()
    return place


#: A small process in between asks for its child's: what a process was before it began counts for it.
_PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def peak_of(command: list[str]) -> int:
    """Bytes of memory that a process had at most."""
    done = subprocess.run([sys.executable, "-c", _PEAK, *command], stdout=subprocess.PIPE, check=True)
    return int(done.stdout) * 1024


def measure(place: Path, arguments: int, *, compact: bool, rounds: int) -> Iterator[Figure | str]:
    """The figures of one format, for spawns of `arguments` arguments, and notes on them."""
    name, reader = ("compact", "zstd -dc {}") if compact else ("JSON", "jq -c . {}")
    directory = directory_of(place / name, spawns(SPAWNS, arguments), compact=compact)
    read = [directory / "execution-log", directory / "accepted-cache-execution-log"]
    size = sum(path.stat().st_size for path in read)
    verify = [*GFATTACH, "rbe", "verify", str(directory)]
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(place / "bytecode")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    took = partial(seconds_of, env=env)
    counting = "; ".join(f"{reader.format(path)} | wc -l" for path in read)
    commands: dict[str, Callable[[], float]] = {
        "python": partial(took, [sys.executable, "-c", "pass"]),
        "start": partial(took, [*GFATTACH, "--version"]),
        "verify": partial(took, verify),
        "read": partial(took, ["/bin/sh", "-c", counting]),
    }
    times = in_turn(commands, rounds)
    peak = peak_of(verify)
    shutil.rmtree(directory)
    beyond = [whole - start for whole, start in zip(times["verify"], times["start"], strict=True)]
    words = f"{name}, {arguments} arguments"
    beside = f"beside {reader.partition(' ')[0]} | wc -l"
    start = Figure(f"{words}: gfattach --version, {beside}", times["start"], "s", times["read"])
    unreachable = start.value > LIMIT
    yield Figure(f"{words}: python -c pass, {beside}", times["python"], "s", times["read"])
    yield start
    limit = None if unreachable else LIMIT
    yield Figure(f"{words}: verify, {beside}", times["verify"], "s", times["read"], limit)
    yield Figure(f"{words}: verify beyond the start, {beside}", beyond, "s", times["read"], LIMIT)
    yield Figure(f"{words}: peak of memory", [peak / 2**20], "MiB", limit=MEMORY / 2**20)
    said = f"{words}: logs of {size / 1e6:.1f} MB"
    if unreachable:
        said += (
            f"; the start alone is {start.value:.1f} times the reading, so only what is beyond it is judged"
        )
    yield said


def main() -> int:
    rounds = rounds_asked(5)
    began = time.monotonic()
    found: list[Figure | str] = []
    with tempfile.TemporaryDirectory() as place:
        for arguments, compact in MEASURED:
            few = rounds if compact else max(1, rounds // 3)
            found += measure(Path(place), arguments, compact=compact, rounds=few)
    figures = [each for each in found if isinstance(each, Figure)]
    notes = [each for each in found if isinstance(each, str)]
    return Results(
        figures, notes=[*notes, f"{SPAWNS} spawns, {time.monotonic() - began:.0f} s in all"]
    ).show()


if __name__ == "__main__":
    sys.exit(main())
