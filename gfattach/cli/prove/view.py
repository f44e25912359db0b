"""What `prove` came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gfattach.cli.execute import Outcome
from gfattach.cli.views.proof import headline_lines, phase_lines, proof_lines

if TYPE_CHECKING:
    from gfattach.proof.record import Proof


def proved(proof: Proof) -> Outcome:
    """What `prove` came to."""
    lines = [*phase_lines(proof.phases), *proof_lines(proof), *headline_lines(proof)]
    return Outcome(proof.exit_code, proof.as_json(), lines)
