"""PEM files of certificates and keys: what they hold, and in which form. Nothing secret is shown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from gfattach.core.errors import UsageError
from gfattach.core.files import storage_error
from gfattach.core.quote import word


class PemError(UsageError):
    """A PEM file that is missing, cannot be read, or does not hold what it should."""

    default_code = "tls.file"


class KeyForm(StrEnum):
    """The form of a private key, as its first line says it."""

    PKCS8 = "PKCS#8"
    ENCRYPTED = "encrypted"
    RSA = "PKCS#1"
    EC = "SEC1"
    NONE = "none"


def read(path: Path, holds: str, error: type[PemError] = PemError) -> bytes:
    """The content of a PEM file that holds `holds` ("CERTIFICATE", "PRIVATE KEY").

    Raises `error`. Never shows what the file holds.
    """
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise error(storage_error("read", path, failure).fact, f"look at it: ls -l {word(path)}") from failure
    if b"-----BEGIN " not in content or f"{holds}-----".encode() not in content:
        raise error(
            f"{path} holds no {holds.lower()} in PEM form", f"see what it is: file {path}; head -1 {path}"
        )
    return content


def key_form(pem: bytes) -> KeyForm:
    """The form of the first private key in `pem`.

    PKCS#8 (RFC 5208) is the only one that Bazel takes: on PKCS#1 and SEC1 it exits with 37, silently
    (2.1.0). An encrypted key needs a password, which no client here has a way to ask for.
    """
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem or b"\nProc-Type: 4,ENCRYPTED" in pem:
        return KeyForm.ENCRYPTED
    for beginning, form in (
        (b"-----BEGIN PRIVATE KEY-----", KeyForm.PKCS8),
        (b"-----BEGIN RSA PRIVATE KEY-----", KeyForm.RSA),
        (b"-----BEGIN EC PRIVATE KEY-----", KeyForm.EC),
    ):
        if beginning in pem:
            return form
    return KeyForm.NONE
