"""Authorities and files for the stage "certificates", and how the stage is asked about an endpoint.

A module that uses `bench` imports it by name, and `pki` and `others` from where the certificates are made.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gfattach.core.engine import Run
from gfattach.core.finding import Finding
from gfattach.net.route import to_host
from gfattach.probes.certificates.stage import stage_of
from gfattach.probes.certificates.subject import CertificateSubject
from gfattach.tls.purpose import Purpose
from tests.harness.certificates.pki import DAY, Pki, answering, server_context

NAME = "cache.test"


@dataclass(frozen=True)
class Bench:
    """What the cases are made with: our authority, one that nobody trusts, and room."""

    pki: Pki
    others: Pki
    room: Path

    def file(self, name: str, content: bytes) -> Path:
        path = self.room / name
        path.write_bytes(content)
        return path

    def serve(self, pair=None, clock=timedelta(), **server):
        return answering(server_context(pair or self.pki.issue(NAME), **server), datetime.now(UTC) + clock)

    def expired(self):
        made = Pki(self.room, "an old root")
        return made.write("old.pem", made_expired(made))


def made_expired(pki):
    from cryptography.hazmat.primitives.serialization import Encoding

    from tests.harness.certificates.pki import new_key, sign

    key = new_key()
    made = sign("an old root", key, None, authority=True, start=-90 * DAY, end=-DAY)
    return made.public_bytes(Encoding.PEM)


@pytest.fixture
def bench(pki, others, tmp_path):
    return Bench(pki, others, tmp_path)


def ask(subject: Any) -> dict[str, Finding]:
    """The findings by topic, in the stage's order."""
    found = Run().stage(stage_of(subject.purpose), subject).findings
    return {name.rpartition(".")[2]: finding for name, finding in found.items()}


def endpoint(bench, port: int, **changes):
    """The cache at `port` as a subject that trusts our authority."""
    subject = CertificateSubject(
        Purpose.CACHE,
        NAME,
        f"the cache {NAME}:{port}",
        to_host("127.0.0.1", port),
        ca_file=bench.pki.ca,
    )
    return replace(subject, **changes)


@dataclass(frozen=True)
class Case:
    """A server, changes to the subject, and the codes that have to come: the cause is the first."""

    name: str
    codes: tuple[str, ...]
    server: Any = lambda b: b.serve()
    subject: Any = lambda b: {}
    environ: Any = lambda b: {}
    says: str = ""
    good: bool = False
    marks: tuple[Any, ...] = field(default=())
