"""Asks git what it makes of a path: does it track it, does it ignore it, in which repository.

Whoever writes into a workspace asks first, and takes "cannot tell" for "leave it alone".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.process import Completed

#: Seconds that all questions about one path may take.
GIT_SECONDS = 5.0

#: Variables by which git is told of another repository than the one around a path (hooks set them), or to
#: take names for patterns of another kind.
_MISLEADING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)


#: What git needs of the environment: where programs, libraries and its configuration are. No secret is.
_NEEDED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_NEEDED_PREFIXES = ("XDG_", "GIT_")


class Standing(StrEnum):
    """What a path is to git."""

    TRACKED = "tracked"
    IGNORED = "ignored"
    EXPOSED = "exposed"
    """Neither: `git add .` would take it."""
    OUTSIDE = "outside"
    """In no repository."""
    UNKNOWN = "unknown"
    """git is missing, refuses to answer, or takes too long."""


class Answer(Struct, frozen=True):
    """What git said of a path. `root` is the top of its work tree; `reason` says why UNKNOWN."""

    standing: Standing
    root: Path | None = None
    reason: str = ""


def _program() -> str | None:
    """git, as this process finds it. What looks for it loads decompressors, which an agent has no use for."""
    import shutil

    return shutil.which("git")


def ask(path: Path, deadline: Deadline | None = None) -> Answer:
    """What `path` is to git. It need not exist; its directory has to, or the answer is UNKNOWN."""
    deadline = (deadline or Deadline.after(GIT_SECONDS)).within(GIT_SECONDS)
    program = _program()
    if program is None:
        return Answer(Standing.UNKNOWN, reason="git is not installed")
    try:
        return _ask(program, path, deadline)
    except OSError as error:
        return Answer(Standing.UNKNOWN, reason=f"git cannot be run: {error.strerror or error}".lower())


def tracked(directory: Path, patterns: Sequence[str], deadline: Deadline | None = None) -> tuple[str, ...]:
    """The files below `directory` that git tracks and that one of its `patterns` fits, relative to it.

    Nothing where git cannot tell.
    """
    deadline = (deadline or Deadline.after(GIT_SECONDS)).within(GIT_SECONDS)
    program = _program()
    if program is None:
        return ()
    try:
        answer = _git(program, directory, deadline, "ls-files", "-z", "--", *patterns)
    except OSError:
        return ()
    return tuple(name for name in answer.stdout.split("\0") if name) if answer.good else ()


def _ask(program: str, path: Path, deadline: Deadline) -> Answer:
    top = _git(program, path.parent, deadline, "rev-parse", "--show-toplevel")
    if not top.good:
        if "not a git repository" in top.stderr:
            return Answer(Standing.OUTSIDE)
        return _unknown(top)
    root = Path(top.stdout.removesuffix("\n"))
    # A name may begin with ":" or hold "*", which make it a pattern: `./` undoes the first. The second
    # matters to ls-files alone, and check-ignore refuses the option that undoes it.
    name = f"./{path.name}"
    # A directory is tracked when anything below it is.
    tracked = _git(program, path.parent, deadline, "--literal-pathspecs", "ls-files", "-z", "--", name)
    if not tracked.good:
        return _unknown(tracked, root)
    if tracked.stdout:
        return Answer(Standing.TRACKED, root)
    ignored = _git(program, path.parent, deadline, "check-ignore", "--quiet", "--", name)
    if ignored.returncode == 0:
        return Answer(Standing.IGNORED, root)
    if ignored.returncode == 1:
        return Answer(Standing.EXPOSED, root)
    return _unknown(ignored, root)


def _git(program: str, directory: Path, deadline: Deadline, *args: str) -> Completed:
    env = {
        name: value
        for name, value in os.environ.items()
        if (name in _NEEDED or name.startswith(_NEEDED_PREFIXES)) and name not in _MISLEADING
    }
    env.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0")
    # A repository that somebody unpacked brings a configuration along, which may name programs.
    inert = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    return process.run([program, *inert, "-C", str(directory), *args], deadline, env=env)


def _unknown(answer: Completed, root: Path | None = None) -> Answer:
    if answer.timed_out:
        return Answer(Standing.UNKNOWN, root, "git did not answer in time")
    said = answer.last_words(1).removeprefix("fatal: ") or f"exit code {answer.returncode}"
    return Answer(Standing.UNKNOWN, root, f"git said: {said}")


class Checkout(Struct, frozen=True):
    """A work tree: its top, the commit that is checked out, the URL of `origin`, and whether tracked files
    differ from the commit. None for what git does not say.
    """

    root: Path | None
    commit: str | None
    remote: str | None
    modified: bool | None


def checkout_of(directory: Path, deadline: Deadline | None = None) -> Checkout | None:
    """The work tree around `directory`; None where there is none, or git cannot tell."""
    deadline = (deadline or Deadline.after(GIT_SECONDS)).within(GIT_SECONDS)
    program = _program()
    if program is None:
        return None
    try:
        top = _git(program, directory, deadline, "rev-parse", "--show-toplevel")
        if not top.good:
            return None
        commit = _git(program, directory, deadline, "rev-parse", "--verify", "HEAD")
        remote = _git(program, directory, deadline, "config", "--get", "remote.origin.url")
        status = _git(program, directory, deadline, "status", "--porcelain", "--untracked-files=no")
    except OSError:
        return None
    return Checkout(
        Path(top.stdout.removesuffix("\n")),
        commit.stdout.strip() if commit.good else None,
        (remote.stdout.strip() or None) if remote.good else None,
        bool(status.stdout.strip()) if status.good else None,
    )
