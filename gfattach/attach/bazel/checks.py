"""The Bazel half of an attachment: ask the cache, ask Bazel, write the fragment, measure the hits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gfattach.attach.model.options import ClientOptions
from gfattach.attach.route.route import Route, read_only
from gfattach.bazel.program import Bazel
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.core.paths import Home, cache_directory
from gfattach.fragments import bazelrc
from gfattach.fragments.bazelrc import OnCacheDown
from gfattach.probes.bazel import stage as bazel_probes
from gfattach.probes.cache import stage as cache_probes
from gfattach.probes.certificates import stage as certificates
from gfattach.probes.certificates.subject import Purpose, of_cache, probe_name
from gfattach.proof import evidence, protocol
from gfattach.proof.bazel.phases import BazelPhases
from gfattach.proof.evidence import Phase
from gfattach.proof.measure import Measurement, Progress
from gfattach.reapi.target import CacheTarget
from gfattach.tls.inspection import Inspection

#: Seconds that a phase may take: a few round trips; a cold Bazel and twenty small actions.
PROTOCOL_SECONDS = 10.0
BAZEL_SECONDS = 300.0


@dataclass(frozen=True)
class BazelFound:
    """What the probes said of the Bazel at hand.

    `bazel` is None when there is none to prove with, with the `reason`; `failed` says that one is
    there, or was named, and cannot be used. `tls` and `socket` say what it can do, where that was asked.
    """

    bazel: Bazel | None
    accepted: frozenset[str] | None
    reason: str = ""
    failed: bool = False
    tls: bool = True
    socket: bool = True

    @property
    def lacks_transport(self) -> bool:
        """Whether it is fine but for reaching the endpoint."""
        return not (self.tls and self.socket)


def ask_certificate(target: CacheTarget, run: Run, found: BazelFound | None = None) -> bool:
    """Ask the certificate of a TLS cache everything, against the Bazel at hand; whether nothing failed."""
    if not target.endpoint.tls:
        return True
    subject = of_cache(target, None if found is None else found.bazel)
    if found is not None and not found.tls:  # it is never asked to trust anybody
        subject = replace(subject, for_bazel=False)
    return run.stage(certificates.stage_of(Purpose.CACHE), subject).status is not Status.FAIL


def certificate_is_for(name: str, run: Run) -> bool:
    """Whether the certificate that `ask_certificate` has seen is for `name` as well."""
    handshake = run.findings[probe_name(Purpose.CACHE, "certificates.handshake")]
    chain = Inspection.from_json(handshake.data["inspection"]).chain
    return bool(chain) and chain[0].is_for(name)


def ask_cache(target: CacheTarget, run: Run) -> bool:
    """Ask the cache everything; whether nothing failed."""
    return run.stage(cache_probes.STAGE, target).status is not Status.FAIL


def ask_bazel(
    target: CacheTarget, options: ClientOptions, home: Home, run: Run, *, plaintext_allowed: bool = False
) -> BazelFound:
    """Find the Bazel to serve, and what it accepts; `plaintext_allowed` lets a forward end TLS for it."""
    if not options.use_bazel:
        return BazelFound(None, None, "Bazel was left out (--no-bazel)")
    subject = bazel_probes.BazelSubject(
        program=options.bazel,
        workspace=home.workspace,
        work=home.work / "bazel",
        flags=tuple(bazelrc.CANDIDATE_FLAGS.values()),
        flag_cache=flag_cache(),
        needs_transport=target.endpoint.tls,
        through_socket=target.socket is not None and (target.endpoint.tls or not target.endpoint.localhost),
        plaintext_allowed=plaintext_allowed,
        always_start=False,
    )
    result = run.stage(bazel_probes.STAGE, subject)
    transport = result.findings["bazel.transport"]
    can = {name: bool(transport.data.get(name, True)) for name in ("tls", "socket")}
    for finding in result.findings.values():
        if finding is transport and not all(can.values()):
            break
        if finding.status in (Status.FAIL, Status.SKIP):
            hint = f" ({finding.hints[0]})" if finding.status is Status.SKIP and finding.hints else ""
            return BazelFound(None, None, f"{finding.seen}{hint}", finding.failed)
    accepted = frozenset(result.findings["bazel.flags"].data["accepted"])
    bazel = Bazel.from_json(result.findings["bazel.program"].data)
    return BazelFound(bazel, accepted, transport.seen if transport.failed else "", transport.failed, **can)


def flag_cache() -> Path:
    """Where the flags that each Bazel knows are remembered."""
    return cache_directory() / "bazel-flags.json"


def render_fragment(
    target: CacheTarget,
    found: BazelFound,
    on_cache_down: OnCacheDown,
    run: Run,
    credential_helper: Path | None = None,
) -> str:
    """The text of the fragment for this cache and this Bazel, which asks `credential_helper` for tokens."""
    compressors = run.findings["cache.capabilities"].data.get("compressors", ())
    accepts = None if found.accepted is None else bazelrc.accepted_names(found.accepted)
    return bazelrc.render(
        read_only(target),
        accepts,
        on_cache_down=on_cache_down,
        credential_helper=credential_helper,
        zstd="ZSTD" in compressors,
    )


@contextmanager
def phases_of(
    found: BazelFound, target: CacheTarget, home: Home, nonce: str = ""
) -> Iterator[BazelPhases | None]:
    """The phases of the Bazel at hand, None when there is none."""
    if found.bazel is None or found.failed:
        yield None
        return
    with BazelPhases(
        found.bazel, target, home.work / "bazel", nonce=nonce, flag_cache=flag_cache()
    ) as phases:
        yield phases


def fill(route: Route, phases: BazelPhases | None, measurement: Measurement, nonce: str = "") -> None:
    """Store what the hits will ask for: the protocol's action, and the probe of the Bazel at hand."""
    target = route.cache
    assert target is not None

    def work(progress: Progress) -> list[Phase]:
        filled = [protocol.fill(target, Deadline.after(PROTOCOL_SECONDS), nonce)]
        if phases is not None:
            progress("building the probe once, so that there is something to hit")
            filled.append(phases.fill(Deadline.after(BAZEL_SECONDS)))
        return filled

    measurement.measure("fill", "store what a proof asks for", work)


