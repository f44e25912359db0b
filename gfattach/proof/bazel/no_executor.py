"""Refuses a proof of a cache where Bazel could use an executor.

What decides are the effective options of the real Bazel in the real workspace: rc files, nested
configs, imports, the BAZELRC variable (Bazel 9 and later) and a `tools/bazel` wrapper have all had
their say in them. The texts of the rc files are searched only to tell where an option stands.

What is an executor is found by `gfattach.contract.bazel.executor`. Execution platforms and properties
run nothing by themselves: they are mentioned beside an executor, and refuse nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from gfattach.bazel.logs.events import Options
from gfattach.bazel.options.policy import settings
from gfattach.bazel.options.preflight import effective_options
from gfattach.bazel.rc.grammar import quote
from gfattach.bazel.server.run import Server
from gfattach.bazel.server.wrapper import REAL, seen_by_bazel
from gfattach.contract.bazel.arguments import split
from gfattach.contract.bazel.executor import (
    EXECUTOR,
    executor_kind,
    executor_options,
    places_of,
    read_rc_files,
    read_wrapper,
    wrapper_line,
)
from gfattach.contract.bazel.rc import without_rc_files
from gfattach.contract.bazel.rctext import RcFile, read_options
from gfattach.contract.model.display import shown_endpoint, shown_text
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, RefusedError

_PROPERTIES = (
    "remote_default_exec_properties",
    "remote_default_platform_properties",
    "extra_execution_platforms",
    "platforms",
    "host_platform",
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
    wrapper = read_wrapper(server.workspace, server.environment)
    files = read_rc_files(server.workspace, environ, rc)
    _refuse_policies(files)

    def seen(words: list[str]) -> tuple[Path, list[str]] | None:
        nonlocal files
        if wrapper is None or REAL not in wrapper.text:
            return None
        try:
            program = server.workspace / wrapper.path
            through = seen_by_bazel(server, program, words, "build", work, deadline)
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
        if wrapper is not None and (line := wrapper_line(wrapper)) is not None:
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
    places = places_of(name, value, files)
    line = None if places or wrapper is None else wrapper_line(wrapper)
    code = "prove.executor.endpoint" if name == EXECUTOR else "prove.executor.strategy"
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
            found = [executor_kind(name, value) for name, value in settings(option.value or "")]
        except ValueError:
            fact = does.format("cannot be read, and could give")
            raise _refusal("prove.executor.policy", fact, place) from None
        if kinds := sorted(filter(None, found)):
            raise _refusal(f"prove.executor.{kinds[0]}", does.format("gives"), place)


def _text(name: str, value: str) -> str:
    return f"--{name}={shown_endpoint(value) if name == EXECUTOR else shown_text(value)}"


def _refusal(code: str, fact: str, *known: str) -> RefusedError:
    return RefusedError(
        fact,
        *known,
        "a proof of a cache has none: what an executor made would look like what the cache served",
        "take the option out, or put it under a config that is asked for by name",
        code=code,
    )
