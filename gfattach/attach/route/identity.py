"""The identity of an attachment's cluster: context, server and user, for people and programs."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import one_line
from gfattach.cluster.connection import ClusterRef
from gfattach.core.errors import ClusterError


class ClusterIdentity(Struct, frozen=True):
    """What the kubeconfig says at this moment, which is what the agent goes by too; None for what cannot be
    told.

    `server` is the API server's address, `user` the name of the kubeconfig's entry.
    """

    context: str | None
    cluster: str | None = None
    server: str | None = None
    user: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"context": self.context, "cluster": self.cluster, "server": self.server, "user": self.user}

    def __str__(self) -> str:
        """`bed at https://127.0.0.1:6443 as developer`."""
        parts = (self.context or "the service account", self.server and f"at {self.server}")
        return one_line(" ".join(filter(None, (*parts, self.user and f"as {self.user}"))))


def identity_of(ref: ClusterRef | None) -> ClusterIdentity | None:
    """Who is meant by `ref`; None without a cluster. Nothing but the kubeconfig is asked."""
    if ref is None:
        return None
    from gfattach.cluster.kubeconfig.address import server_address
    from gfattach.cluster.kubeconfig.resolve import find_files, read_kubeconfig, select

    try:
        entries = select(read_kubeconfig(find_files(ref)), ref)
        address = server_address(entries.cluster)
    except ClusterError:
        return ClusterIdentity(ref.context)
    host = f"[{address.host}]" if ":" in address.host else address.host
    server = f"{'https' if address.secure else 'http'}://{host}:{address.port}{address.path}"
    return ClusterIdentity(entries.context.name, entries.cluster.name, server, entries.context.user or None)
