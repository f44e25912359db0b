"""Flags in a workspace's rc files that the Bazel at hand does not take, each where it stands.

Bazel expands the rc files before anything else: an unknown flag, or a value that is none, ends every build
with exit 2, and only the first is named. Asked of the program, all at once: `canonicalize-flags`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gfattach.bazel.capabilities.flags import accepted_flags, flag_server
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.contract.bazel.executor import read_rc_files
from gfattach.contract.bazel.rctext import Configs, Option, read_options
from gfattach.core.deadline import Deadline
from gfattach.core.finding import Finding, fail, ok, warn

#: The commands whose lines are asked about; a line of `common` is taken where one of them takes it.
_COMMANDS = ("build", "test", "run", "coverage", "query")
_SHARED = ("common", "always")

#: Of the rc files themselves, and flags of Starlark: these are known where their packages are loaded.
_OWN = ("--config", "--@", "--//", "--no@", "--no//")


def rc_flags(
    bazel: Bazel, workspace: Path, environ: Mapping[str, str], work: Path, deadline: Deadline
) -> Mapping[str, Finding]:
    """A finding for each flag that `bazel` does not take; one for all where it takes every one.

    `work` is a directory for a private server. Raises BazelError and StorageError.
    """
    options = [
        option
        for file in read_rc_files(workspace, environ, ())
        for option in read_options(file)
        if option.word.startswith("--") and not option.word.startswith(_OWN)
    ]
    with flag_server(bazel, work) as server:
        taken = _taken(server, options, work, deadline)
    configs = Configs(options)
    always = set().union(*(configs.reached(name) for name in configs.unasked))
    refused = [each for each in options if not _is_taken(each, taken)]
    found = {
        f"rc.flags {number}": _finding(option, bazel, always=option.config in always)
        for number, option in enumerate(refused, 1)
    }
    return found or {"rc.flags": ok("state.flags.known", f"{bazel.label} takes all {len(options)} flags")}


def _taken(
    server: Server, options: Sequence[Option], work: Path, deadline: Deadline
) -> Mapping[str, frozenset[str]]:
    """What its Bazel takes, by command: of the flags that stand on lines of it, and of those for all."""
    return {
        command: accepted_flags(
            server.bazel,
            words,
            work=work,
            deadline=deadline,
            server=server,
            command=command,
            old_names=True,
        )
        for command in _COMMANDS
        if (words := [*_words(options, command)])
    }


def _words(options: Sequence[Option], command: str) -> Iterator[str]:
    for option in options:
        if option.command == command or option.command in _SHARED:
            yield option.word


def _is_taken(option: Option, taken: Mapping[str, frozenset[str]]) -> bool:
    """Whether it is; a line for a command that is not asked about counts as taken."""
    if option.command in _SHARED:
        return any(option.word in flags for flags in taken.values())
    return option.command not in _COMMANDS or option.word in taken[option.command]


def _finding(option: Option, bazel: Bazel, *, always: bool) -> Finding:
    name = option.word.partition("=")[0]
    seen = f"{bazel.label} does not take {name} as {option.where} has it{option.for_command}"
    if always:
        why = "every build ends with exit 2 before it begins"
        hint = "take it out, or put it under a config that is asked for by name"
        return fail("state.flags.unknown", seen, why, hint, **option.place)
    why = f"a build with --config={option.config} ends with exit 2 before it begins"
    return warn("state.flags.unknown", seen, why, "take it out", **option.place)
