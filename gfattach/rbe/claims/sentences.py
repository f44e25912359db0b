"""Takes Markdown apart into sentences with their lines: what is code, quoted or marked is no claim.

A mark says that what follows is meant otherwise: `<!-- gfattach: no-claim -->` for its own line or, alone on
a line, for the next paragraph; `<!-- gfattach: no-claim begin -->` and `... end -->` for all between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_MARK = re.compile(r"<!--\s*gfattach:\s*no-claim(?:\s+(begin|end))?\s*-->")
_COMMENT = re.compile(r"<!--.*?-->")
_HEADING = re.compile(r"^ {0,3}#{1,6} ")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")

#: Where a sentence ends: not inside a label, a number or an abbreviation.
_END = re.compile(r"(?<=[.!?;])\s+(?=[A-Z`*\[(\"“/])|\s+\|\s+")


class Sentence(Struct, frozen=True):
    """One sentence, a table's cell or a heading, with the line that it begins on."""

    text: str
    line: int


class Unclosed(Struct, frozen=True):
    """A mark that is begun and not ended, with its line."""

    line: int


def sentences(text: str) -> Iterator[Sentence | Unclosed]:
    """Every sentence of a document that may be a claim, in order; and a mark that is not closed, last."""
    block: list[tuple[int, str]] = []
    fence, begun, skipping = "", 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if line.strip().startswith(fence) and not line.strip().strip(fence[0]) else fence
            continue
        if opened := _FENCE.match(line):
            yield from _split(block)
            block, fence = [], opened[1]
            continue
        mark = _MARK.search(line)
        if mark is not None and mark[1]:
            begun = number if mark[1] == "begin" else 0
            yield from _split(block)
            block = []
            continue
        bare = _COMMENT.sub("", line)
        if mark is not None and not bare.strip():
            yield from _split(block)
            block, skipping = [], True
            continue
        if not bare.strip() or _HEADING.match(bare) or _ITEM.match(bare) or bare.lstrip().startswith("|"):
            yield from _split(block)
            block = []
        if not bare.strip():
            skipping = skipping and not block and _before_its_paragraph(text, number)
            continue
        if mark is None and not begun and not skipping:
            block.append((number, bare))
        if bare.lstrip().startswith("|") or _HEADING.match(bare):
            yield from _split(block)
            block = []
    yield from _split(block)
    if begun:
        yield Unclosed(begun)


def _before_its_paragraph(text: str, number: int) -> bool:
    """Whether the blank line `number` stands between a mark and what it marks."""
    return bool(_MARK.search(text.splitlines()[number - 2]))


def _split(block: list[tuple[int, str]]) -> Iterator[Sentence]:
    """The sentences of a block of lines. A row of a table is one: its cells belong together."""
    if not block:
        return
    if block[0][1].lstrip().startswith("|"):
        yield Sentence(block[0][1].strip(), block[0][0])
        return
    joined, starts = "", []
    for number, text in block:
        starts.append((len(joined), number))
        joined += text.strip() + " "
    position = 0
    for part in _END.split(joined):
        if not part.strip():
            continue
        position = joined.find(part, position)
        line = max((number for start, number in starts if start <= position), default=block[0][0])
        yield Sentence(part.strip(), line)
        position += len(part)
