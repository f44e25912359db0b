"""Every code that a probe can give, gathered from the probes that declare them."""

from __future__ import annotations

import importlib
from typing import Any

from gfattach.core.finding import Stage
from gfattach.core.probe_runner import ENGINE_CODES

#: The modules that hold a `STAGE`, in the order in which things depend on each other.
STAGE_MODULES = (
    "machine.stage",
    "cluster.stage",
    "cluster.services",
    "certificates.stage",
    "cache.stage",
    "bazel.stage",
    "substituter.stage",
    "nix.stage",
    "execution.stage",
)


def all_stages() -> list[Stage[Any]]:
    """Every stage there is, in the order in which an attach asks them."""
    return [importlib.import_module(f"gfattach.probes.{name}").STAGE for name in STAGE_MODULES]


def all_codes() -> dict[str, str]:
    """Every code of a probe with its meaning: the engine's own first."""
    codes = dict(ENGINE_CODES)
    for stage in all_stages():
        for probe in stage.probes:
            codes |= probe.codes
    return codes