def hit(
    target: CacheTarget, phases: BazelPhases | None, measurement: Measurement, *, warm: bool, nonce: str = ""
) -> None:
    """Ask for it at the level of the protocol and with Bazel; `warm` keeps the server of a phase before."""

    def work(progress: Progress) -> list[Phase]:
        measured = [protocol.hit(target, Deadline.after(PROTOCOL_SECONDS), nonce)]
        if phases is not None:
            progress("building the probe from the cache")
            measured.append(phases.hit(Deadline.after(BAZEL_SECONDS), warm=warm))
        return measured

    measurement.measure("hit", "ask the cache for it", work)


def hit_again(phases: BazelPhases, measurement: Measurement, *, warm: bool) -> None:
    """The other Bazel figure: with a warm server after a cold one, or the reverse. None where nothing hit."""
    if not any(phase.client is evidence.Client.BAZEL and phase.hits for phase in measurement.phases):
        return
    name = "warm" if warm else "cold"
    title = f"the same with a {name} Bazel server"
    measurement.measure(name, title, lambda progress: phases.hit(Deadline.after(BAZEL_SECONDS), warm=warm))


def control(
    target: CacheTarget, phases: BazelPhases | None, measurement: Measurement, nonce: str = ""
) -> None:
    """Ask once more with the endpoint withheld."""

    def work(progress: Progress) -> list[Phase]:
        measured = [protocol.control(target, Deadline.after(PROTOCOL_SECONDS), nonce)]
        if phases is not None:
            progress("building the probe without the cache: nothing may hit")
            measured.append(phases.control(Deadline.after(BAZEL_SECONDS)))
        return measured

    measurement.measure("control", "withhold the endpoint: the hits have to vanish", work)
