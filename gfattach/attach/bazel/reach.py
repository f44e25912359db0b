"""Whether the attached cache accepts connections, and what a build is told where it does not.

The agent's forwards refuse at once while their upstream is down. What Bazel itself does without its cache
differs by version, so it is settled before Bazel is called.
"""

from __future__ import annotations

import socket
from pathlib import Path

from gfattach.core.errors import BazelError
from gfattach.fragments import bazelrc
from gfattach.reapi.target import CacheTarget

#: Seconds for a connection to an endpoint that is dialled directly; a forward takes none.
CONNECT_SECONDS = 3.0

#: How the fragment says that builds fail without the cache.
_FAILS = "--noremote_local_fallback"


def takes_connections(target: CacheTarget) -> bool:
    """Whether somebody listens where Bazel will go. A cache behind a proxy of Bazel's own is not asked."""
    try:
        if target.socket is not None:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(str(target.socket))
        else:
            address = (target.endpoint.host, target.endpoint.port)
            socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def without_cache(target: CacheTarget, fragment: Path) -> str:
    """The rc text that keeps a build from the cache, which does not answer.

    Raises BazelError (`bazel.cache-down`) where builds are to fail without it.
    """
    text = fragment.read_text("utf-8", "replace")
    if _FAILS in text or text == bazelrc.away("fail"):
        raise BazelError(
            f"{target.endpoint.url} takes no connection, and builds are to fail without it",
            "see what is wrong with it: gfattach status",
            "to build without it while it is away: gfattach up --on-cache-down local",
            code="bazel.cache-down",
        )
    return "build --remote_cache=\n"
