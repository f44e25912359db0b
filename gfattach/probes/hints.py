"""What to do when nothing is at the end of the way to an endpoint that is dialled from here."""

from __future__ import annotations

from gfattach.core.endpoint import Endpoint


def start_here(endpoint: Endpoint, elsewhere: str) -> str:
    """Start what listens on this machine; `elsewhere` is the hint for an endpoint of another one."""
    if not endpoint.localhost:
        return elsewhere
    return f"start the server, or the tunnel to it, that listens at {endpoint.authority}; then: gfattach up"
