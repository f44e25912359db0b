"""The shape of a document: exact keys and exact types, where true and false are no numbers.

A shape is `str`, `int`, `float`, `bool`; a text (that value alone); a compiled pattern (a text that it fits);
a tuple (any of its members; None for null); a list with one member (a list of such); a dictionary (an object
with exactly these keys; a key that ends in `?` may be missing); `dict` (an object of texts by key).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from gfattach.core.finding import Finding, fail

Shape = Any

#: Texts that several documents have.
SHA256 = re.compile(r"[0-9a-f]{64}")
IMAGE_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")

_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "an object"}


def check(value: Any, shape: Shape, where: str = "") -> Iterator[Finding]:
    """Every way in which `value` is not of `shape`; `where` is its place in the document."""
    if isinstance(shape, tuple):
        found = [list(check(value, each, where)) for each in shape]
        if all(found):
            # The one that got furthest says most.
            yield from min(found, key=lambda faults: (_depth(faults), len(faults)))
    elif isinstance(shape, dict):
        yield from _object(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield _type(value, "a list", where)
            return
        for index, each in enumerate(value):
            yield from check(each, shape[0], f"{where}[{index}]")
    else:
        yield from _scalar(value, shape, where)


def _depth(faults: list[Finding]) -> int:
    return -max(str(fault.data.get("where", "")).count(".") for fault in faults)


def _object(value: Any, shape: Mapping[str, Shape], where: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _type(value, "an object", where)
        return
    known = {key.removesuffix("?"): key for key in shape}
    for key in value:
        if key not in known:
            place = _join(where, key)
            why = "what nobody has defined proves nothing, and may hide what was meant"
            yield fail("rbe.document.unknown-key", f"{place} is a key that is not known", why, where=place)
    for key, written in known.items():
        place = _join(where, key)
        if key in value:
            yield from check(value[key], shape[written], place)
        elif written == key:
            why = "the document does not say what a proof has to say"
            yield fail("rbe.document.missing-key", f"{place} is missing", why, where=place)


def _scalar(value: Any, shape: Shape, where: str) -> Iterator[Finding]:
    if shape is None:
        if value is not None:
            yield _type(value, "null", where)
    elif shape is dict:
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            yield _type(value, "an object of texts", where)
    elif isinstance(shape, re.Pattern):
        if not isinstance(value, str):
            yield _type(value, "a text", where)
        elif shape.fullmatch(value) is None:
            yield _value(value, f"does not fit {shape.pattern}", where)
        elif shape is MOMENT and not _is_moment(value):
            yield _value(value, "is on no calendar", where)
    elif isinstance(shape, type):
        if isinstance(value, bool) is not (shape is bool):
            yield _boolean(value, shape, where)
        elif not isinstance(value, (int, float) if shape is float else shape):
            yield _type(value, _NAMES[shape], where)
        elif shape is str and not value:
            yield _value(value, "is empty", where)
    elif type(value) is not type(shape):
        if isinstance(value, bool) or isinstance(shape, bool):
            yield _boolean(value, type(shape), where)
        else:
            yield _type(value, repr(shape), where)
    elif value != shape:
        yield _value(value, f"is not {shape!r}", where)


def moment_of(text: str) -> datetime:
    """The moment that a text of the pattern `MOMENT` means. Raises ValueError for one on no calendar."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _is_moment(text: str) -> bool:
    try:
        moment_of(text)
    except ValueError:
        return False
    return True


def _boolean(value: Any, wanted: type, where: str) -> Finding:
    if not isinstance(value, bool):
        return _type(value, _NAMES[wanted], where)
    said = f"{where} is {str(value).lower()}, and has to be {_NAMES.get(wanted, wanted.__name__)}"
    why = "a boolean is no number, though some readers take true for 1"
    return fail("rbe.document.boolean", said, why, where=where)


def _type(value: Any, wanted: str, where: str) -> Finding:
    kinds = {type(None): "null", list: "a list", **_NAMES}
    said = (
        f"{where or 'the document'} is {kinds.get(type(value), type(value).__name__)}, and has to be {wanted}"
    )
    return fail("rbe.document.type", said, "it cannot be read for what it should say", where=where)


def _value(value: Any, fault: str, where: str) -> Finding:
    shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:77]}..."
    said = f"{where} is {shown}: it {fault}"
    return fail("rbe.document.value", said, "a proof does not have that value there", where=where)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
