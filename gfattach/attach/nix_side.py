"""The Nix half of an attachment: ask the substituter, ask Nix, write the fragment, measure the hits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gfattach.attach.options import ClientOptions
from gfattach.deadline import Deadline
from gfattach.engine import Run
from gfattach.finding import Status
from gfattach.firsthit import nix as nix_hit
from gfattach.firsthit.measure import Measurement
from gfattach.fragments import nixconf
from gfattach.nix.config import known_settings
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget
from gfattach.paths import Home
from gfattach.probes import nix as nix_probes
from gfattach.probes import substituter as substituter_probes

#: Seconds that a leg may take: a few small paths, with retries against a slow cache.
NIX_SECONDS = 120.0

#: Seconds that paths which a person names may take, with all that they refer to.
PATHS_SECONDS = 1800.0


@dataclass(frozen=True)
class NixFound:
    """What the probes said of the Nix at hand.

    `nix` is None when there is none to prove with, with the `reason`; `failed` says that one is
    there, or was named, and cannot be used.
    """

    nix: Nix | None
    reason: str = ""
    failed: bool = False


def ask_substituter(target: SubstituterTarget, run: Run) -> bool:
    """Ask the substituter everything; whether nothing failed."""
    return run.stage(substituter_probes.STAGE, target).status is not Status.FAIL


def render_fragment(target: SubstituterTarget, found: NixFound, netrc_file: Path | None = None) -> str:
    """The text of the fragment for this substituter, this Nix, and the netrc that holds its token."""
    known = None if found.nix is None else known_settings(found.nix)
    return nixconf.render(target, known, netrc_file=netrc_file)


def hit(
    nix: Nix,
    target: SubstituterTarget,
    home: Home,
    measurement: Measurement,
    paths: tuple[str, ...] = (),
) -> None:
    """Realise the probe paths and `paths` in an empty store, from this substituter alone."""
    seconds = PATHS_SECONDS if paths else NIX_SECONDS
    measurement.measure(
        "nix-hit",
        "substitute into an empty store",
        lambda progress: nix_hit.hit(
            nix, target, home.work / "nix", paths, deadline=Deadline.after(seconds), progress=progress
        ),
    )


def control(
    nix: Nix, target: SubstituterTarget, home: Home, measurement: Measurement, paths: tuple[str, ...] = ()
) -> None:
    """The same with the endpoint withheld."""
    measurement.measure(
        "nix-control",
        "withhold the substituter: nothing may come",
        lambda progress: nix_hit.control(
            nix, target, home.work / "nix", paths, deadline=Deadline.after(NIX_SECONDS), progress=progress
        ),
    )


def ask_nix(target: SubstituterTarget, options: ClientOptions, run: Run) -> NixFound:
    """Find the Nix to serve, and whether what it is told will count."""
    if not options.use_nix:
        return NixFound(None, "Nix was left out (--no-nix)")
    subject = nix_probes.NixSubject(program=options.nix, target=target, netrc_given=bool(target.token))
    result = run.stage(nix_probes.STAGE, subject)
    for name in ("nix.program", "nix.starts"):
        finding = result.findings[name]
        if finding.status in (Status.FAIL, Status.SKIP):
            hint = f" ({finding.hints[0]})" if finding.status is Status.SKIP and finding.hints else ""
            return NixFound(None, f"{finding.seen}{hint}", finding.failed)
    return NixFound(Nix.from_json(result.findings["nix.program"].data))
