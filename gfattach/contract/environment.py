"""The environment of an attachment: what it exports, and what takes that back.

Two pure functions do all of it. `attached` lays an attachment over an environment and remembers,
in that environment, what it set and what stood there before; `detached` takes back what was laid
over. What a shell has to do is the difference between two environments, written as assignments
that refer to other variables and never spell out a value that is not gfattach's own: a user's
NIX_CONFIG may hold tokens.

What is remembered: GFATTACH_SET is a JSON object of what was set (null: unset; for NIX_CONFIG, the
lines that were added), and GFATTACH_SAVED_X holds the value that X had. A variable that somebody has
changed since is theirs, and is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.contract.model.variables import BY_NAME
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import UsageError

#: What was set, as JSON: by `gfattach env`, and by a local environment file.
MEMORY = "GFATTACH_SET"
FILE_MEMORY = "GFATTACH_FILE_SET"

#: Before a variable's name: the value that it had.
SAVED = "GFATTACH_SAVED_"

NIX_CONFIG = "NIX_CONFIG"

#: What no child gets that runs on behalf of an attachment: every variable of the contract, as it is and as
#: it was saved. Some hold secrets, and none is needed there.
WITHHELD = frozenset((*BY_NAME, *(SAVED + name for name in BY_NAME), MEMORY, FILE_MEMORY))

#: Values of variables by name; None: unset.
Values = Mapping[str, str | None]


class Exports(Struct, frozen=True):
    """What an attachment has to offer to an environment.

    `cache` is where Bazel dials: a forward's local address, or the site's own; `nix_fragment` is the
    absolute path of the file that NIX_CONFIG includes, unless it gets `nix_lines`, the settings themselves.
    """

    cache: Endpoint | None = None
    nix_fragment: Path | None = None
    nix_lines: str | None = None

    @property
    def nix_config(self) -> str | None:
        """What NIX_CONFIG gets. Raises UsageError for a fragment that Nix cannot include."""
        if self.nix_lines is not None or self.nix_fragment is None:
            return self.nix_lines
        return include_line(self.nix_fragment)


def contract_values(cache: Endpoint) -> dict[str, str | None]:
    """The variables that every script of the field accepts for `cache`.

    An endpoint on this machine is a local proof through a forward, any other one is the shared
    cache itself. Uploads are off: whoever wants them says so at each build.
    """
    local = cache.localhost
    return {
        "GF_FLYWHEEL_PROFILE_STATE": "local-proof" if local else "shared-cache-backed",
        "GF_BAZEL_SUBSTRATE_MODE": "shared-cache-backed",
        "GF_BAZEL_LOCAL_PROOF": "port-forward" if local else None,
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true" if local else None,
        "GF_BAZEL_REMOTE_UPLOAD": "false",
        "BAZEL_REMOTE_UPLOAD": "false",
        "BAZEL_REMOTE_CACHE": cache.url,
        "BAZEL_REMOTE_EXECUTOR": None,
        "BAZEL_REMOTE_EXECUTOR_CACHE": None,
        "BAZEL_REMOTE_EXEC_HEADER": None,
        "GF_BAZEL_RUNNER_LABELS": None,
    }


def include_line(fragment: Path) -> str:
    """The line of NIX_CONFIG that includes `fragment`, and is silent where that is gone.

    Raises UsageError for a path that Nix cannot include: a relative one, or one with white space
    or `#` in it (measured with Nix 2.8 and 2.26).
    """
    path = str(fragment)
    if not fragment.is_absolute() or any(c.isspace() or c == "#" or not c.isprintable() for c in path):
        raise UsageError(
            f"Nix cannot include {path!r}",
            "the path has to be absolute, without white space and without #: move the workspace",
            code="contract.env.nix-path",
        )
    return f"!include {path}"


def attached(environment: Mapping[str, str], exports: Exports) -> dict[str, str]:
    """`environment` with `exports` laid over it, whatever gfattach had laid over it before.

    Raises UsageError for a Nix fragment that Nix cannot include.
    """
    base = detached(environment)
    result = dict(base)
    memory: dict[str, str | None] = {}
    if exports.cache is not None:
        for name, value in contract_values(exports.cache).items():
            if value is None and name not in base:
                continue
            memory[name] = value
            if value is None:
                del result[name]
            else:
                result[name] = value
    if (lines := exports.nix_config) and f"\n{lines}\n" not in f"\n{base.get(NIX_CONFIG, '')}\n":
        memory[NIX_CONFIG] = lines
        result[NIX_CONFIG] = _with_line(base.get(NIX_CONFIG), lines)
    result.update({SAVED + name: base[name] for name in memory if name in base})
    if memory:
        result[MEMORY] = memory_text(memory)
    return result


def detached(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what gfattach laid over it. Total: a damaged memory is dropped."""
    result = dict(environment)
    for memory in (FILE_MEMORY, MEMORY):
        for name, value in _remembered(environment, memory).items():
            if not _still_there(environment, name, value):
                continue
            if SAVED + name in environment:
                result[name] = environment[SAVED + name]
            else:
                result.pop(name, None)
    for name in (MEMORY, FILE_MEMORY, *(SAVED + name for name in BY_NAME)):
        result.pop(name, None)
    return result


def memory_text(values: Values) -> str:
    """What is remembered of `values`, as it stands in MEMORY."""
    return json.dumps(dict(values), separators=(",", ":"))


def _remembered(environment: Mapping[str, str], memory: str) -> Values:
    """What the variable `memory` says was set; nothing but variables of the contract."""
    try:
        document = json.loads(environment.get(memory) or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        name: value
        for name, value in document.items()
        if name in BY_NAME and (value is None or isinstance(value, str))
    }


def _still_there(environment: Mapping[str, str], name: str, value: str | None) -> bool:
    """Whether the variable `name` still is what gfattach made it. An empty one is as good as unset."""
    if name == NIX_CONFIG and value is not None:
        value = _with_line(environment.get(SAVED + name), value)
    return environment.get(name, "") == (value or "")


def _with_line(text: str | None, line: str) -> str:
    return f"{text}\n{line}" if text else line


class Reference(Struct, frozen=True):
    """The value that the variable `name` has before the change."""

    name: str


class Assign(Struct, frozen=True):
    """Set the variable `name` to its parts, one after the other; without any parts (None), unset it."""

    name: str
    parts: tuple[str | Reference, ...] | None


def change(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Assign, ...]:
    """What turns `before` into `after`, which `attached` or `detached` made of it.

    Every value that is the user's is referred to and not spelled out. No assignment refers to a
    variable that an earlier one has changed: first comes what is saved, then what is set, then
    what is unset.
    """
    changed = [name for name, value in after.items() if before.get(name) != value]
    changed.sort(key=lambda name: not name.startswith(SAVED))
    assigns = [Assign(name, _parts(name, before, after)) for name in changed]
    return (*assigns, *(Assign(name, None) for name in before if name not in after))


def _parts(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str | Reference, ...]:
    value, own = after[name], _remembered(after, MEMORY).get(name)
    if name == NIX_CONFIG and own is not None:
        text = value[: -len(own) - 1]
        return (_reference(name, text, before), f"\n{own}") if text else (own,)
    if name == MEMORY or value == own:
        return (value,)
    return (_reference(name.removeprefix(SAVED), value, before),)


def _reference(name: str, value: str, before: Mapping[str, str]) -> Reference:
    """The variable that holds the user's value of `name`: itself, or else the saved one."""
    return Reference(name if before.get(name) == value else SAVED + name)
