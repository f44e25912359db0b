"""Whether the flake of the workspace has Nix pass over the substituter."""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, ok, warn
from gfattach.nix import flake
from gfattach.probes.nix.subject import NixSubject


def _ask_flake(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    text = "" if subject.workspace is None else flake.read(subject.workspace)
    if not text or not subject.url:
        return ok("nix.flake.none", "no flake has a part in which caches Nix asks")
    names = flake.replacing(flake.nix_config(text), subject.url)
    if names:
        return warn(
            "nix.flake.replaces",
            f"{flake.NAME} sets {' and '.join(names)} in nixConfig, in place of all that is set elsewhere",
            f"who accepts its configuration builds without {subject.url}: Nix asks it nothing",
            *flake.cures(names),
            names=list(names),
        )
    return ok("nix.flake.ok", f"what {flake.NAME} sets leaves the substituter where it is")


FLAKE: Probe[NixSubject] = Probe(
    "nix.flake",
    "does a flake leave the substituter where it is?",
    _ask_flake,
    codes={
        "nix.flake.ok": "the workspace's flake replaces neither substituters nor keys",
        "nix.flake.none": "there is no flake in the workspace, or no substituter",
        "nix.flake.replaces": "the workspace's flake replaces all substituters or keys, once it is accepted",
    },
    needs=("nix.starts",),
)
