"""A client's TLS contexts: one that verifies, and one that only looks.

Without a file of the site's own, the platform's trust store decides, as OpenSSL finds it
(SSL_CERT_FILE is honoured).
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from gfattach.tls.pem import PemError, read


def default(ca_file: str | Path | None = None) -> ssl.SSLContext:
    """Python's own context for a client, as strict as Bazel, Nix and kubectl are, on every Python.

    From 3.13 on Python's refuses what RFC 5280 asks of a certification authority and none of them looks for:
    an authority without key usage (plain `openssl req -x509`), a leaf without authority key identifier. They
    all let a chain end at any certificate that is given as an authority, which Python does from then on.
    Raises OSError and ValueError for a file that cannot be used.
    """
    made = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return made


def verifying(
    ca_file: Path | None = None,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    alpn: tuple[str, ...] = (),
    error: type[PemError] = PemError,
) -> ssl.SSLContext:
    """A context that verifies certificate and name, against `ca_file` where there is one.

    `certificate` and `key` say who we are; without `key` it is in the certificate's file. Raises `error`.
    """
    try:
        if ca_file is not None:
            read(ca_file, "CERTIFICATE", error)
        made = default(ca_file)
    except (ssl.SSLError, ValueError) as failure:
        raise error(
            f"{ca_file} holds no certificate that can be read, or one that cannot",
            f"see what it is: openssl crl2pkcs7 -nocrl -certfile {ca_file} | "
            "openssl pkcs7 -print_certs -noout",
        ) from failure
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if certificate is not None:
        _identify(made, certificate, key or certificate, error)
    return made


def blind(alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A context that asks what a server shows; it is never used to send a secret or to believe anything."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def client_hello(name: str, alpn: tuple[str, ...] = ()) -> bytes:
    """What a client says first to the server `name`: every server of TLS answers it, if by an alert."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        blind(alpn).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def _identify(made: ssl.SSLContext, certificate: Path, key: Path, error: type[PemError]) -> None:
    read(certificate, "CERTIFICATE", error)
    read(key, "PRIVATE KEY", error)
    try:
        # An empty password, so that an encrypted key is an error here and no question at the terminal.
        made.load_cert_chain(str(certificate), str(key), password="")
    except (ssl.SSLError, ValueError) as failure:
        raise error(
            f"the key in {key} does not open, or does not belong to the certificate in {certificate}",
            f"compare: openssl pkey -in {key} -pubout; openssl x509 -in {certificate} -noout -pubkey",
        ) from failure
