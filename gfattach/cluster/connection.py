"""One API server as one user reaches it: plain facts, for the API calls and the forwarder alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from gfattach.core.value import Redacted
from gfattach.net.proxy import Proxy

if TYPE_CHECKING:
    import ssl
    from datetime import datetime


class ClusterRef(Struct, frozen=True):
    """Which cluster is meant, before anything is read.

    `kubeconfigs` are files in the order in which the first wins; None stands for what kubectl would
    take: KUBECONFIG, or `~/.kube/config`, or the service account of the pod that this runs in.
    `context` None stands for the current one, `namespace` None for the context's own. `identity` is that of
    the cluster which they led to, "" before the first look: a kubeconfig is written anew for another
    one, and every k3s calls its context `default`.
    """

    kubeconfigs: tuple[Path, ...] | None = None
    context: str | None = None
    namespace: str | None = None
    identity: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a record on disk."""
        files = None if self.kubeconfigs is None else [str(path) for path in self.kubeconfigs]
        found = {"kubeconfigs": files, "context": self.context, "namespace": self.namespace}
        return {**found, "identity": self.identity}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ClusterRef:
        """The reverse of `as_json`. Raises KeyError and TypeError for what is none."""
        files = document["kubeconfigs"]
        return cls(
            None if files is None else tuple(Path(text) for text in files),
            document["context"],
            document["namespace"],
            str(document.get("identity", "")),
        )


class ClusterConnection(Redacted, frozen=True):
    """How one API server is reached and as whom.

    `host` and `port` are dialled, through `proxy` where there is one; `path` stands before every
    request's path ("" or "/k8s/clusters/x"); `tls` is None for http://; `server_name` is what the
    certificate has to be for. `authorization` is the header's whole value. `expires` is when the
    credential has to be resolved anew, None for never. `context`, `user` and `namespace` are names, for
    people; `insecure` says that the kubeconfig switches verification off, `identified` that `tls` shows a
    certificate of the client's, `renewable` that an exec plugin can hand out another credential.
    `authority_file` is the file whose certificates `tls` trusts, None where there is none.
    """

    REDACTED: ClassVar = frozenset({"tls", "authorization", "impersonate"})

    host: str
    port: int
    namespace: str
    path: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    proxy: Proxy | None = None
    authorization: str | None = None
    impersonate: tuple[tuple[str, str], ...] = ()
    expires: datetime | None = None
    context: str = ""
    user: str = ""
    insecure: bool = False
    identified: bool = False
    renewable: bool = False
    authority_file: Path | None = None

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The authority as a request names it: without the scheme's own port, as in Go's net/http."""
        default = 80 if self.tls is None else 443
        return self.authority.removesuffix(f":{default}") if self.port == default else self.authority

    @property
    def server(self) -> str:
        """The API server's address, as a kubeconfig has it."""
        return f"{'http' if self.tls is None else 'https'}://{self.authority}{self.path}"

    @property
    def identity(self) -> str:
        """What tells this cluster from others: a digest of its address, and of the authorities that the
        kubeconfig names for it, by which clusters behind one tunnel differ.
        """
        import hashlib

        digest = hashlib.sha256(f"{self.server} {self.server_name}".encode())
        for authority in sorted(getattr(self.tls, "authorities", ())):
            digest.update(hashlib.sha256(authority).digest())
        return digest.hexdigest()[:16]

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What goes with every request, secrets included: never show these."""
        own = () if self.authorization is None else (("Authorization", self.authorization),)
        return (*own, *self.impersonate)
