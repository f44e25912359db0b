"""TLS towards a cache: whom to trust, and who we are.

Without a file of the site's own, the platform's trust store decides, as OpenSSL finds it
(SSL_CERT_FILE is honoured): gRPC and httpx each bring a bundle of their own, which does not
know the authority that an organisation installed on its machines.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gfattach.errors import UsageError
from gfattach.files import storage_error
from gfattach.reapi.errors import printable
from gfattach.reapi.target import TlsFiles

#: How PEM keys begin that are not PKCS#8 (RFC 5208): an algorithm's own form.
_OWN_FORMS = (b"-----BEGIN RSA PRIVATE KEY-----", b"-----BEGIN EC PRIVATE KEY-----")


class Fault(StrEnum):
    """Why a TLS connection cannot be used."""

    UNTRUSTED = "untrusted"
    NAME = "name"
    TIME = "time"
    CLIENT_CERTIFICATE = "client-certificate"
    HANDSHAKE = "handshake"


@dataclass(frozen=True)
class Tls:
    """What a TLS handshake showed: the protocol agreed upon, and what is wrong with it, if anything.

    `detail` is OpenSSL's word for the fault; `names` are the certificate's, where they matter.
    """

    alpn: str | None = None
    fault: Fault | None = None
    detail: str = ""
    names: tuple[str, ...] = ()


class TlsFileError(UsageError):
    """A PEM file that is missing, cannot be read, or does not hold what it should."""

    default_code = "cache.tls-file"


def read_pem(path: Path, holds: str) -> bytes:
    """The content of a PEM file that holds `holds` ("CERTIFICATE", "PRIVATE KEY").

    Raises TlsFileError. Never shows what the file holds.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TlsFileError(storage_error("read", path, error).fact, f"look at it: ls -l {path}") from error
    if b"-----BEGIN " not in content or f"{holds}-----".encode() not in content:
        raise TlsFileError(
            f"{path} holds no {holds.lower()} in PEM form", f"see what it is: file {path}; head -1 {path}"
        )
    return content


def is_pkcs8(key: bytes) -> bool:
    """Whether a PEM key has the only form that Bazel takes: on another it exits with 37, silently (2.1.0)."""
    return not any(beginning in key for beginning in _OWN_FORMS)


def context(tls: TlsFiles, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client's context that verifies certificate and name. Raises TlsFileError."""
    try:
        if tls.ca_file is not None:
            read_pem(tls.ca_file, "CERTIFICATE")
        made = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    except ssl.SSLError as error:
        raise TlsFileError(f"{tls.ca_file} holds no certificate that can be read") from error
    if alpn:
        made.set_alpn_protocols(list(alpn))
    _identify(made, tls)
    return made


def blind_context(alpn: tuple[str, ...]) -> ssl.SSLContext:
    """A context that asks what a server speaks; it is never used to send a secret or to believe anything."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(list(alpn))
    return made


def _identify(made: ssl.SSLContext, tls: TlsFiles) -> None:
    if tls.certificate is None:
        return
    key = tls.key or tls.certificate
    read_pem(tls.certificate, "CERTIFICATE")
    read_pem(key, "PRIVATE KEY")
    try:
        # An empty password, so that an encrypted key is an error here and no question at the terminal.
        made.load_cert_chain(str(tls.certificate), str(key), password="")
    except (ssl.SSLError, ValueError) as error:
        raise TlsFileError(
            f"the key in {key} does not open, or does not belong to the certificate in {tls.certificate}",
            f"compare: openssl pkey -in {key} -pubout; openssl x509 -in {tls.certificate} -noout -pubkey",
        ) from error


def root_certificates(tls: TlsFiles) -> bytes | None:
    """The PEM certificates to trust; None when the platform keeps none in a file. Raises TlsFileError."""
    if tls.ca_file is not None:
        return read_pem(tls.ca_file, "CERTIFICATE")
    bundle = ssl.get_default_verify_paths().cafile
    return None if bundle is None else read_pem(Path(bundle), "CERTIFICATE")


def client_certificate(tls: TlsFiles) -> tuple[bytes, bytes] | None:
    """The PEM key and certificate that say who we are, None for nobody. Raises TlsFileError."""
    if tls.certificate is None:
        return None
    return read_pem(tls.key or tls.certificate, "PRIVATE KEY"), read_pem(tls.certificate, "CERTIFICATE")


def tls_fault(error: OSError) -> Fault | None:
    """What is wrong with a TLS connection that failed with `error`; None when no TLS was spoken at all."""
    if isinstance(error, ssl.SSLCertVerificationError):
        # X509_V_ERR_*: 9 and 10 are about time, 62 to 64 about host, mail address and IP address.
        if error.verify_code in (9, 10):
            return Fault.TIME
        return Fault.NAME if error.verify_code in (62, 63, 64) else Fault.UNTRUSTED
    reason = (getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return Fault.CLIENT_CERTIFICATE
    return Fault.HANDSHAKE if "ALERT" in reason else None


def openssl_says(error: OSError) -> str:
    """OpenSSL's word for what failed."""
    said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return printable(str(said).rstrip(".").replace("_", " ")).lower()
