"""Ports that a test may count on: nobody listens on them until the test does."""

from __future__ import annotations

import contextlib
import os
import random
import socket

# Below what Linux and macOS hand out to outgoing connections, so that nothing takes the port of a server
# that is down for a moment, or that is to stay down.
_PORTS = range(20000, 32000)

# Tests that run side by side in several processes have a part of the range each.
_PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_OWN = _PORTS[_PART::8] if "PYTEST_XDIST_WORKER" in os.environ else _PORTS

# Each is given once in a process: whoever asks for several has not bound the first when it gets the second.
_ungiven = iter(random.sample(_OWN, len(_OWN)))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on, and that neither this nor the kernel gives to
    another. Raises LookupError when there is none left.
    """
    for port in _ungiven:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise LookupError("no free TCP port between 20000 and 32000 on 127.0.0.1")
