"""A proof: all phases of all clients, the verdicts, the headline, and the record that is kept."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field

from gfattach import __version__
from gfattach.core.engine import Report
from gfattach.core.errors import ExitCode
from gfattach.core.redact import redacted
from gfattach.proof.evidence import Client, Phase
from gfattach.proof.verdict import ClientVerdict, Verdict, first_hit, judge

#: The record's format; fields may be added within a version.
SCHEMA = "gfattach.first-hit/1"


class Proof(Struct, frozen=True):
    """What was measured and what it amounts to. Moments of phases count from `origin`."""

    phases: Sequence[Phase]
    clients: Sequence[ClientVerdict]
    first_hit: Mapping[str, Any] | None
    origin: float
    endpoints: Mapping[str, str] = field(default_factory=dict)
    hints: Sequence[str] = ()

    @property
    def void(self) -> bool:
        """Whether anything that is no cache had a part."""
        return any(client.verdict is Verdict.VOID for client in self.clients)

    @property
    def complete(self) -> bool:
        """Whether every client that was asked was proved, and at least one was."""
        return bool(self.clients) and all(c.verdict is Verdict.PROVED for c in self.clients)

    @property
    def exit_code(self) -> ExitCode:
        """4 when anything was left unproved."""
        return ExitCode.GOOD if self.complete else ExitCode.UNPROVED

    @property
    def verdict(self) -> str:
        """One word for all clients: the worst of theirs."""
        found = {client.verdict for client in self.clients}
        for verdict in reversed(Verdict):
            if verdict in found:
                return verdict.value
        return Verdict.UNPROVED.value

    def as_json(self) -> dict[str, Any]:
        """The proof as the command's part of the document, and as the record on disk. It holds no secret."""
        made = {
            "schema": SCHEMA,
            "gfattach": __version__,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"system": platform.system(), "architecture": platform.machine()},
            "endpoints": dict(self.endpoints),
            "verdict": self.verdict,
            "first_hit": None if self.first_hit is None else dict(self.first_hit),
            "clients": [
                {"client": c.client.value, "verdict": c.verdict.value, "reason": c.reason}
                for c in self.clients
            ],
            "phases": [phase.record(self.origin) for phase in self.phases],
        }
        shown: dict[str, Any] = redacted(made)
        return shown


def conclude(phases: Sequence[Phase], report: Report, origin: float, endpoints: Mapping[str, str]) -> Proof:
    """The proof that these phases make. Only clients that were asked something are judged."""
    asked = [client for client in Client if any(phase.client is client for phase in phases)]
    clients = [judge(client, phases) for client in asked]
    empty = [client.client for client in clients if client.verdict is Verdict.NOTHING_TO_HIT]
    remedies = [hint for phase in phases if phase.client in empty for hint in phase.remedies]
    return Proof(
        phases=tuple(phases),
        clients=tuple(clients),
        first_hit=first_hit(report, phases, origin),
        origin=origin,
        endpoints=endpoints,
        hints=tuple(dict.fromkeys(remedies)),
    )
