"""Stage "certificates": for every code an endpoint, files or trust stores that earn it."""

import os
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from gfattach.cluster.connection import ClusterConnection, Proxy
from gfattach.endpoint import parse_endpoint
from gfattach.engine import Run
from gfattach.finding import Status
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.certificates import STAGE, stage_of
from gfattach.probes.certificates_subject import (
    CertificateSubject,
    Client,
    Purpose,
    of_api_server,
    of_cache,
    of_substituter,
)
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.tls.context import blind, verifying
from gfattach.tls.way import to_host, to_socket
from tests.integration import faults
from tests.integration.bazels import debian, upstream
from tests.integration.nixes import real_nix
from tests.integration.pki import DAY, Pki, answering, server_context

NAME = "cache.test"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("gfattach.tls.handshake.TALK_SECONDS", 1.0)
    monkeypatch.setattr("gfattach.tls.handshake.WORD_SECONDS", 0.4)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("others"), "root of others")


@dataclass(frozen=True)
class Bench:
    """What the cases are made with: our authority, one that nobody trusts, room, and room for all to see."""

    pki: Pki
    others: Pki
    room: Path
    public: Path

    def file(self, name: str, content: bytes) -> Path:
        path = self.room / name
        path.write_bytes(content)
        return path

    def serve(self, pair=None, clock=timedelta(), **server):
        return answering(server_context(pair or self.pki.issue(NAME), **server), datetime.now(UTC) + clock)

    def expired(self):
        made = Pki(self.room, "an old root")
        return made.write("old.pem", made_expired(made))

    def home(self):
        conf = self.room / "conf"
        conf.mkdir(exist_ok=True)
        return {"HOME": str(self.room), "NIX_CONF_DIR": str(conf), "PATH": os.environ["PATH"]}


def made_expired(pki):
    from cryptography.hazmat.primitives.serialization import Encoding

    from tests.integration.pki import new_key, sign

    key = new_key()
    made = sign("an old root", key, None, authority=True, start=-90 * DAY, end=-DAY)
    return made.public_bytes(Encoding.PEM)


@pytest.fixture
def bench(pki, others, tmp_path):
    with tempfile.TemporaryDirectory(prefix="gfa-ca.") as public:
        Path(public).chmod(0o755)
        yield Bench(pki, others, tmp_path, Path(public))


def ask(subject):
    """The findings by topic, in the stage's order."""
    found = Run().stage(stage_of(subject.purpose), subject).findings
    return {name.rpartition(".")[2]: finding for name, finding in found.items()}


def endpoint(bench, port, **changes):
    """The cache at `port` as a subject that trusts our authority."""
    subject = CertificateSubject(
        Purpose.CACHE,
        NAME,
        f"the cache {NAME}:{port}",
        to_host("127.0.0.1", port),
        ca_file=bench.pki.ca,
        environ=bench.home(),
    )
    return replace(subject, **changes)


def client(pair, **more):
    return {"certificate": pair.certificate, "key": pair.key, **more}


def folder(bench):
    path = bench.room / "folder"
    path.mkdir()
    return path


def garbled(bench):
    """A file whose first certificate is good and whose second is cut off: OpenSSL takes none of it."""
    pem = bench.pki.ca.read_bytes()
    cut = pem.splitlines()
    return bench.file("garbled.pem", pem + b"\n".join([*cut[:3], cut[-1]]) + b"\n")


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


GOOD = tuple(f"certificates.{topic}.good" for topic in ("handshake", "trust", "name", "validity", "client"))

