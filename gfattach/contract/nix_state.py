"""How far the environment attaches the Nix cache: what NIX_CONFIG says against ATTIC_*.

Only the `extra-` settings attach; plain `substituters` and `trusted-public-keys` replace the
user's own and count for half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from gfattach.contract.model.variables import value_of
from gfattach.contract.rules.endpoint import stale_host


class NixState(StrEnum):
    """How far the Nix cache is attached."""

    NOT_ATTACHED = "not-attached"
    PARTIAL = "partial"
    ATTACHED = "attached"
    INCLUDED = "included"
    """NIX_CONFIG includes a file; what is in it, the environment does not show."""
    STALE = "stale"


#: Names that Nix takes for others, of the settings that are looked at here.
_ALIASES = {"binary-caches": "substituters", "binary-cache-public-keys": "trusted-public-keys"}


def nix_settings(environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The words of each setting in NIX_CONFIG, by name; a later plain one replaces, `extra-` adds.

    As Nix reads it: white space parts words, and an equals sign is one. At a line without it Nix ends.
    """
    settings: dict[str, tuple[str, ...]] = {}
    for line in value_of(environment, "NIX_CONFIG").split("\n"):
        text = line.partition("#")[0].strip()
        if include := re.fullmatch(r"(!?include)\s+(.*)", text, re.DOTALL):
            settings["include"] = (*settings.get("include", ()), include.group(2))
            continue
        name, equals, *words = (*text.split(), "", "")
        if equals != "=":
            continue
        added = name.startswith("extra-")
        plain = name.removeprefix("extra-")
        key = f"{'extra-' if added else ''}{_ALIASES.get(plain, plain)}"
        before = settings.get(key, ()) if added else ()
        settings[key] = (*before, *filter(None, words))
    return settings


def substituter(environment: Mapping[str, str]) -> str:
    """The substituter that ATTIC_SERVER and ATTIC_CACHE name, "" for none."""
    server = value_of(environment, "ATTIC_SERVER").rstrip("/")
    return f"{server}/{value_of(environment, 'ATTIC_CACHE') or 'main'}" if server else ""


def nix_state(environment: Mapping[str, str]) -> NixState:
    """How far the Nix cache that the environment names is attached in it."""
    settings = nix_settings(environment)
    url, key = substituter(environment), value_of(environment, "ATTIC_PUBLIC_KEY")
    if stale_host(url) or stale_host(value_of(environment, "NIX_CONFIG")):
        return NixState.STALE
    extra = settings.get("extra-substituters", ()), settings.get("extra-trusted-public-keys", ())
    if url and key and url in extra[0] and key in extra[1]:
        return NixState.ATTACHED
    if "include" in settings:
        return NixState.INCLUDED
    plain = settings.get("substituters", ()), settings.get("trusted-public-keys", ())
    named = (url and url in extra[0] + plain[0]) or (key and key in extra[1] + plain[1])
    return NixState.PARTIAL if url or key or named else NixState.NOT_ATTACHED
