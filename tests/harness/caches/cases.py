"""Where caches of every kind are arranged for the stage "cache", and how the stage is asked about one.

A module that uses `bench` imports the fixture by name.
"""

import contextlib
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.probes.cache.stage import STAGE
from gfattach.proof import protocol
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine.faulty_servers import Authority

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html>Log in"


@dataclass(frozen=True)
class Bench:
    """What the cases are made with: a directory for files, our authority, and one that nobody trusts."""

    directory: Path
    ours: Authority
    theirs: Authority

    def trusting(self, **files: Any) -> TlsFiles:
        return TlsFiles(ca_file=self.ours.ca, **files)

    def client(self) -> TlsFiles:
        certificate, key = self.ours.issue("client")
        return self.trusting(certificate=certificate, key=key)

    def client_with_old_key(self) -> TlsFiles:
        """As older versions of openssl make keys: not PKCS#8."""
        certificate, key = self.ours.issue("old-client")
        old = key.with_suffix(".sec1")
        subprocess.run(["openssl", "ec", "-in", key, "-out", old], check=True, capture_output=True)
        return self.trusting(certificate=certificate, key=old)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    directories = [tmp_path_factory.mktemp(name) for name in ("files", "ours", "theirs")]
    return Bench(directories[0], Authority(directories[1]), Authority(directories[2]))


@contextlib.contextmanager
def serving(credentials=None, **wrong):
    """A REAPI server with these faults."""
    with reapi(Faults(**wrong), credentials) as (port, _):
        yield port


@contextlib.contextmanager
def filled(**wrong):
    """The same, with the probe action in it from before it was so."""
    faults = Faults()
    with reapi(faults) as (port, _):
        protocol.fill(CacheTarget(Endpoint("grpc", "127.0.0.1", port), may_write=True), Deadline.after(60))
        for name, value in wrong.items():
            setattr(faults, name, value)
        yield port


@contextlib.contextmanager
def trial(directory, **options):
    server = CacheServer(directory / "cache", **options)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


Server = Callable[[Bench], AbstractContextManager[int]]


@dataclass(frozen=True)
class Case:
    """A server, how it is asked (scheme, and fields of the target), and the codes that have to come."""

    name: str
    server: Server
    codes: set[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    scheme: str = "grpc"
    tls: Callable[[Bench], TlsFiles] | None = None


def ask(port: int, scheme: str = "grpc", host: str = "127.0.0.1", **options):
    return Run().stage(STAGE, CacheTarget(Endpoint(scheme, host, port), **options)).findings
