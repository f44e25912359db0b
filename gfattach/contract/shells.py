"""Assignments as the text of a shell, of JSON, or of GitHub's environment file.

Each assignment is one line, whatever is in its value. Texts may hold bytes that are no UTF-8, as
Python holds them (`surrogateescape`): who writes them encodes with `os.fsencode`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from gfattach.contract.environment import NIX_CONFIG, SAVED, Assign, Reference
from gfattach.core.errors import UsageError

SCHEMA = "gfattach.env/1"

#: What needs no quotes in any shell. zsh expands a `~` or `=` where a word or a path begins.
_PLAIN = re.compile(r"(?!=)(?:(?!:=)[A-Za-z0-9_@%+=:,./-])+")

#: Settings of Nix that hold no secret, as long as no `@` stands in their values.
_HARMLESS_NIX = re.compile(
    r"(?:(?:extra-)?(?:experimental-features|substituters|trusted-public-keys|trusted-substituters)"
    r"|max-jobs|cores|sandbox|build-users-group|accept-flake-config|fallback|connect-timeout"
    r"|http-connections|keep-going|log-lines|warn-dirty)\s*=[^@]*|!?include\s[^@]*|#[^@]*|"
)


def quote(text: str) -> str:
    """`text` as one word of sh, bash, dash or zsh. A line break stays what it is, inside quotes."""
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def quote_fish(text: str) -> str:
    """`text` as one word of fish, on one line."""
    lines = (line.replace("\\", "\\\\").replace("'", "\\'") for line in text.split("\n"))
    return "\\n".join(f"'{line}'" for line in lines)


def sh(changes: Iterable[Assign]) -> str:
    """Lines for `eval` in sh, bash, dash, zsh and direnv."""
    return "".join(f"{_sh(each)};\n" for each in changes)


def fish(changes: Iterable[Assign]) -> str:
    """Lines for `source` in fish."""
    return "".join(f"{_fish(each)};\n" for each in changes)


def _sh(assign: Assign) -> str:
    if assign.parts is None:
        return f"unset {assign.name}"
    if not any(isinstance(part, str) and "\n" in part for part in assign.parts):
        return f"export {assign.name}={''.join(map(_sh_part, assign.parts)) or quote('')}"
    # printf writes the line breaks, so that the line stays one; the dot keeps those at the end.
    words = [""]
    for part in assign.parts:
        first, *others = [part] if isinstance(part, Reference) else part.split("\n")
        words[-1] += _sh_part(first)
        words += map(_sh_part, others)
    form = "\\n".join(["%s"] * len(words))
    value = f"$(printf '{form}.' {' '.join(word or quote('') for word in words)})"
    return f'{assign.name}="{value}"; export {assign.name}="${{{assign.name}%.}}"'


def _sh_part(part: str | Reference) -> str:
    return f'"${{{part.name}}}"' if isinstance(part, Reference) else part and quote(part)


def _fish(assign: Assign) -> str:
    if assign.parts is None:
        # -g: a universal variable is the user's, in every shell and for ever.
        return f"set -e -g {assign.name}"
    parts = (f'"${part.name}"' if isinstance(part, Reference) else quote_fish(part) for part in assign.parts)
    return f"set -gx {assign.name} {''.join(parts)}"


def as_json(changes: Iterable[Assign]) -> dict[str, Any]:
    """The changes as a JSON object. Values that are the user's are referred to, in `derive`.

    All references are to what variables hold before the change.
    """
    document: dict[str, Any] = {"schema": SCHEMA, "set": {}, "derive": {}, "unset": []}
    for assign in changes:
        parts = assign.parts
        if parts is None:
            document["unset"].append(assign.name)
        elif any(isinstance(part, Reference) for part in parts):
            document["derive"][assign.name] = [
                {"variable": part.name} if isinstance(part, Reference) else {"text": part} for part in parts
            ]
        else:
            document["set"][assign.name] = "".join(str(part) for part in parts)
    return document


def json_text(changes: Iterable[Assign]) -> str:
    """`as_json` as text."""
    return json.dumps(as_json(changes), indent=2) + "\n"


def github(changes: Iterable[Assign], before: Mapping[str, str]) -> str:
    """Lines for the file that $GITHUB_ENV names; `before` is what the references refer to.

    The file can neither unset a variable nor refer to one: what is unset becomes empty, which the
    contract takes for the same, and what was there before is not saved, because a job ends.
    Raises UsageError for a value that must not be written to a file, or cannot be.
    """
    lines = []
    for assign in changes:
        if assign.name.startswith(SAVED):
            continue
        parts = assign.parts or ()
        value = "".join(before.get(p.name, "") if isinstance(p, Reference) else p for p in parts)
        refers = any(isinstance(part, Reference) for part in parts)
        if refers and not (assign.name == NIX_CONFIG and _harmless(value)):
            raise UsageError(
                f"{assign.name} holds a value of yours that may be a secret, and the file would spell it out",
                f"set {assign.name} in the steps that need it, and not in $GITHUB_ENV",
                code="contract.env.secret",
            )
        lines.append(_github_entry(assign.name, value))
    return "".join(lines)


def _harmless(nix_config: str) -> bool:
    return all(_HARMLESS_NIX.fullmatch(line.strip()) for line in nix_config.split("\n"))


def _github_entry(name: str, value: str) -> str:
    """One variable; several lines stand between delimiters that no line of the value is."""
    if "\r" in value:
        raise UsageError(
            f"{name} holds a carriage return, which $GITHUB_ENV cannot hold",
            f"set {name} to something else",
            code="contract.env.carriage-return",
        )
    if "\n" not in value:
        return f"{name}={value}\n"
    lines = value.split("\n")
    delimiter = f"gfattach_{hashlib.sha256(value.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    while delimiter in lines:
        delimiter += "_"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
