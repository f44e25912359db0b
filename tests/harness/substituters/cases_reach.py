"""By code of the stage "substituter", the cache that earns it on the way: proxy, name, port, protocol."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
from dataclasses import replace

from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import hang, hang_up, serving

# The way there.


def through_a_proxy(rig):
    port = rig.stack.enter_context(serving(rig.good()))
    rig.proxied(f"http://127.0.0.1:{port}")
    return rig.target(80, host="cache.invalid")


def _proxy_before_loopback(rig):
    rig.proxied("http://127.0.0.1:9")
    return rig.cache(rig.good())


def _bad_proxy(rig):
    rig.proxied("gopher://user:s3cret@127.0.0.1:9")
    return rig.target(80, host="cache.invalid")


def _no_name_server(rig):
    """No name server on this machine can be made not to answer, so the resolver's verdict is given here."""

    def unanswered(*args, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    rig.monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    return rig.target(80, host="cache.invalid")


def _full_queue(rig):
    """A listener that nobody accepts from and whose queue is full: the kernel drops what comes."""
    rig.soon()
    listener = rig.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        waiting = rig.stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(listener.getsockname())
    return rig.target(listener.getsockname()[1])


REACH = {
    "substituter.proxy.ok": lambda rig: rig.cache(rig.good()),
    "substituter.proxy.used": through_a_proxy,
    "substituter.proxy.loopback": _proxy_before_loopback,
    "substituter.proxy.unusable": _bad_proxy,
    "substituter.resolve.ok": lambda rig: rig.cache(rig.good()),
    "substituter.resolve.unknown": lambda rig: rig.target(80, host="a" * 64 + ".svc.cluster.local"),
    "substituter.resolve.unanswered": _no_name_server,
    "substituter.port.ok": lambda rig: rig.cache(rig.good()),
    "substituter.port.refused": lambda rig: rig.target(rig.stack.enter_context(faults.refusing())),
    "substituter.port.silent": _full_queue,
    # TCP has no way to a multicast address, whatever routes there are.
    "substituter.port.unreachable": lambda rig: rig.target(80, host="224.0.0.1"),
}


# The protocol.


def _expired(rig):
    """A certificate that is trusted, made for the right address, and over since yesterday."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now - datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = rig.tmp_path / "expired.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return rig.cache(rig.good(), "https", context, ca_file=path)


def _wants_certificate(rig):
    context = rig.authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(rig.authority.ca)
    return rig.cache(rig.good(), "https", context)


def _silent_port(rig):
    rig.soon()
    return rig.talking(hang)


def _no_authority(rig):
    return rig.cache(rig.good(), "https", ca_file=rig.tmp_path / "missing.pem")


def _plaintext(rig):
    """A server that waits for the end of the line that it takes the greeting for, as many do."""
    rig.seconds = 3.0
    return rig.target(rig.cache(rig.good()).endpoint.port, "https")


PROTOCOL = {
    "substituter.protocol.ok": lambda rig: rig.cache(rig.good(), "https"),
    "substituter.protocol.proxied": through_a_proxy,
    "substituter.protocol.tls": lambda rig: replace(
        rig.cache(rig.good(), "https"),
        endpoint=replace(rig.cache(rig.good(), "https").endpoint, scheme="http"),
    ),
    "substituter.protocol.plaintext": _plaintext,
    "substituter.protocol.name": lambda rig: rig.cache(
        rig.good(), "https", rig.authority.context("other.example")
    ),
    "substituter.protocol.expired": _expired,
    "substituter.protocol.untrusted": lambda rig: rig.cache(rig.good(), "https", ca_file=None),
    "substituter.protocol.handshake": _wants_certificate,
    "substituter.protocol.closed": lambda rig: rig.talking(hang_up),
    "substituter.protocol.silent": _silent_port,
    "substituter.protocol.other": lambda rig: rig.talking(faults.saying(b"SSH-2.0-OpenSSH_9\r\n")),
    "substituter.protocol.unusable": _no_authority,
}
