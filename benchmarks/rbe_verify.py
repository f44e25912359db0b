"""How long `gfattach rbe verify` takes for evidence of 10,000 spawns, beside what only reads the same logs.

python benchmarks/rbe_verify.py [ROUNDS]

The spawns are like those of a large C++ build: 300 arguments (14 kB), and 40 inputs in the JSON log; and, as
those of a build of scripts, with 10 arguments. A directory of evidence holds each log twice: the proof's, and
that of the control with its cache accepted, so the readers beside read both. A compact log with few arguments
is decompressed faster than a Python starts, so evidence of one spawn is verified in the same rounds: what is
above that is what the 10,000 cost. Needs zstd and jq.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from timing import in_turn, rounds_asked, seconds_of

from benchmarks.figures import Figure, Results
from tests.harness.execution import evidence as harness
from tests.harness.execution import logs

SPAWNS = 10_000
INPUTS = 40

#: Arguments of a spawn, by what is measured.
ARGUMENTS = (300, 10)

#: How often the time of the reader beside it a verification may take, and what memory.
LIMIT = 3.0
MEMORY = 100 * 1024 * 1024


def spawns(count: int, arguments: int) -> Iterator[logs.Action]:
    """`count` actions of `arguments` arguments; the first is the target's."""
    flags = tuple(f"-isystemexternal/repository_{n:03}/include/directory" for n in range(arguments - 3))
    for number in range(count):
        yield logs.Action(
            label=harness.LABEL if number == 0 else f"//package_{number % 100}:target_{number}",
            mnemonic="CppCompile",
            digest=hashlib.sha256(b"%d" % number).hexdigest(),
            environment={"GFATTACH_RBE_NONCE": harness.NONCE, "PATH": "/bin:/usr/bin"},
            arguments=("external/toolchain/bin/clang", "-c", f"package/file_{number}.cc", *flags),
        )


def write_json_log(path: Path, actions: Iterable[logs.Action]) -> None:
    """As Bazel writes it, with as many inputs as a C++ action has."""
    inputs = [
        {
            "path": f"external/repository_{n:03}/include/directory/header_{n}.h",
            "digest": {
                "hash": hashlib.sha256(b"%d" % n).hexdigest(),
                "sizeBytes": "4711",
                "hashFunctionName": "SHA-256",
            },
        }
        for n in range(INPUTS)
    ]
    with path.open("w") as file:
        for action in actions:
            json.dump({**logs.json_record(action), "inputs": inputs}, file, indent=2)


def directory_of(place: Path, actions: list[logs.Action], *, compact: bool) -> Path:
    """Evidence that holds, with these spawns."""
    made = harness.Evidence(place, actions=actions, before=None, compact=compact)
    logs_written, harness.write_json_log = harness.write_json_log, write_json_log
    try:
        return made.write()
    finally:
        harness.write_json_log = logs_written


#: A small process in between asks for its child's: what a process was before it began counts for it.
_PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def peak_of(command: list[str]) -> int:
    """Bytes of memory that a process had at most."""
    done = subprocess.run([sys.executable, "-c", _PEAK, *command], stdout=subprocess.PIPE, check=True)
    return int(done.stdout) * 1024


def measure(place: Path, arguments: int, *, compact: bool, rounds: int) -> list[Figure]:
    """The figures of one format, for spawns of `arguments` arguments."""
    name, reader = ("compact", "zstd -dc {}") if compact else ("json", "jq -c . {}")
    directory = directory_of(place / name, list(spawns(SPAWNS, arguments)), compact=compact)
    small = directory_of(place / "one", list(spawns(1, arguments)), compact=compact)
    read = [directory / "execution-log", directory / "accepted-cache-execution-log"]
    size = sum(path.stat().st_size for path in read)
    verify = [sys.executable, "-m", "gfattach", "rbe", "verify"]
    counting = "; ".join(f"{reader.format(path)} | wc -l" for path in read)
    commands: dict[str, Callable[[], float]] = {
        "verify": partial(seconds_of, [*verify, str(directory)]),
        "start": partial(seconds_of, [*verify, str(small)]),
        "read": partial(seconds_of, ["/bin/sh", "-c", counting]),
    }
    times = in_turn(commands, rounds)
    above = [one - other for one, other in zip(times["verify"], times["start"], strict=True)]
    peak = peak_of([*verify, str(directory)])
    for each in (directory, small):
        shutil.rmtree(each)
    words = f"{name}, {arguments} arguments, {size / 1e6:.1f} MB"
    beside = f"beside {reader.partition(' ')[0]} | wc -l"
    return [
        Figure(f"{words}, {beside}", times["verify"], "s", times["read"], LIMIT),
        Figure(f"{words}, above that of one spawn, {beside}", above, "s", times["read"]),
        Figure(f"{words}: peak of memory", [peak / 2**20], "MiB", limit=MEMORY / 2**20),
    ]


def main() -> int:
    rounds = rounds_asked(5)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        figures: list[Figure] = []
        for arguments in ARGUMENTS:
            figures += measure(Path(place), arguments, compact=True, rounds=rounds)
            figures += measure(Path(place), arguments, compact=False, rounds=max(1, rounds // 3))
    return Results(figures, notes=[f"{SPAWNS} spawns, {time.monotonic() - began:.0f} s in all"]).show()


if __name__ == "__main__":
    sys.exit(main())
