"""Certificates that kubectl (Go's crypto/x509) takes and OpenSSL refuses, and those that neither takes."""

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.kubeconfig.entries import Cluster
from gfattach.cluster.kubeconfig.trust import client_context, identify
from gfattach.cluster.wire.dial import dial
from gfattach.core.deadline import Deadline
from tests.harness.certificates.pki import answering, new_key
from tests.harness.cluster.dials import failure, status
from tests.harness.machine import faulty_servers as faults

NAME = "api.test"
DAY = timedelta(days=1)

#: Netscape's certificate type: `nsCertType = client` (bit 0), `server` (bit 1), `objsign` (bit 3).
NS_CLIENT, NS_SERVER, NS_OBJECT = b"\x03\x02\x07\x80", b"\x03\x02\x06\x40", b"\x03\x02\x04\x10"
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Made:
    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def secret(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make(
    subject, signer=None, *, ca=None, names=(), usages=None, ns=b"", extended=(), end=60 * DAY, start=-DAY
):
    """A certificate with the extensions that are named and no others, key identifiers least of all."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(signer.certificate.subject if signer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    if usages is not None:
        every = (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        )
        builder = builder.add_extension(x509.KeyUsage(**{word: word in usages for word in every}), True)
    if ns:
        oid = ObjectIdentifier("2.16.840.1.113730.1.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, ns), False)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), False)
    return Made(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


AUTHORITY = make("kubernetes", ca=True)
RENEWED = make("kubernetes", ca=True)
OLDEST = make("kubernetes", ca=True)
OTHER = make("another", ca=True)
NO_AUTHORITY = make("leaf", AUTHORITY, ca=False)
UPPER = make("upper", AUTHORITY, ca=True)
MUTUAL = make("developer", AUTHORITY, extended=(ExtendedKeyUsageOID.CLIENT_AUTH,))


def leaf(signer=AUTHORITY, **more):
    return make("server", signer, **({"names": (NAME,)} | more))


SELF_SIGNED = make(NAME, names=(NAME,), ca=True, usages=("key_cert_sign",))
SELF_SIGNED_CRL = make(NAME, names=(NAME,), ca=True, usages=("key_cert_sign", "crl_sign"))
SELF_SIGNED_PLAIN = make(NAME, names=(NAME,), usages=("key_cert_sign",))


@dataclass(frozen=True)
class Case:
    """What the server shows, whom the kubeconfig trusts, and what has to come of it."""

    name: str
    shown: Made
    trusted: tuple[Made, ...] = (AUTHORITY,)
    chain: tuple[Made, ...] = ()
    refused: str = ""
    warned: bool = False
    options: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("an authority and a leaf of plain `openssl req -x509`", leaf(), warned=False),
    Case("the signer after an older authority of one subject", leaf(), (RENEWED, AUTHORITY)),
    Case("the signer before another of one subject", leaf(), (AUTHORITY, RENEWED)),
    Case("the signer last of three of one subject", leaf(), (OLDEST, RENEWED, AUTHORITY)),
    Case("the signer between others", leaf(), (OTHER, OLDEST, AUTHORITY, RENEWED)),
    Case("an intermediate below a renewed authority", leaf(UPPER), (RENEWED, AUTHORITY), (UPPER,)),
    Case("nsCertType client, both usages", leaf(ns=NS_CLIENT, extended=BOTH), warned=True),
    Case("nsCertType objsign", leaf(ns=NS_OBJECT), warned=True),
    Case("nsCertType server", leaf(ns=NS_SERVER, extended=BOTH)),
    Case("nsCertType client below a renewed one", leaf(ns=NS_CLIENT), (RENEWED, AUTHORITY), warned=True),
    Case("self-signed, keyCertSign alone", SELF_SIGNED, (SELF_SIGNED,), warned=True),
    Case("self-signed, keyCertSign and cRLSign", SELF_SIGNED_CRL, (SELF_SIGNED_CRL,), warned=True),
    Case("self-signed, no constraints, keyCertSign", SELF_SIGNED_PLAIN, (SELF_SIGNED_PLAIN,), warned=True),
    Case("a leaf with keyCertSign alone", leaf(usages=("key_cert_sign",)), warned=True),
    Case("another authority", leaf(OTHER), refused="tls-untrusted"),
    Case("another authority of one subject", leaf(RENEWED), (OLDEST, AUTHORITY), refused="tls-untrusted"),
    Case("nsCertType client of another", leaf(OTHER, ns=NS_CLIENT), refused="tls-untrusted"),
    Case(
        "a client's certificate alone",
        leaf(extended=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
        refused="tls-untrusted",
    ),
    Case(
        "a client's certificate with nsCertType",
        leaf(ns=NS_CLIENT, extended=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
        refused="tls-untrusted",
    ),
    Case("signed by what may not sign", leaf(NO_AUTHORITY), chain=(NO_AUTHORITY,), refused="tls-untrusted"),
    Case("nsCertType client, another name", leaf(ns=NS_CLIENT, names=("o.test",)), refused="tls-"),
    Case("nsCertType client, expired", leaf(ns=NS_CLIENT, start=-9 * DAY, end=-DAY), refused="tls-"),
    Case("keyCertSign alone, and not trusted", SELF_SIGNED, refused="tls-untrusted"),
]


def connection(case, port, **more):
    data = b"".join(made.pem for made in case.trusted)
    cluster = Cluster("test", Path("a kubeconfig"), server=f"https://{NAME}", authority_data=data)
    context = client_context(cluster)
    if case.options.get("identified"):
        identify(context, MUTUAL.pem, MUTUAL.secret)
    return ClusterConnection("127.0.0.1", port, "default", tls=context, server_name=NAME, **more)


@pytest.fixture
def serve(tmp_path):
    def start(case, clients=None):
        file, key = tmp_path / "server.pem", tmp_path / "server.key"
        file.write_bytes(b"".join(made.pem for made in (case.shown, *case.chain)))
        key.write_bytes(case.shown.secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, key)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=clients.pem.decode())
        return answering(context)

    return start


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_certificate_is_taken_or_refused_as_kubectl_does_it(case, serve):
    with serve(case) as port:
        if case.refused:
            assert failure(connection(case, port)).kind.startswith(case.refused)
            return
        assert status(connection(case, port)) == 404

        async def refusal():
            stream = await dial(connection(case, port), Deadline.after(5))
            stream.shut()
            return stream.refusal

        found = asyncio.run(refusal())
    assert (getattr(found, "verify_code", 7) != 7) is case.warned


def test_a_client_certificate_is_shown_to_a_server_of_the_second_opinion_too(serve):
    case = Case("mutual", leaf(ns=NS_CLIENT, extended=BOTH), options={"identified": True})
    with serve(case, clients=AUTHORITY) as port:
        assert status(connection(case, port, identified=True)) == 404
        anonymous = Case("mutual", case.shown)
        assert failure(connection(anonymous, port)).kind == "tls-client-certificate"


def test_nothing_is_sent_before_the_certificate_was_accepted(tmp_path):
    """The second opinion is of the connection that is used: a server that fails it hears no request."""
    file, key = tmp_path / "server.pem", tmp_path / "server.key"
    shown = leaf(OTHER, ns=NS_CLIENT)
    file.write_bytes(shown.pem)
    key.write_bytes(shown.secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    heard, asked = [], []

    def handle(plain):
        asked.append(plain)
        with context.wrap_socket(plain, server_side=True) as session:
            heard.append(session.recv(65536))

    case = Case("foreign", shown, (AUTHORITY, RENEWED))
    with faults.talking(handle) as port:
        refused = failure(connection(case, port, authorization="Bearer s3cret"))
    assert refused.kind == "tls-untrusted"
    assert asked and not any(heard)


def test_the_harness_serves_what_openssl_itself_refuses(serve):
    """Else the cases above would show nothing: OpenSSL's own verdict on two of them."""
    for case in (CASES[6], CASES[10]):
        with serve(case) as port:
            strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            strict.load_verify_locations(cadata=b"".join(made.pem for made in case.trusted).decode())
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                pytest.raises(ssl.SSLCertVerificationError, match="purpose"),
            ):
                strict.wrap_socket(plain, server_hostname=NAME)
