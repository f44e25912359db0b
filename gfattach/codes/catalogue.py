"""Every code with its meaning, gathered from the tables that the rule of this package names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gfattach.cluster.wire.forward_errors import FORWARD_CODES
from gfattach.codes import execution
from gfattach.codes.errors import ERRORS
from gfattach.codes.exits import exit_codes
from gfattach.codes.steps import STEPS
from gfattach.contract.model import codes as contract
from gfattach.core.errors import ExitCode
from gfattach.credential.codes import CODES as TOKENS
from gfattach.inputs.codes import CODES as INPUTS
from gfattach.net.errors import DIAL_CODES
from gfattach.probes.codes import all_codes
from gfattach.proof.measure import CODES as PHASES
from gfattach.queue.codes import CODES as QUEUE
from gfattach.site.lint import CODES as LINT


class Code(Struct, frozen=True):
    """One code. `exit_code` is what a command ends with that ends in an error of this code, if any does."""

    code: str
    meaning: str
    exit_code: ExitCode | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "code": self.code,
            "meaning": self.meaning,
            "exit": None if self.exit_code is None else int(self.exit_code),
        }


class Group(Struct, frozen=True):
    """Codes of one kind, in the order in which they are shown."""

    title: str
    codes: tuple[Code, ...]


def groups() -> tuple[Group, ...]:
    """Every code there is, in groups: findings first, then errors, then what the contract says."""
    return (
        Group("findings of probes", _entries(all_codes())),
        Group("findings of steps", _entries({**STEPS, **LINT, **PHASES})),
        Group("causes of a queued job", _entries(QUEUE)),
        Group("remote execution", _entries(execution.FINDINGS)),
        Group("external inputs", _entries(INPUTS)),
        Group("tokens", _entries(TOKENS)),
        Group("errors", _entries(_errors())),
        Group("the contract: refusals", _entries(_meanings(), ExitCode.REFUSED)),
        Group("the contract: what cannot be done as it was asked", _entries(contract.ERRORS)),
        Group("the contract: hazards", _entries(contract.HAZARDS)),
    )


def _entries(table: Mapping[str, str], exit_code: ExitCode | None = None) -> tuple[Code, ...]:
    exits = exit_codes()
    return tuple(Code(code, meaning, exits.get(code, exit_code)) for code, meaning in table.items())


def _errors() -> dict[str, str]:
    dialled = {f"cluster.dial.{kind}": said for kind, said in DIAL_CODES.items()}
    forwarded = {f"cluster.forward.{kind}": said for kind, said in FORWARD_CODES.items()}
    return {**ERRORS, **dialled, **forwarded, **execution.ERRORS}


def _meanings() -> dict[str, str]:
    refusals = {**contract.REFUSALS, **contract.NO_EXECUTOR}
    return {code: refusal.meaning for code, refusal in refusals.items()}
