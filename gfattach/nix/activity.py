"""What Nix does while it does it: the lines of `--log-format internal-json -v`.

Each line of stderr that begins with `@nix ` is a JSON object: the `start` of an activity (with a
number of its own, a type and fields), its `stop`, a `result` of it, or a `msg`. The lines carry no
time, so each is stamped when it arrives: a moment is never earlier than what it stands for. A
`stop` says that an activity ended, and not that it went well. Seen with 2.8.0 and 2.26.3.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.nix.program import plain

#: Activities and messages that are kept; a closure of ten thousand paths has forty thousand.
ACTIVITY_LIMIT = 50_000
MESSAGE_LIMIT = 200

#: Characters of a message or field that are kept.
TEXT_LIMIT = 2_000

_PREFIX = "@nix "

#: The type of a `result` that tells how far an activity is: bytes done, bytes expected, ... (The
#: number is also an activity's, that of a build: the two are counted apart.)
_PROGRESS = 105


class ActivityType(IntEnum):
    """The types of activity that tell where a path came from (Nix's `ActivityType`)."""

    TRANSFER = 101
    BUILD = 105
    SUBSTITUTE = 108
    QUERY = 109


class Activity(Struct, frozen=True):
    """One activity. `started` and `stopped` are arrivals on `time.monotonic()`.

    `fields` are, by type: [url] of a transfer, [derivation, ...] of a
    build, [path, uri] of a substitution and of a query. `bytes` is what a transfer has received.
    """

    type: ActivityType
    fields: tuple[str, ...]
    started: float
    stopped: float | None = None
    bytes: int = 0

    def field(self, place: int) -> str:
        """The field at `place`; empty when there is none."""
        return self.fields[place] if place < len(self.fields) else ""


class Message(Struct, frozen=True):
    """What Nix said to a person. `level` 0 is an error, 1 a warning, 3 information."""

    level: int
    text: str


class ActivityLog:
    """The activities of one Nix process, gathered line by line.

    Lines of no such format are kept as errors, because a Nix that crashes says so in plain text. `dropped`
    counts the activities that are beyond the limit: with any, the log proves nothing. `first` is the arrival
    of the first line of the format. `on_start` is told of each activity of these types as it begins.
    """

    def __init__(self, on_start: Callable[[Activity], None] | None = None) -> None:
        self.messages: list[Message] = []
        self.dropped = 0
        self.first: float | None = None
        self._activities: dict[int, Activity] = {}
        self._on_start = on_start

    def feed(self, line: str, at: float) -> None:
        """Take one line of stderr that arrived at the moment `at`."""
        entry = _entry(line)
        if entry is None:
            if line.strip():
                self._say(Message(0, plain(line.strip())[:TEXT_LIMIT]))
            return
        if self.first is None:
            self.first = at
        number = entry.get("id")
        if not isinstance(number, int):
            number = None
        match entry.get("action"):
            case "start" if number is not None:
                self._start(number, entry, at)
            case "stop" if number is not None and number in self._activities:
                self._activities[number] = replace(self._activities[number], stopped=at)
            case "result" if number is not None and entry.get("type") == _PROGRESS:
                self._progress(number, entry)
            case "msg":
                level, text = entry.get("level"), entry.get("msg")
                if isinstance(level, int) and isinstance(text, str):
                    self._say(Message(level, plain(text).strip()[:TEXT_LIMIT]))

    def of(self, type: ActivityType) -> list[Activity]:
        """The activities of one type, in the order in which they began."""
        return [activity for activity in list(self._activities.values()) if activity.type is type]

    def complaints(self) -> list[str]:
        """The errors and warnings, in order."""
        return [message.text for message in self.messages if message.level <= 1]

    def _start(self, number: int, entry: dict[str, Any], at: float) -> None:
        try:
            kind = ActivityType(entry["type"])
        except (KeyError, ValueError):
            return
        if len(self._activities) >= ACTIVITY_LIMIT:
            self.dropped += 1
            return
        fields = entry.get("fields")
        texts = tuple(str(f)[:TEXT_LIMIT] for f in fields) if isinstance(fields, list) else ()
        activity = Activity(kind, texts, at)
        self._activities[number] = activity
        if self._on_start is not None:
            self._on_start(activity)

    def _progress(self, number: int, entry: dict[str, Any]) -> None:
        fields = entry.get("fields")
        activity = self._activities.get(number)
        if activity is None or not (isinstance(fields, list) and fields and isinstance(fields[0], int)):
            return
        if fields[0] > activity.bytes:
            self._activities[number] = replace(activity, bytes=fields[0])

    def _say(self, message: Message) -> None:
        if len(self.messages) < MESSAGE_LIMIT:
            self.messages.append(message)


def _entry(line: str) -> dict[str, Any] | None:
    """The object that a line of the log holds; None for a line of something else."""
    if not line.startswith(_PREFIX):
        return None
    try:
        entry = json.loads(line.removeprefix(_PREFIX))
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
