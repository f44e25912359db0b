"""`up` that is asked to end: the echo of an interrupt does not end the undoing, and what is left is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gfattach.cli.interrupts import ECHO_SECONDS

#: Stands in for an undo that takes a while: it tells that it has begun, and then does its work.
_SLOW_UNDO = """
import sys, time
from gfattach.attach.up import up
from gfattach.cli import interrupts
from gfattach.cli.main import run

interrupts.ECHO_SECONDS = float(sys.argv[1])

undo = up.undo

def slowly(home, environ):
    print("undoing", file=sys.stderr, flush=True)
    time.sleep(2.5)
    return undo(home, environ)

def begun(*_):
    print("begun", file=sys.stderr, flush=True)
    time.sleep(60)

up.undo, up._attach = slowly, begun
sys.exit(run(["up", "--cache", "grpc://127.0.0.1:9", "--output", "json"]))
"""


@pytest.fixture
def attaching(machine, echo):
    """An `up` that has begun and goes on for a minute; for `echo` seconds a signal may be passed on again."""
    child = subprocess.Popen(
        [sys.executable, "-c", _SLOW_UNDO, str(echo)],
        cwd=machine.workspace,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(child, "begun")
    yield child
    child.kill()
    child.communicate()


def until(child, word):
    while word not in (line := child.stderr.readline()):
        assert line, "it ended before"


def ended(child):
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 130
    return json.loads(out)["error"]


@pytest.mark.parametrize("echo", [60.0], ids=["however slow this machine is"])
@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGHUP)])
def test_a_wrapper_that_passes_on_what_the_terminal_has_sent_already_ends_no_undoing(
    machine, attaching, numbers
):
    os.kill(attaching.pid, numbers[0])
    until(attaching, "undoing")
    os.kill(attaching.pid, numbers[1])
    error = ended(attaching)
    assert (error["code"], error["hints"]) == ("interrupted", ["what was begun is undone"])
    assert not (machine.workspace / ".gfattach").exists()


@pytest.mark.parametrize("echo", [ECHO_SECONDS], ids=["as it is"])
def test_a_person_who_asks_again_is_obeyed_and_told_what_is_left(machine, attaching):
    os.kill(attaching.pid, signal.SIGINT)
    until(attaching, "undoing")
    time.sleep(1.2 * ECHO_SECONDS)
    os.kill(attaching.pid, signal.SIGINT)
    error = ended(attaching)
    assert error["hints"] == ["what was begun is not all undone: gfattach down"]
    assert (machine.workspace / ".gfattach").exists()
    assert machine.run("down").returncode == 0
    assert not (machine.workspace / ".gfattach").exists()
