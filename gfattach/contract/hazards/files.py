"""Hazards in files: their names and texts are given, and nothing is read.

A warning names file and line, and never what stands there. Bazel's rc files are in `hazards_rc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from gfattach.bazel.rc.grammar import words
from gfattach.contract.localfile import FILE_NAME
from gfattach.contract.model.variables import BY_NAME
from gfattach.contract.rules.endpoint import ENV_HINT, stale_host
from gfattach.core.finding import Finding, warn
from gfattach.core.quote import command
from gfattach.nix import flake

#: Files that belong to one machine.
LOCAL_FILES = frozenset({"user.bazelrc", FILE_NAME})

_WRAPPER = re.compile(r"\$\{((?:GF_)?BAZEL_REMOTE_UPLOAD):?[-=](?:true|1|yes)\}")

#: Where a shell takes the attachment's environment.
_TAKES = re.compile(r"\s*eval\b.*\bgfattach\s+env\b")

_INSIDE = re.compile(
    r"grpcs?://[A-Za-z0-9[]"
    r"|\.svc\.cluster\.local\b"
    r"|(?<![\d.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])"
)


def tracked_path_hazards(paths: Iterable[str]) -> tuple[Finding, ...]:
    """Hazards in the names of the files that git tracks, relative to the workspace."""
    return tuple(
        warn(
            "hazard.local-file.tracked",
            f"git tracks {path}",
            "the file is one machine's own: others would build with its settings",
            f"take it out of git and keep it: {command('git', 'rm', '--cached', path)}",
            file=path,
        )
        for path in paths
        if PurePath(path).name in LOCAL_FILES
    )


def tracked_text_hazards(path: str, text: str) -> tuple[Finding, ...]:
    """Hazards in a file that git tracks: addresses that mean something in one cluster only.

    The repositories of the field scan for the same. Bazel's rc files are `rc_hazards`' matter.
    """
    return tuple(
        warn(
            "hazard.tracked.endpoint",
            f"{path}:{number} names an endpoint, a host inside the cluster, or a private address",
            "the repositories' scans reject it, and it is right for one place only",
            "take it from the environment: BAZEL_REMOTE_CACHE",
            file=path,
            line=number,
        )
        for number, line in enumerate(text.split("\n"), 1)
        if _INSIDE.search(line)
    ) + stale_hazards(path, text)


def stale_hazards(path: str, text: str) -> tuple[Finding, ...]:
    """Lines of a file that name a retired service."""
    return tuple(
        warn(
            "hazard.stale-host",
            f"{path}:{number} names {host}, a retired service",
            "nothing answers there that should be trusted",
            "take the line out",
            file=path,
            line=number,
        )
        for number, line in enumerate(text.split("\n"), 1)
        if (host := stale_host(line))
    )


def envrc_hazards(path: str, text: str) -> tuple[Finding, ...]:
    """Variables of the contract that a `.envrc` (or a file that it loads) sets or unsets.

    What stands before the attachment's own environment is taken is overridden by it, and no hazard.
    """
    lines = text.split("\n")
    taken = max((number for number, line in enumerate(lines, 1) if _TAKES.match(line)), default=0)
    return tuple(
        _envrc(path, number, does, name)
        for number, line in enumerate(lines[taken:], taken + 1)
        for does, name in _changes(line)
    )


def _changes(line: str) -> Iterator[tuple[str, str]]:
    """What a line of a shell does to variables of the contract: `sets` or `unsets`, and the name."""
    command = ""
    for word in words(line):
        bare = word.rstrip(";")
        name, equals, _ = bare.partition("=")
        if name in BY_NAME and (command == "unset" or (equals and command in ("", "export"))):
            yield ("unsets" if command == "unset" else "sets"), name
        elif not equals and not command:
            command = bare
        if word.endswith((";", "&&", "||")):
            command = ""


def _envrc(path: str, number: int, does: str, name: str) -> Finding:
    return warn(
        "hazard.envrc.overrides",
        f"{path}:{number} {does} {name}",
        "direnv does so again each time the directory is entered, and the attachment's own is gone",
        f'let the attachment have the last word: put eval "$(gfattach env)" at the end of {path}',
        file=path,
        line=number,
        variable=name,
    )


def wrapper_hazards(path: str, text: str) -> tuple[Finding, ...]:
    """Places where a script takes an unset upload variable for true."""
    return tuple(
        warn(
            "hazard.wrapper.uploads",
            f"{path}:{number} takes an unset {match[1]} for true",
            "an attached shell that does not set it would write to the shared cache",
            f"export {match[1]}=false",
            ENV_HINT,
            file=path,
            line=number,
        )
        for number, line in enumerate(text.split("\n"), 1)
        if (match := _WRAPPER.search(line)) and not line.lstrip().startswith("#")
    )


def flake_hazards(text: str, substituter: str) -> tuple[Finding, ...]:
    """Hazards in the text of a flake.nix, for who takes from `substituter`, "" for nothing."""
    names = flake.replacing(flake.nix_config(text), substituter)
    if not names:
        return ()
    return (
        warn(
            "hazard.flake.replaces",
            f"{flake.NAME} sets {' and '.join(names)} in nixConfig",
            "once accepted it replaces all that is set elsewhere: Nix asks an attached cache nothing",
            *flake.cures(names),
            file=flake.NAME,
        ),
    )
