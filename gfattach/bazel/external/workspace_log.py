"""Reads the workspace rules log: what each repository rule and module extension downloaded and ran.

`--experimental_workspace_rules_log_file=FILE` (`--workspace_rules_log_file` in newer Bazels) is a sequence of
WorkspaceEvent messages, each behind its length as a varint (workspace_log.proto in Bazel's sources; fields
have the numbers that 4.2.3 and 7.7.1 write). An event is written before the call is made, so that a download
that fails is in it too. The environment of what a rule runs is in it, secrets included: the file is private,
and nothing but the program's name is taken from such an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from gfattach.core.errors import BazelError
from gfattach.core.files import read_bytes

#: The flag that asks for the log, by its names, the present one first.
LOG_FLAGS = ("--workspace_rules_log_file", "--experimental_workspace_rules_log_file")

#: Bytes of a log beyond which it is not read on.
LOG_LIMIT = 512 * 1024 * 1024

#: Field numbers of WorkspaceEvent, and of the messages in it.
_CONTEXT, _EXECUTE, _DOWNLOAD, _DOWNLOAD_AND_EXTRACT = 2, 3, 4, 5
_ARGUMENTS = 2
_URL, _OUTPUT, _SHA256 = 1, 2, 3
_DOWNLOAD_INTEGRITY, _TYPE = 5, 4
_EXTRACT_INTEGRITY = 6


class Download(Struct, frozen=True):
    """One call of `download` or `download_and_extract`, as the rule made it.

    `repository` is the rule's or extension's name as Bazel logs it, `checksum` the sha256 in hex or the
    integrity, "" for none; `extract` says that an archive was unpacked; `type` is the archive's, "" for what
    the URL says.
    """

    repository: str
    urls: tuple[str, ...]
    output: str
    checksum: str
    extract: bool = False
    type: str = ""


class Execution(Struct, frozen=True):
    """One program that a repository rule ran; its arguments may hold secrets, and are not kept."""

    repository: str
    program: str
    #: Whether an argument names something in the network.
    names_url: bool


class WorkspaceLog(Struct, frozen=True):
    """All downloads and executions of a log, in the order in which they were asked for."""

    downloads: tuple[Download, ...] = ()
    executions: tuple[Execution, ...] = ()


def read_workspace_log(path: Path) -> WorkspaceLog:
    """The log at `path`; a missing or cut-off one says as much as it holds.

    Raises BazelError (`bazel.log`) for what is no such log, and StorageError.
    """
    content = (read_bytes(path) or b"")[:LOG_LIMIT]
    downloads: list[Download] = []
    executions: list[Execution] = []
    try:
        for event in _messages(content):
            said = _fields(event)
            context = _text(said, _CONTEXT)
            for number, value in said:
                if number == _EXECUTE:
                    arguments = [_decoded(word) for key, word in _fields(value) if key == _ARGUMENTS]
                    program = arguments[0] if arguments else ""
                    remote = any("://" in word or word.startswith("git@") for word in arguments[1:])
                    executions.append(Execution(_repository(context), program, remote))
                elif number in (_DOWNLOAD, _DOWNLOAD_AND_EXTRACT):
                    downloads.append(_download(context, value, number == _DOWNLOAD_AND_EXTRACT))
    except (ValueError, TypeError) as error:
        raise BazelError(
            f"{path.name} is not a workspace rules log as Bazel writes it",
            "its format may have changed with this Bazel: please report its version",
            code="bazel.log",
        ) from error
    return WorkspaceLog(tuple(downloads), tuple(executions))


def _download(context: str, message: bytes, extract: bool) -> Download:
    said = _fields(message)
    integrity = _text(said, _EXTRACT_INTEGRITY if extract else _DOWNLOAD_INTEGRITY)
    return Download(
        _repository(context),
        tuple(_decoded(word) for key, word in said if key == _URL),
        _text(said, _OUTPUT),
        _text(said, _SHA256) or integrity,
        extract,
        _text(said, _TYPE) if extract else "",
    )


def _repository(context: str) -> str:
    """The name in `//external:NAME` (WORKSPACE), `repository @@NAME` or `module extension ...`."""
    name = context.removeprefix("repository ").removeprefix("//external:")
    return name.lstrip("@")


def _text(fields: list[tuple[int, bytes]], number: int) -> str:
    return next((_decoded(value) for key, value in fields if key == number and isinstance(value, bytes)), "")


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _messages(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        try:
            size, begin = _varint(content, at)
        except IndexError:
            return  # Bazel was killed while it wrote
        if begin + size > len(content):
            return
        yield content[begin : begin + size]
        at = begin + size


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a message by number; numbers and truth values are passed over.

    Raises ValueError for what is no message.
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    try:
        while at < len(message):
            key, at = _varint(message, at)
            kind = key & 7
            if kind == 0:
                _, at = _varint(message, at)
            elif kind == 2:
                size, at = _varint(message, at)
                if at + size > len(message):
                    raise ValueError("a field that ends behind its message")
                found.append((key >> 3, message[at : at + size]))
                at += size
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                raise ValueError(f"wire type {kind}")
    except IndexError as error:
        raise ValueError("a message that ends inside a field") from error
    return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a varint of more than ten bytes")
