"""Reads the log of remote calls that Bazel writes: the exact source of what was hit, and when.

`--remote_grpc_log=FILE` (before Bazel 6.2 `--experimental_remote_grpc_log`) is a sequence of
LogEntry messages, each behind its length as a varint. Times in it are the wall clock's, to
the millisecond. Hits of a disk cache do not appear in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct, field

from gfattach.core.errors import BazelError
from gfattach.core.files import storage_error

#: The flag that asks for the log, by its names, the present one first.
LOG_FLAGS = ("--remote_grpc_log", "--experimental_remote_grpc_log")

#: Bytes of one entry, and entries of one log, beyond which a file is not read on.
ENTRY_LIMIT = 64 * 1024 * 1024
ENTRIES_LIMIT = 2_000_000

#: Names of actions that are kept for the evidence.
ACTIONS_KEPT = 64

#: google.rpc.Code, by number.
_STATUS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


class Call(Struct, frozen=True):
    """One call. `service` and `method` are short (`ActionCache`, `GetActionResult`).

    `started` and `ended` are seconds of the wall clock; `action` is the hash of the action that
    it was made for, "" for none.
    """

    service: str
    method: str
    status: str
    started: float
    ended: float
    action: str


class CallLog(Struct, frozen=True):
    """What a log amounts to. `counts` is by `Method STATUS`; `hit_at` is the wall clock's moment.

    `asked` and `hits` count what the action cache was asked for and what it knew; a call that is
    made again because the first one failed counts once. `actions` are the hashes of the actions
    asked for, sorted, the first `ACTIONS_KEPT` of them.
    `truncated` says that the file ends inside an entry, as it does when Bazel was killed.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    asked: int = 0
    hits: int = 0
    hit_at: float | None = None
    actions: tuple[str, ...] = ()
    executions: int = 0
    uploads: int = 0
    capabilities: str | None = None
    truncated: bool = False


def read_calls(path: Path) -> CallLog:
    """Sum up the log at `path`. A missing file is an empty log: Bazel asked for nothing.

    Raises BazelError (`bazel.log`) for what is no such log, and StorageError.
    """
    counts: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    hits = 0
    hit_at: float | None = None
    capabilities: str | None = None
    executions = uploads = 0
    calls = _Entries(path)
    for call in calls:
        counts[f"{call.method} {call.status}"] += 1
        if call.method == "GetActionResult":
            answers[call.action] += call.status in ("OK", "NOT_FOUND")
            if call.status == "OK":
                hits += 1
                hit_at = call.ended if hit_at is None else min(hit_at, call.ended)
        elif call.method == "GetCapabilities":
            capabilities = "OK" if "OK" in (capabilities, call.status) else call.status
        executions += call.service == "Execution"
        uploads += call.method in ("UpdateActionResult", "BatchUpdateBlobs") or (
            call.service == "ByteStream" and call.method == "Write"
        )
    return CallLog(
        counts=dict(sorted(counts.items())),
        asked=sum(max(1, count) for count in answers.values()),
        hits=hits,
        hit_at=hit_at,
        actions=tuple(sorted(answers)[:ACTIONS_KEPT]),
        executions=executions,
        uploads=uploads,
        capabilities=capabilities,
        truncated=calls.truncated,
    )


class _Entries:
    """The calls of a log, in the order in which they ended; `truncated` is known afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.truncated = False

    def __iter__(self) -> Iterator[Call]:
        from google.protobuf.message import DecodeError

        from gfattach.reapi.remote_cache_pb2 import LogEntry

        try:
            with self._path.open("rb") as file:
                for _ in range(ENTRIES_LIMIT):
                    size = _read_length(file)
                    if size is None:
                        return
                    if size > ENTRY_LIMIT:
                        raise self._not_a_log()
                    content = file.read(size)
                    if len(content) < size:
                        self.truncated = True
                        return
                    yield _call(LogEntry.FromString(content))
        except FileNotFoundError:
            return
        except EOFError:
            self.truncated = True
        except DecodeError as error:
            raise self._not_a_log() from error
        except OSError as error:
            raise storage_error("read", self._path, error) from error

    def _not_a_log(self) -> BazelError:
        return BazelError(
            f"{self._path.name} is not a log of remote calls as Bazel writes it",
            "its format may have changed with this Bazel: please report its version",
            code="bazel.log",
        )


def _call(entry: Any) -> Call:
    service, _, method = entry.method_name.rpartition("/")
    code = entry.status.code
    return Call(
        service=service.rpartition(".")[2],
        method=method,
        status=_STATUS[code] if 0 <= code < len(_STATUS) else str(code),
        started=_seconds(entry.start_time),
        ended=_seconds(entry.end_time),
        action=entry.metadata.action_id,
    )


def _seconds(moment: Any) -> float:
    return float(moment.seconds) + float(moment.nanos) / 1e9


def _read_length(file: BinaryIO) -> int | None:
    """The next varint; None at the end of the file. More than five bytes are no length.

    Raises EOFError when the file ends inside it.
    """
    value = 0
    for shift in range(0, 35, 7):
        byte = file.read(1)
        if not byte:
            if shift:
                raise EOFError
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return ENTRY_LIMIT + 1
