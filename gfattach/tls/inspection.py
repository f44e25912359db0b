"""What a TLS server showed, and what is wrong with it: the nouns of `gfattach.net.inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from gfattach.tls.certificate import Certificate
from gfattach.tls.fault import Fault


class Inspection(Struct, frozen=True):
    """What a server showed.

    `name` is what the certificate has to be for; `offered` are the protocols (ALPN) on offer. `fault` is
    what ended the verified handshake, None when it was good; `detail` is OpenSSL's or the system's word
    for it, `verify_code` OpenSSL's number for what the certificate lacks. `namesake` says that an authority
    is trusted which has the missing one's name, and another key. `chain` are the certificates that the
    server sent, its own first; `anchor` is the authority at which the verified chain ends. `version` and
    `alpn` are what was agreed upon. `asked` says whether a client's certificate was asked for, None where
    that was not seen; `identified`, whether one was shown; `unchecked`, that the context verifies nothing.
    `clock` is the server's, by its Date header: of the second look, so no more than a hint. `sample` is
    the beginning of what a plaintext server says; `named` are the certificate's names where the chain
    was not read.
    """

    name: str
    offered: tuple[str, ...] = ()
    fault: Fault | None = None
    detail: str = ""
    verify_code: int = 0
    namesake: bool = False
    version: str = ""
    alpn: str | None = None
    chain: tuple[Certificate, ...] = ()
    anchor: Certificate | None = None
    asked: bool | None = None
    identified: bool = False
    unchecked: bool = False
    clock: datetime | None = None
    sample: str = ""
    named: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the server's own certificate is for, as far as they are known."""
        return self.chain[0].names if self.chain else self.named

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken there at all."""
        return bool(self.version) or self.fault not in (
            Fault.UNREACHABLE,
            Fault.SILENT,
            Fault.CLOSED,
            Fault.PLAINTEXT,
        )

    @property
    def certificate(self) -> Certificate | None:
        """The server's own certificate, None when it was not seen."""
        return self.chain[0] if self.chain else None

    def as_json(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {
            "name": self.name,
            "offered": list(self.offered),
            "verify_code": self.verify_code,
            "namesake": self.namesake,
            "fault": self.fault,
            "detail": self.detail,
            "version": self.version,
            "alpn": self.alpn,
            "chain": [certificate.as_json() for certificate in self.chain],
            "anchor": None if self.anchor is None else self.anchor.as_json(),
            "asked": self.asked,
            "identified": self.identified,
            "unchecked": self.unchecked,
            "clock": None if self.clock is None else self.clock.isoformat(),
            "sample": self.sample,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Inspection:
        """The reverse of `as_json`. Raises KeyError and ValueError for what is none."""
        fault, anchor, clock = document["fault"], document["anchor"], document["clock"]
        return cls(
            name=document["name"],
            offered=tuple(document["offered"]),
            verify_code=document["verify_code"],
            namesake=document["namesake"],
            fault=None if fault is None else Fault(fault),
            detail=document["detail"],
            version=document["version"],
            alpn=document["alpn"],
            chain=tuple(Certificate.from_json(item) for item in document["chain"]),
            anchor=None if anchor is None else Certificate.from_json(anchor),
            asked=document["asked"],
            identified=document["identified"],
            unchecked=document["unchecked"],
            clock=None if clock is None else datetime.fromisoformat(clock),
            sample=document["sample"],
        )
