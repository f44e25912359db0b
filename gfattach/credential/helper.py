"""Bazel's credential helper: one question on stdin, one answer on stdout, and how Bazel calls it.

The protocol is the Credential Helpers Specification, which Bazel speaks from 5.3 on: the argument `get`,
a JSON object with the `uri` on stdin, an object with `headers` (name to values) on stdout, and `expires`
(RFC 3339), which Bazel from 7.1 on heeds. An exit code that is not 0 fails the build; what is on stderr
Bazel shows.

This is on the way of every build, so it is started without the command line's machinery.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from gfattach.errors import CredentialError, GfattachError
from gfattach.redact import redact

#: The wrapper's name in the directory that it is written to.
HELPER_NAME = "credential-helper"

#: Bytes of the longest question: a uri has no business being longer.
_LONGEST = 64 * 1024


def answer(
    question: bytes, host: str = "", environ: Mapping[str, str] | None = None, now: float | None = None
) -> dict[str, Any]:
    """The answer to a question of Bazel's.

    `host` is for the listener of a forward: a uri on this machine is then answered as if it named
    `host`, and nobody else than the two is answered at all. A uri without a token has no headers.
    Raises CredentialError and StorageError.
    """
    from gfattach.credential.hosts import host_of, is_loopback
    from gfattach.credential.jwt import rfc3339
    from gfattach.credential.tokens import find

    asked = host_of(_uri(question))
    if host:
        meant = host_of(host)
        if asked != meant and not is_loopback(asked):
            return {"headers": {}}
        asked = meant
    found = find(asked, environ, now)
    if found is None:
        return {"headers": {}}
    headers = {"headers": {"Authorization": [f"Bearer {found.token}"]}}
    if found.claims is None or found.claims.expires is None:
        return headers
    return {**headers, "expires": rfc3339(found.claims.expires)}


def main(
    args: Sequence[str],
    stdin: BinaryIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """`get [--host HOST]`, for a program: 0 and an answer, or 1 and lines on stderr. Never a traceback."""
    out, err = stdout or sys.stdout, stderr or sys.stderr
    try:
        host = _host(args)
        out.write(json.dumps(answer((stdin or sys.stdin.buffer).read(_LONGEST + 1), host)) + "\n")
        out.flush()
    except GfattachError as error:
        for line in (f"gfattach: {error.fact}", *(f"  {hint}" for hint in error.hints)):
            print(redact(line), file=err)
        return 1
    except Exception as error:
        print(redact(f"gfattach: a defect of gfattach: {type(error).__name__}: {error}"), file=err)
        return 1
    return 0


def write_helper(directory: Path, host: str = "") -> Path:
    """Write the executable (0700) that Bazel is given, into `directory`; where it is.

    Bazel's flag takes one path and no arguments. `host` is as for `answer`. Raises StorageError.
    """
    from gfattach.files import make_private_directory, write_atomic

    # -P keeps the directory that Bazel runs it in, a workspace, from being imported from.
    program = "from gfattach.__main__ import main; main()"
    line = [sys.executable, "-P", "-c", program, "credential"]
    behind = f" --host {shlex.quote(host)}" if host else ""
    path = make_private_directory(directory) / HELPER_NAME
    write_atomic(path, f'#!/bin/sh\nexec {shlex.join(line)} "$@"{behind}\n'.encode(), mode=0o700)
    return path


def _host(args: Sequence[str]) -> str:
    if not args:
        return ""
    if len(args) == 2 and args[0] == "--host":
        return args[1]
    raise CredentialError(
        "get takes no argument but --host HOST",
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
