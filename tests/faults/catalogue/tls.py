"""Faults of TLS before a gRPC cache: certificates, authorities, what the port speaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc

from tests.faults.bed import Bed
from tests.faults.fault import Seed, faults
from tests.harness.caches.cases_answers import EVERY_REAPI_METHOD
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.certificates.pki import DAY, Pair, Pki, answering, server_context
from tests.harness.machine import faulty_servers

_HERE = "127.0.0.1"
Issue = Callable[[dict[str, Pki]], Pair]


@contextlib.contextmanager
def _serving(pair: Pair, clients: Path | None = None, **wrong: Any) -> Iterator[int]:
    files = [(pair.key.read_bytes(), pair.certificate.read_bytes())]
    wanted = None if clients is None else clients.read_bytes()
    with reapi(Faults(**wrong), grpc.ssl_server_credentials(files, wanted, clients is not None)) as (port, _):
        yield port


def shown(issue: Issue, *, authority: str | None = "ours", mutual: bool = False, **wrong: Any) -> Seed:
    """A real gRPC cache with this certificate, asked by a doctor that trusts `authority`."""

    def seed(bed: Bed) -> None:
        pair = issue(bed.shared)
        port = bed.stack.enter_context(_serving(pair, bed.shared["ours"].ca if mutual else None, **wrong))
        _ask(bed, port, None if authority is None else bed.shared[authority].ca)

    return seed


def _good(pkis: dict[str, Pki]) -> Pair:
    return pkis["ours"].issue(_HERE)


def _ask(bed: Bed, port: int, ca: Path | None, scheme: str = "grpcs") -> None:
    bed.arguments += [
        "--cache",
        f"{scheme}://{_HERE}:{port}",
        *([] if ca is None else ["--ca-file", str(ca)]),
    ]


def authority_file(content: Callable[[dict[str, Pki]], bytes | None]) -> Seed:
    """A good cache, and this in the file of its authority; None for no file."""

    def seed(bed: Bed) -> None:
        path = bed.directory("files") / "ca.pem"
        if (text := content(bed.shared)) is not None:
            path.write_bytes(text)
        _ask(bed, bed.stack.enter_context(_serving(_good(bed.shared))), path)

    return seed


def _authority_is_a_directory(bed: Bed) -> None:
    _ask(bed, bed.stack.enter_context(_serving(_good(bed.shared))), bed.directory("files"))


def bare(make: Callable[[dict[str, Pki]], Any], scheme: str = "grpcs") -> Seed:
    """A server that is no cache, asked for a cache behind TLS."""

    def seed(bed: Bed) -> None:
        _ask(bed, bed.stack.enter_context(make(bed.shared)), bed.shared["ours"].ca, scheme)

    return seed


def _expired_authority(pkis: dict[str, Pki]) -> bytes:
    from tests.harness.certificates.authorities import made_expired

    return made_expired(pkis["ours"])


def _renewed(pkis: dict[str, Pki]) -> Pair:
    pkis["theirs"].directory.joinpath("anew").mkdir()
    return Pki(pkis["theirs"].directory / "anew").issue(_HERE)


def _ahead(pkis: dict[str, Pki]) -> Any:
    from datetime import UTC, datetime

    pair = pkis["ours"].issue(_HERE, start=DAY)
    return answering(server_context(pair, alpn=("h2",)), datetime.now(UTC) + timedelta(days=2))


@contextlib.contextmanager
def _plain() -> Iterator[int]:
    with reapi(Faults()) as (port, _):
        yield port


FAULTS = faults(
    "tls",
    {
        "an authority that nobody trusts": (
            shown(lambda p: p["theirs"].issue(_HERE)), "certificates.trust.authority-missing"
        ),
        "no authority is named": (shown(_good, authority=None), "certificates.trust.authority-missing"),
        "the authority of somebody else is named": (
            shown(_good, authority="theirs"), "certificates.trust.authority-missing"
        ),
        "an authority that was made anew": (shown(_renewed), "certificates.trust.authority-renewed"),
        "a certificate that signed itself": (
            shown(lambda p: p["ours"].issue(_HERE, self_signed=True)), "certificates.trust.self-signed"
        ),
        "no intermediate": (
            shown(lambda p: p["ours"].issue(_HERE, issuer=p["ours"].between)),
            "certificates.trust.intermediate-missing|certificates.trust.authority-missing",
        ),
        "signed by what is no authority": (
            shown(lambda p: p["ours"].issue(_HERE, issuer=p["ours"].leaf, chain=(p["ours"].leaf,))),
            "certificates.trust.chain",
        ),
        "a certificate for another name": (
            shown(lambda p: p["ours"].issue("other.test")), "certificates.name.other"
        ),
        "a certificate for no name": (
            shown(lambda p: p["ours"].issue(subject="other.test")), "certificates.name.none"
        ),
        "an expired certificate": (
            shown(lambda p: p["ours"].issue(_HERE, start=-9 * DAY, end=-2 * DAY)),
            "certificates.validity.expired",
        ),
        "a certificate that is not valid yet": (
            shown(lambda p: p["ours"].issue(_HERE, start=2 * DAY)), "certificates.validity.not-yet"
        ),
        "a certificate that expires soon": (
            shown(lambda p: p["ours"].issue(_HERE, end=5 * DAY)), "certificates.validity.soon"
        ),
        "a client certificate is wanted": (shown(_good, mutual=True), "certificates.client.missing"),
        "plaintext gRPC behind grpcs": (
            bare(lambda p: _plain()), "certificates.handshake.plaintext|certificates.handshake.closed"
        ),
        "TLS behind grpc": (bare(lambda p: _serving(_good(p)), "grpc"), "cache.protocol.tls-for-plain"),
        "TLS behind http": (
            bare(lambda p: faulty_servers.http({}, server_context(_good(p))), "http"),
            "cache.protocol.tls-for-plain",
        ),
        "a silent port": (bare(lambda p: faulty_servers.talking(faulty_servers.silent)),
                          "certificates.handshake.silent"),
        "a port that hangs up": (bare(lambda p: faulty_servers.talking(lambda c: None)),
                                 "certificates.handshake.closed"),
        "nothing listens": (bare(lambda p: faulty_servers.refusing()),
                            "certificates.handshake.unreachable|cache.port.refused"),
        "no HTTP/2": (
            bare(lambda p: faulty_servers.http({}, server_context(_good(p), alpn=("http/1.1",)))),
            "certificates.handshake.alpn",
        ),
        "an alert": (
            bare(lambda p: faulty_servers.talking(faulty_servers.saying(b"\x15\x03\x03\0\2\2\x70"))),
            "certificates.handshake.broken",
        ),
        "the authority's file is missing": (authority_file(lambda p: None), "certificates.files.missing"),
        "the authority's file holds no certificate": (
            authority_file(lambda p: b"hello\n"), "certificates.files.empty"
        ),
        "the authority has expired": (authority_file(_expired_authority), "certificates.files.expired"),
        "the authority's file is a directory": (_authority_is_a_directory, "certificates.files.unreadable"),
        "a good certificate before a cache that wants a token": (
            shown(_good, token="s3cret"), "cache.call.unauthenticated"
        ),
        "a good certificate before what is no cache": (
            shown(_good, without=EVERY_REAPI_METHOD), "cache.call.unimplemented"
        ),
    },
)  # fmt: skip
