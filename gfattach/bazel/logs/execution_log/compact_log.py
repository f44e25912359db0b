"""Reads the compact execution log: zstd around delimited entries, `--execution_log_compact_file`.

Entries for files and sets of inputs stand between the spawns; they are passed over by their first byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gfattach.bazel.logs.execution_log.record import Spawn
from gfattach.core.delimited import DelimitedError, messages

#: The first byte of an entry that is a spawn, which has no number: field 7, with a length.
_SPAWN = 7 << 3 | 2

#: The first byte of a spawn that has arguments: field 1, with a length.
_ARGUMENT = 1 << 3 | 2

#: What a zstd stream begins with (RFC 8878, 3.1.1).
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def read_compact_log(read: Callable[[int], bytes], text: str) -> Iterator[Spawn]:
    """Every spawn of the decompressed log that `read` gives; `text` is what `Spawn.carries` is about.

    Raises TruncatedError where the log ends inside an entry, and DelimitedError for what is no such log.
    """
    from google.protobuf.message import DecodeError

    from gfattach.bazel.logs.execution_log import compact_pb2 as pb

    looked_for = text.encode()
    # A variable of that value, as it stands in the log: where it is found, nothing has to be taken apart.
    as_value = b"\x12" + _varint(len(looked_for)) + looked_for
    platforms: dict[bytes, dict[str, str]] = {}
    try:
        for data in messages(read, _SPAWN):
            spawn = pb.SpawnEntry.FromString(data).spawn
            packed = spawn.platform
            if (platform := platforms.get(packed)) is None:
                properties = pb.Platform.FromString(packed).properties
                platform = platforms[packed] = {each.name: each.value for each in properties}
            carries = looked_for in data
            if carries and (as_value not in data or as_value in packed):
                # It may stand in an output's path or a property, which need not be in the action's key.
                command = pb.CommandEntry.FromString(data).spawn
                carries = any(looked_for in word for word in command.args) or any(
                    text in variable.value for variable in command.env_vars
                )
            yield Spawn(
                spawn.target_label,
                spawn.mnemonic,
                spawn.runner,
                spawn.cache_hit,
                spawn.status,
                spawn.exit_code,
                spawn.remotable,
                spawn.remote_cacheable,
                spawn.digest.hash,
                platform,
                _first_argument(data),
                carries,
            )
    except DecodeError as error:
        raise DelimitedError("an entry is not as Bazel writes it") from error


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _first_argument(data: bytes) -> str:
    """The first word of the command of a spawn's entry, which is well-formed; "" for none."""
    start = 1
    while data[start] > 0x7F:  # the length of the spawn
        start += 1
    start += 1
    if data[start : start + 1] != bytes((_ARGUMENT,)):
        return ""
    size, shift = 0, 0
    while True:
        start += 1
        size |= (data[start] & 0x7F) << shift
        shift += 7
        if data[start] < 0x80:
            break
    return data[start + 1 : start + 1 + size].decode("utf-8", "replace")
