"""Capacity and room of a label together, with what could not be read beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView, World
from gfattach.queue.pressure.capacity import Capacity, capacity
from gfattach.queue.pressure.room import (
    ClaimRow,
    NodeRow,
    QuotaRow,
    Refusal,
    claim_rows,
    node_rows,
    quota_rows,
    refusals,
)

Part = TypeVar("Part")


class Pressure(Struct, frozen=True):
    """Each part is None where it could not be read; `unknown` says what that takes, by the part's name."""

    capacity: Capacity | None
    refusals: list[Refusal] | None
    quotas: list[QuotaRow] | None
    nodes: list[NodeRow] | None
    claims: list[ClaimRow] | None
    unknown: dict[str, str]


def pressure(world: World, views: Sequence[SetView]) -> Pressure:
    """What is known of the room for one more runner of `views`, at least one."""
    unknown: dict[str, str] = {}

    def part(name: str, look: Callable[[], Part]) -> Part | None:
        try:
            return look()
        except MayNot as error:
            unknown[name] = error.right
            return None

    return Pressure(
        part("capacity", lambda: capacity(world, views)),
        part("refusals", lambda: refusals(views)),
        part("quotas", lambda: quota_rows(world, views)),
        part("nodes", lambda: node_rows(world, views[0].set.need)),
        part("claims", lambda: claim_rows(world, views)),
        unknown,
    )
