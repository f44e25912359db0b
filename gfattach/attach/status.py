"""`status`: what is attached, and is it healthy now. Nothing is written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.agent.model.status import AgentStatus
from gfattach.attach.client.client import Client
from gfattach.attach.client.session import Session
from gfattach.attach.model import record as records
from gfattach.attach.model.record import Attachment
from gfattach.attach.route import agents, forwards
from gfattach.attach.route import ownership as listeners
from gfattach.attach.route.identity import ClusterIdentity, identity_of
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Report, Run
from gfattach.core.errors import CredentialError, ExitCode
from gfattach.core.finding import Finding, fail, ok
from gfattach.core.paths import Home
from gfattach.fragments import nixconf
from gfattach.site import trusted

#: Seconds for the agent to meet what a cache that does not answer has shown here.
AGAIN_SECONDS = 2.0

#: How codes of the caches' probes end where no answer came.
_NO_ANSWER = frozenset(
    ("refused", "socket", "unreachable", "silent", "closed", "broken", "unavailable", "deadline")
)


class Inspection(Struct, frozen=True):
    """What `status` found; `attachment` is None when nothing is attached."""

    home: Home
    attachment: Attachment | None
    report: Report
    agent: AgentStatus | None = None

    @property
    def exit_code(self) -> ExitCode:
        """0 for attached and healthy."""
        healthy = self.attachment is not None and not self.report.failed
        return ExitCode.GOOD if healthy else ExitCode.FAILED

    @property
    def cluster(self) -> ClusterIdentity | None:
        """The cluster that the attachment goes into."""
        return identity_of(None if self.attachment is None else self.attachment.cluster)

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        record = self.attachment
        if record is None:
            return {"attached": False}
        return {
            "attached": True,
            "healthy": not self.report.failed,
            "kind": record.kind,
            "created": record.created.isoformat(),
            "cache": None if record.cache is None else record.cache.endpoint.url,
            "substituter": None if record.substituter is None else record.substituter.endpoint.url,
            "bazelrc": None if record.bazelrc is None else str(record.bazelrc),
            "nix_conf": None if record.nix_conf is None else str(record.nix_conf),
            "agent": None if self.agent is None else self.agent.as_json(),
            "forwards": [] if self.agent is None else [each.as_json() for each in self.agent.forwards],
            "cluster": None if self.cluster is None else self.cluster.as_json(),
            "trusted": trusted.as_json(record.trusted),
            "last_proof": None if record.first_hit is None else dict(record.first_hit),
        }


def inspect(workspace: Path | None, context: Context, run: Run) -> Inspection:
    """Ask the attachment of the workspace how it is. Raises StorageError."""
    home = context.home(workspace)
    record = records.load(home)
    run.account("start", "start, and read the record")
    if record is None:
        return Inspection(home, None, run.report())
    agent = ask_attachment(home, record, context, run)
    return Inspection(home, record, run.report(), agent)


def ask_attachment(home: Home, record: Attachment, context: Context, run: Run) -> AgentStatus | None:
    """Ask all that an attachment goes by: trial, agent, listeners, caches, fragments; the agent's status."""
    alive = True
    if record.trial is not None:
        trial = record.trial
        found = run.step("trial", "find the embedded caches", lambda progress: _find_trial(trial))
        alive = not found.findings["trial"].failed
    agent = agents.ask(record, home)
    if record.agent is not None:
        run.step("agent", "ask the agent", lambda progress: forwards.findings(record, agent))
        alive = alive and (agent is not None or record.kind != "forward")
    cache, substituter = record.cache, record.substituter
    owned = listeners.findings(record)
    not_own = {name: finding for name, finding in owned.items() if finding.failed}
    if not_own and (alive or any(finding.code == "forward.foreign" for finding in not_own.values())):
        run.step("listeners", "ask whose the listeners are", lambda progress: not_own)
    if listeners.failed(owned, "cache"):
        cache = None
    if listeners.failed(owned, "substituter"):
        substituter = None
    asked = alive and (agent is not None or not record.cache_by_agent)
    session = Session(context=context, home=home, run=run)
    if asked and cache is not None and not _behind_dead_forward(cache.endpoint, cache.socket, agent):
        from gfattach.attach.bazel.client import BazelClient

        _ask(BazelClient(session, cache))
    if alive and substituter is not None and not _behind_dead_forward(substituter.endpoint, None, agent):
        from gfattach.attach.nix.client import NixClient

        nix = NixClient(session, substituter)
        _ask(nix)
        if record.nix_conf is not None and nix.name not in record.left_out:
            nix.ask_memory()
    if agent is not None and _cut_off(record, run):
        agent = _ask_again(record, home, run)
    run.step("fragments", "look at the fragments", lambda progress: _look_at(record))
    return agent


