"""What a flake.nix says in `nixConfig`, as far as it stands there: Nix wants that part to be plain text as
well.

Nothing is evaluated. Of a value only the words of its strings are taken, and `true` and `false`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

NAME = "flake.nix"

#: Characters of the longest flake.nix that is read.
LIMIT = 1024 * 1024

#: Settings that replace what all others have said, once the flake is accepted.
REPLACING = ("substituters", "trusted-public-keys")

#: The one by which Nix asks no cache at all, where it is false.
_ASKS = "substitute"

#: Names of old that Nix takes for them (measured with 2.8.0, 2.26.3 and 2.34.8).
_ALIASES = {
    "binary-caches": "substituters",
    "binary-cache-public-keys": "trusted-public-keys",
    "build-use-substitutes": _ASKS,
}

_TOKENS = re.compile(
    r"""(?P<comment>\#[^\n]*|/\*.*?\*/)
    |(?P<indented>''(?:'''|''\$|''\\.|[^']|'(?!'))*'')
    |"(?P<quoted>(?:\\.|[^"\\])*)"
    |(?P<name>[A-Za-z_][A-Za-z0-9_'-]*)
    |(?P<mark>[{}\[\]();=.])""",
    re.VERBOSE | re.DOTALL,
)


def read(directory: Path) -> str:
    """The flake.nix in `directory`; empty where there is none that can be read."""
    try:
        with (directory / NAME).open(encoding="utf-8", errors="replace") as file:
            return file.read(LIMIT)
    except OSError:
        return ""


def nix_config(text: str) -> dict[str, tuple[str, ...]]:
    """The settings of `nixConfig` in the flake.nix `text` by name, with the words that stand in its
    strings.
    """
    found: dict[str, tuple[str, ...]] = {}
    for path, words in _attributes(text):
        if path[0] == "nixConfig" and len(path) > 1:
            found[path[1]] = words
    return found


def replacing(settings: Mapping[str, tuple[str, ...]], url: str) -> tuple[str, ...]:
    """Which `settings` of a flake leave out the cache at `url`, by the names that stand there: REPLACING, and
    the one by which no cache is asked.
    """

    def leaves_out(name: str, words: tuple[str, ...]) -> bool:
        meant = _ALIASES.get(name, name)
        if meant == _ASKS:
            return words == ("false",)
        names_it = bool(url) and meant == "substituters" and url in (word.rstrip("/") for word in words)
        return meant in REPLACING and not names_it

    return tuple(name for name, words in settings.items() if leaves_out(name, words))


def cures(names: tuple[str, ...]) -> tuple[str, ...]:
    """What to do about a flake in which `names` leave a cache out."""
    adding = [f"extra-{name}" for name in names if _ALIASES.get(name, name) != _ASKS]
    asks = [f"take {name} = false out of {NAME}" for name in names if _ALIASES.get(name, name) == _ASKS]
    return (
        *([f"write in {NAME}: {', '.join(adding)}, which add"] if adding else []),
        *asks,
        "or run Nix without it: nix build --no-accept-flake-config",
    )


def _attributes(text: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each attribute of the outermost set, and of `nixConfig` in it, by its path, with its strings' words."""
    depth = 0  # of brackets of all kinds
    outer: tuple[str, ...] = ()
    path: list[str] = []
    words: list[str] = []
    inherits = value = False
    for match in _TOKENS.finditer(text):
        within = 1 + bool(outer)
        mark = match["mark"]
        if match["comment"] is not None:
            continue
        if mark and mark in "{[(":
            if mark == "{" and depth == 1 and value and path == ["nixConfig"]:
                outer, path, words, value = ("nixConfig",), [], [], False
            depth += 1
        elif mark and mark in "}])":
            depth -= 1
            if outer and depth == 1:
                outer, path, value = (), [], True
        elif depth != within:
            if value and match["quoted"] is not None:
                words += match["quoted"].split()
            elif value and match["indented"] is not None:
                words += match["indented"][2:-2].split()
        elif mark == ";":
            for each in [[name] for name in path] if inherits else [path]:
                if each:
                    yield (*outer, *each), tuple(words)
            path, words, value, inherits = [], [], False, False
        elif mark == "=":
            value = True
        elif value:
            words += (match["quoted"] or (match["indented"] or "")[2:-2]).split()
            words += [match["name"]] if match["name"] in ("true", "false") else []
        elif match["name"] == "inherit" and not path:
            inherits = True
        elif (name := match["name"] or match["quoted"]) is not None:
            path.append(name)
