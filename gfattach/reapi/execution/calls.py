"""Reads the Execute calls out of Bazel's log of remote calls: what the server itself said of each action.

A server that takes a result out of its cache says so (`cached_result`); timestamps do not tell, because
servers give fresh ones to cached results too (measured: justbuild 1.6.5).

Field numbers: LogEntry of Bazel's remote_execution_log.proto, with the messages of the Remote Execution
API v2 and google.longrunning.Operation in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gfattach.core.errors import BazelError
from gfattach.core.files import storage_error
from gfattach.core.wire.delimited import DelimitedError, TruncatedError, messages
from gfattach.core.wire.digest import KEY_DIGITS, key_of
from gfattach.core.wire.message import WireError, fields, message, number, part, text, varint

#: What the entries of this service hold, in its methods' full names.
_SERVICE = b"build.bazel.remote.execution.v2.Execution/"

#: What stands in front of an answer's bytes: the name of its type, field 1 of google.protobuf.Any, and the
#: beginning of field 2. Nothing that a server is free to write comes before it.
_TYPE = b"type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse"
_ANSWER = bytes((0x0A, len(_TYPE))) + _TYPE + b"\x12"

#: What stands behind the metadata of a call that ended well: an empty status (field 2), or none, so that the
#: name of the method follows (field 3, 49 or more bytes long).
_GOOD_END = frozenset((b"\x12\x00", *(bytes((0x1A, size)) for size in range(len(_SERVICE), 0x80))))

#: In the metadata of an entry, behind the tool (field 1): a hash of 64 digits (2), and the id of an
#: invocation (3). Groups: the hash as `key_of` has it and its rest, the id.
_IDS = re.compile(rb"\x12\x40(.{%d})(.{%d})\x1a\x24(.{36})" % (KEY_DIGITS, 64 - KEY_DIGITS), re.DOTALL).match

#: The result of an answer, and the metadata of an execution in a result: fields 1 and 9, with lengths.
_RESULT, _METADATA = 0x0A, 0x4A

#: Of such metadata: worker, when it was queued, and when the worker began, a message that begins with
#: seconds.
_WORKER, _QUEUED, _BEGAN, _SECONDS = 0x0A, 0x12, 0x1A, 0x08


class Call(NamedTuple):
    """What calls of Execute or WaitExecution may have in common.

    `label` is the target that the action was made for, and `mnemonic` what it is, "" where Bazel does not
    say, or where the target is none of those that were asked for. `done` says that the call brought an
    answer, `cached` that the answer came out of a cache, `status` is google.rpc.Code of the call or of its
    answer, 0 for a good end. `worker` is what the server said, "" for nothing.
    """

    invocation: str
    label: str
    mnemonic: str
    done: bool
    cached: bool
    status: int
    exit_code: int
    worker: str

    @property
    def executed(self) -> bool:
        """Whether the server says that it ran the action now, to a good end."""
        return self.done and not self.cached and self.status == 0 and self.exit_code == 0


class CallGroup(Struct):
    """Calls that are alike: how many, their actions by `key_of`, and how many of them a worker began when, in
    whole seconds of the wall clock, where the server says it.
    """

    count: int = 0
    actions: set[bytes] = set()
    begun: dict[int, int] = {}

    def add(self, action: bytes, begun: int) -> None:
        """Count a call; `begun` is 0 where the server does not say it."""
        self.count += 1
        self.actions.add(action)
        if begun:
            self.begun[begun] = self.begun.get(begun, 0) + 1


#: What a log amounts to.
CallGroups = dict[Call, CallGroup]


def read_executions(path: Path, labels: Iterable[str]) -> CallGroups:
    """The calls of the Execution service in the log at `path`; those for `labels` tell their target.

    Raises TruncatedError where it ends inside an entry, BazelError (`bazel.log`) for what is no such log, and
    StorageError.
    """
    reader = _Reader(labels)
    usual, read_any = reader.usual, reader.any
    try:
        with path.open("rb", buffering=0) as file:
            for data, at, end in messages(file.read):
                if (method := data.find(_SERVICE, at, end)) >= 0 and not usual(data, at, end, method):
                    read_any(data, at, end)
    except TruncatedError:
        raise
    except (WireError, IndexError, DelimitedError) as error:
        raise _not_a_log(path) from error
    except OSError as error:
        raise storage_error("read", path, error) from error
    return reader.groups


def _not_a_log(path: Path) -> BazelError:
    return BazelError(
        f"{path.name} is not a log of remote calls as Bazel writes it",
        "its format may have changed with this Bazel: please report its version",
        code="bazel.log",
    )


class _Reader:
    """Groups calls. An entry is deep, and most that is in it is not asked for."""

    def __init__(self, labels: Iterable[str]) -> None:
        self.groups: CallGroups = {}
        self._asked = sorted((each.encode() for each in labels), key=len)
        # The spellings of one label have the shortest of them in common.
        asked = self._asked
        self._signs = asked[:1] if all(asked[0] in each for each in asked) else asked
        #: Groups of what `usual` counts, by the bytes of invocation and worker.
        self._alike: dict[tuple[bytes, bytes], CallGroup] = {}

    def usual(self, data: bytes, at: int, end: int, method: int) -> bool:
        """Count the call of the entry from `at` to `end`, whose method's name is at `method`; False for an
        unusual one.

        Usual is one that has its fields in the order of their numbers, that is of no target that was asked
        for, and whose answer is that the action was executed now and ended well.
        """
        answer = data.find(_ANSWER, method, end)
        if answer < 0 or data[at] != 0x0A:
            return False
        size, metadata = varint(data, at + 1)
        named = data[metadata] == 0x0A  # the tool comes first
        ids = _IDS(data, metadata + 2 + data[metadata + 1] if named else metadata, method)
        if ids is None or data[metadata + size : metadata + size + 2] not in _GOOD_END:
            return False
        key, rest, invocation = ids.groups()
        if data.find(key + rest, method, answer) < 0:  # not what was asked for
            return False
        for sign in self._signs:
            if data.find(sign, metadata, metadata + size) >= 0:
                return False
        ran = _ran(data, answer + len(_ANSWER), end)
        if ran is None:
            return False
        worker, begun = ran
        group = self._alike.get((invocation, worker))
        if group is None:
            words = (each.decode("utf-8", "replace") for each in (invocation, worker))
            group = self._group(Call(next(words), "", "", True, False, 0, 0, next(words)))
            self._alike[(invocation, worker)] = group
        group.add(key, begun)
        return True

    def any(self, data: bytes, at: int, end: int) -> None:
        """Count the call of the entry from `at` to `end`, whatever it is like. Raises WireError."""
        entry = fields(data, at, end)
        metadata, details = message(data, entry, 1), message(data, entry, 4)
        digest, status, answer = part(metadata, 2), number(message(data, entry, 2), 1), None
        if 7 in details:
            call = message(data, details, 7)
            own = part(message(data, message(data, call, 1), 6), 1)
            digest = own if own[0] < own[1] else digest
        else:
            call = message(data, details, 9)
        operation = message(data, call, 2)  # the last of them
        if number(operation, 3):
            status = status or number(message(data, operation, 4), 1)
            answer = message(data, message(data, operation, 5), 2)
        label = text(data, metadata, 6)
        asked = label.encode() in self._asked
        result = message(data, answer or {}, 1)
        executed = message(data, result, 9)
        made = Call(
            text(data, metadata, 3),
            label if asked else "",
            text(data, metadata, 5) if asked else "",
            answer is not None,
            number(answer or {}, 2) != 0,
            status or number(message(data, answer or {}, 3), 1),
            number(result, 4),
            text(data, executed, 1),
        )
        self._group(made).add(key_of(data[slice(*digest)]), number(message(data, executed, 3), 1))

    def _group(self, call: Call) -> CallGroup:
        return self.groups.setdefault(call, CallGroup())


def _ran(data: bytes, at: int, end: int) -> tuple[bytes, int] | None:
    """Worker and start of the answer whose length is at `at`, if it has nothing but a result, which has no
    exit code: of an action that was executed now, and ended well. None for any other.
    """
    size, at = varint(data, at)
    stop = at + size
    if stop > end or data[at] != _RESULT:
        return None
    size, at = varint(data, at + 1)
    if at + size != stop:
        return None
    worker, begun = b"", 0
    while at < stop:
        tag = data[at]
        size, content = varint(data, at + 1)
        at = content + size
        if tag == _METADATA and size:
            if data[content] == _WORKER:
                size = data[content + 1]
                worker = data[content + 2 : content + 2 + size]
                content += 2 + size
            if len(worker) > 0x7F or content + 1 >= at:
                return None
            if data[content] == _QUEUED:
                content += 2 + data[content + 1]
            if content + 3 >= at or data[content] != _BEGAN or data[content + 2] != _SECONDS:
                return None
            begun, _ = varint(data, content + 3)
        elif tag & 7 != 2 or tag > 0x7F:
            return None
    return (worker, begun) if at == stop else None
