"""What can go wrong between here and a cache, one kind each, whatever protocol it was."""

from __future__ import annotations

from enum import StrEnum

from gfattach.core.errors import GfattachError
from gfattach.net.sniff import printable


class Kind(StrEnum):
    """Why a call did not succeed."""

    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION = "permission"
    NOT_FOUND = "not-found"
    INVALID = "invalid"
    UNIMPLEMENTED = "unimplemented"
    EXHAUSTED = "exhausted"
    CORRUPT = "corrupt"
    OTHER = "other"


class ReapiError(GfattachError):
    """A call to a cache that did not succeed. `kind` says why, `detail` what the other side said."""

    default_code = "cache.call"

    def __init__(self, kind: Kind, call: str, detail: str) -> None:
        self.kind = kind
        self.detail = printable(detail.strip().splitlines()[0], 300) if detail.strip() else ""
        super().__init__(f"{call}: {kind.value.replace('-', ' ')}{f': {self.detail}' if self.detail else ''}")
