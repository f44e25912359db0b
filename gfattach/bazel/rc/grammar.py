"""The grammar of Bazel's rc files.

Words are parted by blanks; quotes, single or double, keep blanks in a word; a backslash takes
the next character as it is; `#` outside of quotes begins a comment; a backslash before a line
break joins two lines (measured with Bazel 4.2.3 and 2.1.0).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gfattach.core.errors import UsageError

#: What a path in an import may begin with: the root of the workspace, as Bazel finds it.
WORKSPACE = "%workspace%"

#: Files that make a directory the root of a workspace for Bazel.
WORKSPACE_FILES = ("MODULE.bazel", "REPO.bazel", "WORKSPACE.bazel", "WORKSPACE")

_PLAIN = re.compile(r"[^\s\"'\\#]+")


def quote(word: str) -> str:
    """`word` as one word of an rc file. Raises UsageError for what no line of text can hold."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{word!r} is not UTF-8, and cannot stand in a Bazel rc file") from None
    if re.search(r"[\n\r\x00]", word):
        raise UsageError(f"{word!r} holds a line break, and cannot stand in a Bazel rc file")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def words(line: str) -> list[str]:
    """The words of one line."""
    found: list[str] = []
    word, quoted = "", ""
    characters = iter(line)
    for character in characters:
        if character == "\\":
            word += next(characters, "")
        elif quoted:
            quoted, word = ("", word) if character == quoted else (quoted, word + character)
        elif character == "#":
            break
        elif character in "\"'":
            quoted = character
        elif character in " \t\r":
            found, word = ([*found, word] if word else found), ""
        else:
            word += character
    return [*found, word] if word else found


def statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each line of an rc file that holds any, with the number of the line that it begins at.

    A backslash at the end of a line joins the next one.
    """
    joined, start = "", 1
    for number, line in enumerate([*text.split("\n"), ""], 1):
        start = start if joined else number
        joined += line.removesuffix("\r")
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        if found := words(joined):
            yield start, found
        joined = ""


def imports(file: Path, workspace: Path, directory: Path | None = None) -> Iterator[Path]:
    """The files that `file` imports, and those that they import, each once.

    A relative path is taken from `directory`, where Bazel is called, whatever file it stands in (2.1.0, 4.2.3
    and 7.7.1); without one from the workspace. Files that are not there are named too, and those that cannot
    be read import nothing.
    """
    directory = directory or workspace
    seen: set[Path] = set()
    pending = [file]
    while pending:
        for imported in _direct_imports(pending.pop(), workspace, directory):
            if imported not in seen:
                seen.add(imported)
                pending.append(imported)
                yield imported


def demanded(text: str, workspace: Path) -> Iterator[tuple[int, Path]]:
    """The files that an rc file's text imports and that have to be there, each with its line.

    Bazel ends every command where one is missing. A relative path is taken from the workspace.
    """
    for number, found in statements(text):
        match found:
            case ["import", path]:
                yield number, _imported(path, workspace, workspace)


def _direct_imports(file: Path, workspace: Path, directory: Path) -> Iterator[Path]:
    try:
        # A pipe or a device would be waited for, or never end.
        text = file.read_text(encoding="utf-8", errors="surrogateescape") if file.is_file() else ""
    except OSError:
        return
    for _, found in statements(text):
        match found:
            # Whether a version fits, only Bazel (8.7, 9.0 and later) knows: what may be read is named.
            case ["import" | "try-import", path] | ["try-import-if-bazel-version", _, path]:
                yield _imported(path, workspace, directory)


def _imported(path: str, workspace: Path, directory: Path) -> Path:
    if path.startswith(WORKSPACE):
        return workspace / path.removeprefix(WORKSPACE).lstrip("/")
    return directory / path
