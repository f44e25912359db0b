"""A marked block: lines of gfattach's in a file that is somebody else's.

The block stands at the end of the file, because the last word wins where such files are read,
between two comment lines. Bytes outside of it are never touched: the file's line endings are
kept to, and when its last line had no line break, the block brings one along, says so in its
first line, and takes it away again.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

BEGIN = b"# >>> gfattach >>> `gfattach down` removes these lines"
BEGIN_JOINED = BEGIN + b" and the line break above"
END = b"# <<< gfattach <<<"


class DamagedBlockError(ValueError):
    """A file holds the first line of a block and not its last."""


class _Span(Struct, frozen=True):
    """`content[start:end]` is the block; `line_break` is the one before it if that is the block's own."""

    start: int
    end: int
    line_break: bytes


def put(content: bytes, lines: Sequence[str]) -> bytes:
    """`content` with one block that holds `lines`: where a block is, or else at the end.

    Raises DamagedBlockError.
    """
    spans = _spans(content)
    if len(spans) == 1:
        span = spans[0]
        ending = b"\r\n" if content[span.start : span.end].partition(b"\n")[0].endswith(b"\r") else b"\n"
        new = _block(lines, ending, joined=bool(span.line_break))
        return content[: span.start] + new + content[span.end :]
    if spans:
        content = take_out(content) or b""
    ending = b"\r\n" if content.partition(b"\n")[0].endswith(b"\r") else b"\n"
    joined = bool(content) and not content.endswith(b"\n")
    return content + (ending if joined else b"") + _block(lines, ending, joined=joined)


def take_out(content: bytes) -> bytes | None:
    """`content` without its block (or blocks); None when it holds none.

    The line break that a block brought along goes too, unless something follows the block:
    two lines of somebody else's are never made one. Raises DamagedBlockError.
    """
    spans = _spans(content)
    if not spans:
        return None
    for span in reversed(spans):
        before, after = content[: span.start], content[span.end :]
        if not after and span.line_break and before.endswith(span.line_break):
            before = before[: -len(span.line_break)]
        content = before + after
    return content


def _block(lines: Sequence[str], ending: bytes, *, joined: bool) -> bytes:
    texts = [BEGIN_JOINED if joined else BEGIN, *(line.encode() for line in lines), END]
    return b"".join(text + ending for text in texts)


def _spans(content: bytes) -> list[_Span]:
    spans: list[_Span] = []
    begun: tuple[int, bytes] | None = None
    position = 0
    for line in _lines(content):
        text = line.rstrip(b"\r\n")
        if text in (BEGIN, BEGIN_JOINED):
            if begun is not None:
                raise DamagedBlockError
            brought = b"" if text == BEGIN else line[len(text) :]
            begun = (position, brought)
        position += len(line)
        if text == END and begun is not None:
            spans.append(_Span(begun[0], position, begun[1]))
            begun = None
    if begun is not None:
        raise DamagedBlockError
    return spans


def _lines(content: bytes) -> list[bytes]:
    """The lines with their endings. Only a line feed ends one: a lone carriage return is somebody's byte."""
    pieces = content.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
