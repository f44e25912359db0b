"""What is asked: of which label, for which repository, about which run, since when."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

from gfattach.core.errors import UsageError

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")


class Question(Struct, frozen=True):
    """`label` "" for every label; `repository` is `OWNER/NAME` or ""; `run` a workflow run's id or 0.

    `queued` is since when the job waits, None where it was not said.
    """

    label: str = ""
    repository: str = ""
    run: int = 0
    queued: datetime | None = None

    @property
    def about_a_job(self) -> bool:
        """Whether a job is known to wait, and not only a label is looked at."""
        return bool(self.repository or self.run or self.queued)


class Scope(Struct, frozen=True):
    """Where to look: `runners` and `controllers` are namespaces; () stands for all, or for the usual ones
    where all are refused."""

    runners: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()


def repository(said: str) -> str:
    """`OWNER/NAME`, also from an address at GitHub. Raises UsageError."""
    found = (
        re.sub(r"^(https?://[^/]{1,253}/|git@[^:]{1,253}:)", "", said.strip()).removesuffix(".git").strip("/")
    )
    if not _REPOSITORY.fullmatch(found):
        raise UsageError(
            f"{said!r} is no repository",
            "write OWNER/NAME, as in github.com/OWNER/NAME",
            code="queue.repository",
        )
    return found
