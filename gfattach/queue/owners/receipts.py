"""Receipts: what GitHub answered about a job, from which it follows that a runner group admits a repository.

A receipt is GitHub's own answer, kept in a file:

    gh api repos/OWNER/NAME/actions/runs/RUN/jobs > receipt.json

or one object `{"schema": "gfattach.receipt/1", "repository", "runner_group_name", "labels", "observed_at",
"source"}`. A job that ran in the group Default, or on a runner of GitHub's, shows nothing of a group.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import one_line
from gfattach.cluster.api.metadata import moment
from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes

SCHEMA = "gfattach.receipt/1"

#: The command that makes one.
COMMAND = "gh api repos/{repository}/actions/runs/RUN/jobs > receipt.json"

#: Groups that say nothing of a repository's admission.
NO_GROUPS = ("", "default", "github actions", "github-hosted", "hosted")

_URL = re.compile(r"https://[^/]{1,253}/([^/]{1,100}/[^/]{1,100})/actions/runs/")


class Receipt(Struct, frozen=True):
    """A job that ran: for which repository, in which group, by which labels, when, and where that stands."""

    repository: str
    group: str
    labels: tuple[str, ...]
    at: datetime
    source: str


def read_receipts(path: Path) -> tuple[Receipt, ...]:
    """The receipts in a file, of jobs that ran in a group that counts. Raises UsageError."""
    content = read_bytes(path)
    if content is None:
        raise UsageError(f"there is no receipt {path}", _how(), code="queue.owners.receipt")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is no JSON", _how(), code="queue.owners.receipt") from None
    if isinstance(document, Mapping) and document.get("schema") == SCHEMA:
        found = [_own(document, path)]
    elif isinstance(document, Mapping) and isinstance(document.get("jobs"), list):
        found = [*_jobs(document["jobs"], path)]
    else:
        raise UsageError(f"{path} is no receipt", _how(), code="queue.owners.receipt")
    return tuple(each for each in found if each is not None and each.group.lower() not in NO_GROUPS)


def _how() -> str:
    return f"make one: {COMMAND.format(repository='OWNER/NAME')}"


def _own(document: Mapping[str, Any], path: Path) -> Receipt | None:
    at = moment(_text(document, "observed_at"))
    if at is None:
        return None
    source = _text(document, "source")
    return Receipt(
        _text(document, "repository").lower(),
        _text(document, "runner_group_name"),
        _labels(document),
        at,
        f"{path} ({source})" if source else str(path),
    )


def _jobs(jobs: list[Any], path: Path) -> Iterator[Receipt | None]:
    for job in jobs:
        if not isinstance(job, Mapping) or not job.get("runner_id"):
            continue
        named = _URL.match(_text(job, "html_url"))
        at = moment(_text(job, "completed_at")) or moment(_text(job, "started_at"))
        if named is not None and at is not None:
            yield Receipt(named[1].lower(), _text(job, "runner_group_name"), _labels(job), at, str(path))


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    return one_line(value, 500) if isinstance(value, str) else ""


def _labels(holder: Mapping[str, Any]) -> tuple[str, ...]:
    value = holder.get("labels")
    return (
        tuple(one_line(each, 253) for each in value if isinstance(each, str))
        if isinstance(value, list)
        else ()
    )
