"""The Bazel half of an attachment: ask the cache, ask Bazel, write the fragment, measure the hits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gfattach.attach.options import ClientOptions
from gfattach.attach.ways import Way, read_only
from gfattach.bazel.program import Bazel
from gfattach.deadline import Deadline
from gfattach.engine import Run
from gfattach.finding import Status
from gfattach.firsthit import protocol
from gfattach.firsthit.bazel import BazelLegs
from gfattach.firsthit.evidence import Leg
from gfattach.firsthit.measure import Measurement, Progress
from gfattach.fragments import bazelrc
from gfattach.fragments.bazelrc import OnCacheDown
from gfattach.paths import Home, cache_directory
from gfattach.probes import bazel as bazel_probes
from gfattach.probes import cache as cache_probes
from gfattach.reapi.target import CacheTarget

#: Seconds that a leg may take: a few round trips; a cold Bazel and twenty small actions.
PROTOCOL_SECONDS = 10.0
BAZEL_SECONDS = 300.0


@dataclass(frozen=True)
class BazelFound:
    """What the probes said of the Bazel at hand.

    `bazel` is None when there is none to prove with, with the `reason`; `failed` says that one is
    there, or was named, and cannot be used.
    """

    bazel: Bazel | None
    accepted: frozenset[str] | None
    reason: str = ""
    failed: bool = False


def ask_cache(target: CacheTarget, run: Run) -> bool:
    """Ask the cache everything; whether nothing failed."""
    return run.stage(cache_probes.STAGE, target).status is not Status.FAIL


def ask_bazel(target: CacheTarget, options: ClientOptions, home: Home, run: Run) -> BazelFound:
    """Find the Bazel to serve, and what it accepts."""
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
        always_start=False,
    )
    result = run.stage(bazel_probes.STAGE, subject)
    for finding in result.findings.values():
        if finding.status in (Status.FAIL, Status.SKIP):
            hint = f" ({finding.hints[0]})" if finding.status is Status.SKIP and finding.hints else ""
            return BazelFound(None, None, f"{finding.seen}{hint}", finding.failed)
    accepted = frozenset(result.findings["bazel.flags"].data["accepted"])
    return BazelFound(Bazel.from_json(result.findings["bazel.program"].data), accepted)


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
def legs_of(
    found: BazelFound, target: CacheTarget, home: Home, nonce: str = ""
) -> Iterator[BazelLegs | None]:
    """The legs of the Bazel at hand, None when there is none."""
    if found.bazel is None:
        yield None
        return
    with BazelLegs(found.bazel, target, home.work / "bazel", nonce=nonce, flag_cache=flag_cache()) as legs:
        yield legs


def fill(way: Way, legs: BazelLegs | None, measurement: Measurement, nonce: str = "") -> None:
    """Store what the hits will ask for: the protocol's action, and the probe of the Bazel at hand."""
    target = way.cache
    assert target is not None

    def work(progress: Progress) -> list[Leg]:
        filled = [protocol.fill(target, Deadline.after(PROTOCOL_SECONDS), nonce)]
        if legs is not None:
            progress("building the probe once, so that there is something to hit")
            filled.append(legs.fill(Deadline.after(BAZEL_SECONDS)))
        return filled

    measurement.measure("fill", "store what a proof asks for", work)


def hit(
    target: CacheTarget, legs: BazelLegs | None, measurement: Measurement, *, warm: bool, nonce: str = ""
) -> None:
    """Ask for it at the level of the protocol and with Bazel; `warm` keeps the server of a leg before."""

    def work(progress: Progress) -> list[Leg]:
        measured = [protocol.hit(target, Deadline.after(PROTOCOL_SECONDS), nonce)]
        if legs is not None:
            progress("building the probe from the cache")
            measured.append(legs.hit(Deadline.after(BAZEL_SECONDS), warm=warm))
        return measured

    measurement.measure("hit", "ask the cache for it", work)


def hit_again(legs: BazelLegs, measurement: Measurement, *, warm: bool) -> None:
    """The other Bazel figure: with a warm server after a cold one, or the reverse."""
    name = "warm" if warm else "cold"
    title = f"the same with a {name} Bazel server"
    measurement.measure(name, title, lambda progress: legs.hit(Deadline.after(BAZEL_SECONDS), warm=warm))


def control(target: CacheTarget, legs: BazelLegs | None, measurement: Measurement, nonce: str = "") -> None:
    """Ask once more with the endpoint withheld."""

    def work(progress: Progress) -> list[Leg]:
        measured = [protocol.control(target, Deadline.after(PROTOCOL_SECONDS), nonce)]
        if legs is not None:
            progress("building the probe without the cache: nothing may hit")
            measured.append(legs.control(Deadline.after(BAZEL_SECONDS)))
        return measured

    measurement.measure("control", "withhold the endpoint: the hits have to vanish", work)
