"""What Bazel does when the cache is away: tried, because its options do not do on every Bazel what they say.

2.1.0 ends (34) also with `--remote_local_fallback`, 8.0 to 8.5 do (bazel#27734), and 7.7.1 builds here also
with `--noremote_local_fallback`. So a build is asked of a cache at a port that refuses, both ways.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gfattach.bazel.capabilities.answers import Answers
from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.probe_workspace import SINGLES, write_probe
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, GfattachError
from gfattach.core.files import make_private_directory
from gfattach.core.finding import Finding, ok, warn

FALLBACK_CODES: Mapping[str, str] = MappingProxyType(
    {
        "bazel.fallback.tried": "what this Bazel does without its cache was tried",
        "bazel.fallback.before": "what this very program does without its cache was tried before",
        "bazel.fallback.unanswered": "what this Bazel does without its cache could not be tried",
    }
)

#: Seconds for two builds of an action. One that hangs says nothing of a cache that is away.
TRY_SECONDS = 60.0

_LOCAL = "fallback builds"
_FAIL = "no fallback ends"

#: What a fragment says for either, as far as the Bazel knows it.
_WANTED = {
    _LOCAL: ("--remote_local_fallback", "--incompatible_remote_local_fallback_for_remote_cache"),
    _FAIL: ("--noremote_local_fallback",),
}


def remembered_fallback(bazel: Bazel, cache: Path) -> tuple[bool, bool]:
    """Whether it builds where that is wanted, and ends where that is, as it was found before; taken for
    granted where it was not. Raises BazelError when the program is gone.
    """
    known = Answers(cache, bazel.identity()).flags
    return known.get(_LOCAL, True), known.get(_FAIL, True)


def judge_fallback(
    bazel: Bazel, work: Path, cache: Path, deadline: Deadline, server: Server | None = None
) -> Finding:
    """Whether, without its cache, `bazel` builds where that is wanted (`local`), and ends where that is
    (`fail`). `server` is one of it that runs in the workspace of the probe.
    """
    known = Answers(cache, bazel.identity()).flags
    code = "bazel.fallback.before"
    try:
        if not {_LOCAL, _FAIL} <= known.keys():
            code = "bazel.fallback.tried"
            if server is None:
                known = _try(bazel, work, cache, deadline)
            else:
                known = _ask(server, work, cache, deadline.within(TRY_SECONDS))
            Answers(cache, bazel.identity()).learn(known)
    except GfattachError as error:
        why = "an option of the fragment says what is wanted, and a Bazel may do otherwise"
        return warn("bazel.fallback.unanswered", error.fact, why, *error.hints, local=True, fail=True)
    local, fails = known[_LOCAL], known[_FAIL]
    seen = f"without its cache it {'builds' if local else 'ends'}"
    if local and not fails:
        seen += ", and cannot be told to end"
    elif not local:
        seen += ", and cannot be told to build"
    return ok(code, seen, local=local, fail=fails)


def learn(server: Server, work: Path, cache: Path, deadline: Deadline) -> None:
    """Ask it of a server that runs in the probe, and remember the answer: another start is saved.

    Raises BazelError and StorageError.
    """
    known = Answers(cache, server.bazel.identity())
    if not {_LOCAL, _FAIL} <= known.flags.keys():
        known.learn(_ask(server, work, cache, deadline.within(TRY_SECONDS)))


def _try(bazel: Bazel, work: Path, cache: Path, deadline: Deadline) -> dict[str, bool]:
    probe = write_probe(make_private_directory(work / "fallback"))
    if deadline.expired:
        raise BazelError(f"no time is left to ask {bazel.label} what it does without its cache")
    with Server(bazel, probe.directory, work, "fallback") as server:
        return _ask(server, work, cache, deadline)


def _ask(server: Server, work: Path, cache: Path, deadline: Deadline) -> dict[str, bool]:
    asked = (*WITHOUT_MODULES, *_WANTED[_LOCAL])
    accepted = accepted_flags(
        server.bazel, asked, work=work, cache=cache, deadline=deadline, server=server
    ) | set(_WANTED[_FAIL])
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))  # bound, and never listened on
        options = [
            *(option for option in WITHOUT_MODULES if option in accepted),
            f"--remote_cache=grpc://127.0.0.1:{refusing.getsockname()[1]}",
            "--remote_executor=",
            "--noremote_upload_local_results",
            "--disk_cache=",
            "--remote_retries=0",
            "--spawn_strategy=local",
        ]

        def builds(question: str, label: str) -> bool:
            wanted = [option for option in _WANTED[question] if option in accepted]
            return server.run("build", [*options, *wanted, label], deadline).good

        local, fails = SINGLES
        return {_LOCAL: builds(_LOCAL, local), _FAIL: not builds(_FAIL, fails)}
