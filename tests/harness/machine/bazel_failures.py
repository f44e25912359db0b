"""What each Bazel does in each failure of its cache: `python3 -m tests.harness.machine.bazel_failures`.

Real Bazels against caches on loopback that fail. Each cell is an exit code and what the build says of its
processes. docs/programs.md is what this prints.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.logs.events import parse_summary
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine.bazels import BAZELS

SECONDS = 400.0

HEAD = """# What each Bazel does when its cache fails

Made by `python3 -m tests.harness.machine.bazel_failures` from real runs, on {date}, with
one target that needs another. A cell is Bazel's exit code and what ran; the options are those of the row
and no others, but for one retry.
`tests/integration/test_bazel_failures.py` holds the fragment to what follows from it.

"""

_ALL = "--remote_download_outputs=all"


class Trial:
    """One Bazel with a server of its own, and what it was asked."""

    def __init__(self, server: Server, accepted: frozenset[str]) -> None:
        self.server = server
        self.accepted = accepted
        self._added = 0

    def build(self, *options: str, label: str = "//:two") -> str:
        """A cell."""
        plain = [option for option in WITHOUT_MODULES if option in self.accepted]
        known = [option for option in options if option != _ALL or _ALL in self.accepted]
        always = ["--spawn_strategy=local", "--remote_executor=", "--disk_cache=", "--remote_retries=1"]
        try:
            done = self.server.run("build", [*plain, *always, *known, label], Deadline.after(SECONDS))
        except BazelError as error:
            return error.fact
        counted = parse_summary(done.stderr)
        return f"{done.returncode}" + (f": {counted[1].partition(': ')[2]}" if counted else "")

    def clean(self) -> None:
        """Nothing is built."""
        self.server.run("clean", [], Deadline.after(SECONDS))

    def more(self) -> str:
        """The label of a new target that needs the first output."""
        self._added += 1
        name = f"more{self._added}"
        with (self.server.workspace / "BUILD").open("a") as file:
            file.write(f'genrule(name="{name}", srcs=["one.txt"], outs=["{name}.txt"], cmd="cat $< > $@")\n')
        return f"//:{name}"


@contextlib.contextmanager
def refused() -> Iterator[str]:
    """The option for a cache at a port that refuses."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"--remote_cache=grpc://127.0.0.1:{held.getsockname()[1]}"


def away(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        with refused() as cache:
            return trial.build(cache, *options)

    return row


def token(trial: Trial) -> str:
    trial.clean()
    with reapi(Faults(token="right")) as (port, _):
        return trial.build(f"--remote_cache=grpc://127.0.0.1:{port}", "--remote_local_fallback")


def died(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        with reapi() as (port, _):
            cache = f"--remote_cache=grpc://127.0.0.1:{port}"
            trial.build(cache, *options)
            trial.clean()
            hit = trial.build(cache, *options)
        assert "remote cache hit" in hit, hit
        return trial.build(cache, "--remote_local_fallback", *options, label=trial.more())

    return row


def gone(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        faults = Faults()
        with reapi(faults) as (port, _):
            cache = f"--remote_cache=grpc://127.0.0.1:{port}"
            trial.build(cache, *options)
            trial.clean()
            faults.forgets = True
            return trial.build(cache, *options)

    return row


ROWS: dict[str, Callable[[Trial], str]] = {
    "no cache": lambda trial: (trial.clean(), trial.build())[1],
    "port closed, `--remote_local_fallback`": away("--remote_local_fallback"),
    "port closed, `--noremote_local_fallback`": away("--noremote_local_fallback"),
    "no token, `--remote_local_fallback`": token,
    "cache dies after a hit; a new target needs an output": died(),
    f"the same with `{_ALL}`": died(_ALL),
    "action cache answers for blobs that are gone": gone(),
    f"the same with `{_ALL}` ": gone(_ALL),
}


def column(bazel: Bazel, root: Path) -> list[str]:
    """The cells of one Bazel."""
    workspace = root / "workspace"
    workspace.mkdir(parents=True)
    for marker in ("WORKSPACE", "MODULE.bazel"):
        (workspace / marker).touch()
    (workspace / "BUILD").write_text(
        'genrule(name="one", outs=["one.txt"], cmd="echo one > $@")\n'
        'genrule(name="two", srcs=["one.txt"], outs=["two.txt"], cmd="cat $< > $@")\n'
    )
    cells = []
    with Server(bazel, workspace, root / "work", "failures") as server:
        server.run("help", [], Deadline.after(SECONDS))
        accepted = accepted_flags(bazel, [*WITHOUT_MODULES, _ALL], work=root / "work", server=server)
        trial = Trial(server, accepted)
        for name, row in ROWS.items():
            cells.append(row(trial))
            print(f"{name}: {cells[-1]}", file=sys.stderr, flush=True)
    return cells


def main() -> None:
    """Print the page."""
    columns = {}
    with tempfile.TemporaryDirectory() as text:
        for label, find in BAZELS.items():
            columns[label] = column(find(), Path(text) / label)
    print(HEAD.format(date=time.strftime("%Y-%m-%d")), end="")
    print("| | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for number, name in enumerate(ROWS):
        print(f"| {name.strip()} | " + " | ".join(cells[number] for cells in columns.values()) + " |")


if __name__ == "__main__":
    main()
