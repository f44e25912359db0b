"""What an environment amounts to, and whether the contract accepts it.

`classify` is total: any mapping of text to text gets a verdict, and no verdict holds a secret.
It reads no file and asks nobody; what only the disk can tell is in `rules_values.disk_reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gfattach.contract.model.codes import SCRIPT_ACCEPTED, SCRIPT_DOES_NOT_KNOW, SCRIPT_REFUSED, SCRIPT_USAGE
from gfattach.contract.model.display import shown
from gfattach.contract.model.manifest import declared_mode
from gfattach.contract.model.terms import ProfileState, Reading, Reason, Substrate, derive
from gfattach.contract.model.variables import VARIABLES, value_of
from gfattach.contract.nix_state import NixState, nix_state
from gfattach.contract.rules.endpoint import endpoint_rules
from gfattach.contract.rules.executor import executor_rules
from gfattach.contract.rules.mode import mode_rules, profile_rules
from gfattach.contract.rules.values import upload_rules, value_rules
from gfattach.core.errors import ExitCode, RefusedError

__all__ = ["ProfileState", "Reason", "Substrate", "Verdict", "classify", "derive"]

_RULES = (mode_rules, profile_rules, endpoint_rules, executor_rules, upload_rules, value_rules)


class Verdict(Struct, frozen=True):
    """What an environment amounts to, and every reason why the contract refuses it.

    `context` is where it was found: `developer-machine`, `github-actions` or `ci`. `variables` are
    the variables of the contract that are set, with what of their values may be shown.
    """

    substrate: Substrate
    strict: bool
    context: str
    nix: NixState
    variables: Mapping[str, str]
    reasons: tuple[Reason, ...]

    @property
    def accepted(self) -> bool:
        """Whether nothing refuses it."""
        return not self.reasons

    @property
    def exit_code(self) -> ExitCode:
        """How a command ends that only classifies."""
        return ExitCode.GOOD if self.accepted else ExitCode.REFUSED

    @property
    def script_exit_code(self) -> int:
        """How the field's scripts end: 1 where they refuse, 2 for usage, 3 where they do not know."""
        exits = {reason.script_exit for reason in self.reasons}
        for code in (SCRIPT_REFUSED, SCRIPT_USAGE, SCRIPT_DOES_NOT_KNOW):
            if code in exits:
                return code
        return SCRIPT_ACCEPTED

    @property
    def status_line(self) -> str:
        """The last line of the plain form, as the field's scripts write it."""
        return f"Status: {self.substrate}"

    def demand(self) -> None:
        """Raise RefusedError with the first reason, and the others as hints, unless accepted."""
        if self.reasons:
            first, *others = self.reasons
            rest = [f"also: {reason.seen} ({reason.code})" for reason in others]
            raise RefusedError(first.seen, first.why, *first.hints, *rest, code=first.code)

    def record(self) -> dict[str, Any]:
        """The verdict as a JSON object."""
        return {
            "substrate": self.substrate.value,
            "status": "accepted" if self.accepted else "refused",
            "strict": self.strict,
            "context": self.context,
            "nix": self.nix.value,
            "variables": dict(self.variables),
            "reasons": [reason.record() for reason in self.reasons],
            "exit_code": int(self.exit_code),
            "script_exit_code": self.script_exit_code,
        }


def classify(
    environment: Mapping[str, str],
    *,
    manifest: Mapping[str, Any] | None = None,
    strict: bool = False,
    may_upload: bool | None = None,
) -> Verdict:
    """What `environment` amounts to, and every reason to refuse it, the most telling first.

    `manifest` is the parsed `tinyland.repo.json`; what it declares decides under `strict` only.
    `may_upload` is the site's leave to upload, None where no site is known.
    """
    reading = Reading(
        environment=environment,
        derived=derive(environment),
        strict=strict,
        manifest_mode=declared_mode(manifest),
        may_upload=may_upload,
    )
    return Verdict(
        substrate=reading.derived,
        strict=strict,
        context=_context(environment),
        nix=nix_state(environment),
        variables={
            variable.name: shown(environment, variable.name)
            for variable in VARIABLES
            if value_of(environment, variable.name)
        },
        reasons=tuple(reason for rules in _RULES for reason in rules(reading)),
    )


def _context(environment: Mapping[str, str]) -> str:
    if value_of(environment, "GITHUB_ACTIONS") == "true":
        return "github-actions"
    return "ci" if value_of(environment, "CI") else "developer-machine"
