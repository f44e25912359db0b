"""The local environment file, `.env.flywheel.local`: one `export NAME=VALUE` a line, nothing secret.

Wrappers of the field source it in bash, dash and direnv. It belongs to one machine, so it is
written only where git ignores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfattach.contract.environment import FILE_MEMORY, contract_values, memory_text
from gfattach.contract.model.variables import BY_NAME, Secrecy
from gfattach.contract.shells import quote
from gfattach.core import git
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import RefusedError, UsageError
from gfattach.core.files import write_atomic
from gfattach.core.git import Standing
from gfattach.core.quote import word

FILE_NAME = ".env.flywheel.local"

_HEAD = "# written by gfattach, for this machine only: keep it out of git\n"


def local_values(cache: Endpoint) -> dict[str, str]:
    """What the file says of an attachment whose Bazel cache is `cache`.

    What an attachment unsets is empty here, which means the same. The last one remembers, so that
    `gfattach env` can take back what a shell has sourced.
    """
    values = contract_values(cache)
    return {name: value or "" for name, value in values.items()} | {FILE_MEMORY: memory_text(values)}


def render(values: Mapping[str, str]) -> str:
    """The file's text. Raises UsageError for a secret, and for a value of several lines."""
    lines = [_HEAD]
    for name, value in values.items():
        variable = BY_NAME.get(name)
        if value and variable is not None and variable.secrecy is Secrecy.SECRET:
            raise UsageError(
                f"{name} is a secret, and a file on disk is no place for it",
                "export it in the shell that needs it",
                code="contract.local-file.secret",
            )
        if "\n" in value or "\r" in value:
            raise UsageError(
                f"{name} has several lines, and the file has one a variable",
                f"export {name} in the shell that needs it",
                code="contract.local-file.lines",
            )
        lines.append(f"export {name}={quote(value)}\n")
    return "".join(lines)


def check_ignored(path: Path) -> None:
    """Whether git would leave `path` alone. Raises RefusedError when it would not, or cannot say."""
    answer = git.ask(path)
    match answer.standing:
        case Standing.OUTSIDE | Standing.IGNORED:
            return
        case Standing.TRACKED:
            raise RefusedError(
                f"git tracks {path}, and the file belongs to this machine only",
                f"take it out of git and keep it: git rm --cached {word(path)}",
                f"then ignore it: echo '/{path.name}' >> .gitignore",
                code="contract.local-file.tracked",
            )
        case Standing.EXPOSED:
            raise RefusedError(
                f"git does not ignore {path}, and the next git add would take it",
                f'ignore it here only: echo {word(path.name)} >> "$(git rev-parse --git-path info/exclude)"',
                "or name a file outside of the repository",
                code="contract.local-file.exposed",
            )
        case Standing.UNKNOWN:
            raise RefusedError(
                f"nobody can tell whether git would track {path}: {answer.reason}",
                "name a file outside of any repository",
                code="contract.local-file.unknown",
            )


def write_local_file(path: Path, values: Mapping[str, str]) -> None:
    """Write `values` to `path`, 0600, whole or not at all.

    Raises UsageError (as `render`, and for a directory that is not there), RefusedError (as
    `check_ignored`) and StorageError.
    """
    text = render(values)
    path = path.absolute()
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}", f"make it: mkdir -p {word(path.parent)}")
    check_ignored(path)
    write_atomic(path, text.encode("utf-8", "surrogateescape"))
