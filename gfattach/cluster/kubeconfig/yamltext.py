"""A YAML document of bounded size and depth, without the recursion of PyYAML's own composer.

That composer, in C, overruns the stack on a few kilobytes of brackets. Here the parser's events are
put together in a loop, and plain scalars become what kubectl takes them for (YAML 1.1 without dates
and sexagesimal numbers), so that both refuse the same files.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any

#: Levels of lists and mappings; a kubeconfig has eight, and what exec plugins are handed a few more.
DEPTH = 64

#: Values, those behind aliases counted each time: a few aliases of aliases stand for any number.
VALUES = 500_000

_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {word: True for name in ("y", "yes", "true", "on") for word in (name, name.title(), name.upper())}
_WORDS |= {word: False for name in ("n", "no", "false", "off") for word in (name, name.title(), name.upper())}

#: Numbers that JSON cannot hold, which kubectl makes of YAML first.
_NO_NUMBERS = frozenset(f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")) | {
    ".nan",
    ".NaN",
    ".NAN",
}

_INTEGER = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

_STRING_TAGS = ("!", "tag:yaml.org,2002:str")


class YamlError(Exception):
    """What is wrong, as the end of a sentence, and in which line (from 1; None when unknown)."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def parse(content: bytes) -> Any:
    """The first document in `content`; None for nothing.

    Raises YamlError, which quotes nothing of what the content holds.
    """
    if content.lstrip()[:1] == b"{":
        # What is JSON is read as JSON, as kubectl does: YAML forbids some of it (tabs, escapes).
        try:
            return json.loads(content, parse_constant=_refuse)
        except (ValueError, RecursionError):
            pass  # a flow mapping, or an error that the other parser explains with its line
    import yaml

    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _build(yaml, yaml.parse(content, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = re.sub(r"(['\"]).{3,}\1", "…", error.problem or error.context or "cannot be parsed")
        raise YamlError(problem, None if mark is None else mark.line + 1) from None
    except yaml.reader.ReaderError as error:
        start = content[: error.position] if isinstance(error.position, int) else b""
        raise YamlError("it holds characters that YAML does not allow", start.count(b"\n") + 1) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise YamlError("it cannot be parsed", None) from error


def _refuse(_: str) -> None:
    raise ValueError


class _Open:
    """A list or mapping whose end has not been seen; `keys` is whether it is a mapping."""

    def __init__(self, keys: bool) -> None:
        self.value: Any = {} if keys else []
        self.keys = keys
        self.key: str | None = None
        self.merged: list[Any] = []

    def add(self, value: Any, line: int) -> None:
        if not self.keys:
            self.value.append(value)
        elif self.key is None:
            if isinstance(value, dict | list):
                raise YamlError("a key is a list or a mapping", line)
            self.key = _as_key(value)
        else:
            if self.key == "<<":
                self.merged += value if isinstance(value, list) else [value]
            else:
                self.value[self.key] = value
            self.key = None

    def close(self) -> Any:
        for other in self.merged:
            if isinstance(other, dict):
                self.value = {**other, **self.value}
        return self.value


def _as_key(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _build(yaml: Any, events: Any) -> Any:
    anchors: dict[str, tuple[Any, int]] = {}
    open_: list[tuple[_Open, str | None, int]] = []
    count = 0
    for event in events:
        line = event.start_mark.line + 1
        before, anchor = count, getattr(event, "anchor", None)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            if anchor not in anchors:
                raise YamlError("an alias stands for nothing that was named before", line)
            (value, weight), anchor = anchors[anchor], None
            count += weight
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_) >= DEPTH:
                raise YamlError(f"it is nested more than {DEPTH} levels deep", line)
            open_.append((_Open(isinstance(event, yaml.MappingStartEvent)), anchor, before))
            continue
        elif isinstance(event, yaml.CollectionEndEvent):
            ended, anchor, before = open_.pop()
            value = ended.close()
        elif isinstance(event, yaml.DocumentEndEvent):
            return None
        else:
            continue
        count += 1
        if count > VALUES:
            raise YamlError(f"it holds more than {VALUES} values", line)
        if anchor is not None:
            anchors[anchor] = (value, count - before)
        if not open_:
            return value
        open_[-1][0].add(value, line)
    return None


def _scalar(event: Any) -> Any:
    """What a scalar stands for: text, None, a truth value or a number."""
    text: str = event.value
    if event.tag in _STRING_TAGS or not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    number: int | float | str = text
    if _INTEGER.fullmatch(text):
        number = _number(text.replace("_", ""))
    elif _FLOAT.fullmatch(text):
        number = _number(text)
    if text in _NO_NUMBERS or (isinstance(number, float) and not math.isfinite(number)):
        raise YamlError("a number is infinite, or none", event.start_mark.line + 1)
    return number


def _number(text: str) -> int | float:
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", text)
    try:
        return int(f"{octal[1]}0o{octal[2]}" if octal else text, 0)
    except ValueError:  # no integer, or one of thousands of digits
        with contextlib.suppress(ValueError):
            return float(text)
        return 0.0
