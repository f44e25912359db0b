"""Reads the JSON execution log: `--execution_log_json_file`, one object behind another, no array.

What proto3 leaves out has its default. The field of cache hits is `remoteCacheHit` in Bazel 4.2.3 and
`cacheHit` from 5 on; 2.1.0 has no `remoteCacheable`: it asks a cache for what is `cacheable` and
`remotable`, but for what is tagged `no-remote-cache`, which its log does not tell.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Set
from typing import Any

from gfattach.bazel.logs.execution_log.record import OTHER, Group, Groups, Kind, Spawn, label_in
from gfattach.core.wire.delimited import MESSAGE_LIMIT, PIECE, DelimitedError, TruncatedError
from gfattach.core.wire.digest import key_of

_SPACE = " \t\r\n"


def read_json_log(read: Callable[[int], bytes], text: str, labels: Set[str] = frozenset()) -> Groups:
    """The spawns of the log that `read` (as a file's) gives, those for `labels` with their own;
    `text` is what `Spawn.carries` is about.

    Memory is bounded by the largest record. Raises TruncatedError where the log ends inside a record, and
    DelimitedError for what is no such log.
    """
    found: Groups = {}
    for record in _objects(read):
        try:
            spawn = _spawn(record, text, labels)
            digest = str(record.get("digest", {}).get("hash", ""))
        except (AttributeError, TypeError, ValueError) as error:
            raise DelimitedError(f"a record is not as Bazel writes it: {error}") from error
        if (group := found.get(spawn)) is None:
            group = found[spawn] = Group()
        group.count += 1
        if digest:
            group.actions.add(key_of(digest.encode()))
    return found


def _objects(read: Callable[[int], bytes]) -> Iterator[dict[str, Any]]:
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    parse = json.JSONDecoder().raw_decode
    buffer, position, piece, ended = "", 0, PIECE, False
    while True:
        while position < len(buffer) and buffer[position] in _SPACE:
            position += 1
        try:
            if position == len(buffer):
                raise EOFError
            if buffer[position] != "{":
                raise DelimitedError("a record does not begin with a brace")
            found, position = parse(buffer, position)
        except (EOFError, json.JSONDecodeError) as error:
            if ended:
                if isinstance(error, EOFError):
                    return
                raise TruncatedError("it ends inside a record") from error
            if len(buffer) - position > MESSAGE_LIMIT:
                raise DelimitedError("a record has no end") from error
            if position == 0:
                piece *= 2  # a record that is larger than a piece is not read in many small steps
            data = read(piece)
            ended = not data
            buffer, position = buffer[position:] + decode(data, ended), 0
            continue
        piece = PIECE
        yield found


def _kind(record: dict[str, Any]) -> Kind:
    properties = record.get("platform", {}).get("properties", ())
    return Kind(
        mnemonic=str(record.get("mnemonic", "")),
        runner=str(record.get("runner", "")),
        cache_hit=_flag(record.get("cacheHit", False)) or _flag(record.get("remoteCacheHit", False)),
        status=str(record.get("status", "")),
        exit_code=_number(record.get("exitCode", 0)),
        remotable=_flag(record.get("remotable", False)),
        remote_cacheable=_remote_cacheable(record),
        platform=tuple((str(each.get("name", "")), str(each.get("value", ""))) for each in properties),
    )


def _spawn(record: dict[str, Any], text: str, labels: Set[str]) -> Spawn:
    arguments = record.get("commandArgs", ())
    environment = record.get("environmentVariables", ())
    carries = any(text in variable.get("value", "") for variable in environment) or any(
        text in argument for argument in arguments
    )
    label = str(record.get("targetLabel") or label_in(str(record.get("progressMessage", ""))))
    program = str(arguments[0]) if arguments else ""
    return Spawn(
        _kind(record),
        label if not label or label in labels else OTHER,
        program if program.startswith("/") else "",
        carries,
    )


def _remote_cacheable(record: dict[str, Any]) -> bool:
    if "remoteCacheable" in record:
        return _flag(record["remoteCacheable"])
    return _flag(record.get("cacheable", False)) and _flag(record.get("remotable", False))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} stands where true or false belongs")
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} stands where a number belongs")
    return value
