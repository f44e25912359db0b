"""Netrcs of attachments follow those of their users: Nix reads one alone, and the user's is rotated by
others.
"""

from __future__ import annotations

from collections.abc import Iterable

from gfattach.agent.model.log import LOG
from gfattach.agent.model.spec import FollowedNetrc
from gfattach.core import files
from gfattach.core.errors import StorageError

#: What tells one state of a file from another: identity, size and time of change; None for no file.
Stamp = tuple[int, int, int] | None


class Netrcs:
    """The netrcs of an agent's attachments, and of each what its source was when it was last looked at."""

    def __init__(self) -> None:
        self._seen: dict[FollowedNetrc, Stamp] = {}

    def follow(self, wanted: Iterable[FollowedNetrc]) -> None:
        """Bring up to date each whose source has changed, and forget what is not wanted."""
        before, self._seen = self._seen, {}
        for file in wanted:
            stamp = _stamp(file)
            if file not in before or before[file] != stamp:
                _refresh(file)
            self._seen[file] = stamp


def _refresh(file: FollowedNetrc) -> None:
    """Have the line of the attachment's own stay, and what is behind it be what the source holds now."""
    try:
        held = files.read_bytes(file.path)
        if held is None:
            return  # the attachment is being undone
        own = held.partition(b"\n")[0] + b"\n"
        merged = own + (files.read_bytes(file.source) or b"")
        if merged != held:
            files.write_atomic(file.path, merged)
            LOG.info("%s follows %s", file.path, file.source)
    except StorageError as error:
        LOG.error("%s", error)


def _stamp(file: FollowedNetrc) -> Stamp:
    try:
        status = file.source.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
