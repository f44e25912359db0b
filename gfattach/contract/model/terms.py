"""The nouns of a classification: the substrate, a reason, and what the rules are given."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from gfattach.contract.model.codes import NO_EXECUTOR, REFUSALS
from gfattach.contract.model.variables import value_of


class Substrate(StrEnum):
    """What a build may use. The values are the contract's names of its modes."""

    LOCAL_ONLY = "compatibility-local-only"
    SHARED_CACHE = "shared-cache-backed"
    EXECUTOR = "executor-backed"


class ProfileState(StrEnum):
    """How a machine is enrolled."""

    UNATTACHED = "unattached"
    SHARED_CACHE = "shared-cache-backed"
    EXECUTOR = "executor-backed"
    LOCAL_PROOF = "local-proof"


class Reason(Struct, frozen=True):
    """One reason why the contract refuses an environment.

    `variable` is the one to look at; `seen` is a sentence with no secret in it; `hints` are what
    to run. `script_exit` is how the field's scripts exit for it, 3 where none of them refuses.
    """

    code: str
    variable: str
    seen: str
    why: str
    hints: tuple[str, ...]
    script_exit: int

    def record(self) -> dict[str, Any]:
        """The reason as a JSON object."""
        return {
            "code": self.code,
            "variable": self.variable,
            "seen": self.seen,
            "why": self.why,
            "hints": list(self.hints),
            "script_exit": self.script_exit,
        }


def refuse(
    code: str, variable: str, seen: str, why: str, *hints: str, script_exit: int | None = None
) -> Reason:
    """A reason with the code's own script exit, unless this case has another."""
    known = REFUSALS.get(code) or NO_EXECUTOR[code]
    return Reason(code, variable, seen, why, hints, known.script_exit if script_exit is None else script_exit)


class Reading(Struct, frozen=True):
    """What the rules are given.

    `derived` is what the endpoints amount to. `manifest_mode` is what the repository's manifest
    declares, as it stands there, None when it declares nothing. `may_upload` is the site's policy,
    None when no site is known.
    """

    environment: Mapping[str, str]
    derived: Substrate
    strict: bool
    manifest_mode: object | None
    may_upload: bool | None

    def value(self, name: str) -> str:
        """The value of the variable `name`, "" for unset."""
        return value_of(self.environment, name)

    @property
    def mode(self) -> str:
        """The mode that counts: the declared one, or else the derived one."""
        return self.value("GF_BAZEL_SUBSTRATE_MODE") or self.derived


def derive(environment: Mapping[str, str]) -> Substrate:
    """What the endpoints of `environment` amount to, whatever is declared."""
    if value_of(environment, "BAZEL_REMOTE_EXECUTOR"):
        return Substrate.EXECUTOR
    if value_of(environment, "BAZEL_REMOTE_CACHE"):
        return Substrate.SHARED_CACHE
    return Substrate.LOCAL_ONLY
