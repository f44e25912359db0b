"""Who holds a label: the repositories whose jobs run on its runners, with workflows and since when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from gfattach.cluster.api.arc.runner import Runner
from gfattach.queue.model.world import grouped

#: What stands for a job whose repository the runner does not name.
UNNAMED = "(not named)"


class Holder(Struct, frozen=True):
    """A repository and the runners that run its jobs. `since` is when the oldest of these runners was made:
    when its job began is not in the cluster."""

    repository: str
    workflows: tuple[str, ...]
    runs: tuple[int, ...]
    runners: tuple[Runner, ...]
    since: datetime

    @property
    def count(self) -> int:
        """How many runners it holds."""
        return len(self.runners)


def holders(runners: Iterable[Runner]) -> list[Holder]:
    """The holders, the one with most runners first."""
    busy = [each for each in runners if each.busy and each.meta.deleted is None]
    made = [
        Holder(
            repository,
            tuple(sorted({each.workflow for each in held if each.workflow})),
            tuple(sorted({each.run for each in held if each.run})),
            tuple(sorted(held, key=lambda each: each.meta.created)),
            min(each.meta.created for each in held),
        )
        for repository, held in grouped(busy, lambda each: each.repository or UNNAMED).items()
    ]
    return sorted(made, key=lambda each: (-each.count, each.repository))
