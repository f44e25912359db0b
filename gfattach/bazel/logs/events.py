"""Reads what Bazel says of a build: its event file, and the line that counts processes.

The event file is `--build_event_json_file`, one JSON object a line. It holds every option,
those with secrets included: it is 0600, and deleted as soon as it is read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gfattach.bazel.logs.summary import DISK_HIT, INTERNAL, REMOTE, REMOTE_HIT, read_summary
from gfattach.core.errors import BazelError
from gfattach.core.files import make_private_directory, remove, storage_error, write_atomic

#: Bytes of an event file that are read. What is looked for stands at both ends of it, and the file
#: of a build with 100 000 targets has about 60 MB.
EVENTS_LIMIT = 512 * 1024 * 1024

#: Runners that are no spawn: work that Bazel does within itself.
_INTERNAL = (INTERNAL, "total")


class Options(Struct, frozen=True):
    """The options that were effective, in the order in which Bazel took them: the last one wins.

    `command_line` has those of rc files and `--config`s too, expanded; `explicit` only those
    that were typed.
    """

    command_line: tuple[str, ...] = ()
    explicit: tuple[str, ...] = ()

    def effective(self, name: str) -> str | None:
        """The value of the option `name`, "1" or "0" for a bare one; None when nobody gave it."""
        value: str | None = None
        for option in self.command_line:
            key, sign, given = option.removeprefix("--").partition("=")
            if key == name:
                value = given if sign else "1"
            elif key == f"no{name}" and not sign:
                value = "0"
        return value

    def without(self, given: Iterable[str]) -> Options:
        """What would be effective if `given` had not been typed: the last of each is left out."""
        left = list(self.command_line)
        for option in given:
            if option in left:
                del left[len(left) - 1 - left[::-1].index(option)]
        return Options(tuple(left), tuple(option for option in self.explicit if option not in set(given)))


class Spawns(Struct, frozen=True):
    """How many processes ran, by runner (`linux-sandbox`, `remote cache hit`), internal work left out."""

    runners: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.runners.values())

    @property
    def remote_hits(self) -> int:
        """What was reported as served by a cache; Bazel before 5 counts a disk cache's hits here too."""
        return self.runners.get(REMOTE_HIT, 0)

    @property
    def disk_hits(self) -> int:
        """What a disk cache served."""
        return self.runners.get(DISK_HIT, 0)

    @property
    def remote(self) -> int:
        """What an executor ran."""
        return self.runners.get(REMOTE, 0)

    @property
    def local(self) -> int:
        """What ran on this machine."""
        return self.total - self.remote_hits - self.disk_hits - self.remote


class BuildEvents(Struct, frozen=True):
    """What an event file says. `options` is None when it has no such event (the build did not start).

    `started` is seconds of the wall clock; `spawns` is None for a Bazel that does not count
    them there (before 5). `invocation` is the command's id, `command` its name, `exit_code` None for one that
    did not finish.
    """

    started: float | None = None
    options: Options | None = None
    spawns: Spawns | None = None
    invocation: str = ""
    exit_code: int | None = None
    command: str = ""


@contextlib.contextmanager
def private_files(directory: Path, *names: str) -> Iterator[list[Path]]:
    """Empty files in `directory`, 0600, for Bazel to write into; they are removed at the end.

    Raises StorageError.
    """
    make_private_directory(directory)
    files = [directory / name for name in names]
    try:
        for file in files:
            write_atomic(file, b"")
        yield files
    finally:
        for file in files:
            remove(file)


def read_events(path: Path) -> BuildEvents:
    """What the event file at `path` says; a missing or cut-off one says as much as it holds.

    Raises BazelError (`bazel.events`) when it is no event file, and StorageError.
    """
    started: float | None = None
    options: Options | None = None
    spawns: Spawns | None = None
    invocation, exit_code, command = "", None, ""
    for event in _events(path):
        if isinstance(said := event.get("started"), dict):
            started = _milliseconds(said.get("startTimeMillis"))
            invocation, command = str(said.get("uuid", "")), str(said.get("command", ""))
        elif isinstance(said := event.get("finished"), dict):
            code = said.get("exitCode")
            exit_code = code.get("code", 0) if isinstance(code, dict) else None
        elif isinstance(said := event.get("optionsParsed"), dict):
            options = Options(_texts(said.get("cmdLine")), _texts(said.get("explicitCmdLine")))
        elif isinstance(said := event.get("buildMetrics"), dict):
            summary = said.get("actionSummary")
            if isinstance(summary, dict) and isinstance(summary.get("runnerCount"), list):
                spawns = _spawns_of_metrics(summary["runnerCount"])
    return BuildEvents(started, options, spawns, invocation, exit_code, command)


def parse_summary(text: str) -> tuple[Spawns, str] | None:
    """The counts of the last `N processes: …` line in Bazel's output, and that line; None without one."""
    summary = read_summary(text)
    if summary is None:
        return None
    runners = dict(summary.parts) or {"unnamed": summary.total}
    return _spawns(runners.items()), summary.text


def _events(path: Path) -> Iterable[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            read = 0
            first = True
            for line in file:
                read += len(line)
                try:
                    event = json.loads(line)
                except ValueError as error:
                    if first:
                        raise BazelError(
                            f"{path.name} is not an event file as Bazel writes it", code="bazel.events"
                        ) from error
                    return  # Bazel was killed while it wrote
                first = False
                if isinstance(event, dict):
                    yield event
                if read > EVENTS_LIMIT:
                    return
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error("read", path, error) from error


def _spawns(counts: Iterable[tuple[str, int]]) -> Spawns:
    return Spawns({runner: count for runner, count in counts if runner not in _INTERNAL and count})


def _spawns_of_metrics(entries: list[Any]) -> Spawns:
    counted = [entry for entry in entries if isinstance(entry, dict)]
    return _spawns((str(entry.get("name", "")), int(entry.get("count", 0))) for entry in counted)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _milliseconds(value: Any) -> float | None:
    try:
        return int(value) / 1000.0
    except (TypeError, ValueError):
        return None
