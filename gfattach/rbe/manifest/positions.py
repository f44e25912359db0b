"""Reads JSON and remembers where each value stands, so that a fault can be shown with its line.

The standard library's parser does not say: it drops the position, and the first of two equal keys.
"""

from __future__ import annotations

import bisect
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from msgspec import Struct

#: Where a value stands in a document: keys and indexes from the top.
Place = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")

#: How deep a document may be: one that is written by hand has five levels.
DEPTH = 64


class Positions(Struct):
    """A document, the line of each of its values (counted from 1), and the keys that stand twice."""

    value: Any = None
    lines: dict[Place, int] = {}
    twice: list[tuple[Place, int]] = []

    def line(self, place: Place) -> int:
        """The line of `place`, or of the nearest thing around it that is there."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_positions(text: str) -> Positions:
    """Read one JSON document. Raises json.JSONDecodeError, which knows the line."""
    reader = _Reader(text)
    end = reader.value(_SPACE.match(text, 0).end(), ())  # type: ignore[union-attr]
    if (end := reader.space(end)) != len(text):
        raise json.JSONDecodeError("something follows the document", text, end)
    return reader.found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.found = Positions()
        self._starts = [match.end() for match in re.finditer("\n", text)]

    def space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return at if match is None else match.end()

    def value(self, at: int, place: Place) -> int:
        end, value = self._value(at, place)
        self.found.value = value
        return end

    def _value(self, at: int, place: Place) -> tuple[int, Any]:
        if len(place) > DEPTH:
            raise json.JSONDecodeError("it is nested too deeply", self.text, at)
        self.found.lines[place] = bisect.bisect_right(self._starts, at) + 1
        begins = self.text[at : at + 1]
        if begins == "{":
            return self._object(at + 1, place)
        if begins == "[":
            return self._array(at + 1, place)
        if begins == '"':
            value, end = scanstring(self.text, at + 1, True)
            return end, value
        scalar = _SCALAR.match(self.text, at)
        if scalar is None:
            raise json.JSONDecodeError("a value was expected", self.text, at)
        return scalar.end(), json.loads(scalar[0])

    def _object(self, at: int, place: Place) -> tuple[int, dict[str, Any]]:
        found: dict[str, Any] = {}
        at = self.space(at)
        if self.text[at : at + 1] == "}":
            return at + 1, found
        while True:
            if self.text[at : at + 1] != '"':
                raise json.JSONDecodeError("a key in quotation marks was expected", self.text, at)
            start = at
            key, at = scanstring(self.text, at + 1, True)
            at = self._past(":", at)
            if key in found:
                self.found.twice.append(((*place, key), bisect.bisect_right(self._starts, start) + 1))
            at, found[key] = self._value(at, (*place, key))
            at = self.space(at)
            if self.text[at : at + 1] == "}":
                return at + 1, found
            at = self._past(",", at)

    def _array(self, at: int, place: Place) -> tuple[int, list[Any]]:
        found: list[Any] = []
        at = self.space(at)
        if self.text[at : at + 1] == "]":
            return at + 1, found
        while True:
            at, value = self._value(at, (*place, len(found)))
            found.append(value)
            at = self.space(at)
            if self.text[at : at + 1] == "]":
                return at + 1, found
            at = self._past(",", at)

    def _past(self, mark: str, at: int) -> int:
        at = self.space(at)
        if self.text[at : at + 1] != mark:
            raise json.JSONDecodeError(f"{mark!r} was expected", self.text, at)
        return self.space(at + 1)
