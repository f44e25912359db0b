"""Child processes: deadlines end the whole group, output is bounded, a number is not an identity."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.process import ProcessId


def sh(script, seconds=20.0, **options):
    return process.run(["sh", "-c", script], Deadline.after(seconds), **options)


def test_a_child_that_ends_gives_its_code_and_both_streams():
    done = sh("echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr, done.timed_out) == (3, "out\n", "err\n", False)
    assert done.last_words() == "err"


def test_a_child_that_hangs_is_ended_at_the_deadline_with_all_that_it_started(tmp_path):
    pidfile = tmp_path / "pid"
    done = sh(f"sleep 300 & echo $! > {pidfile}; wait", seconds=2.0)
    assert done.timed_out
    grandchild = int(pidfile.read_text())
    deadline = Deadline.after(10)
    while ProcessId.of(grandchild) is not None and not deadline.expired:
        time.sleep(0.01)
    assert ProcessId.of(grandchild) is None


def test_a_child_that_ignores_the_request_to_end_is_killed(monkeypatch):
    monkeypatch.setattr(process, "TERMINATE_SECONDS", 0.2)
    assert sh("trap '' TERM; while :; do sleep 0.05; done", seconds=0.3).timed_out


def test_output_without_end_is_kept_from_its_end_and_within_the_bound(monkeypatch):
    monkeypatch.setattr(process, "OUTPUT_LIMIT", 1000)
    done = sh("seq 1 20000")
    assert len(done.stdout) <= 1000
    assert done.stdout.endswith("19999\n20000\n")


def test_lines_of_stderr_are_stamped_as_they_arrive(tmp_path):
    """The second is not written before the first was heard."""
    heard, stamps = tmp_path / "heard", []

    def hear(line, at):
        stamps.append((line, at, time.monotonic()))
        heard.touch()

    began = time.monotonic()
    script = f"echo a >&2; until [ -e {heard} ]; do sleep 0.01; done; echo b >&2"
    assert sh(script, on_stderr_line=hear).good
    assert [line for line, _, _ in stamps] == ["a", "b"]
    (_, first, later), (_, second, _) = stamps
    assert began <= first <= later <= second <= time.monotonic()


def test_a_grandchild_that_keeps_the_pipe_open_does_not_hold_the_caller():
    done = sh("sleep 30 & echo started")
    assert done.good and done.stdout == "started\n"


def test_a_program_that_is_not_there_is_an_oserror():
    with pytest.raises(OSError):
        process.run(["/nonexistent/program"], Deadline.after(1))


def test_a_process_is_known_by_number_and_birth():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessId.of(child.pid)
    assert identity is not None and identity.alive()
    assert not ProcessId(child.pid, "another birth").alive()
    assert ProcessId(child.pid, "another birth").end() is True  # not that process: nothing is ended
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    child.communicate()
    assert not identity.alive()
    assert ProcessId.of(child.pid) is None


def test_ending_a_process_asks_and_then_insists():
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]
    with subprocess.Popen(stubborn, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        identity = ProcessId.of(child.pid)
        threading.Thread(target=child.wait, daemon=True).start()
        assert identity.end(seconds=0.3) is True
        assert not identity.alive()
