"""What becomes of a guarded fragment when the agent is killed: emptied, and the agent is there again."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from gfattach.agent.guard import watchdog
from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import GuardedFile
from gfattach.agent.model.state import log_file
from tests.harness.cluster.agents import desk, nix, nix_forward, wait_for
from tests.harness.machine.budget import budget

__all__ = ["desk", "nix"]

EMPTY, FULL = "# nothing\n", "extra-substituters = http://127.0.0.1:1\n"


@pytest.fixture
def fragment(desk, nix):
    """A fragment that is full, and that an agent watches."""
    path = desk.root / "nix.conf"
    path.write_text(EMPTY)
    guarded = GuardedFile(path, "nix", FULL, EMPTY)
    desk.register(nix_forward(nix.port, listen=False), guarded=(guarded,))
    wait_for(lambda: path.read_text() == FULL)
    return path


def watchdogs(desk) -> list[int]:
    """The processes that wait for the end of the desk's agent."""
    found = []
    for pid in desk.processes():
        with contextlib.suppress(OSError):  # it has ended since it was listed
            if b"gfattach-watchdog" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_it_waits_in_little_memory_while_something_is_guarded(desk, fragment):
    [waiting] = watchdogs(desk)
    pages = int(Path(f"/proc/{waiting}/statm").read_text().split()[1])
    assert pages * os.sysconf("SC_PAGE_SIZE") < 3 << 20


def test_there_is_none_where_nothing_is_guarded(desk, nix):
    desk.register(nix_forward(nix.port))
    desk.wait("up")
    assert watchdogs(desk) == []


def test_an_agent_that_is_killed_is_there_again_and_its_fragment_was_empty_meanwhile(desk, fragment):
    pid = desk.status().pid
    time.sleep(watchdog.LIVED_SECONDS)
    kill(pid)
    emptied = wait_for(lambda: fragment.read_text() == EMPTY)
    again = wait_for(lambda: fragment.read_text() == FULL)
    assert emptied < budget(2.0) and again < budget(5.0)
    assert desk.status().pid != pid
    wait_for(lambda: len(watchdogs(desk)) == 1)  # the first one ends when the agent is there
    assert "was killed" in log_file(desk.directory).read_text()


def test_one_that_is_killed_when_it_has_hardly_begun_is_not_started_again(desk, fragment):
    kill(desk.status().pid)
    wait_for(lambda: desk.processes() == [])
    assert fragment.read_text() == EMPTY
    assert "is not started again" in log_file(desk.directory).read_text()


def test_one_that_is_stopped_stays_stopped(desk, fragment):
    assert supervisor.stop(desk.directory)
    assert desk.processes() == [] and fragment.read_text() == EMPTY


def test_one_that_hangs_and_is_ended_by_force_stays_ended(desk, fragment):
    time.sleep(watchdog.LIVED_SECONDS)
    os.kill(desk.status().pid, signal.SIGSTOP)
    assert supervisor.stop(desk.directory)
    wait_for(lambda: fragment.read_text() == EMPTY)
    wait_for(lambda: desk.processes() == [])


def test_a_watchdog_that_is_killed_has_a_successor(desk, fragment):
    [first] = watchdogs(desk)
    kill(first)
    wait_for(lambda: watchdogs(desk) not in ([], [first]))
    assert fragment.read_text() == FULL
