"""An agent that is asked by many at once over its control socket, some of whom say nothing."""

import contextlib
import json
import socket
import threading
import time

from gfattach.agent.control.server import IDLE_SECONDS, REQUEST_BYTES
from gfattach.core.deadline import Deadline
from tests.harness.cluster.agents import SECONDS, desk, wait_for

__all__ = ["desk"]


def soon():
    return Deadline.after(SECONDS)


def silent(client, stack):
    connection = stack.enter_context(socket.socket(socket.AF_UNIX))
    connection.settimeout(5)
    connection.connect(str(client.control))
    return connection


def test_a_hundred_that_say_nothing_keep_nobody_out(desk):
    client = desk.ensure()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            silent(client, stack)
        began = time.monotonic()
        for _ in range(5):
            assert client.status(soon()).forwards == ()
        assert time.monotonic() - began < IDLE_SECONDS / 2


def test_a_hundred_that_send_half_of_a_long_line_take_little_memory_and_keep_nobody_out(desk):
    client = desk.ensure()
    before = client.status(soon()).rss_bytes
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            with contextlib.suppress(OSError):
                silent(client, stack).sendall(b"x" * (REQUEST_BYTES - 10))
        assert client.status(soon()).rss_bytes - before < 40 << 20


def test_fifty_questions_at_once_are_all_answered_beside_who_waits_long(desk):
    client = desk.ensure()
    request = {"version": 1, "op": "await", "names": [], "states": [], "seconds": 30}
    answers, errors = [], []

    def ask():
        try:
            answers.append(client.status(soon()))
        except Exception as error:
            errors.append(error)

    with contextlib.ExitStack() as stack:
        silent(client, stack).sendall(json.dumps(request).encode() + b"\n")
        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
    assert (len(answers), errors) == (50, [])


def test_one_that_never_reads_its_answers_is_turned_away(desk):
    client = desk.ensure()
    with contextlib.ExitStack() as stack:
        connection = silent(client, stack)
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            while True:
                connection.send(b'{"version": 1, "op": "status"}\n')
        assert client.status(soon()).forwards == ()

        def cut():
            try:
                connection.send(b"{}\n")
            except BlockingIOError:
                return False
            except OSError:
                return True
            return False

        wait_for(cut)
