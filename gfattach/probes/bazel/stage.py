"""Bazel on this machine: is it there, does it start, what does it know, what can it reach?

A Bazel that is missing is skipped: an attachment is of use without it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags, all_known
from gfattach.bazel.capabilities.transport import Call, remembered, try_of, with_natives
from gfattach.bazel.messages import error_line
from gfattach.bazel.probe_workspace import LABEL, write_probe
from gfattach.bazel.program.binary import INSTALL_HINT, Bazel, identify, locate
from gfattach.bazel.server.kept import KeptServer
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, GfattachError, ProgramMissingError
from gfattach.core.finding import Finding, Inquiry, Probe, Stage, fail, ok, skip
from gfattach.probes.bazel.compression import COMPRESSION_CODES, COMPRESSION_FLAGS, judge_compression
from gfattach.probes.bazel.fallback import FALLBACK_CODES, judge_fallback, learn
from gfattach.probes.bazel.transport import (
    TRANSPORT_CODES,
    UPSTREAM_HINT,
    in_the_clear,
    judge_socket,
    judge_transport,
)
from gfattach.proof.bazel.options import ProofOptions

#: Seconds for the first answer: bazelisk may have a Bazel to download.
PROGRAM_SECONDS = 60.0

#: Seconds for a server to start and be asked: 10 on two slow cores, many more while they do something else.
START_SECONDS = 180.0

#: Seconds that ending a Bazel that hangs may take; they come off a probe's own time.
END_SECONDS = 8.0

#: Flags without which a fragment points at nothing.
ESSENTIAL = ("--remote_cache=", "--noremote_upload_local_results")

#: The head of what `bazel help` says, from 2 to 9.
_RELEASE = re.compile(r"\[bazel (.+?)\]")


class BazelSubject(Struct, frozen=True):
    """Which Bazel is asked, and for what.

    `program` is what the user named, None to look for one; `workspace` is the one to attach,
    which may ask for a version of its own; `work` is room for a private server; `flags` are
    those of the fragment; `flag_cache` keeps the answers. `needs_transport` says that the
    endpoint needs TLS, `through_socket` that it is reached by a unix socket; `socket_offered` that a forward
    to a plaintext endpoint has one beside its port; `plaintext_allowed` that a forward may end TLS for a
    Bazel that cannot do it; `compression_offered` that the cache may have zstd. `always_start` starts a
    server even when this very program has answered before. `kept` is the server of an attach: it is asked,
    and stays.
    """

    program: str | None
    workspace: Path | None
    work: Path
    flags: tuple[str, ...]
    flag_cache: Path
    environ: Mapping[str, str]
    needs_transport: bool = False
    through_socket: bool = False
    socket_offered: bool = False
    plaintext_allowed: bool = False
    compression_offered: bool = False
    always_start: bool = True
    kept: KeptServer | None = None


def _ask_program(inquiry: Inquiry[BazelSubject]) -> Finding:
    subject = inquiry.subject
    try:
        path = locate(subject.program, subject.environ)
        if path is None:
            return skip("bazel.program.missing", "there is no Bazel on this machine", INSTALL_HINT)
        bazel = identify(path, _until(inquiry), workspace=subject.workspace, environ=subject.environ)
        if not bazel.native_transport:
            bazel = with_natives(bazel, subject.environ)
    except ProgramMissingError as error:
        why = "it was asked for by name, so no other is taken in its place"
        return fail("bazel.program.named", error.fact, why, *error.hints)
    except BazelError as error:
        why = "nothing can be built with it, here or from a cache"
        return fail(f"bazel.program.{error.code.rpartition('.')[2]}", error.fact, why, *error.hints)
    return ok("bazel.program.ok", f"{path}, {bazel.label}", **bazel.as_json())


def _ask_starts(inquiry: Inquiry[BazelSubject]) -> Finding:
    subject = inquiry.subject
    try:
        bazel = _found(inquiry)
        wanted = _wanted(subject)
        kept = subject.kept
        if kept is None and not subject.always_start and all_known(bazel, wanted, subject.flag_cache):
            return ok("bazel.starts.before", "this very Bazel has started here before")
        with _server(subject, bazel) as server:
            # Of all commands this one loads nothing, so that it says nothing but whether a server starts.
            answer = server.run("help", [], _until(inquiry))
            if not answer.good:
                said = error_line(answer.stderr) or answer.last_words()
                return fail(
                    "bazel.starts.failed",
                    f"bazel help exited with {answer.returncode}",
                    "a build would end the same way",
                    *([f"it said: {said}"] if said else []),
                )
            release = _RELEASE.search(answer.stdout)
            if release is None:
                return fail(
                    "bazel.starts.rubbish",
                    f"bazel help said: {answer.last_words()[:80] or 'nothing'}",
                    "no Bazel answers so: a wrapper may be in its place",
                    f"see what is there: file {bazel.path}",
                )
            # The server is warm: what the fragment and the proof want to know is asked here.
            accepted_flags(
                bazel,
                wanted,
                work=subject.work,
                cache=subject.flag_cache,
                deadline=_until(inquiry),
                server=server,
            )
            if kept is not None:
                kept.start_seconds = answer.seconds
            else:
                with contextlib.suppress(GfattachError):  # a probe of its own asks again, and says why
                    learn(server, subject.work, subject.flag_cache, _until(inquiry))
                    _try_socket(server, subject, _until(inquiry))
    except GfattachError as error:
        name = error.code.rpartition(".")[2]
        code = f"bazel.starts.{name}" if name in ("hung", "crashed", "rubbish") else "bazel.starts.failed"
        return fail(code, error.fact, "a build would end the same way", *error.hints)
    return ok("bazel.starts.ok", f"its server starts, in {answer.seconds:.1f} s", release=release[1])


def _try_socket(server: Server, subject: BazelSubject, deadline: Deadline) -> None:
    """Try the offered socket last: a Bazel that cannot go by one may crash on it."""
    bazel, call, cache = server.bazel, Call.PLAINTEXT_SOCKET, subject.flag_cache
    if subject.socket_offered and bazel.native_transport and remembered(bazel, call, cache) is None:
        try_of(server, call, LABEL, work=subject.work, deadline=deadline, cache=cache)


@contextlib.contextmanager
def _server(subject: BazelSubject, bazel: Bazel) -> Iterator[Server]:
    """The server that is kept, or one for this question."""
    if subject.kept is not None:
        yield subject.kept.of(bazel)
        return
    probe = write_probe(subject.work / "start")
    with Server(bazel, probe.directory, subject.work, "start") as server:
        yield server


def _ask_flags(inquiry: Inquiry[BazelSubject]) -> Finding:
    subject = inquiry.subject
    try:
        bazel = _found(inquiry)
        accepted = accepted_flags(
            bazel,
            _wanted(subject),
            work=subject.work,
            cache=subject.flag_cache,
            deadline=_until(inquiry),
            server=None if subject.kept is None else subject.kept.of(bazel),
        )
    except GfattachError as error:
        why = "the fragment has to fit the Bazel that reads it: an unknown flag ends every build"
        return fail("bazel.flags.unanswered", error.fact, why, *error.hints)
    asked = tuple(dict.fromkeys((*ESSENTIAL, *subject.flags)))
    refused = [flag for flag in asked if flag not in accepted]
    data = {"accepted": [flag for flag in asked if flag in accepted], "refused": refused}
    if any(flag in refused for flag in ESSENTIAL):
        return fail(
            "bazel.flags.none",
            f"this Bazel does not know {', '.join(refused)}",
            "it is too old, or too new, for what a remote cache needs",
            UPSTREAM_HINT,
            **data,
        )
    if refused:
        seen = f"it knows {len(data['accepted'])} of {len(asked)} flags; the fragment leaves out the rest"
        return ok("bazel.flags.fitted", seen, **data)
    return ok("bazel.flags.ok", f"it knows all {len(asked)} flags of the fragment", **data)


def _ask_transport(inquiry: Inquiry[BazelSubject]) -> Finding:
    subject = inquiry.subject
    if not subject.needs_transport and subject.socket_offered:
        return judge_socket(_found(inquiry), subject.work, subject.flag_cache, _until(inquiry))
    if not (subject.needs_transport or subject.through_socket):
        return ok("bazel.transport.plain", "the endpoint needs neither TLS nor a unix socket")
    finding = judge_transport(
        _found(inquiry), subject.through_socket, subject.work, subject.flag_cache, _until(inquiry)
    )
    return in_the_clear(finding) if subject.plaintext_allowed else finding


def _ask_compression(inquiry: Inquiry[BazelSubject]) -> Finding:
    subject = inquiry.subject
    return judge_compression(
        _found(inquiry), subject.compression_offered, subject.work, subject.flag_cache, _until(inquiry)
    )


def _ask_fallback(inquiry: Inquiry[BazelSubject]) -> Finding:
    subject, bazel = inquiry.subject, _found(inquiry)
    server = None if subject.kept is None else subject.kept.of(bazel)
    return judge_fallback(bazel, subject.work, subject.flag_cache, _until(inquiry), server)


def _until(inquiry: Inquiry[BazelSubject]) -> Deadline:
    return Deadline(inquiry.deadline.at - END_SECONDS)


def _found(inquiry: Inquiry[BazelSubject]) -> Bazel:
    return Bazel.from_json(inquiry.findings["bazel.program"].data)


def _wanted(subject: BazelSubject) -> tuple[str, ...]:
    return (
        *ESSENTIAL,
        *subject.flags,
        *ProofOptions.candidates(),
        *COMPRESSION_FLAGS,
        *WITHOUT_MODULES,
    )


STAGE: Stage[BazelSubject] = Stage(
    "bazel",
    "Bazel on this machine",
    (
        Probe(
            "bazel.program",
            "is there a Bazel, and which?",
            _ask_program,
            codes={
                "bazel.program.ok": "a Bazel is there and says what it is",
                "bazel.program.missing": "there is no Bazel on this machine",
                "bazel.program.named": "the Bazel that was asked for by name is not there",
                "bazel.program.unusable": "the file that should be Bazel cannot be run",
                "bazel.program.version": "this launcher has not the Bazel that the workspace asks for",
                "bazel.program.hung": "Bazel does not say its version in time",
                "bazel.program.crashed": "Bazel ends with an error when asked for its version",
                "bazel.program.rubbish": "what is there in Bazel's place does not answer as Bazel does",
            },
            seconds=PROGRAM_SECONDS,
        ),
        Probe(
            "bazel.starts",
            "does its server start?",
            _ask_starts,
            codes={
                "bazel.starts.ok": "a server of Bazel starts",
                "bazel.starts.before": "this very program has started here before, and was not asked again",
                "bazel.starts.failed": "Bazel does not start",
                "bazel.starts.crashed": "Bazel's server crashes; the cause comes from its log",
                "bazel.starts.hung": "Bazel's server does not answer in time",
                "bazel.starts.rubbish": "what is there in Bazel's place does not answer as Bazel does",
            },
            needs=("bazel.program",),
            seconds=START_SECONDS,
        ),
        Probe(
            "bazel.flags",
            "which flags of the fragment does it know?",
            _ask_flags,
            codes={
                "bazel.flags.ok": "this Bazel knows every flag of the fragment",
                "bazel.flags.fitted": "flags that this Bazel does not know are left out of the fragment",
                "bazel.flags.none": "this Bazel does not know what a remote cache needs",
                "bazel.flags.unanswered": "Bazel did not say which flags it knows",
            },
            needs=("bazel.starts",),
            seconds=START_SECONDS,
        ),
        Probe(
            "bazel.transport",
            "can it do TLS, and go by a unix socket?",
            _ask_transport,
            codes=TRANSPORT_CODES,
            needs=("bazel.flags",),
            seconds=START_SECONDS,
        ),
        Probe(
            "bazel.compression",
            "can it do the compression that the cache offers?",
            _ask_compression,
            codes=COMPRESSION_CODES,
            needs=("bazel.flags",),
            seconds=START_SECONDS,
        ),
        Probe(
            "bazel.fallback",
            "what does it do when the cache is away?",
            _ask_fallback,
            codes=FALLBACK_CODES,
            needs=("bazel.flags",),
            seconds=START_SECONDS,
        ),
    ),
    headline="bazel.program",
)

#: What can be asked before it is known which cache Bazel is for.
AHEAD: Stage[BazelSubject] = replace(STAGE, probes=STAGE.probes[:3])

#: What an attach asks of Bazel before the first hit, and what it asks after it, with the server of the hit:
#: it only confirms what the fragment says.
BEFORE_HIT: Stage[BazelSubject] = replace(STAGE, probes=STAGE.probes[:-1])
AFTER_HIT: Stage[BazelSubject] = Stage("fallback", "Bazel without its cache", STAGE.probes[-1:])
