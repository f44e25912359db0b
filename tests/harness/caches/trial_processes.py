"""The trial as a process for the tests that start it: where it is kept, how it is awaited and used.

A module that uses `directory` imports the fixture by name.
"""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from gfattach.core.deadline import Deadline
from gfattach.reapi.digest import Digest
from gfattach.trial import supervisor
from gfattach.trial.state import TrialState
from tests.harness.caches.trial_clients import Client, blob_name

READY_SECONDS = 30.0

needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


def wait_for(condition, seconds=READY_SECONDS) -> None:
    deadline = Deadline.after(seconds)
    while not condition():
        assert not deadline.expired, "waited in vain"
        time.sleep(0.01)


def start(directory, **options) -> TrialState:
    return supervisor.start(directory, **{"deadline": Deadline.after(READY_SECONDS), **options})


@contextlib.contextmanager
def somebody_at(port: int):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield other.getsockname()[1]


def put_and_get(state: TrialState, content: bytes) -> bytes:
    client = Client(state.cache_endpoint.port)
    try:
        digest = Digest.of(content)
        client.batch_update((digest, content))
        return client.read(blob_name(digest))
    finally:
        client.channel.close()


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "home" / "trial"
    yield place
    supervisor.stop(place)
