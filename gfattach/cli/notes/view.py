"""A comparison of two recorded runs in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gfattach.cli.execute import Outcome
from gfattach.doctor.notes.compare import lines


def comparison(found: Mapping[str, Any]) -> Outcome:
    """A line for each difference."""
    return Outcome(result=found, lines=[*lines(found)])
