"""TLS towards a cache: whom to trust, and who we are.

Without a file of the site's own, the platform's trust store decides, as OpenSSL finds it
(SSL_CERT_FILE is honoured): gRPC and httpx each bring a bundle of their own, which does not
know the authority that an organisation installed on its machines.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from gfattach.reapi.target import TlsFiles
from gfattach.tls.context import verifying
from gfattach.tls.pem import PemError, read


class TlsFileError(PemError):
    """A PEM file that is missing, cannot be read, or does not hold what it should."""

    default_code = "cache.tls-file"


def read_pem(path: Path, holds: str) -> bytes:
    """The content of a PEM file that holds `holds` ("CERTIFICATE", "PRIVATE KEY"). Raises TlsFileError."""
    return read(path, holds, TlsFileError)


def context(tls: TlsFiles, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client's context that verifies certificate and name. Raises TlsFileError."""
    return verifying(tls.ca_file, certificate=tls.certificate, key=tls.key, alpn=alpn, error=TlsFileError)


def root_certificates(tls: TlsFiles) -> bytes | None:
    """The PEM certificates to trust; None when the platform keeps none in a file. Raises TlsFileError."""
    if tls.ca_file is not None:
        return read_pem(tls.ca_file, "CERTIFICATE")
    bundle = ssl.get_default_verify_paths().cafile
    return None if bundle is None else read_pem(Path(bundle), "CERTIFICATE")


def client_certificate(tls: TlsFiles) -> tuple[bytes, bytes] | None:
    """The PEM key and certificate that say who we are, None without one. Raises TlsFileError."""
    if tls.certificate is None:
        return None
    return read_pem(tls.key or tls.certificate, "PRIVATE KEY"), read_pem(tls.certificate, "CERTIFICATE")
