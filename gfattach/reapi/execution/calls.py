"""Reads the Execute calls out of Bazel's log of remote calls: what the server itself said of each action.

A server that takes a result out of its cache says so (`cached_result`); timestamps do not tell, because
servers give fresh ones to cached results too (measured: justbuild 1.6.5).

Field numbers: LogEntry of Bazel's remote_execution_log.proto, with the messages of the Remote Execution
API v2 and google.longrunning.Operation in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gfattach.core.errors import BazelError
from gfattach.core.files import storage_error
from gfattach.core.wire.delimited import DelimitedError, TruncatedError, messages
from gfattach.core.wire.message import Fields, WireError, fields, message, number, text, varint

#: What the entries of this service hold, in its methods' full names.
_SERVICE = b"build.bazel.remote.execution.v2.Execution/"

#: What stands in front of an answer's bytes: the name of its type, field 1 of google.protobuf.Any, and the
#: beginning of field 2. Nothing that a server is free to write comes before it.
_TYPE = b"type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse"
_ANSWER = bytes((0x0A, len(_TYPE))) + _TYPE + b"\x12"

#: What stands behind the metadata of a call that ended well: an empty status (field 2), or none, so that the
#: name of the method follows (field 3, 49 or more bytes long).
_GOOD_END = frozenset((b"\x12\x00", *(bytes((0x1A, size)) for size in range(len(_SERVICE), 0x80))))

#: The result of an answer, and the metadata of an execution in a result: fields 1 and 9, with lengths.
_RESULT, _METADATA = 0x0A, 0x4A

#: What a hash of 64 digits, field 2 of the metadata, and the id of an invocation, field 3, begin with.
_HASH, _UUID = b"\x12\x40", b"\x1a\x24"


class Execution(NamedTuple):
    """One call of Execute or WaitExecution.

    `digest` is the hash of the action; `label` is the target that it was made for, and `mnemonic` what it is,
    "" where Bazel does not say, or where the target is none of those that were asked for.
    `done` says that the call brought an answer, `cached` that the answer came out of a cache, `status` is
    google.rpc.Code of the call or of its answer, 0 for a good end. `worker` and `worker_start` (whole seconds
    of the wall clock) are what the server said, "" and None for nothing.
    """

    invocation: str
    label: str
    mnemonic: str
    digest: str
    done: bool
    cached: bool
    status: int
    exit_code: int
    worker: str
    worker_start: int | None

    @property
    def executed(self) -> bool:
        """Whether the server says that it ran the action now, to a good end."""
        return self.done and not self.cached and self.status == 0 and self.exit_code == 0


def read_executions(path: Path, labels: Iterable[str]) -> Iterator[Execution]:
    """Every call of the Execution service in the log at `path`; those for `labels` tell their target.

    Raises TruncatedError where it ends inside an entry, BazelError (`bazel.log`) for what is no such log, and
    StorageError.
    """
    asked = sorted((each.encode() for each in labels), key=len)
    # The spellings of one label have the shortest of them in common.
    signs = asked[:1] if all(asked[0] in each for each in asked) else asked
    try:
        with path.open("rb", buffering=0) as file:
            for data, at, end in messages(file.read):
                if (method := data.find(_SERVICE, at, end)) >= 0:
                    yield _usual(data, at, end, method, asked, signs) or _any(data, at, end, asked)
    except TruncatedError:
        raise
    except (WireError, IndexError, DelimitedError) as error:
        raise _not_a_log(path) from error
    except OSError as error:
        raise storage_error("read", path, error) from error


def _not_a_log(path: Path) -> BazelError:
    return BazelError(
        f"{path.name} is not a log of remote calls as Bazel writes it",
        "its format may have changed with this Bazel: please report its version",
        code="bazel.log",
    )


def _usual(
    data: bytes, at: int, end: int, method: int, asked: Sequence[bytes], signs: Sequence[bytes]
) -> Execution | None:
    """The call of the entry from `at` to `end`, whose method's name is at `method`; None for an unusual one.

    An entry is deep, and most that is in it is not asked for. Of one that has its fields in the order of
    their numbers, that ended well and has an answer, only the ids at its beginning and the answer are read.
    """
    answer = data.find(_ANSWER, method, end)
    if answer < 0 or data[at] != 0x0A:
        return None
    size, metadata = varint(data, at + 1)
    if data[metadata + size : metadata + size + 2] not in _GOOD_END:
        return None
    named = data[metadata] == 0x0A  # the tool's name comes first
    ids = metadata + 2 + data[metadata + 1] if named else metadata
    digest = data[ids + 2 : ids + 66]
    if data[ids : ids + 2] != _HASH or data[ids + 66 : ids + 68] != _UUID:
        return None
    if data.find(digest, method, answer) < 0:  # not what was asked for
        return None
    target: Fields = {}
    for each in signs:
        if data.find(each, ids, metadata + size) >= 0:
            target = fields(data, metadata, metadata + size)
            break
    length, begins = varint(data, answer + len(_ANSWER))
    stop = begins + length
    if stop > end:
        return None
    invocation, action = (
        data[ids + 68 : ids + 104].decode("ascii", "replace"),
        digest.decode("ascii", "replace"),
    )
    if not target and (ran := _ran(data, begins, stop)) is not None:
        return Execution(invocation, "", "", action, True, False, 0, 0, *ran)
    return _made(data, target, asked, invocation, action, 0, fields(data, begins, stop))


def _ran(data: bytes, at: int, stop: int) -> tuple[str, int | None] | None:
    """Worker and start of an answer that has nothing but a result, which has no exit code: of an action that
    was executed now, and ended well. None for any other.
    """
    if data[at] != _RESULT:
        return None
    size, at = varint(data, at + 1)
    if at + size != stop:
        return None
    worker, begun = "", None
    while at < stop:
        tag = data[at]
        size, content = varint(data, at + 1)
        at = content + size
        if tag == _METADATA:
            executed = fields(data, content, at)
            worker = text(data, executed, 1) if 1 in executed else ""
            begun = number(message(data, executed, 3), 1) or None if 3 in executed else None
        elif tag & 7 != 2 or tag > 0x7F:
            return None
    return (worker, begun) if at == stop else None


def _any(data: bytes, at: int, end: int, asked: Sequence[bytes]) -> Execution:
    """The call of the entry from `at` to `end`, whatever it is like. Raises WireError."""
    entry = fields(data, at, end)
    metadata, details = message(data, entry, 1), message(data, entry, 4)
    digest, status, answer = text(data, metadata, 2), number(message(data, entry, 2), 1), None
    if 7 in details:
        call = message(data, details, 7)
        digest = text(data, message(data, message(data, call, 1), 6), 1) or digest
    else:
        call = message(data, details, 9)
    operation = message(data, call, 2)  # the last of them
    if number(operation, 3):
        status = status or number(message(data, operation, 4), 1)
        answer = message(data, message(data, operation, 5), 2)
    return _made(data, metadata, asked, text(data, metadata, 3), digest, status, answer)


def _made(
    data: bytes,
    metadata: Fields,
    asked: Sequence[bytes],
    invocation: str,
    digest: str,
    status: int,
    answer: Fields | None,
) -> Execution:
    """The call of its parts; `answer` are the fields of an ExecuteResponse, None for none."""
    label = text(data, metadata, 6) if metadata else ""
    if label and label.encode() not in asked:
        label = ""
    cached, exit_code, worker, begun = False, 0, "", 0
    if answer is not None:
        # Most answers have a result alone, and most results no exit code.
        result = message(data, answer, 1)
        cached = 2 in answer and number(answer, 2) != 0
        exit_code = number(result, 4) if 4 in result else 0
        if executed := message(data, result, 9):
            worker = text(data, executed, 1) if 1 in executed else ""
            begun = number(message(data, executed, 3), 1) if 3 in executed else 0
        status = status or (number(message(data, answer, 3), 1) if 3 in answer else 0)
    return Execution(
        invocation,
        label,
        text(data, metadata, 5) if label else "",
        digest,
        answer is not None,
        cached,
        status,
        exit_code,
        worker,
        begun or None,
    )
