"""What the tests of both clients of a cache ask with, and how long they wait."""

from contextlib import contextmanager

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import ReapiError
from gfattach.reapi.http_client import HttpCache
from gfattach.reapi.target import CacheTarget

ACTION = Digest.of(b"an action")
RESULT = pb.ActionResult(exit_code=7)
CONTENT = b"what a build made\n"
LARGE = bytes(range(256)) * 10_000  # three messages long


def soon():
    return Deadline.after(20)


def http_at(port: int, scheme: str = "http", host: str = "127.0.0.1", path: str = "", **options):
    return HttpCache(CacheTarget(Endpoint(scheme, host, port, path), **options))


@contextmanager
def failing_with(kind):
    with pytest.raises(ReapiError) as caught:
        yield caught
    assert caught.value.kind is kind, caught.value.fact
