"""Authorities and certificates, valid by the machine's own clock: OpenSSL goes by no other."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.harness.certificates.pki import Issuer, Pair, new_key, sign
from tests.harness.year.clock import Clock

_DAY = timedelta(days=1)


class Certificates:
    """Makes them, as files in `directory`."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._number = itertools.count(1)

    def authority(self) -> Issuer:
        """A new one."""
        key, number = new_key(), next(self._number)
        start, end = self._dates()
        return Issuer(sign(f"root {number}", key, None, authority=True, start=start, end=end), key)

    def pair(self, issuer: Issuer) -> Pair:
        """A new certificate of a server on 127.0.0.1."""
        key, number = new_key(), next(self._number)
        start, end = self._dates()
        made = sign("localhost", key, issuer, names=("localhost", "127.0.0.1"), start=start, end=end)
        pair = Pair(self._directory / f"{number}.pem", self._directory / f"{number}.key")
        pair.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def _dates(self) -> tuple[timedelta, timedelta]:
        ahead = timedelta(seconds=self._clock.ahead)
        return -ahead - _DAY, -ahead + 60 * _DAY
