"""Bazel asked ahead: its server starts while a cluster is asked, and serves all that an attach asks of it."""

from __future__ import annotations

from gfattach.attach.client.session import Session
from gfattach.bazel.server.kept import KeptServer
from gfattach.core.paths import cache_directory
from gfattach.fragments import bazelrc
from gfattach.probes.bazel import stage as bazel_probes

FLAG_CACHE = "bazel-flags.json"


def subject_of(session: Session, kept: KeptServer | None) -> bazel_probes.BazelSubject:
    """Which Bazel is asked for an attach, wherever its cache may be."""
    return bazel_probes.BazelSubject(
        program=session.clients.bazel,
        workspace=session.home.workspace,
        work=session.home.work / "bazel",
        flags=tuple(bazelrc.CANDIDATE_FLAGS.values()),
        flag_cache=cache_directory() / FLAG_CACHE,
        environ=session.environ,
        always_start=False,
        kept=kept,
    )


def begin(session: Session) -> KeptServer:
    """Ask what can be asked before it is known which cache Bazel is for. End what is returned."""
    kept = KeptServer(session.home.work / "bazel")
    session.run.begin(bazel_probes.AHEAD, subject_of(session, kept))
    return kept
