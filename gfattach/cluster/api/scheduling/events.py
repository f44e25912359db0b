"""Events of kind Warning, as core/v1 has them: who says what of whom, how often and when last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import mapping, name_of, one_line, text
from gfattach.cluster.api.metadata import NEVER, moment


class Event(Struct, frozen=True):
    """An Event; `kind` and `name` are of the object that it is about."""

    namespace: str
    kind: str
    name: str
    reason: str
    message: str
    last: datetime


def event(document: Mapping[str, Any]) -> Event:
    """An Event. Raises ClusterError."""
    found, about = mapping(document, "metadata"), mapping(document, "involvedObject")
    times = (
        text(mapping(document, "series"), "lastObservedTime"),
        text(document, "lastTimestamp"),
        text(document, "eventTime"),
        text(found, "creationTimestamp"),
    )
    return Event(
        name_of(found, "namespace"),
        text(about, "kind"),
        name_of(about, "name"),
        one_line(text(document, "reason"), 120),
        one_line(text(document, "message"), 1000),
        next((made for said in times if (made := moment(said)) is not None), NEVER),
    )