def _cut_off(record: Attachment, run: Run) -> bool:
    """Whether a cache behind a forward that was up gave no answer: what leads to it may have ended."""
    targets = (("cache", record.cache), ("substituter", record.substituter))
    behind = tuple(f"{name}." for name, target in targets if target is not None and target.behind_forward)
    failed = [each.code for name, each in run.findings.items() if name.startswith(behind) and each.failed]
    return any(code.rpartition(".")[2] in _NO_ANSWER for code in failed)


def _ask_again(record: Attachment, home: Home, run: Run) -> AgentStatus | None:
    """Ask the agent once more: what has failed here went through its forwards, so it meets the cause now."""
    deadline = Deadline.after(AGAIN_SECONDS)
    while True:
        agent = agents.ask(record, home)
        found = {name: each for name, each in forwards.findings(record, agent).items() if each.failed}
        if found or deadline.expired:
            break
        time.sleep(0.05)
    if found:
        run.step("agent again", "ask the agent once more", lambda progress: found)
    return agent


def _behind_dead_forward(endpoint: Endpoint, socket: Path | None, agent: AgentStatus | None) -> bool:
    """Whether it is reached through a forward that is down: that has been said, with its cause, and an
    answer of the forward itself says nothing of what is behind it.
    """
    for forward in () if agent is None else agent.forwards:
        by_port = endpoint.localhost and forward.port == endpoint.port
        by_socket = socket is not None and forward.socket_path == socket
        if (by_port or by_socket) and forward.state == "down":
            return True
    return False


def _ask(client: Client[Any]) -> None:
    """Ask it with its token, or, where that is no good, without: the checklist has said so by then."""
    with contextlib.suppress(CredentialError):
        client.find_token()
    client.answers()


def _find_trial(directory: Path) -> Mapping[str, Finding]:
    from gfattach.trial import supervisor

    state = supervisor.find(directory)
    if state is None and (pid := supervisor.stuck(directory)) is not None:
        seen = f"process {pid} holds the embedded caches and does not answer"
        why = "it is stopped or stuck: builds wait for it, and Nix too"
        return {"trial": fail("trial.hung", seen, why, "replace it: gfattach up --trial", pid=pid)}
    if state is None:
        why = "builds go on without the cache, and Nix is kept from a dead one only while the agent runs"
        again = "start them again: gfattach up --trial"
        return {"trial": fail("trial.ended", "the embedded caches have ended", why, again)}
    return {"trial": ok("trial.running", f"process {state.process.pid} serves", pid=state.process.pid)}


def _look_at(record: Attachment) -> Mapping[str, Finding]:
    findings: dict[str, Finding] = {}
    for name, path, target in (
        ("bazelrc", record.bazelrc, record.cache),
        ("nix-conf", record.nix_conf, record.substituter),
    ):
        if path is None:
            if target is not None:
                why = "it did not pass its probes or its proof at the last up, so nothing points at it"
                seen = f"{target.endpoint.url} has no fragment"
                findings[name] = fail("fragment.none", seen, why, "attach it: gfattach up")
            continue
        if not path.exists():
            why = "nothing points at the attachment any more"
            findings[name] = fail("fragment.missing", f"{path} is gone", why, "write it anew: gfattach up")
        elif path.read_text(errors="replace") == nixconf.emptied():
            findings[name] = ok("fragment.emptied", f"{path} is emptied while the substituter is away")
        else:
            findings[name] = ok("fragment.there", str(path))
    return findings
