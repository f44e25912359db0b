"""The options in the texts of Bazel's rc files: where each stands, and what selects what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gfattach.fragments.rcfile import words

UPLOAD = "remote_upload_local_results"

_STRATEGIES = frozenset({"spawn_strategy", "strategy", "genrule_strategy", "strategy_regexp"})
_IMPORTS = frozenset({"import", "try-import", "try-import-if-bazel-version"})
_EXECUTE = frozenset({"remote", "dynamic"})
_FALSE = frozenset({"false", "0", "no", "f", "n"})


@dataclass(frozen=True)
class RcFile:
    """An rc file: its path as it is to be shown, its text, and whether git tracks it."""

    path: str
    text: str
    tracked: bool = False


@dataclass(frozen=True)
class Option:
    """One option where it stands: `name` is without dashes, `value` None where none is given.

    `config` is "" for what counts always.
    """

    file: RcFile
    line: int
    config: str
    name: str
    value: str | None

    @property
    def on(self) -> bool:
        """Whether it switches a boolean on."""
        return self.value is None or self.value.lower() not in _FALSE

    @property
    def executes(self) -> bool:
        """Whether it makes a build use an executor, whatever any config does."""
        value = self.value or ""
        if self.name in _STRATEGIES:
            return not _EXECUTE.isdisjoint(value.rpartition("=")[2].split(","))
        if self.name == "experimental_spawn_scheduler":  # expands to dynamic strategies
            return True
        return self.name == "remote_executor" and value != ""

    @property
    def where(self) -> str:
        """File, line, and the config that it belongs to."""
        under = f" (under --config={self.config})" if self.config else ""
        return f"{self.file.path}:{self.line}{under}"

    @property
    def place(self) -> dict[str, Any]:
        """The same for a program."""
        return {"file": self.file.path, "line": self.line, "config": self.config, "option": self.name}


def read_options(file: RcFile) -> Iterator[Option]:
    """The options of `file`; imports are not followed."""
    for number, line in _logical_lines(file.text):
        command, *rest = words(line) or [""]
        if command in _IMPORTS:
            continue
        for name, value in _named(rest):
            yield Option(file, number, command.partition(":")[2], name, value)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines, with the number that each begins at; a backslash at the end joins the next one."""
    joined, start = "", 1
    for number, line in enumerate([*text.split("\n"), ""], 1):
        start = start if joined else number
        joined += line.removesuffix("\r")
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        yield start, joined
        joined = ""


def _named(rest: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Options by name; `--noX` for an upload is X with `false`; a word behind an option is its value."""
    following = [*rest, "--"][1:]
    for word, after in zip(rest, following, strict=True):
        name, equals, value = word[2:].partition("=")
        if not word.startswith("--"):
            continue
        if name == f"no{UPLOAD}":
            yield UPLOAD, "false"
        elif equals:
            yield name, value
        else:
            yield name, None if after.startswith("-") or name == UPLOAD else after


class Configs:
    """What the configs of some options select. The name "" stands for what counts always."""

    def __init__(self, options: Iterable[Option]) -> None:
        self._selected: dict[str, set[str]] = {}
        says = set()
        for option in options:
            selected = self._selected.setdefault(option.config, set())
            if option.name == "config" and option.value:
                selected.add(option.value)
            if option.executes:
                says.add(option.config)
        names = set(self._selected).union(*self._selected.values())
        self.executors = {name for name in names if name and (name in says or "executor" in name)}
        """Configs that use an executor themselves: they say so, or are called so."""

    def reached(self, config: str) -> set[str]:
        """The configs that `config` selects, itself and nested ones included."""
        seen, pending = {config}, [config]
        while pending:
            for name in self._selected.get(pending.pop(), set()) - seen:
                seen.add(name)
                pending.append(name)
        return seen
