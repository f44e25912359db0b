"""The options in the texts of Bazel's rc files: where each stands, and what selects what."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from gfattach.bazel.rc.grammar import statements

UPLOAD = "remote_upload_local_results"
ACCEPT_CACHED = "remote_accept_cached"
STRICT_ENV = "incompatible_strict_action_env"
PLATFORM_CONFIG = "enable_platform_specific_config"

#: Options that `--noX` switches off, of those that are looked for.
_BOOLEANS = frozenset({UPLOAD, ACCEPT_CACHED, PLATFORM_CONFIG, STRICT_ENV})

#: Options whose value, as a word behind them, may look like an option: a compiler's, a program's.
_FREE_VALUES = frozenset(
    {"test_arg", "run_under", "copt", "conlyopt", "cxxopt", "linkopt", "ltobackendopt", "ltoindexopt"}
    | {"host_copt", "host_conlyopt", "host_cxxopt", "host_linkopt", "objccopt", "per_file_copt"}
    | {"javacopt", "host_javacopt", "jvmopt", "host_jvmopt", "swiftcopt", "host_swiftcopt", "python_args"}
    | {"host_jvm_args", "sandbox_fake_hostname", "workspace_status_command", "define", "action_env"}
)

#: Options under a name that they had before.
_OLD_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "remote_http_cache": "remote_cache",
        "remote_rest_cache": "remote_cache",
        "experimental_local_disk_cache_path": "disk_cache",
        "auth_credentials": "google_credentials",
        "experimental_remote_instance_name": "remote_instance_name",
        "experimental_strict_action_env": STRICT_ENV,
    }
)

#: What Bazel calls this platform in a config that is selected by itself.
_PLATFORMS = (("linux", "linux"), ("darwin", "macos"), ("win", "windows"), ("freebsd", "freebsd"))

_STRATEGIES = frozenset({"spawn_strategy", "strategy", "genrule_strategy", "strategy_regexp"})
_IMPORTS = frozenset({"import", "try-import", "try-import-if-bazel-version"})
_DYNAMIC = "dynamic"
_EXECUTE = frozenset({"remote", _DYNAMIC})
_FALSE = frozenset({"false", "0", "no", "f", "n"})


class RcFile(Struct, frozen=True):
    """An rc file: its path as it is to be shown, its text, and whether git tracks it."""

    path: str
    text: str
    tracked: bool = False


class Option(Struct, frozen=True):
    """One option where it stands: `name` is without dashes, `value` None where none is given.

    `config` is "" for what counts always. `command` is the one that the line is for: it counts for those
    that inherit from it too, behind their own. `word` is the option as it is written, as one word.
    """

    file: RcFile
    line: int
    config: str
    name: str
    value: str | None
    command: str = "build"
    word: str = ""

    @property
    def on(self) -> bool:
        """Whether it switches a boolean on."""
        return self.value is None or self.value.lower() not in _FALSE

    @property
    def executes(self) -> bool:
        """Whether it makes a build use an executor, whatever any config does."""
        value = self.value or ""
        if self.name in _STRATEGIES:
            return needs_executor(value)
        if self.name == "experimental_spawn_scheduler":  # expands to dynamic strategies
            return True
        return self.name == "remote_executor" and value != ""

    @property
    def for_command(self) -> str:
        """Which command alone it is for, in words; "" for what `build` has too."""
        return "" if self.command in ("build", "common", "always") else f" for {self.command}"

    @property
    def where(self) -> str:
        """File, line, and the config that it belongs to."""
        under = f" (under --config={self.config})" if self.config else ""
        return f"{self.file.path}:{self.line}{under}"

    @property
    def place(self) -> dict[str, Any]:
        """The same for a program."""
        return {"file": self.file.path, "line": self.line, "config": self.config, "option": self.name}


def needs_executor(strategy: str) -> bool:
    """Whether a list of strategies (of a mnemonic or a pattern, where it says which) does nothing without an
    executor: Bazel passes over `remote` where there is none and another follows, and ends at a `dynamic`
    (4.2.3 and 7.7.1; 2.1.0 ends at both).
    """
    names = set(strategy.rpartition("=")[2].split(","))
    return _DYNAMIC in names or names <= _EXECUTE


def read_options(file: RcFile) -> Iterator[Option]:
    """The options of `file`; imports are not followed."""
    for number, (command, *rest) in statements(file.text):
        # A line that begins with an option is for a command of that name: Bazel has none, and passes it by.
        if command in _IMPORTS or command.startswith("-"):
            continue
        word, _, config = command.partition(":")
        for name, value, written in _named(rest):
            yield Option(file, number, config, name, value, word, written)


def _named(rest: Sequence[str]) -> Iterator[tuple[str, str | None, str]]:
    """Options by their present name, and as one word as they are written; `--noX` of a boolean is X with
    `false`; a word behind an option is its value.
    """
    words = iter(enumerate(rest))
    for place, word in words:
        name, equals, value = word[2:].partition("=")
        if not word.startswith("--"):
            continue
        name = _OLD_NAMES.get(name, name)
        if name.removeprefix("no") in _BOOLEANS and not equals:
            yield name.removeprefix("no"), "false" if name.startswith("no") else None, word
        elif equals:
            yield name, value, word
        elif name in _FREE_VALUES:
            after = next(words, (0, None))[1]
            yield name, after, word if after is None else f"{word}={after}"
        else:
            after = rest[place + 1] if place + 1 < len(rest) else "-"
            yield (name, None, word) if after.startswith("-") else (name, after, f"{word}={after}")


def own_platform() -> str:
    """What Bazel calls this platform where it selects a config by it."""
    return next((name for prefix, name in _PLATFORMS if sys.platform.startswith(prefix)), sys.platform)


class Configs:
    """What the configs of some options select. The name "" stands for what counts always.

    `platform` is the config that Bazel selects by itself where the options say so.
    """

    def __init__(self, options: Iterable[Option], platform: str = "") -> None:
        self._selected: dict[str, set[str]] = {}
        says = set()
        self.unasked = {""}
        """What counts without being asked for by name."""
        for option in options:
            if option.name == PLATFORM_CONFIG and not option.config:
                self.unasked = {"", platform or own_platform()} if option.on else {""}
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
