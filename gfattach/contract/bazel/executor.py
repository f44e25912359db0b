"""Whether effective options of Bazel could make a build use an executor, and where they are said.

Facts alone: what refuses an executor, and what demands one, is a matter of each proof. An executor is in
reach when `--remote_executor` is not empty, or when a strategy does nothing without one: `remote` alone, or
`dynamic` (which races a remote spawn against a local one). Beside others Bazel passes over `remote`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from gfattach.bazel.logs.events import Options
from gfattach.bazel.program.bazelisk import wrapper_of
from gfattach.bazel.rc.grammar import imports
from gfattach.contract.bazel.rctext import RcFile, needs_executor, read_options
from gfattach.core.errors import StorageError
from gfattach.core.files import read_bytes

#: The system's rc file, as Bazel is built with it by its makers, and by Debian.
_SYSTEM_RC = (Path("/etc/bazel.bazelrc"), Path("/etc/bazel/bazelrc"))

#: The variable in which Bazel 9 and later look for further rc files, parted by commas.
RC_VARIABLE = "BAZELRC"

#: The option that names an executor.
EXECUTOR = "remote_executor"

#: Strategies by the option that gives them: for all spawns, for genrules, for a mnemonic, for a pattern.
_STRATEGIES = ("spawn_strategy", "genrule_strategy", "strategy", "strategy_regexp")

#: What an option may be called in an rc file, when it comes out under another name.
_EXPANDS_TO = {"experimental_spawn_scheduler": "spawn_strategy"}

#: A line of a wrapper that gives Bazel an executor, or a strategy that needs one.
_IN_WRAPPER = re.compile(
    r"--remote_executor(?:=|\s+)[\"']?[^\s\"']|--(?:spawn_|genrule_)?strategy(?:_regexp)?\S*\b(?:remote|dynamic)\b"
)


def executor_options(options: Options) -> Iterator[tuple[str, str]]:
    """The options, name and value, by which a build could use an executor: those that others do not undo."""
    executor = options.effective(EXECUTOR)
    if executor:
        yield EXECUTOR, executor
    last: dict[tuple[str, str], tuple[str, str]] = {}
    for option in options.command_line:
        name, _, value = option.removeprefix("--").partition("=")
        if name in _STRATEGIES:
            # A mnemonic ends at the first equals sign, a pattern at the last one.
            subject = value.partition("=")[0] if name == "strategy" else value.rpartition("=")[0]
            last[name, subject if "=" in value else ""] = (name, value)
    for name, value in last.values():
        if needs_executor(value) or (executor and _names_remote(value)):
            yield name, value


def read_rc_files(workspace: Path, environ: Mapping[str, str], rc: Sequence[Path]) -> tuple[RcFile, ...]:
    """The rc files that a Bazel may read in `workspace`, with `rc` after them, and what they import.

    A file that cannot be read is left out: Bazel says that better.
    """
    roots = [*_SYSTEM_RC, workspace / ".bazelrc"]
    if environ.get("HOME"):
        roots.append(Path(environ["HOME"]) / ".bazelrc")
    roots += [workspace / name for name in environ.get(RC_VARIABLE, "").split(",") if name]
    found: dict[Path, RcFile] = {}
    for root in (*roots, *rc):
        for path in (root, *imports(root, workspace)):
            if path not in found and (file := _read(path, workspace)) is not None:
                found[path] = file
    return tuple(found.values())


def read_wrapper(workspace: Path, environ: Mapping[str, str] = MappingProxyType({})) -> RcFile | None:
    """The program that is run in Bazel's place in `workspace` (`tools/bazel`), when it can be run."""
    path = wrapper_of(workspace, environ)
    return None if path is None else _read(path, workspace)


def _read(path: Path, workspace: Path) -> RcFile | None:
    try:
        content = read_bytes(path) if path.is_file() else None
    except StorageError:
        return None
    name = path.relative_to(workspace) if path.is_relative_to(workspace) else path
    return None if content is None else RcFile(str(name), content.decode("utf-8", "replace"))


def executor_kind(name: str, value: str) -> str | None:
    """How an option makes a build use an executor: "endpoint", "strategy", or not at all."""
    if name == EXECUTOR:
        return "endpoint" if value else None
    dynamic = _EXPANDS_TO.get(name) in _STRATEGIES
    return "strategy" if dynamic or (name in _STRATEGIES and needs_executor(value)) else None


def _names_remote(strategy: str) -> bool:
    return "remote" in strategy.rpartition("=")[2].split(",")


def places_of(name: str, value: str, files: Sequence[RcFile]) -> list[str]:
    """Where the option stands: every place, since which of them counted is Bazel's to know."""
    return [
        option.where
        for file in files
        for option in read_options(file)
        if (option.name == name and option.value == value) or _EXPANDS_TO.get(option.name) == name
    ]


def wrapper_line(wrapper: RcFile) -> int | None:
    """The line of a wrapper that gives Bazel an executor, as its text has it."""
    for number, line in enumerate(wrapper.text.split("\n"), 1):
        if _IN_WRAPPER.search(line) and not line.lstrip().startswith("#"):
            return number
    return None
