"""`prove`: the phases of a proof against what is attached, and the evidence.

Where the cache may be filled (the trial's), the phases ask for something that nobody can have
asked for before: a miss and a fill, hits, and the control phase. Elsewhere they only read, and
ask for what an operator has filled.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.attach.bazel import contract as bazel_contract
from gfattach.attach.bazel.client import BazelClient, flag_cache
from gfattach.attach.client.client import Client, Found
from gfattach.attach.client.session import Session
from gfattach.attach.model import record as records
from gfattach.attach.model.options import ClientOptions
from gfattach.attach.model.record import Attachment
from gfattach.attach.nix.client import NixClient
from gfattach.attach.route import agents
from gfattach.attach.route import ownership as listeners
from gfattach.attach.route.route import Route, read_only, refuse_executor, trial_route
from gfattach.bazel.capabilities.flags import accepted_flags
from gfattach.contract.bazel import flags as bazel_flags
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Progress, Run
from gfattach.core.errors import GfattachError, ProgramMissingError, UnprovedError, UsageError
from gfattach.core.files import locked, remove_tree, write_json
from gfattach.core.quote import word
from gfattach.proof.bazel.phases import measure_target
from gfattach.proof.evidence import Phase
from gfattach.proof.measure import Measurement
from gfattach.proof.nix import phases as nix_phases
from gfattach.proof.record import Proof, conclude
from gfattach.site.allow import demand_wrapper
from gfattach.site.authority import demand_authority
from gfattach.site.load import load_site

#: Seconds that a target of the user's own may take to build.
TARGET_SECONDS = 1800.0


class ProveOptions(Struct, frozen=True):
    """One `gfattach prove`.

    `labels` are targets of the user's workspace, none for the probe; `nix_paths` are store paths to
    realise besides those that the site publishes.
    """

    workspace: Path | None
    clients: ClientOptions
    labels: tuple[str, ...] = ()
    evidence: Path | None = None
    nix_paths: tuple[str, ...] = ()


def prove_attachment(options: ProveOptions, context: Context, run: Run) -> Proof:
    """Measure the phases and conclude.

    Raises UsageError when nothing is attached and for a store path that is none, GfattachError when its trial
    has ended, RefusedError when an executor is configured, UnprovedError when the endpoint does not pass its
    probes.
    """
    home = context.home(options.workspace)
    nix_phases.store_paths(options.nix_paths)
    _check_place(context, options.evidence)
    if options.clients.use_bazel:
        demand_wrapper(home.workspace)
    # What the rc files ask for, Bazel is asked.
    site = load_site({}, {}, home.workspace)
    refuse_executor(site, context.environ, proves_bazel=True)
    demand_authority(site)
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
        session = Session(context=context, home=home, run=run, clients=options.clients)
        bazel = BazelClient(session, route.cache)
        nix = NixClient(session, route.substituter, earlier=record.nix_conf, paths=options.nix_paths)
        measurement = Measurement(run)
        try:
            if options.labels:
                _measure_labels(options.labels, session, bazel, record, measurement)
            elif route.cache is not None:
                _prove(bazel, options.clients.bazel, measurement, fills=route.fills)
            if options.nix_paths or not options.labels:
                _prove_nix(nix, options, measurement)
        finally:
            remove_tree(home.work)
        proof = conclude(measurement.phases, run.report(), run.origin, route.endpoints)
        for path in (home.evidence, options.evidence):
            if path is not None:
                write_json(path, proof.as_json())
    return proof


def _check_place(context: Context, evidence: Path | None) -> None:
    """Find out before anything is measured that the evidence could not be written."""
    if evidence is not None and not (directory := (context.cwd / evidence).parent).is_dir():
        raise UsageError(
            f"the evidence cannot be written to {evidence}: there is no directory {directory}",
            f"make it: mkdir -p {word(directory)}",
        )


def _route(record: Attachment) -> Route:
    agents.revive(record)
    if record.trial is None:
        listeners.demand(record)
    if record.trial is None:
        return Route(record.kind, record.cache, record.substituter)
    from gfattach.trial import supervisor

    state = supervisor.find(record.trial)
    if state is None:
        raise GfattachError(
            "the embedded caches have ended", "start them again: gfattach up --trial", code="trial.ended"
        )
    return trial_route(state, record.trial)


def _prove(client: Client[Any], named: str | None, measurement: Measurement, *, fills: bool) -> Found:
    """All phases of one client; what was found of its program. Raises UnprovedError and GfattachError."""
    client.find_token()
    if not client.answers():
        raise UnprovedError(
            f"the {client.serves} did not pass its probes, and nothing was measured with it",
            "see how it is now: gfattach status",
            code="prove.cache" if client.serves == "cache" else "prove.substituter",
        )
    found = client.find_program()
    _require_usable(found, named)
    with client.measures(measurement, secrets.token_hex(8) if fills else "") as phases:
        if fills:
            phases.fill()
        phases.hit(warm=fills)
        phases.hit_again(warm=not fills)
        phases.control()
    return found


def _prove_nix(client: NixClient, options: ProveOptions, measurement: Measurement) -> None:
    paths = options.nix_paths
    if client.target is None:
        if paths:
            raise UsageError(
                "a store path is realised from the attached substituter, and this attachment has none",
                "name one: gfattach up --substituter https://HOST/CACHE",
                code="prove.no-substituter",
            )
        return
    found = _prove(client, options.clients.nix, measurement, fills=False)
    if paths and found.reason:
        raise ProgramMissingError(f"a store path is realised with Nix: {found.reason}")


def _measure_labels(
    labels: Sequence[str], session: Session, client: BazelClient, record: Attachment, measurement: Measurement
) -> None:
    environ, workspace = session.environ, session.home.workspace
    if client.target is None or record.bazelrc is None or workspace is None:
        raise UsageError(
            "a target is measured in an attached workspace, and this is none",
            "attach the workspace that holds it: gfattach up --workspace DIR",
        )
    bazel_contract.demand(environ, session.home, load_site({}, {}, workspace))
    rc = bazel_contract.fragment_of(record, environ)
    assert rc is not None
    target = read_only(client.target)
    found = client.find_program()
    _require_usable(found, session.clients.bazel)
    bazel = found.bazel
    if bazel is None:
        raise ProgramMissingError(f"a target is built with Bazel: {found.reason}")

    def names_of(needed: Sequence[str]) -> dict[str, str]:
        asked = bazel_flags.reviews(needed)
        known = accepted_flags(bazel, asked, work=session.home.work / "bazel", cache=flag_cache())
        return bazel_flags.known_names(needed, known, bazel.label)

    def work(progress: Progress) -> Phase:
        progress(f"building {' '.join(labels)} apart from your own output base")
        contracted = bazel_contract.contracted(environ, "build", record, rc, names_of, may_upload=False)
        return measure_target(
            bazel,
            workspace,
            labels,
            [rc],
            target,
            work=session.home.work / "bazel",
            deadline=Deadline.after(TARGET_SECONDS),
            flags=contracted.arguments("build"),
            flag_cache=flag_cache(),
            environ=contracted.environment,
            header_rc=contracted.header_rc,
        )

    measurement.measure("target", "build it as you would, reading only", work)


def _require_usable(found: Found, named: str | None) -> None:
    if found.failed:
        raise ProgramMissingError(found.reason) if named is not None else UsageError(found.reason)
