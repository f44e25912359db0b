"""`prove`: the phases of a proof against what is attached, and the evidence.

Where the cache may be filled (the trial's), the phases ask for something that nobody can have
asked for before: a miss and a fill, hits, and the control phase. Elsewhere they only read, and
ask for what an operator has filled.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gfattach.attach.bazel import checks as bazel_side
from gfattach.attach.bazel import contract as bazel_contract
from gfattach.attach.bazel import token as bazel_token
from gfattach.attach.model import record as records
from gfattach.attach.model.options import ClientOptions
from gfattach.attach.model.record import Attachment
from gfattach.attach.nix import checks as nix_side
from gfattach.attach.nix import token as nix_token
from gfattach.attach.route import agents
from gfattach.attach.route.route import Route, refuse_executor, trial_route
from gfattach.bazel.flags import accepted_flags
from gfattach.contract.bazel import flags as bazel_flags
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.errors import GfattachError, ProgramMissingError, UnprovedError, UsageError
from gfattach.core.files import locked, remove_tree, write_json
from gfattach.core.paths import Home, resolve_home
from gfattach.proof.bazel.phases import measure_target
from gfattach.proof.evidence import Phase
from gfattach.proof.measure import Measurement, Progress
from gfattach.proof.nix import phases as nix_hit
from gfattach.proof.record import Proof, conclude
from gfattach.site.load import load_site

#: Seconds that a target of the user's own may take to build.
TARGET_SECONDS = 1800.0


@dataclass(frozen=True)
class ProveOptions:
    """One `gfattach prove`.

    `labels` are targets of the user's workspace, none for the probe; `nix_paths` are store paths to
    realise besides those that the site publishes.
    """

    workspace: Path | None
    clients: ClientOptions
    labels: tuple[str, ...] = ()
    evidence: Path | None = None
    nix_paths: tuple[str, ...] = ()


def prove_attachment(options: ProveOptions, run: Run) -> Proof:
    """Measure the phases and conclude. Raises UsageError when nothing is attached and for a store path that
    is none, GfattachError when its trial has ended, RefusedError when an executor is configured,
    UnprovedError when the endpoint does not pass its probes.
    """
    home = resolve_home(options.workspace, Path.cwd())
    nix_hit.store_paths(options.nix_paths)
    _check_place(options.evidence)
    # What the rc files ask for, Bazel is asked.
    refuse_executor(load_site({}, {}, home.workspace), os.environ, proves_bazel=True)
    record = records.load(home)
    if record is None:
        raise UsageError(
            "nothing is attached here",
            "attach first: gfattach up, or gfattach up --trial",
            code="prove.nothing",
        )
    run.account("start", "start, and read the record")
    with locked(home.lock):
        route = _route(record)
        measurement = Measurement(run)
        try:
            if options.labels:
                _measure_labels(options, home, record, route, run, measurement)
            else:
                _prove_bazel(options, home, route, run, measurement)
            if options.nix_paths or not options.labels:
                _prove_nix(options, home, record, route, run, measurement)
        finally:
            remove_tree(home.work)
        targets = {"cache": route.cache, "substituter": route.substituter}
        endpoints = {name: target.endpoint.url for name, target in targets.items() if target is not None}
        proof = conclude(measurement.phases, run.report(), run.origin, endpoints)
        for path in (home.evidence, options.evidence):
            if path is not None:
                write_json(path, proof.as_json())
    return proof


def _check_place(evidence: Path | None) -> None:
    """Find out before anything is measured that the evidence could not be written."""
    if evidence is not None and not evidence.absolute().parent.is_dir():
        directory = evidence.absolute().parent
        raise UsageError(
            f"the evidence cannot be written to {evidence}: there is no directory {directory}",
            f"make it: mkdir -p {shlex.quote(str(directory))}",
        )


def _route(record: Attachment) -> Route:
    agents.revive(record)
    if record.trial is None:
        return Route(record.kind, record.cache, record.substituter)
    from gfattach.trial import supervisor

    state = supervisor.find(record.trial)
    if state is None:
        raise GfattachError(
            "the embedded caches have ended", "start them again: gfattach up --trial", code="trial.ended"
        )
    return trial_route(state, record.trial)


def _prove_bazel(options: ProveOptions, home: Home, route: Route, run: Run, measurement: Measurement) -> None:
    target = route.cache
    if target is None:
        return
    target = bazel_token.ask_with_token(target, run)
    route = replace(route, cache=target)
    if not (bazel_side.ask_certificate(target, run) and bazel_side.ask_cache(target, run)):
        raise UnprovedError(
            "the cache did not pass its probes; nothing was measured",
            "see how it is now: gfattach status",
            code="prove.cache",
        )
    found = bazel_side.ask_bazel(target, options.clients, home, run)
    _require_usable(found.failed, found.reason, options.clients.bazel)
    nonce = secrets.token_hex(8) if route.fills else ""
    with bazel_side.phases_of(found, target, home, nonce) as phases:
        if route.fills:
            bazel_side.fill(route, phases, measurement, nonce)
        bazel_side.hit(target, phases, measurement, warm=route.fills, nonce=nonce)
        if phases is not None:
            bazel_side.hit_again(phases, measurement, warm=not route.fills)
        bazel_side.control(target, phases, measurement, nonce)


def _prove_nix(
    options: ProveOptions, home: Home, record: Attachment, route: Route, run: Run, measurement: Measurement
) -> None:
    target, paths = route.substituter, options.nix_paths
    if target is None:
        if paths:
            raise UsageError(
                "a store path is realised from the attached substituter, and this attachment has none",
                "name one: gfattach up --substituter https://HOST/CACHE",
                code="prove.no-substituter",
            )
        return
    target = nix_token.with_token(target, run)
    if not (nix_side.ask_certificate(target, run) and nix_side.ask_substituter(target, run)):
        raise UnprovedError(
            "the substituter did not pass its probes",
            "see how it is now: gfattach status",
            code="prove.substituter",
        )
    found = nix_side.ask_nix(target, options.clients, run, record.nix_conf)
    _require_usable(found.failed, found.reason, options.clients.nix)
    if found.nix is not None:
        nix_side.hit(found.nix, target, home, measurement, paths)
        nix_side.control(found.nix, target, home, measurement, paths)
    elif paths:
        raise ProgramMissingError(f"a store path is realised with Nix: {found.reason}")


def _measure_labels(
    options: ProveOptions, home: Home, record: Attachment, route: Route, run: Run, measurement: Measurement
) -> None:
    if route.cache is None or record.bazelrc is None or home.workspace is None:
        raise UsageError(
            "a target is measured in an attached workspace, and this is none",
            "attach the workspace that holds it: gfattach up --workspace DIR",
        )
    bazel_contract.demand(os.environ, home, load_site({}, {}, home.workspace))
    rc = bazel_contract.fragment_of(record, os.environ)
    assert rc is not None
    target = replace(route.cache, may_write=False)
    found = bazel_side.ask_bazel(target, options.clients, home, run)
    _require_usable(found.failed, found.reason, options.clients.bazel)
    bazel, workspace = found.bazel, home.workspace
    if bazel is None:
        raise ProgramMissingError(f"a target is built with Bazel: {found.reason}")

    def names_of(needed: Sequence[str]) -> dict[str, str]:
        asked = bazel_flags.reviews(needed)
        known = accepted_flags(bazel, asked, work=home.work / "bazel", cache=bazel_side.flag_cache())
        return bazel_flags.known_names(needed, known, bazel.label)

    def work(progress: Progress) -> Phase:
        progress(f"building {' '.join(options.labels)} apart from your own output base")
        contracted = bazel_contract.contracted(os.environ, "build", record, rc, names_of, may_upload=False)
        return measure_target(
            bazel,
            workspace,
            options.labels,
            [rc],
            target,
            work=home.work / "bazel",
            deadline=Deadline.after(TARGET_SECONDS),
            flags=contracted.arguments("build"),
            flag_cache=bazel_side.flag_cache(),
            environ=contracted.environment,
            header_rc=contracted.header_rc,
        )

    measurement.measure("target", "build it as you would, reading only", work)


def _require_usable(failed: bool, reason: str, named: str | None) -> None:
    if failed and named is not None:
        raise ProgramMissingError(reason)
    if failed:
        raise UsageError(reason)
