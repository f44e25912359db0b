"""A client's TLS contexts: one that verifies, and one that only looks.

They are as strict as Bazel, Nix and kubectl, and no stricter: since Python 3.13
`ssl.create_default_context` sets VERIFY_X509_STRICT, which refuses an authority that a plain
`openssl req -x509` made (no key usage) and a leaf without authority key identifier. A certificate that was
named as an authority ends a chain, be it a root or not.

Without a file of the site's own, the platform's trust store decides, as OpenSSL finds it
(SSL_CERT_FILE is honoured).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gfattach.core.quote import word
from gfattach.tls.pem import PemError, read


class ClientContext(ssl.SSLContext):
    """A context that can say whom it trusts, and make a twin that shows the same client certificate.

    `authorities` are certificates in DER; `shows` has another context show the client's, None without one.
    """

    authorities: tuple[bytes, ...] = ()
    shows: Callable[[ssl.SSLContext], None] | None = None


def authorities_of(context: ssl.SSLContext | None) -> tuple[bytes, ...]:
    """The certificates (DER) that `context` trusts, as far as they are known; none for None."""
    if context is None or context.verify_mode is ssl.CERT_NONE:
        return ()
    return getattr(context, "authorities", ()) or tuple(context.get_ca_certs(binary_form=True))


def unverified_twin(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context that shows what `context` shows and verifies nothing: for who verifies afterwards."""
    made = blind(("http/1.1",))
    if (shows := getattr(context, "shows", None)) is not None:
        shows(made)
    return made


def chain_of(session: Any, kind: str) -> tuple[bytes, ...]:
    """The chain (DER) that the server of an SSLSocket or SSLObject sent ("unverified"), or the one that was
    "verified"; the server's own certificate first.

    Public from Python 3.13 on; before that there is the same on the object within, since 3.10.
    """
    within = getattr(session, "_sslobj", None)
    getter = getattr(session, f"get_{kind}_chain", None) or getattr(within, f"get_{kind}_chain", None)
    found = list(getter() or ()) if getter is not None else []
    if not found and kind == "unverified":
        found = [session.getpeercert(binary_form=True) or b""]
    return tuple(
        item if isinstance(item, bytes) else ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in found
    )


def trusting(ca_file: Path | str | None = None) -> ssl.SSLContext:
    """A context that verifies certificate and name, against `ca_file` or the platform's trust store.

    Raises OSError (ssl.SSLError is one) and ValueError for a file that cannot be used.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file is None:
        made.load_default_certs()
    else:
        made.load_verify_locations(cafile=str(ca_file))
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
        made = trusting(ca_file)
    except (ssl.SSLError, ValueError) as failure:
        raise error(
            f"{ca_file} holds no certificate that can be read, or one that cannot",
            f"see what it is: openssl crl2pkcs7 -nocrl -certfile {word(str(ca_file))} | "
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
            f"compare: openssl pkey -in {word(key)} -pubout; "
            f"openssl x509 -in {word(certificate)} -noout -pubkey",
        ) from failure
