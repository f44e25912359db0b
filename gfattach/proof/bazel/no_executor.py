"""Refuses a proof of a cache where Bazel could use an executor.

What decides are the effective options of the real Bazel in the real workspace: rc files, nested
configs, imports, the BAZELRC variable (Bazel 9 and later) and a `tools/bazel` wrapper have all had
their say in them. The texts of the rc files are searched only to tell where an option stands.

An executor is in reach when `--remote_executor` is not empty, or when a strategy names `remote`
or `dynamic` (which races a remote spawn against a local one). Execution platforms and properties
run nothing by themselves: they are mentioned beside an executor, and refuse nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from gfattach.bazel.events import Options
from gfattach.bazel.policy import settings
from gfattach.bazel.preflight import effective_options
from gfattach.bazel.run import Server
from gfattach.bazel.wrapper import REAL, WRAPPER, seen_by_bazel
from gfattach.contract.bazel.arguments import split
from gfattach.contract.bazel.rc import without_rc_files
from gfattach.contract.bazel.rctext import RcFile, read_options
from gfattach.contract.model.display import shown_endpoint, shown_text
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, RefusedError, StorageError
from gfattach.core.files import read_bytes
from gfattach.fragments.rcfile import imports, quote

#: The system's rc file, as Bazel is built with it by its makers, and by Debian.
_SYSTEM_RC = (Path("/etc/bazel.bazelrc"), Path("/etc/bazel/bazelrc"))

#: The variable in which Bazel 9 and later look for further rc files, parted by commas.
RC_VARIABLE = "BAZELRC"

_EXECUTOR = "remote_executor"

#: Strategies by the option that gives them: for all spawns, for genrules, for a mnemonic, for a pattern.
_STRATEGIES = ("spawn_strategy", "genrule_strategy", "strategy", "strategy_regexp")
_REMOTE = frozenset({"remote", "dynamic"})

#: What an option may be called in an rc file, when it comes out under another name.
_EXPANDS_TO = {"experimental_spawn_scheduler": "spawn_strategy"}

_PROPERTIES = (
    "remote_default_exec_properties",
    "remote_default_platform_properties",
    "extra_execution_platforms",
    "platforms",
    "host_platform",
)

#: A line of a wrapper that gives Bazel an executor, or a strategy that needs one.
_IN_WRAPPER = re.compile(
    r"--remote_executor(?:=|\s+)[\"']?[^\s\"']|--(?:spawn_|genrule_)?strategy(?:_regexp)?\S*\b(?:remote|dynamic)\b"
)


def refuse_executors(
    server: Server,
    work: Path,
    deadline: Deadline,
    *,
    environ: Mapping[str, str],
    rc: Sequence[Path] = (),
    accepted: Container[str] = (),
) -> None:
    """Ask the Bazel of `server` for its effective options, and refuse an executor in them.

    `accepted` are the options that it knows of those that not every Bazel does.
    Raises RefusedError, BazelError (`bazel.rc`) for rc files that Bazel does not take, and StorageError.
    """
    wrapper = read_wrapper(server.workspace)
    files = read_rc_files(server.workspace, environ, rc)
    _refuse_policies(files)

    def seen(words: list[str]) -> tuple[Path, list[str]] | None:
        nonlocal files
        if wrapper is None or REAL not in wrapper.text:
            return None
        try:
            through = seen_by_bazel(server, server.workspace / WRAPPER, words, "build", work, deadline)
        except OSError:
            return None  # Bazel's launcher says it better
        if through is not None:
            given = split(through[1])
            named = [server.workspace / name for name in without_rc_files(given)[1]]
            files = read_rc_files(server.workspace, environ, [*rc, *named])
            startup = RcFile(wrapper.path, f"startup {' '.join(map(quote, given.startup))}")
            _refuse_policies(files)
            _refuse_policies([startup], f"{wrapper.path} gives it")
        return through

    try:
        options = effective_options(server, work, deadline, accepted=accepted, seen=seen)
    except BazelError as error:
        # A wrapper that runs a Bazel of its own: it has called the executor before it says anything.
        if wrapper is not None and (line := _wrapper_line(wrapper)) is not None:
            raise _refusal(
                "prove.executor.wrapper",
                f"{wrapper.path}:{line} gives Bazel an executor",
                "Bazel did not get past it",
            ) from error
        raise
    refuse_effective_executor(options, files, wrapper)


def refuse_effective_executor(
    options: Options, files: Sequence[RcFile] = (), wrapper: RcFile | None = None
) -> None:
    """Raise RefusedError when `options` could make a build use an executor.

    `files` are the rc files in which Bazel may have found them, `wrapper` the workspace's
    `tools/bazel`. The code is `prove.executor.endpoint` or `prove.executor.strategy`, and
    `prove.executor.wrapper` when no file has the option and the wrapper is what is left.
    """
    used = list(executor_options(options))
    if not used:
        return
    name, value = used[0]
    places = _places(name, value, files)
    line = None if places or wrapper is None else _wrapper_line(wrapper)
    code = "prove.executor.endpoint" if name == _EXECUTOR else "prove.executor.strategy"
    if wrapper is not None and line is not None:
        code, places = "prove.executor.wrapper", [f"{wrapper.path}:{line}"]
    also = [_text(*option) for option in used[1:]]
    also += [f"--{key}" for key in _PROPERTIES if options.effective(key)]
    raise _refusal(
        code,
        f"Bazel would use an executor here: {_text(name, value)}",
        *(f"it stands in {place}" for place in places),
        *([f"also: {', '.join(also)}"] if also else []),
    )


def _refuse_policies(files: Sequence[RcFile], known: str = "") -> None:
    """Refuse what no option can override, and what Bazel would therefore call when it is asked.

    `known` says whence it comes, where that is no line of a file.
    """
    for option in (option for file in files for option in read_options(file)):
        if option.name != "invocation_policy":
            continue
        place = known or f"it stands in {option.where}"
        does = "an invocation policy {} Bazel an executor, whatever any option says"
        try:
            kinds = sorted(filter(None, (_kind(name, value) for name, value in settings(option.value or ""))))
        except ValueError:
            fact = does.format("cannot be read, and could give")
            raise _refusal("prove.executor.policy", fact, place) from None
        if kinds:
            raise _refusal(f"prove.executor.{kinds[0]}", does.format("gives"), place)


def _kind(name: str, value: str) -> str | None:
    """How an option makes a build use an executor, if it does."""
    if name == _EXECUTOR:
        return "endpoint" if value else None
    dynamic = _EXPANDS_TO.get(name) in _STRATEGIES
    return "strategy" if dynamic or (name in _STRATEGIES and _runs_remotely(value)) else None


def _runs_remotely(strategy: str) -> bool:
    return bool(_REMOTE & set(strategy.rpartition("=")[2].split(",")))


def executor_options(options: Options) -> Iterator[tuple[str, str]]:
    """The options, name and value, by which a build could use an executor: those that others do not undo."""
    executor = options.effective(_EXECUTOR)
    if executor:
        yield _EXECUTOR, executor
    last: dict[tuple[str, str], tuple[str, str]] = {}
    for option in options.command_line:
        name, _, value = option.removeprefix("--").partition("=")
        if name in _STRATEGIES:
            # A mnemonic ends at the first equals sign, a pattern at the last one.
            subject = value.partition("=")[0] if name == "strategy" else value.rpartition("=")[0]
            last[name, subject if "=" in value else ""] = (name, value)
    for name, value in last.values():
        if _runs_remotely(value):
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


def read_wrapper(workspace: Path) -> RcFile | None:
    """The workspace's `tools/bazel`, when it can be run."""
    path = workspace / WRAPPER
    return _read(path, workspace) if os.access(path, os.X_OK) else None


