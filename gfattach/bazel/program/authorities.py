"""Which certificate authorities Bazel trusts where no `--tls_certificate` says so: its JVM's own store.

An upstream Bazel carries a JDK, whose store knows nothing of what an organisation installed on its
machines; Debian's runs on the system's, whose store follows the system's bundle. The format is that of
Java's KeyStore, "JKS" (an array of certificates, big-endian) or PKCS#12.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from gfattach.bazel.program.binary import Bazel

#: The store of the system's Java on Debian, which ca-certificates-java keeps.
SYSTEM_STORE = Path("/etc/ssl/certs/java/cacerts")

#: What is documented for every JDK; nothing in the store is secret.
_PASSWORD = b"changeit"

_WITHIN = "lib/security/cacerts"
_JKS = 0xFEEDFEED
_TRUSTED = 2


def java_store(bazel: Bazel) -> tuple[str, bytes] | None:
    """The store of the JVM that `bazel` runs on, its name and content; None where that is not known."""
    if bazel.version is None and bazel.startup:  # Debian's
        try:
            return str(SYSTEM_STORE), SYSTEM_STORE.read_bytes()
        except OSError:
            return None
    try:
        with zipfile.ZipFile(bazel.path) as archive:
            for name in archive.namelist():
                if name.endswith(_WITHIN):
                    return f"the JDK within {bazel.path}", archive.read(name)
    except (OSError, zipfile.BadZipFile):  # bazelisk, say: the Bazel that it runs is elsewhere
        return None
    return None


def certificates(store: bytes) -> tuple[bytes, ...]:
    """The certificates in a JVM's store, each as DER. Raises ValueError for what is none."""
    if len(store) >= 12 and struct.unpack_from(">I", store)[0] == _JKS:
        try:
            return tuple(_jks(store))
        except (struct.error, IndexError) as error:
            raise ValueError("the store of the JVM ends in the middle") from error
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    for password in (_PASSWORD, None):
        try:
            bag = pkcs12.load_pkcs12(store, password)
        except ValueError:
            continue
        return tuple(item.certificate.public_bytes(Encoding.DER) for item in bag.additional_certs)
    raise ValueError("the store of the JVM is in no form that is known")


def _jks(store: bytes) -> list[bytes]:
    version, count = struct.unpack_from(">II", store, 4)
    place, found = 12, []

    def text(at: int) -> int:
        return at + 2 + int(struct.unpack_from(">H", store, at)[0])

    for _ in range(count):
        (tag,) = struct.unpack_from(">I", store, place)
        place = text(place + 4) + 8  # alias, date
        if tag != _TRUSTED:
            raise ValueError("the store of the JVM holds more than certificates")
        if version == 2:
            place = text(place)
        (size,) = struct.unpack_from(">I", store, place)
        found.append(store[place + 4 : place + 4 + size])
        place += 4 + size
    return found
