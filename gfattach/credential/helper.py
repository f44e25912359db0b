"""Bazel's credential helper: one question on stdin, one answer on stdout, and how Bazel calls it.

The protocol is the Credential Helpers Specification, which Bazel speaks from 5.3 on: the argument `get`,
a JSON object with the `uri` on stdin, an object with `headers` (name to values) on stdout, and `expires`
(RFC 3339), which Bazel from 7.1 on heeds. An exit code that is not 0 fails the build; what is on stderr
Bazel shows.

This is on the way of every build, so it is started without the command line's machinery.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from gfattach.core.errors import CredentialError, GfattachError
from gfattach.core.quote import word
from gfattach.core.redact import redact

#: The wrapper's name in the directory that it is written to.
HELPER_NAME = "credential-helper"

#: Bytes of the longest question: a uri has no business being longer.
_LONGEST = 64 * 1024


def answer(
    question: bytes,
    host: str = "",
    port: int | None = None,
    *,
    environ: Mapping[str, str],
    now: float | None = None,
) -> dict[str, Any]:
    """The answer to a question of Bazel's.

    `host` is for the listener of a forward, at `port`: a uri on this machine is then answered as if it
    named `host`, but for one with another port, where somebody else listens. Nobody else than the two is
    answered at all. A uri without a token has no headers. Raises CredentialError and StorageError.
    """
    from gfattach.credential.hosts import host_of, is_loopback, port_of
    from gfattach.credential.jwt import rfc3339
    from gfattach.credential.tokens import find

    uri = _uri(question)
    asked, where, vouched = host_of(uri), uri, False
    if host:
        meant = host_of(host)
        elsewhere = port is not None and port_of(uri) not in (None, port)
        if asked != meant and (elsewhere or not is_loopback(asked)):
            return {"headers": {}}
        if asked != meant and port is not None:
            _demand_own(asked, port, meant)
        if asked != meant:
            where, vouched = meant, True  # the forward's own listener: its cluster leads to the host
    found = find(where, environ, now, vouched=vouched)
    if found is None:
        return {"headers": {}}
    headers = {"headers": {"Authorization": [f"Bearer {found.token}"]}}
    if found.claims is None or found.claims.expires is None:
        return headers
    return {**headers, "expires": rfc3339(found.claims.expires)}


def _demand_own(address: str, port: int, host: str) -> None:
    """Raise CredentialError where the listener of the forward to `host` is not this user's any more."""
    from gfattach.core.peer.listening import Ownership, listening

    found = listening(address, port)
    if found.ownership in (Ownership.OWN, Ownership.UNKNOWN):
        return
    whose = "nobody's" if found.uid is None else f"the user {found.uid}'s"
    raise CredentialError(
        f"{address}:{port}, where the forward to {host} should be, is {whose}: the token is not sent there",
        "have it listen again: gfattach up",
        code="credential.listener",
    )


def main(args: Sequence[str], environ: Mapping[str, str], stdin: BinaryIO, out: TextIO, err: TextIO) -> int:
    """`get [--host HOST [--port PORT]]`: 0 and an answer, or 1 and lines on stderr. Never a traceback."""
    try:
        host, port = _listener(args)
        out.write(json.dumps(answer(stdin.read(_LONGEST + 1), host, port, environ=environ)) + "\n")
        out.flush()
    except GfattachError as error:
        for line in (f"gfattach: {error.fact}", *(f"  {hint}" for hint in error.hints)):
            print(redact(line), file=err)
        return 1
    except OSError as error:
        print(f"gfattach: stdin or stdout failed: {(error.strerror or str(error)).lower()}", file=err)
        with contextlib.suppress(OSError):  # Python would complain once more when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return 1
    except Exception as error:
        print(redact(f"gfattach: a defect of gfattach: {type(error).__name__}: {error}"), file=err)
        return 1
    return 0


def write_helper(directory: Path, host: str = "", port: int | None = None) -> Path:
    """Write the executable (0700) that Bazel is given, into `directory`; where it is.

    Bazel's flag takes one path and no arguments. `host` and `port` are as for `answer`. Raises StorageError.
    """
    from gfattach.core.files import make_private_directory, write_atomic

    # -P keeps the directory that Bazel runs it in, a workspace, from being imported from.
    program = "from gfattach.__main__ import main; main()"
    line = [sys.executable, "-P", "-c", program, "credential"]
    behind = f" --host {word(host)}" if host else ""
    behind += f" --port {port}" if host and port is not None else ""
    path = make_private_directory(directory) / HELPER_NAME
    write_atomic(path, f'#!/bin/sh\nexec {shlex.join(line)} "$@"{behind}\n'.encode(), mode=0o700)
    return path


def _listener(args: Sequence[str]) -> tuple[str, int | None]:
    match args:
        case []:
            return "", None
        case ["--host", host]:
            return host, None
        case ["--host", host, "--port", port] if port.isdecimal():
            return host, int(port)
    raise CredentialError(
        "get takes no argument but --host HOST --port PORT",
        'the uri is read from stdin: echo \'{"uri": "https://HOST"}\' | gfattach credential get',
        code="credential.question",
    )


def _uri(question: bytes) -> str:
    try:
        uri = json.loads(question)["uri"] if len(question) <= _LONGEST else None
    except (ValueError, TypeError, KeyError, RecursionError):
        uri = None
    if not isinstance(uri, str) or not uri:
        raise CredentialError(
            "what stdin holds is no question of a credential helper",
            'it is a JSON object: {"uri": "https://HOST"}',
            code="credential.question",
        )
    return uri
