"""Starting a process that outlives its starter: what it is handed while it starts, and what comes of it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from gfattach.core.daemon.start import begin
from gfattach.core.deadline import Deadline
from gfattach.core.process import ProcessId

#: Says who it is and how much it was handed, and stays for a while.
READS = """
import json, os, sys, time
print(json.dumps({"ready": {"pid": os.getpid(), "bytes": len(sys.stdin.buffer.read())}}), flush=True)
os.close(1)
time.sleep(60)
"""

#: Writes its number to the file of its argument, and never reads.
IS_DEAF = """
import os, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    started: list[ProcessId] = []

    def call(program: str, *arguments: str, seconds: float = 20.0, meanwhile=None):
        args = [sys.executable, "-c", program, *arguments]
        beginning = begin(args, os.environ, tmp_path / "log", Deadline.after(seconds), meanwhile)
        if beginning.ready is not None:
            process = ProcessId.of(beginning.ready["pid"])
            assert process is not None
            started.append(process)
        return beginning

    yield call
    for process in started:
        process.end()


def written(path: Path) -> int:
    """The number that a process writes there as soon as it runs."""
    end = time.monotonic() + 20.0
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, "it does not run"
        time.sleep(0.01)
    return int(path.read_text())


class TestWhatIsHandedOver:
    def test_a_process_that_is_handed_nothing_reads_an_end(self, start):
        assert start(READS).ready["bytes"] == 0

    # A pipe holds 64 KiB.
    @pytest.mark.parametrize("size", [0, 10, 1_000_000])
    def test_all_of_it_arrives_and_then_an_end(self, start, size):
        assert start(READS, meanwhile=lambda: bytes(size)).ready["bytes"] == size

    def test_the_process_runs_while_it_is_made(self, start, tmp_path):
        seen = []

        def meanwhile() -> bytes:
            seen.append(written(tmp_path / "pid"))
            return b""

        assert start(IS_DEAF, str(tmp_path / "pid"), seconds=1.0, meanwhile=meanwhile).late
        assert seen

    def test_what_fails_then_ends_the_process(self, start, tmp_path):
        def meanwhile() -> bytes:
            written(tmp_path / "pid")
            raise LookupError

        with pytest.raises(LookupError):
            start(IS_DEAF, str(tmp_path / "pid"), meanwhile=meanwhile)
        assert ProcessId.of(written(tmp_path / "pid")) is None

    def test_one_that_never_reads_is_ended_at_the_deadline(self, start, tmp_path):
        def meanwhile() -> bytes:
            written(tmp_path / "pid")
            return bytes(1_000_000)

        beginning = start(IS_DEAF, str(tmp_path / "pid"), seconds=1.0, meanwhile=meanwhile)
        assert beginning.late
        assert ProcessId.of(written(tmp_path / "pid")) is None

    def test_one_that_has_ended_before_is_told_by_how_it_ended(self, start):
        def meanwhile() -> bytes:
            time.sleep(0.5)
            return bytes(1_000_000)

        assert start("raise SystemExit(7)", meanwhile=meanwhile).exit_code == 7
