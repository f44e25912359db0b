"""`up`: find the way in, ask both caches, write the fragments, measure the hits, keep a record.

Each half (Bazel, Nix) stands alone: when one of its probes fails, nothing of it is written and
what an earlier `up` wrote of it is taken back, because a fragment that points at a dead cache
slows every build (Bazel) or breaks it (Nix). The other half is attached all the same. An `up`
that ends early and found nothing attached leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfattach.attach.down.undo import undo
from gfattach.attach.model import record as records
from gfattach.attach.model.options import UpOptions
from gfattach.attach.model.record import Attachment
from gfattach.attach.route import agents, forwards
from gfattach.attach.route.route import Route, read_only
from gfattach.attach.route.select import find_route, kind_of
from gfattach.attach.up.session import UpSession
from gfattach.bazel.run import end_strays
from gfattach.contract.environment import detached
from gfattach.core import process
from gfattach.core.engine import Run
from gfattach.core.errors import ClusterError, ExitCode, GfattachError, UsageError
from gfattach.core.files import locked, remove_tree, write_json
from gfattach.core.finding import Status
from gfattach.core.paths import Home, resolve_home
from gfattach.fragments.home import create_home
from gfattach.proof.measure import Measurement
from gfattach.proof.record import Proof, conclude
from gfattach.site.load import load_site


@dataclass(frozen=True)
class Attached:
    """What `up` came to. `attachment` is None when nothing could be attached."""

    exit_code: ExitCode
    attachment: Attachment | None
    proof: Proof
    not_proved: Sequence[str] = ()
    bazel_use: Sequence[str] = ()
    nix_use: str = ""

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        record = self.attachment
        return {
            **self.proof.as_json(),
            "attached": record is not None,
            "kind": None if record is None else record.kind,
            "bazelrc": None if record is None or record.bazelrc is None else str(record.bazelrc),
            "nix_conf": None if record is None or record.nix_conf is None else str(record.nix_conf),
            "links": [] if record is None else [str(path) for path in record.links],
            "not_proved": list(self.not_proved),
        }


def attach(options: UpOptions, run: Run) -> Attached:
    """Attach as `options` say. Raises GfattachError; what it had begun is undone then."""
    home = resolve_home(options.workspace, Path.cwd())
    if options.nix_paths:
        from gfattach.proof.nix import phases as nix_hit

        nix_hit.store_paths(options.nix_paths)
    site = load_site(options.site, detached(os.environ), home.workspace)
    create_home(home)
    with locked(home.lock):
        first = not home.record.exists()
        try:
            end_strays(home.work)
            run.account("start", "load configuration")
            before = records.load(home)
            _check_same(before, kind_of(options, site))
            route = find_route(options, site, home, run)
            attached = _attach(options, home, route, run, before)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                process.end_all()  # a probe's thread may still be at work in what is undone now
                error.args = (_take_back(home) if first else "what was attached before: gfattach status",)
            elif first:
                undo(home)
            elif isinstance(error, ClusterError):
                error.hints = (*error.hints, "what was attached before is left as it was: gfattach status")
            raise
        finally:
            remove_tree(home.work)  # of use to this attach alone
        if attached.attachment is None and first:
            undo(home)
        return attached


def _take_back(home: Home) -> str:
    """Undo an attach that was interrupted; what is left of it, in words."""
    try:
        undo(home)
    except KeyboardInterrupt:
        return "what was begun is not all undone: gfattach down"
    return "what was begun is undone"


def _check_same(before: Attachment | None, wanted: str) -> None:
    if before is not None and before.kind != wanted:
        raise UsageError(
            f"this workspace is attached already, in another way: {before.kind}, and this would be {wanted}",
            "undo that first: gfattach down",
            code="attachment.other",
        )


def _attach(options: UpOptions, home: Home, route: Route, run: Run, before: Attachment | None) -> Attached:
    # The halves and all that they ask with: not needed by an attach that ends before.
    from gfattach.attach.up.bazel import attach_bazel
    from gfattach.attach.up.nix import attach_nix

    begun = before or Attachment.begin(route.kind)
    up = UpSession(options, home, route, run, begun, Measurement(run))
    up.plaintext_before = begun.kind == "direct" and begun.cache_by_agent
    agent = agents.directory_for(route) if route.listens else begun.agent
    # Saved before anything else is done, so that `down` knows of an `up` that was killed.
    up.save(trial=route.trial_directory, agent=agent, cluster=route.cluster)
    up.route = route = forwards.open_forwards(route, home, options.lease_hours, run)
    up.save(cache=None if route.cache is None else read_only(route.cache), substituter=route.substituter)
    rest = attach_bazel(up)
    attach_nix(up)
    if rest is not None:
        rest()
    targets = {"cache": route.cache, "substituter": route.substituter}
    endpoints = {name: target.endpoint.url for name, target in targets.items() if target is not None}
    proof = conclude(up.measurement.phases, run.report(), run.origin, endpoints)
    write_json(home.evidence, proof.as_json())
    up.save(first_hit=_summary(proof))
    kept = None if up.record.bazelrc is None and up.record.nix_conf is None else up.record
    run.account("record", "keep the evidence and the record")
    code = exit_code(run, proof, up.failures, require_hit=options.require_hit)
    return Attached(code, kept, proof, up.not_proved, up.bazel_use, up.nix_use)


def exit_code(run: Run, proof: Proof, failures: Sequence[GfattachError], *, require_hit: bool) -> ExitCode:
    """What an attach ends with: a void proof first, then what ended a phase, then a program that was named
    and is missing or cannot be used, then any failed probe; nothing to hit is good unless a hit was
    required.
    """
    failed = [name for name, finding in run.findings.items() if finding.status is Status.FAIL]
    if proof.void:
        return ExitCode.UNPROVED
    if failures:
        return failures[0].exit_code
    if any(run.findings[name].code.endswith(".program.named") for name in failed):
        return ExitCode.MISSING
    if any(name.startswith(("bazel.", "nix.")) for name in failed):
        return ExitCode.USAGE
    if failed:
        return ExitCode.FAILED
    return ExitCode.UNPROVED if require_hit and not proof.complete else ExitCode.GOOD


def _summary(proof: Proof) -> Mapping[str, Any]:
    return {
        "verdict": proof.verdict,
        "first_hit": proof.first_hit,
        "clients": proof.as_json()["clients"],
    }