def _read(path: Path, workspace: Path) -> RcFile | None:
    try:
        content = read_bytes(path) if path.is_file() else None
    except StorageError:
        return None
    name = path.relative_to(workspace) if path.is_relative_to(workspace) else path
    return None if content is None else RcFile(str(name), content.decode("utf-8", "replace"))


def _places(name: str, value: str, files: Sequence[RcFile]) -> list[str]:
    """Where the option stands: every place, since which of them counted is Bazel's to know."""
    return [
        option.where
        for file in files
        for option in read_options(file)
        if (option.name == name and option.value == value) or _EXPANDS_TO.get(option.name) == name
    ]


def _wrapper_line(wrapper: RcFile) -> int | None:
    for number, line in enumerate(wrapper.text.split("\n"), 1):
        if _IN_WRAPPER.search(line) and not line.lstrip().startswith("#"):
            return number
    return None


def _text(name: str, value: str) -> str:
    return f"--{name}={shown_endpoint(value) if name == _EXECUTOR else shown_text(value)}"


def _refusal(code: str, fact: str, *known: str) -> RefusedError:
    return RefusedError(
        fact,
        *known,
        "a proof of a cache has none: what an executor made would look like what the cache served",
        "take the option out, or put it under a config that is asked for by name",
        code=code,
    )
