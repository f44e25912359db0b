"""Work in a fork: its result is that of the work, whatever becomes of the fork, and no process is left."""

import os
import signal
import time
from pathlib import Path

import pytest

from gfattach.core.parallel.forked import forked


def children():
    """The numbers of this process's children that have not been waited for."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def descriptors():
    """How many are open."""
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture(autouse=True)
def none_left():
    before = children()
    yield
    assert children() == before


def test_the_result_is_that_of_the_work_done_in_another_process():
    with forked(lambda: {"pid": os.getpid()}) as result:
        assert result()["pid"] != os.getpid()
        assert result() is result()  # waited for once


def test_what_the_work_raises_is_raised_where_its_result_is_asked_for():
    def work():
        raise ValueError("no such log")

    with forked(work) as result, pytest.raises(ValueError, match="no such log"):
        result()


def test_a_fork_that_is_killed_has_its_work_done_here():
    me = os.getpid()

    def work():
        if os.getpid() != me:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    with forked(work) as result:
        assert result() == me


def test_where_no_fork_can_be_made_the_work_is_done_here(monkeypatch):
    def refused():
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refused)
    before = descriptors()
    with forked(os.getpid) as result:
        assert result() == os.getpid()
    assert descriptors() == before


def test_a_fork_whose_result_nobody_asks_for_ends_with_the_block():
    with pytest.raises(KeyboardInterrupt), forked(lambda: time.sleep(600)):
        raise KeyboardInterrupt
