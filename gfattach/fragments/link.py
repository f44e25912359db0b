"""The line that makes every Bazel command in a workspace read the fragment: offered, or added.

It is added to `user.bazelrc` alone, and only when git says that it ignores that file and does
not track it: a workspace's own rc files are shared, and an endpoint has no place in them.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from gfattach.bazel.rc.grammar import WORKSPACE, WORKSPACE_FILES, imports, quote
from gfattach.core import git
from gfattach.core.errors import RefusedError, StorageError
from gfattach.core.files import read_bytes
from gfattach.core.git import Standing
from gfattach.core.paths import Home
from gfattach.core.quote import word
from gfattach.undo import managed_block as marked
from gfattach.undo.journal import Journal
from gfattach.undo.managed_block import DamagedBlockError

#: The rc file that is a user's own in a workspace.
USER_RC = "user.bazelrc"


class Link(Struct, frozen=True):
    """The line, and where it stands.

    `file` is None when it is only offered. `hints` are what is left for a user to do: nothing where the
    workspace's `.bazelrc`, or what that imports, imports `file`.
    """

    line: str
    file: Path | None
    hints: tuple[str, ...]


def import_line(home: Home, fragment: Path) -> str:
    """The rc line that imports `fragment`, and does nothing when it is gone.

    Below the workspace it is written with Bazel's own name for that, so the line is the same on
    every machine and may stand in `~/.bazelrc` for all workspaces. Raises UsageError.
    """
    workspace = home.workspace
    if (
        workspace is not None
        and fragment.is_relative_to(workspace)
        and any((workspace / name).exists() for name in WORKSPACE_FILES)
    ):
        return f"try-import {quote(f'{WORKSPACE}/{fragment.relative_to(workspace)}')}"
    return f"try-import {quote(str(fragment))}"


def offer(home: Home, fragment: Path) -> Link:
    """The line, for a user to put where they like. Raises UsageError."""
    line = import_line(home, fragment)
    return Link(line, None, _by_hand(line, fragment))


def link(home: Home, fragment: Path, journal: Journal) -> Link:
    """Add the line to the workspace's `user.bazelrc`, in a marked block. Twice is once.

    Raises RefusedError, with the line in its hints, when git does not say that the file is
    ignored; StorageError when it cannot be written; UsageError.
    """
    line = import_line(home, fragment)
    if home.workspace is None:
        raise RefusedError(
            f"there is no workspace here whose {USER_RC} could import the fragment",
            *_by_hand(line, fragment),
            code="link.workspace",
        )
    file = home.workspace / USER_RC
    _check_own(file, git.ask(file), line, fragment)
    content = read_bytes(file) or b""
    try:
        linked = marked.put(content, [line])
    except DamagedBlockError as error:
        raise StorageError(
            f"{file} holds the first line of gfattach's block and not its last",
            "remove what is left of the block, and run it again",
            code="link.damaged",
        ) from error
    journal.will_change(file, linked)
    read = user_rc_is_read(home.workspace)
    return Link(line, file, () if read else _unread(home.workspace, fragment))


def user_rc_is_read(workspace: Path) -> bool:
    """Whether the workspace's `.bazelrc`, or a file that it imports, imports `user.bazelrc`."""
    user_rc = workspace / USER_RC
    return any(imported == user_rc for imported in imports(workspace / ".bazelrc", workspace))


def _check_own(file: Path, answer: git.Answer, line: str, fragment: Path) -> None:
    by_hand = _by_hand(line, fragment)
    if file.is_symlink():
        raise RefusedError(
            f"{file} is a symbolic link, and what it leads to may be shared", *by_hand, code="link.symlink"
        )
    match answer.standing:
        case Standing.IGNORED:
            return
        case Standing.TRACKED:
            fact, code = f"git tracks {file}, so everybody would get this line", "link.tracked"
            hints = [f"let git forget it: git -C {word(str(answer.root))} rm --cached {word(file)}"]
        case Standing.EXPOSED:
            fact, code = f"git does not ignore {file}", "link.exposed"
            hints = [
                f'let git ignore it: echo {USER_RC} >> "$(git -C {word(str(answer.root))} rev-parse'
                ' --path-format=absolute --git-path info/exclude)"'
            ]
        case Standing.OUTSIDE:
            fact, code = (
                f"{file.parent} is in no git repository, so nothing says whose {file.name} is",
                "link.outside",
            )
            hints = []
        case Standing.UNKNOWN:
            fact, code = f"whether git ignores {file} cannot be told: {answer.reason}", "link.unknown"
            hints = []
    raise RefusedError(fact, *hints, *by_hand, code=code)


def _by_hand(line: str, fragment: Path) -> tuple[str, ...]:
    return (
        f"to attach every build, put this line at the end of ~/.bazelrc: {line}",
        f"to attach one: bazel {word(f'--bazelrc={fragment}')} build ...",
    )


def _unread(workspace: Path, fragment: Path) -> tuple[str, ...]:
    return (
        f"{workspace / '.bazelrc'} does not import {USER_RC}, so Bazel does not read it yet",
        f"put this line at the end of .bazelrc: try-import {WORKSPACE}/{USER_RC}",
        f"to attach one build without it: bazel {word(f'--bazelrc={fragment}')} build ...",
    )
