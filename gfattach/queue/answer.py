"""What is answered about one label and one owner."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from gfattach.cluster.api.metadata import Reference
from gfattach.queue.causes.cause import Cause, Hit, Verdict

if TYPE_CHECKING:
    from gfattach.queue.pressure.pressure import Pressure


#: What gives a user the rights without which there is no verdict, for who may grant them.
GRANTS = (
    "gfattach queue --rbac | kubectl apply -f -",
    "kubectl create clusterrolebinding gfattach-queue-USER --clusterrole=gfattach-queue-viewer --user=USER",
)


class Found(Struct, frozen=True):
    """A cause that holds, with what shows it."""

    cause: Cause
    hit: Hit

    @property
    def sentence(self) -> str:
        """What was found, in one sentence without a full stop."""
        return self.cause.said(self.hit.facts)

    @property
    def next(self) -> tuple[str, ...]:
        """What to run or to do."""
        return self.cause.commands(self.hit.facts)

    @property
    def objects(self) -> tuple[Reference, ...]:
        """The objects that show it."""
        return self.hit.objects

    @property
    def verdict(self) -> Verdict:
        """What it means for a job."""
        return self.hit.verdict or self.cause.verdict


class Unknown(Struct, frozen=True):
    """A cause that could not be looked for, and the right that this takes."""

    cause: Cause
    right: str


class Answer(Struct, frozen=True):
    """One label for one owner. `cause` is the first that is seen, `also` further ones, `possible` what only
    GitHub can tell, `ruled_out` what was looked for and is not, `unknown` what could not be looked for.

    `summary` says the verdict in a sentence; `missing` are the rights that the verdict lacks.
    """

    label: str
    owner: str
    repository: str
    at: datetime
    verdict: Verdict
    summary: str
    missing: tuple[str, ...]
    cause: Found | None
    also: tuple[Found, ...]
    possible: tuple[Found, ...]
    ruled_out: tuple[Cause, ...]
    unknown: tuple[Unknown, ...]
    pressure: Pressure | None

    @property
    def first(self) -> Found | None:
        """The cause that is named first: what is seen, else the likeliest of what is possible."""
        return self.cause or next(iter(self.possible), None)

    @property
    def headline(self) -> str:
        """The first line: `tinyland-nix (tinyland-inc): at capacity`."""
        asked = self.label or self.repository or "runners"
        who = f"{asked} ({self.owner})" if self.owner else asked
        if self.verdict is Verdict.UNKNOWN:
            return f"{who}: unknown: may not {self.missing[0]}" if self.missing else f"{who}: unknown"
        return f"{who}: {self.verdict.value}"

    @property
    def unproved(self) -> str:
        """What there is without the rights that the verdict lacks; the headline names the first of them."""
        more = len(self.missing) - 1
        rights = f"that right and {more} more" if more > 0 else "that right"
        if self.cause is None:
            return f"without {rights} there is no verdict"
        return f"without {rights} this is seen, and no verdict: {self.cause.sentence}"


def rights(unknown: Iterable[Unknown]) -> tuple[str, ...]:
    """The rights that are missing, each once."""
    return tuple(dict.fromkeys(each.right for each in unknown))