CASES = [
    Case(
        "all is right",
        ("certificates.files.good", "certificates.key.none", *GOOD, "certificates.stores.agree"),
        good=True,
    ),
    Case(
        "all is right, with a client certificate",
        ("certificates.key.good", *GOOD),
        lambda b: b.serve(clients=b.pki.ca),
        lambda b: client(private(b.pki.issue("client"))),
        good=True,
    ),
    Case(
        "the platform's trust store",
        ("certificates.files.platform", "certificates.trust.good"),
        subject=lambda b: {"ca_file": None},
        environ=lambda b: {"SSL_CERT_FILE": str(b.pki.ca)},
        good=True,
    ),
    Case(
        "authorities as text",
        ("certificates.files.good",),
        subject=lambda b: {"ca_file": None, "ca_data": b.pki.ca.read_text()},
        good=True,
    ),
    Case(
        "a context that was made before",
        ("certificates.files.given", "certificates.trust.good"),
        subject=lambda b: {"context": verifying(b.pki.ca), "ca_file": None},
        good=True,
    ),
    Case(
        "a context that checks nothing",
        ("certificates.trust.unchecked", "certificates.stores.unseen"),
        subject=lambda b: {"context": blind(), "ca_file": None},
    ),
    # files
    Case(
        "no trust store on this machine",
        ("certificates.files.no-platform",),
        subject=lambda b: {"ca_file": None},
        environ=lambda b: {"SSL_CERT_FILE": "/nonexistent/a", "SSL_CERT_DIR": "/nonexistent/b"},
    ),
    Case("no such file", ("certificates.files.missing",), subject=lambda b: {"ca_file": b.room / "no.pem"}),
    Case("a directory", ("certificates.files.unreadable",), subject=lambda b: {"ca_file": folder(b)}),
    Case(
        "no certificate in it",
        ("certificates.files.empty",),
        subject=lambda b: {"ca_file": b.file("empty.pem", b"nothing")},
    ),
    Case("an old authority", ("certificates.files.expired",), subject=lambda b: {"ca_file": b.expired()}),
    Case(
        "a file that only its owner reads",
        ("certificates.files.others",),
        subject=lambda b: {
            "ca_file": private_file(b.file("mine.pem", b.pki.ca.read_bytes())),
            "clients": (Client.GFATTACH, Client.DAEMON),
        },
        says="mine.pem is closed to others",
    ),
    Case(
        "a file that is half good",
        ("certificates.handshake.file", "certificates.files.good"),
        subject=lambda b: {"ca_file": garbled(b)},
    ),
    # keys
    Case(
        "no key",
        ("certificates.key.unreadable",),
        subject=lambda b: client(b.pki.issue("c"), key=b.room / "k"),
    ),
    Case(
        "an encrypted key",
        ("certificates.key.encrypted",),
        subject=lambda b: client(b.pki.issue("c", password=b"s3cret")),
    ),
    Case(
        "an encrypted PKCS#1 key",
        ("certificates.key.encrypted",),
        subject=lambda b: client(
            b.pki.issue("c", kind="rsa", password=b"s3cret", form=PrivateFormat.TraditionalOpenSSL)
        ),
    ),
    Case(
        "the key of another certificate",
        ("certificates.key.mismatch",),
        subject=lambda b: client(b.pki.issue("c"), key=b.pki.issue("d").key),
    ),
    Case(
        "a client certificate that has expired",
        ("certificates.key.expired",),
        subject=lambda b: client(b.pki.issue("c", start=-9 * DAY, end=-DAY)),
    ),
    Case(
        "a PKCS#1 key for Bazel",
        ("certificates.key.form",),
        subject=lambda b: client(
            b.pki.issue("c", kind="rsa", form=PrivateFormat.TraditionalOpenSSL),
            clients=(Client.GFATTACH, Client.BAZEL),
        ),
        says="PKCS#1",
    ),
    Case(
        "a SEC1 key for Bazel",
        ("certificates.key.form",),
        subject=lambda b: client(
            b.pki.issue("c", form=PrivateFormat.TraditionalOpenSSL), clients=(Client.GFATTACH, Client.BAZEL)
        ),
        says="SEC1",
    ),
    Case(
        "a key that others read",
        ("certificates.key.open",),
        subject=lambda b: client(readable(b.pki.issue("c"))),
    ),
    # handshakes
    Case("nobody there", ("certificates.handshake.unreachable",), lambda b: faults.refusing()),
    Case("silence", ("certificates.handshake.silent",), lambda b: faults.talking(faults.silent)),
    Case("a closed door", ("certificates.handshake.closed",), lambda b: faults.talking(lambda c: None)),
    Case(
        "plaintext",
        ("certificates.handshake.plaintext",),
        lambda b: faults.talking(faults.saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ),
    Case(
        "an alert",
        ("certificates.handshake.broken",),
        lambda b: faults.talking(faults.saying(b"\x15\x03\x03\0\2\2\x70")),
    ),
    Case(
        "no HTTP/2 for gRPC",
        ("certificates.handshake.alpn",),
        lambda b: b.serve(alpn=("http/1.1",)),
        lambda b: {"alpn": ("h2", "http/1.1")},
    ),
    Case(
        "TLS where plaintext is meant",
        ("certificates.handshake.tls", "certificates.files.plain", "certificates.key.plain"),
        subject=lambda b: {"tls": False},
    ),
    Case(
        "plaintext where plaintext is meant",
        (
            "certificates.handshake.plain",
            *(f"certificates.{topic}.plain" for topic in ("trust", "name", "validity", "client")),
        ),
        lambda b: faults.talking(faults.saying(b"HTTP/1.1 200 OK\r\n\r\n")),
        lambda b: {"tls": False},
        good=True,
    ),
    # the certificate
    Case(
        "another authority",
        ("certificates.trust.authority-missing",),
        lambda b: b.serve(b.others.issue(NAME)),
        says="root of others",
    ),
    Case(
        "an authority made anew",
        ("certificates.trust.authority-renewed",),
        lambda b: b.serve(Pki(b.room).issue(NAME)),
    ),
    Case(
        "self-signed",
        ("certificates.trust.self-signed",),
        lambda b: b.serve(b.pki.issue(NAME, self_signed=True)),
    ),
    Case(
        "no intermediate",
        ("certificates.trust.intermediate-missing",),
        lambda b: b.serve(b.pki.issue(NAME, issuer=b.pki.between, fetched=True)),
        says="intermediate of the tests",
    ),
    Case(
        "signed by what is no authority",
        ("certificates.trust.chain",),
        lambda b: b.serve(b.pki.issue(NAME, issuer=b.pki.leaf, chain=(b.pki.leaf,))),
    ),
    Case(
        "another name", ("certificates.name.other",), lambda b: b.serve(b.pki.issue("o.test")), says="o.test"
    ),
    Case("no name", ("certificates.name.none",), lambda b: b.serve(b.pki.issue(subject="o.test"))),
    Case(
        "expired",
        ("certificates.validity.expired", "certificates.trust.good", "certificates.name.good"),
        lambda b: b.serve(b.pki.issue(NAME, start=-9 * DAY, end=-2 * DAY)),
    ),
    Case("not yet", ("certificates.validity.not-yet",), lambda b: b.serve(b.pki.issue(NAME, start=DAY))),
    Case(
        "a clock that is behind",
        ("certificates.validity.clock",),
        lambda b: b.serve(b.pki.issue(NAME, start=DAY), clock=2 * DAY),
    ),
    Case("soon", ("certificates.validity.soon",), lambda b: b.serve(b.pki.issue(NAME, end=13 * DAY))),
    Case("mutual TLS, no certificate", ("certificates.client.missing",), lambda b: b.serve(clients=b.pki.ca)),
    Case(
        "mutual TLS, a stranger's",
        ("certificates.client.refused",),
        lambda b: b.serve(clients=b.pki.ca),
        lambda b: client(private(b.others.issue("c"))),
    ),
    # trust stores
    Case(
        "Bazel's JDK does not know what the machine does",
        ("certificates.stores.bazel",),
        subject=lambda b: {"ca_file": None, "clients": (Client.GFATTACH, Client.BAZEL), "bazel": upstream()},
        environ=lambda b: {"SSL_CERT_FILE": str(b.pki.ca)},
        says="the JDK within",
        marks=(pytest.mark.bazel,),
    ),
    Case(
        "Debian's Bazel goes by the system's store",
        ("certificates.stores.bazel",),
        subject=lambda b: {"ca_file": None, "clients": (Client.GFATTACH, Client.BAZEL), "bazel": debian()},
        environ=lambda b: {"SSL_CERT_FILE": str(b.pki.ca)},
        says="/etc/ssl/certs/java/cacerts",
        marks=(pytest.mark.bazel,),
    ),
    Case(
        "the fragment names the authority to Bazel",
        ("certificates.stores.agree",),
        subject=lambda b: {"clients": (Client.GFATTACH, Client.BAZEL), "bazel": upstream()},
        good=True,
        marks=(pytest.mark.bazel,),
    ),
    Case(
        "Nix does not know the site's authority",
        ("certificates.stores.nix",),
        subject=lambda b: {
            "clients": (Client.GFATTACH, Client.NIX),
            "nix": real_nix(),
            "environ": {**b.home(), "NIX_SSL_CERT_FILE": str(b.others.ca)},
        },
        says="root of the tests",
        marks=(pytest.mark.nix,),
    ),
    Case(
        "Nix knows it, and its daemon does not",
        ("certificates.stores.daemon",),
        subject=lambda b: {
            "clients": (Client.GFATTACH, Client.NIX, Client.DAEMON),
            "nix": real_nix(),
            "ca_file": opened(b, b.pki.ca),
            "environ": {**b.home(), "NIX_SSL_CERT_FILE": str(b.pki.ca)},
        },
        marks=(pytest.mark.nix,),
    ),
    Case(
        "Nix is told of a bundle that is not there",
        ("certificates.stores.unreadable",),
        subject=lambda b: {
            "clients": (Client.GFATTACH, Client.NIX),
            "nix": real_nix(),
            "environ": {**b.home(), "NIX_SSL_CERT_FILE": str(b.room / "no.pem")},
        },
        marks=(pytest.mark.nix,),
    ),
]


def private(pair):
    pair.key.chmod(0o600)
    return pair


def readable(pair):
    pair.key.chmod(0o644)
    return pair


def private_file(path):
    path.chmod(0o600)
    return path


def opened(bench, path):
    """The same file where everybody can read it: the directories of tests are private."""
    copy = bench.public / "ca.pem"
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o644)
    return copy


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=c.marks) for c in CASES])
def test_the_cause_comes_first(case, bench, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case.environ(bench).items():
        monkeypatch.setenv(name, value)
    with case.server(bench) as port:
        found = ask(endpoint(bench, port, **case.subject(bench)))
    codes = [finding.code for finding in found.values()]
    assert set(case.codes) <= set(codes), codes
    bad = [f for f in found.values() if f.status in (Status.FAIL, Status.WARN)]
    assert not [f for f in found.values() if f.code.startswith("engine.d")], codes
    if case.good:
        assert bad == []
        return
    assert bad[0].code == case.codes[0], codes
    assert case.says in bad[0].seen
    assert bad[0].why and bad[0].hints
    assert "s3cret" not in str(found)


def test_every_declared_code_is_earned():
    earned = {code for case in CASES for code in case.codes}
    declared = {code for probe in STAGE.probes for code in probe.codes}
    assert declared - earned == set()


def test_a_cache_target_is_asked_through_its_socket_with_its_name(pki, tmp_path):
    path = tmp_path / "s"
    target = CacheTarget(parse_endpoint(f"grpcs://{NAME}:9092"), tls=TlsFiles(ca_file=pki.ca), socket=path)
    with answering(server_context(pki.issue(NAME), alpn=("h2",)), path=path):
        found = ask(of_cache(target))
    assert found["handshake"].data["alpn"] == "h2"
    assert found["trust"].data["anchor"]["subject"] == "CN=root of the tests"
    assert all(finding.status is Status.OK for finding in found.values())


def test_a_substituter_is_verified_as_nix_would(pki, tmp_path):
    endpoint = parse_endpoint(f"https://{NAME}/main")
    target = SubstituterTarget(endpoint)
    path = tmp_path / "s"
    environ = {"NIX_SSL_CERT_FILE": str(pki.ca)}
    with answering(server_context(pki.issue(NAME)), path=path):
        subject = of_substituter(target, way=to_socket(path), environ=environ)
        found = ask(subject)
    assert subject.clients == (Client.GFATTACH, Client.NIX)
    assert all(finding.status is Status.OK for finding in found.values())
    assert Client.DAEMON in of_substituter(target, through_daemon=True).clients


def test_an_api_server_is_asked_with_the_context_of_its_connection(pki):
    with answering(server_context(pki.issue("kubernetes"))) as port:
        connection = ClusterConnection(
            "127.0.0.1", port, "default", tls=verifying(pki.ca), server_name="kubernetes"
        )
        found = ask(of_api_server(connection))
    assert found["name"].code == "certificates.name.good"
    assert all(finding.status is Status.OK for finding in found.values())
    socks = replace(connection, proxy=Proxy("socks5", "127.0.0.1", 1))
    assert of_api_server(socks) is None
    http = of_api_server(replace(connection, proxy=Proxy("http", "127.0.0.1", 1, "user", "s3cret")))
    assert http is not None and "s3cret" not in repr(http)


def test_one_run_asks_several_endpoints_and_keeps_them_apart(pki, others, bench):
    run = Run()
    with bench.serve() as good, bench.serve(others.issue(NAME)) as bad:
        for purpose, port in ((Purpose.CACHE, good), (Purpose.SUBSTITUTER, bad)):
            run.stage(stage_of(purpose), endpoint(bench, port, purpose=purpose))
    assert run.findings["certificates.cache.trust"].status is Status.OK
    assert run.findings["certificates.substituter.trust"].code == "certificates.trust.authority-missing"
