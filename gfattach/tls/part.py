"""One answer about a TLS server: a finding but for the stage that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

from gfattach.core.finding import Finding, Status


class Part(Struct, frozen=True):
    """`topic` and `word` are the end of the finding's code; the rest is as in `Finding`."""

    topic: str
    word: str
    status: Status
    seen: str
    why: str = ""
    hints: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def failed(self) -> bool:
        """Whether the server cannot be used for this reason."""
        return self.status is Status.FAIL

    def finding(self, prefix: str, **data: Any) -> Finding:
        """The finding `PREFIX.TOPIC.WORD`, with `data` beside the part's own."""
        code = f"{prefix}.{self.topic}.{self.word}"
        return Finding(code, self.status, self.seen, self.why, self.hints, data={**self.data, **data})


def good(topic: str, seen: str, **data: Any) -> Part:
    """All is as it should be."""
    return Part(topic, "ok", Status.OK, seen, data=data)


def warned(topic: str, word: str, seen: str, why: str, *hints: str, **data: Any) -> Part:
    """It can be used, and this should be read."""
    return Part(topic, word, Status.WARN, seen, why, hints, data)


def bad(topic: str, word: str, seen: str, why: str, *hints: str, **data: Any) -> Part:
    """It cannot be used."""
    return Part(topic, word, Status.FAIL, seen, why, hints, data)
