"""Where a token comes from: stdin, a prompt, a file, a variable. Never an argument.

What is read is checked before anything is done with it, because a header cannot carry everything; the
errors say where it came from and never what it is.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar

from gfattach.core.errors import CredentialError
from gfattach.core.quote import word
from gfattach.core.redact import register
from gfattach.core.value import Redacted
from gfattach.credential.hosts import is_cell, is_vouched_cell

#: The variables that name, or hold, the token for a REAPI cell, and the file that is there without them.
FILE_VARIABLE = "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE"
TOKEN_VARIABLE = "GF_REAPI_CREDENTIAL_HELPER_TOKEN"
DEFAULT_FILE = Path("/var/run/secrets/tokens/gf-reapi-cell-token")

#: Bytes of the longest token. Servers refuse headers beyond 8 or 16 KiB.
LONGEST = 16 * 1024

#: Bytes around a token that count for nothing: the line break that every editor adds.
_AROUND = b" \t\r\n"


class Token(Redacted, frozen=True):
    """A token and where it came from, as the end of a sentence (`the file /x`)."""

    REDACTED: ClassVar = frozenset({"value"})

    value: str
    origin: str


def check(content: bytes, origin: str) -> Token:
    """The token that `content` is. It is taken out of everything that is shown from now on.

    Raises CredentialError for nothing, for more than a token, and for what no header can carry.
    """
    if len(content) > LONGEST:
        raise CredentialError(
            f"what {origin} holds is longer than {LONGEST} bytes, and no header can carry it",
            "name the token alone",
            code="credential.token.long",
        )
    bare = content.strip(_AROUND)
    if not bare:
        raise CredentialError(
            f"{origin} holds no token", "store one that is not empty", code="credential.token.empty"
        )
    if any(byte in _AROUND for byte in bare):
        raise CredentialError(
            f"what {origin} holds has white space or a line break inside, and no token has",
            "name the token alone, without the name of its scheme and without a second line",
            code="credential.token.space",
        )
    if not all(0x21 <= byte <= 0x7E for byte in bare):
        raise CredentialError(
            f"what {origin} holds is binary, and a header carries printable ASCII only",
            "name the token as text",
            code="credential.token.binary",
        )
    token = Token(bare.decode("ascii"), origin)
    register(token.value)
    return token


def from_stream(stream: BinaryIO) -> Token:
    """The token on stdin, to its end. Raises CredentialError."""
    return check(stream.read(LONGEST + 1), "stdin")


def from_prompt(host: str) -> Token:
    """The token that a person types, without echo. Raises CredentialError."""
    from getpass import getpass

    try:
        typed = getpass(f"token for {host} (not shown): ")
    except EOFError:
        typed = ""
    return check(typed.encode("utf-8", "surrogateescape"), "the prompt")


def from_file(path: Path) -> Token:
    """The token in a file, which may be a link, as mounted secrets are. Raises CredentialError."""
    origin = f"the file {path}"
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would be waited for, for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise IsADirectoryError(errno.EISDIR, "not a regular file")
            content = file.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = "not a regular file" if number == errno.EISDIR else os.strerror(number or errno.EINVAL)
        raise CredentialError(
            f"{origin} cannot be read: {reason.lower()}",
            f"look at it: ls -l {word(path)}",
            "from another program: PROGRAM | gfattach credential login HOST",
            code="credential.file.missing" if number == errno.ENOENT else "credential.file.unreadable",
        ) from error
    return check(content, origin)


def from_variable(environ: Mapping[str, str], name: str) -> Token:
    """The token in the variable `name`. Raises CredentialError."""
    if not environ.get(name):
        raise CredentialError(
            f"the variable {name} is not set",
            "set it for this command alone, or use stdin: gfattach credential login HOST < FILE",
            code="credential.variable",
        )
    return check(os.fsencode(environ[name]), f"the variable {name}")


def cell_variables(host: str, environ: Mapping[str, str], *, vouched: bool = False) -> Token | None:
    """What the variables for cells say of `host`; None for another host, or when neither is set.

    `vouched` says that the connection to the cluster leads to it. Raises CredentialError, also when both are
    set: nobody could tell which is meant.
    """
    if not (is_vouched_cell(host, environ) or (vouched and is_cell(host))):
        return None
    file, value = environ.get(FILE_VARIABLE, ""), environ.get(TOKEN_VARIABLE, "")
    if file and value:
        raise CredentialError(
            f"both {FILE_VARIABLE} and {TOKEN_VARIABLE} are set",
            f"keep one of them: unset {TOKEN_VARIABLE}",
            code="credential.cell.both",
        )
    if file:
        return from_file(Path(file))
    return from_variable(environ, TOKEN_VARIABLE) if value else None


def cell_file(host: str, environ: Mapping[str, str], *, vouched: bool = False) -> Token | None:
    """The token that the platform mounts for cells; None for another host, or when it is not there."""
    if not (is_vouched_cell(host, environ) or (vouched and is_cell(host))):
        return None
    return from_file(DEFAULT_FILE) if DEFAULT_FILE.exists() else None
