"""`up`: find the route, ask both caches, write the fragments, measure the hits, keep a record.

Each client (Bazel, Nix) stands alone: when one of its probes fails, nothing of it is written and
what an earlier `up` wrote of it is taken back, because a fragment that points at a dead cache
slows every build (Bazel) or breaks it (Nix). The other one is attached all the same. An `up`
that ends early and found nothing attached leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach.attach.bazel import ahead
from gfattach.attach.client.session import Session, UpSession
from gfattach.attach.down.earlier import undo_earlier
from gfattach.attach.down.undo import undo
from gfattach.attach.model import record as records
from gfattach.attach.model.options import UpOptions
from gfattach.attach.model.record import Attachment
from gfattach.attach.route import agents
from gfattach.attach.route.identity import ClusterIdentity, identity_of
from gfattach.attach.route.plan import Plan
from gfattach.attach.route.select import admit, find_route, kind_of
from gfattach.bazel.server.run import end_strays
from gfattach.contract.environment import detached
from gfattach.core import process
from gfattach.core.context import Context
from gfattach.core.engine import Run
from gfattach.core.errors import ClusterError, ExitCode, GfattachError, UsageError
from gfattach.core.files import locked, remove_tree, write_json
from gfattach.core.finding import Status
from gfattach.core.parallel.preload import preload
from gfattach.core.paths import Home
from gfattach.fragments.home import create_home
from gfattach.proof.measure import Measurement
from gfattach.proof.record import Proof, conclude
from gfattach.site.allow import allow, allowed_home, demand_wrapper
from gfattach.site.load import load_site
from gfattach.site.site import Site

#: What takes long to import of what an attach asks its caches with: read while the route is looked for.
_CLIENTS = (
    "gfattach.attach.bazel.client",
    "gfattach.reapi.remote_cache_pb2",
    "grpc",
    "gfattach.attach.nix.client",
)
_OF_NIX = ("gfattach.net.lean_httpx", "httpcore", "cryptography.hazmat.primitives.asymmetric.ed25519")


class Attached(Struct, frozen=True):
    """What `up` came to. `attachment` is None when nothing could be attached.

    `not_proved` are the reasons why a client was not proved, `skipped` why one was not asked, each with the
    client's name before it; `use` are the lines that tell a person how to use each client's fragment. `site`
    are the settings that it went by, as `Site.as_json` has them.
    """

    exit_code: ExitCode
    attachment: Attachment | None
    proof: Proof
    not_proved: Sequence[str] = ()
    skipped: Sequence[str] = ()
    use: Mapping[str, Sequence[str]] = field(default_factory=dict)
    site: Mapping[str, Any] = field(default_factory=dict)

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
            "skipped": list(self.skipped),
            "cluster": None if self.cluster is None else self.cluster.as_json(),
            "site": {"settings": dict(self.site)},
        }

    @property
    def cluster(self) -> ClusterIdentity | None:
        """The cluster that the attachment goes into."""
        return identity_of(None if self.attachment is None else self.attachment.cluster)


def attach(options: UpOptions, context: Context, run: Run) -> Attached:
    """Attach as `options` say. Raises GfattachError; what it had begun is undone then."""
    home = _home(options, context)
    if options.nix_paths:
        from gfattach.proof.nix import phases as nix_hit

        nix_hit.store_paths(options.nix_paths)
    if options.allow_site and home.workspace is not None:
        allow(home.workspace)
    if options.clients.use_bazel:
        demand_wrapper(home.workspace)
    site = load_site(options.site, detached(context.environ), home.workspace)
    undo_earlier(home, run)
    create_home(home)
    with locked(home.lock):
        first, kept = not home.record.exists(), None
        try:
            end_strays(home.work)
            run.account("start", "load configuration")
            before = records.load(home)
            _check_same(before, kind_of(options, site, context.environ))
            admit(options, site, context)
            if options.clients.use_bazel and _may_have_cache(options, site, context):
                kept = ahead.begin(Session(context=context, home=home, run=run, clients=options.clients))
            preload(_CLIENTS + (_OF_NIX if options.clients.use_nix else ()))
            route = find_route(options, site, context, home, run)
            begun = replace(before or Attachment.begin(route.kind), left_out=options.clients.left_out)
            agent = agents.directory_for(route) if route.listens else begun.agent
            up = UpSession(
                context=context,
                home=home,
                run=run,
                clients=options.clients,
                options=options,
                plan=Plan.begin(route, begun, agent),
                record=begun,
                measurement=Measurement(run),
                stale=begun.kind == "direct" and begun.cache_by_agent,
                kept=kept,
            )
            attached = replace(_attach(up), site=site.as_json())
            if before is not None and before.agent not in (None, up.plan.agent):
                agents.release(before.agent, home.record)  # that of another cluster, as it led to then
        except BaseException as error:
            if kept is not None:
                kept.end()  # before what it stands on is undone
            if isinstance(error, KeyboardInterrupt):
                process.end_all()  # a probe's thread may still be at work in what is undone now
                left = "what was attached before: gfattach status"
                error.args = (_take_back(home, context) if first else left,)
            elif first:
                undo(home, context.environ)
            elif isinstance(error, ClusterError):
                error.hints = (*error.hints, "what was attached before is left as it was: gfattach status")
            raise
        finally:
            if kept is not None:
                kept.end()
            remove_tree(home.work)  # of use to this attach alone
        if attached.attachment is None and first:
            undo(home, context.environ)
        run.account("record", "keep the evidence and the record")
        return attached


def _may_have_cache(options: UpOptions, site: Site, context: Context) -> bool:
    """Whether there may be something for a Bazel: only what is dialled directly is known by now."""
    direct = kind_of(options, site, context.environ) == "direct"
    return not direct or site.get("cache.endpoint") is not None


def _home(options: UpOptions, context: Context) -> Home:
    if options.allow_site:
        return allowed_home(options.workspace, options.workspace or context.cwd)
    return context.home(options.workspace)


def _take_back(home: Home, context: Context) -> str:
    """Undo an attach that was interrupted; what is left of it, in words."""
    try:
        undo(home, context.environ)
    except KeyboardInterrupt:
        return "what was begun is not all undone: gfattach down"
    return "what was begun is undone"


def _check_same(before: Attachment | None, wanted: str) -> None:
    if before is not None and before.kind != wanted:
        raise UsageError(
            f"this workspace is attached already, by another route: {before.kind}, not {wanted}",
            "undo that first: gfattach down",
            code="attachment.other",
        )


def _attach(up: UpSession) -> Attached:
    # The clients and all that they ask with: not needed by an attach that ends before.
    from gfattach.attach.bazel.client import BazelClient
    from gfattach.attach.nix.client import NixClient
    from gfattach.attach.up.attach_client import attach_client

    run, options = up.run, up.options
    up.change()  # saved before anything else is done, so that `down` knows of an `up` that was killed
    if up.route.listens:
        up.open_forwards(up.route, "forward", "open the forwards")
    route = up.route
    outcomes = [attach_client(up, BazelClient(up, route.cache))]
    if up.kept is not None:
        up.kept.retire()
    nix = NixClient(up, route.substituter, earlier=up.plan.nix_conf, paths=options.nix_paths)
    outcomes.append(attach_client(up, nix))
    proof = conclude(up.measurement.phases, run.report(), run.origin, route.endpoints)
    write_json(up.home.evidence, proof.as_json())
    up.change(first_hit=_summary(proof))
    kept = None if up.record.bazelrc is None and up.record.nix_conf is None else up.record
    failures = [error for outcome in outcomes for error in outcome.failures]
    return Attached(
        exit_code(run, proof, failures, require_hit=options.require_hit),
        kept,
        proof,
        [f"{each.client.name}: {reason}" for each in outcomes for reason in each.not_proved],
        [f"{each.client.name}: skipped, {each.skipped}" for each in outcomes if each.skipped],
        {each.client.name: each.use for each in outcomes},
    )


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
