"""A background process whose start is interrupted is ended, at whatever moment the interrupt comes."""

import os
import signal
import subprocess
import time

import pytest

from gfattach.core.daemon import start
from gfattach.core.deadline import Deadline


@pytest.fixture
def children(monkeypatch):
    """The processes that are started, each with an interrupt before its maker knows of it."""
    found = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            found.append(self)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)  # the interrupt is raised in here, if it is in this thread

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    yield found
    for child in found:
        child.kill()
        child.wait()


def test_an_interrupt_before_the_process_is_known_ends_it(tmp_path, children):
    with pytest.raises(KeyboardInterrupt):
        start.begin(["/bin/sleep", "600"], {}, tmp_path / "log", Deadline.after(60))
    assert [child.poll() for child in children] == [-signal.SIGKILL]


def test_what_cannot_be_started_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        start.begin([str(tmp_path / "none")], {}, tmp_path / "log", Deadline.after(60))
