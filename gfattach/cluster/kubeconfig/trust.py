"""TLS towards an API server: whom to trust, and the certificate that says who we are.

Client certificates come as bytes, from a kubeconfig or a plugin, and OpenSSL's interface in Python reads
them from files only: they pass through memory that is no file (Linux), or through a private file that is
gone when the call returns.
"""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gfattach.cluster.kubeconfig.bounded import read_bounded
from gfattach.cluster.kubeconfig.entries import Cluster
from gfattach.core.errors import ClusterError
from gfattach.tls.context import ClientContext

#: Certificates and keys are small; a bundle of every public authority has 220 KB.
PEM_BYTES = 1024 * 1024

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")
#: Tags of DER (X.690): the version that may come first, and the two forms of a time.
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18

_ENCRYPTED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")


def client_context(cluster: Cluster) -> ClientContext:
    """A client's context for this cluster, TLS 1.2 and later, http/1.1.

    Raises ClusterError (cluster.kubeconfig.authority).
    """
    made = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    # As kubectl does it: a name counts where it is an alternative name, and any certificate that is
    # given as an authority ends a chain, though it be none that signed itself.
    made.hostname_checks_common_name = False
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    authorities = _authorities(cluster)
    if cluster.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif authorities is None:
        made.load_default_certs()
    else:
        _trust(made, cluster, authorities)
    return made


def _trust(context: ClientContext, cluster: Cluster, authorities: list[bytes]) -> None:
    """Trust the certificates that can be read, as kubectl does; there has to be one."""
    for authority in authorities:
        with contextlib.suppress(ssl.SSLError, ValueError):
            der = ssl.PEM_cert_to_DER_cert(authority.decode("ascii"))
            context.load_verify_locations(cadata=der)
            context.authorities += (der,)
    if not context.cert_store_stats()["x509"]:
        raise _authority_error(cluster, "holds a certificate that cannot be read")


def _authorities(cluster: Cluster) -> list[bytes] | None:
    """The PEM certificates of the entry, None where it names none."""
    if cluster.authority is None and not cluster.authority_data:
        return None
    if cluster.insecure:
        raise _authority_error(cluster, "stands beside insecure-skip-tls-verify, which makes it void")
    content = authority_bytes(cluster)
    found = _CERTIFICATE.findall(content)
    if not found:
        raise _authority_error(cluster, "holds no certificate in PEM form")
    return found


def authority_bytes(cluster: Cluster) -> bytes:
    """The content of the entry's certificate authority; empty where there is none.

    Raises ClusterError (cluster.kubeconfig.authority).
    """
    if cluster.authority is not None and cluster.authority_data:
        raise _authority_error(cluster, "is given twice, as a file and as data")
    if cluster.authority is None:
        return cluster.authority_data
    try:
        return read_bounded(cluster.authority, PEM_BYTES)
    except OSError as error:
        raise _authority_error(cluster, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise _authority_error(cluster, f"is {error}") from None


def _authority_error(cluster: Cluster, fact: str) -> ClusterError:
    what = "certificate-authority-data" if cluster.authority is None else f"the authority {cluster.authority}"
    return ClusterError(
        f"{what} of the cluster {cluster.name!r} in {cluster.origin} {fact}",
        "get the cluster's own again from who runs it",
        code="cluster.kubeconfig.authority",
    )


class PemError(Exception):
    """Why a certificate and key cannot be used, as the end of a sentence; `code` is the error's last part."""

    def __init__(self, fact: str, code: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.code = code


def not_after(certificate: bytes) -> datetime:
    """When the first certificate in a PEM text ends. Raises PemError."""
    if (block := _CERTIFICATE.search(certificate)) is None:
        raise PemError("holds no certificate in PEM form", "certificate")
    try:
        return end_of_validity(ssl.PEM_cert_to_DER_cert(block[0].decode("ascii")))
    except (ValueError, IndexError):
        raise PemError("holds a certificate that cannot be read", "certificate") from None


def end_of_validity(der: bytes) -> datetime:
    """The `notAfter` of a certificate (RFC 5280, 4.1).

    Looked up here, because the library for it costs the agent that stays in memory ten megabytes.
    Raises ValueError and IndexError for what is none.
    """
    _, certificate, _ = _element(der, 0)
    _, at, _ = _element(der, certificate)
    kind, _, end = _element(der, at)
    at = end if kind == _VERSION else at
    for _ in ("serialNumber", "signature", "issuer"):
        at = _element(der, at)[2]
    _, not_before, _ = _element(der, at)
    kind, start, end = _element(der, _element(der, not_before)[2])
    text = der[start:end].decode("ascii")
    if kind == _UTC_TIME:
        text = f"{'19' if text >= '50' else '20'}{text}"
    elif kind != _GENERALIZED_TIME:
        raise ValueError("no time")
    if not text.endswith("Z"):
        raise ValueError("a time of somewhere else")
    return datetime.fromisoformat(f"{text[:8]}T{text[8:-1]}").replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the element at `at`, and where its content starts and ends (X.690, 8.1)."""
    kind, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size], "big"), start + size
    if start + length > len(der):
        raise ValueError("cut off")
    return kind, start, start + length


def identify(context: ClientContext, certificate: bytes, key: bytes) -> None:
    """Have `context` show this certificate. Raises PemError."""
    if not _KEY.search(key):
        raise PemError("has a key that is not in PEM form", "key")
    if any(mark in key for mark in _ENCRYPTED):
        raise PemError("has a key that is encrypted, and its password cannot be asked for", "key-encrypted")
    content = b"\n".join(_CERTIFICATE.findall(certificate)) + b"\n" + key

    def shows(made: ssl.SSLContext) -> None:
        with _as_file(content) as path:
            # An empty password, so that nothing can be asked at the terminal.
            made.load_cert_chain(path, password="")

    try:
        shows(context)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise PemError("has a key that belongs to another certificate", "key-mismatch") from None
        raise PemError("has a key or certificate that cannot be read", "key") from None
    except (OSError, ValueError):
        raise PemError("has a key or certificate that cannot be read", "key") from None
    context.shows = shows


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path under which OpenSSL finds `content`, for the length of one call."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        handle = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(handle), "wb") as file:
                file.write(content)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
    else:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="gfattach-") as directory:
            path = Path(directory, "client.pem")
            path.touch(mode=0o600)
            path.write_bytes(content)
            yield str(path)
