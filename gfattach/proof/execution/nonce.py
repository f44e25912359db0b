"""The nonce that forces an execution: a text in the action's key that names the run it was made for.

`YYYYMMDDTHHMMSSZ-<run id>-<attempt>`, the time in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

#: The environment variable of an action that holds the nonce.
VARIABLE = "GFATTACH_RBE_NONCE"

_TIME = "%Y%m%dT%H%M%SZ"
_GRAMMAR = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d{1,20})-(\d{1,9})", re.ASCII)


class Nonce(Struct, frozen=True):
    """One nonce: the moment in whole seconds, the run and its attempt."""

    moment: datetime
    run_id: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.moment.strftime(_TIME)}-{self.run_id}-{self.attempt}"


def make_nonce(moment: datetime, run_id: str, attempt: int) -> Nonce:
    """The nonce of a run, made at `moment`."""
    return Nonce(moment.astimezone(UTC).replace(microsecond=0), run_id, attempt)


def read_nonce(text: str) -> Nonce | None:
    """What `text` says; None for what is no nonce."""
    found = _GRAMMAR.fullmatch(text)
    if found is None:
        return None
    try:
        moment = datetime(*map(int, found.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    return Nonce(moment, found[7], int(found[8]))
