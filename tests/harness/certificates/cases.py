"""Every code of the stage "certificates", with the endpoint, files or trust stores that earn it."""

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from gfattach.tls.context import blind, verifying
from tests.harness.certificates.authorities import NAME, Case
from tests.harness.certificates.pki import DAY, Pki
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.bazels import debian, upstream


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


GOOD = tuple(f"certificates.{topic}.ok" for topic in ("handshake", "trust", "name", "validity", "client"))

CASES = [
    Case(
        "all is right",
        ("certificates.files.ok", "certificates.key.ok", *GOOD, "certificates.stores.ok"),
        good=True,
    ),
    Case(
        "all is right, with a client certificate",
        ("certificates.key.ok", *GOOD),
        lambda b: b.serve(clients=b.pki.ca),
        lambda b: client(private(b.pki.issue("client"))),
        good=True,
    ),
    Case(
        "the platform's trust store",
        ("certificates.files.ok", "certificates.trust.ok"),
        subject=lambda b: {"ca_file": None},
        environ=lambda b: {"SSL_CERT_FILE": str(b.pki.ca)},
        good=True,
    ),
    Case(
        "a context that was made before",
        ("certificates.files.ok", "certificates.trust.ok"),
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
        "a file that is half good",
        ("certificates.handshake.file", "certificates.files.ok"),
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
            for_bazel=True,
        ),
        says="PKCS#1",
    ),
    Case(
        "a SEC1 key for Bazel",
        ("certificates.key.form",),
        subject=lambda b: client(b.pki.issue("c", form=PrivateFormat.TraditionalOpenSSL), for_bazel=True),
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
        ("certificates.validity.expired", "certificates.trust.ok", "certificates.name.ok"),
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
        subject=lambda b: {"ca_file": None, "for_bazel": True, "bazel": upstream()},
        environ=lambda b: {"SSL_CERT_FILE": str(b.pki.ca)},
        says="the JDK within",
        marks=(pytest.mark.bazel,),
    ),
    Case(
        "Debian's Bazel goes by the system's store",
        ("certificates.stores.bazel",),
        subject=lambda b: {"ca_file": None, "for_bazel": True, "bazel": debian()},
        environ=lambda b: {"SSL_CERT_FILE": str(b.pki.ca)},
        says="/etc/ssl/certs/java/cacerts",
        marks=(pytest.mark.bazel,),
    ),
    Case(
        "the fragment names the authority to Bazel",
        ("certificates.stores.ok",),
        subject=lambda b: {"for_bazel": True, "bazel": upstream()},
        good=True,
        marks=(pytest.mark.bazel,),
    ),
]


def private(pair):
    pair.key.chmod(0o600)
    return pair


def readable(pair):
    pair.key.chmod(0o644)
    return pair
