"""The Nix half of an attachment: ask the substituter, ask Nix, write the fragment, measure the hits."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gfattach.attach.model.options import ClientOptions
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.core.paths import Home
from gfattach.fragments import nixconf
from gfattach.nix.program import Nix
from gfattach.nixcache.proxy import proxy_for
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.certificates import stage as certificates
from gfattach.probes.certificates.subject import Purpose, of_substituter, probe_name
from gfattach.probes.nix import stage as nix_probes
from gfattach.probes.substituter import stage as substituter_probes
from gfattach.proof.measure import Measurement
from gfattach.proof.nix import phases as nix_hit
from gfattach.tls.certificate import Certificate
from gfattach.tls.inspection import Inspection
from gfattach.tls.route import Route, through_proxy, to_host

#: Seconds that a phase may take: a few small paths, with retries against a slow cache.
NIX_SECONDS = 120.0

#: Seconds that paths which a person names may take, with all that they refer to.
PATHS_SECONDS = 1800.0


@dataclass(frozen=True)
class NixFound:
    """What the probes said of the Nix at hand.

    `nix` is None when there is none to prove with, with the `reason`; `failed` says that one is
    there, or was named, and cannot be used. `settings` are those that the probes look at, as they are
    without the fragment; None without a Nix.
    """

    nix: Nix | None
    reason: str = ""
    failed: bool = False
    settings: Mapping[str, Any] | None = None


def ask_certificate(target: SubstituterTarget, run: Run) -> bool:
    """Ask the certificate of a TLS substituter everything; whether nothing failed.

    Whom Nix itself trusts, its own stage compares. What lies behind a proxy that is no plain HTTP one is not
    looked at: the substituter's stage says what comes of it.
    """
    endpoint = target.endpoint
    if not endpoint.tls:
        return True
    named = proxy_for(endpoint.scheme, endpoint.host, os.environ)
    route = None if named is None else _through(named, endpoint)
    if named is not None and route is None:
        return True
    stage = certificates.stage_of(Purpose.SUBSTITUTER)
    return run.stage(stage, of_substituter(target, route=route)).status is not Status.FAIL


def _through(proxy: str, endpoint: Endpoint) -> Route | None:
    """The way to `endpoint` by `proxy`, a URL that may hold a password; None by any but plain HTTP's."""
    parts = urlsplit(proxy)
    if parts.scheme != "http" or not parts.hostname:
        return None
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    secret = base64.b64encode(user.encode()).decode() if parts.username else ""
    return through_proxy(
        to_host(parts.hostname, parts.port or 1080),  # curl's default
        endpoint.host,
        endpoint.port,
        f"Basic {secret}" if secret else None,
    )


def _authority(run: Run) -> Certificate | None:
    """Who vouches for the substituter, as `ask_certificate` saw it; None where it did not."""
    handshake = run.findings.get(probe_name(Purpose.SUBSTITUTER, "certificates.handshake"))
    if handshake is None or "inspection" not in handshake.data:
        return None
    return Inspection.from_json(handshake.data["inspection"]).anchor


def ask_substituter(target: SubstituterTarget, run: Run) -> bool:
    """Ask the substituter everything; whether nothing failed."""
    return run.stage(substituter_probes.STAGE, target).status is not Status.FAIL


def render_fragment(target: SubstituterTarget, found: NixFound, netrc_file: Path | None = None) -> str:
    """The text of the fragment for this substituter, this Nix, and the netrc that holds its token."""
    return nixconf.render(target, found.settings, netrc_file=netrc_file)


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


def ask_nix(
    target: SubstituterTarget, options: ClientOptions, run: Run, fragment: Path | None = None
) -> NixFound:
    """Find the Nix to serve, and whether what it is told will count; `fragment` is an earlier attach's."""
    if not options.use_nix:
        return NixFound(None, "Nix was left out (--no-nix)")
    subject = nix_probes.NixSubject(
        options.nix, target, fragment, netrc_given=bool(target.token), authority=_authority(run)
    )
    result = run.stage(nix_probes.STAGE, subject)
    for name in ("nix.program", "nix.starts"):
        finding = result.findings[name]
        if finding.status in (Status.FAIL, Status.SKIP):
            hint = f" ({finding.hints[0]})" if finding.status is Status.SKIP and finding.hints else ""
            return NixFound(None, f"{finding.seen}{hint}", finding.failed)
    settings = result.findings["nix.starts"].data["settings"]
    return NixFound(Nix.from_json(result.findings["nix.program"].data), settings=settings)
