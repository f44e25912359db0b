"""An example of each code, as it was recorded in a run of the tests (`pytest --record-codes`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from msgspec import Struct

#: Where a code is explained; the anchor is `anchor(code)`.
PAGE = "docs/codes.md"


class Example(Struct, frozen=True):
    """A finding or an error as it was seen: the fact, why it matters ("" where nothing is said), the fix."""

    seen: str
    why: str
    hints: tuple[str, ...]


@cache
def examples() -> dict[str, Example]:
    """By code."""
    file = Path(__file__).with_name("examples.json")
    recorded = json.loads(file.read_text(encoding="utf-8"))
    return {code: Example(made["seen"], made["why"], tuple(made["hints"])) for code, made in recorded.items()}


def anchor(code: str) -> str:
    """The place of a code in the page, as GitHub makes it of the heading."""
    return code.replace(".", "")


def address(code: str) -> str:
    """Where a code is explained: a path in the repository with an anchor."""
    return f"{PAGE}#{anchor(code)}"
