"""From the Services of a cluster to the two caches, with the reason in words.

Labels are asked first, then the names that GloriousFlywheel documents, then ports: what an operator
said of a Service goes before what it happens to be called. Nothing is guessed between two Services that
fit equally well, and a remote executor is never taken for a cache. Pure: who calls has read the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gfattach.cluster.api.fields import one_line
from gfattach.cluster.api.objects import Service, ServicePort
from gfattach.contract.rules.endpoint import stale_host
from gfattach.core.errors import ClusterError, UsageError
from gfattach.core.quote import word
from gfattach.site.settings import NAMESPACE
from gfattach.site.site import NamedService

Section = Literal["cache", "nix"]

#: What is spoken to a port behind a forward.
WireProtocol = Literal["grpc", "http"]

_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"

#: A namespace that older documents give to the Nix cache.
_OLD_NAMESPACES = ("attic-cache",)

#: Where REAPI with execution listens: the number in the cluster's documents.
_EXECUTOR_PORT = 8980
_EXECUTOR_NAMES = ("gf-reapi-",)

#: bazel-remote's gRPC port, which the documented Service keeps.
_GRPC_PORT = 9092
_HTTP_PORTS = (80, 8080)

#: What an appProtocol stands for (Kubernetes' standard ones, and IANA's); HTTP/2 in plaintext is gRPC's.
_PROTOCOLS: dict[str, WireProtocol] = {
    "grpc": "grpc",
    "h2c": "grpc",
    "http2": "grpc",
    "kubernetes.io/h2c": "grpc",
    "http": "http",
}
_HEARD: dict[str, WireProtocol] = {"HTTP/2": "grpc", "HTTP/1.1": "http"}


class _Kind(Struct, frozen=True):
    """What is known of one section: how people call it, its labels and name, and the option that names it."""

    what: str
    labels: tuple[tuple[str, str], ...]
    name: str
    option: str


_KINDS: dict[Section, _Kind] = {
    "cache": _Kind(
        "Bazel cache",
        ((_NAME, "bazel-cache"), (_NAME, "bazel-remote"), (_COMPONENT, "build-cache")),
        "bazel-cache",
        "--cache-service",
    ),
    "nix": _Kind("Nix cache", ((_NAME, "attic"),), "attic", "--nix-service"),
}


class Chosen(Struct, frozen=True):
    """A Service with its port, what that port speaks, and why it was chosen, as half a sentence."""

    service: NamedService
    protocol: WireProtocol
    why: str
    port: ServicePort

    def once_heard(self, section: Section, heard: str) -> Chosen:
        """The same once it was `heard` through a forward what the port speaks ("HTTP/2", "HTTP/1.1")."""
        return replace(self, protocol=protocol_of(section, self.port, heard))

    def __str__(self) -> str:
        return f"Service {self.service.name} in {self.service.namespace}, {self.why}"


class Rejected(Struct, frozen=True):
    """A Service that looked like the one, and why it is not."""

    service: str
    why: str

    def __str__(self) -> str:
        return f"{self.service}: {self.why}"


class Discovery(Struct, frozen=True):
    """What was chosen (None: nothing fits), and what was passed over."""

    chosen: Chosen | None
    rejected: tuple[Rejected, ...]


def discover(section: Section, services: Sequence[Service], namespace: str = NAMESPACE) -> Discovery:
    """The Service of `section` among `services`; where several fit alike, the one in `namespace`.

    Raises UsageError, naming the candidates and the option that chooses, when that leaves more than one.
    """
    kind, rejected = _KINDS[section], []
    fitting: list[tuple[int, Chosen]] = []
    for service in services:
        rank, reason = _fit(kind, section, service)
        if rank is None:
            continue
        fault = _fault(service) or ("" if _port(section, service) else _no_port(section, service))
        if fault:
            rejected.append(Rejected(_full_name(service), fault))
        else:
            # A headless one stands for the same pods as another, as a rule, and is taken where there is none.
            rank += len(kind.labels) + 2 if service.headless else 0
            fitting.append((rank, select_endpoint(section, service, None, reason)))
    if not fitting:
        return Discovery(None, tuple(rejected))
    best = min(rank for rank, _ in fitting)
    alike = [chosen for rank, chosen in fitting if rank == best]
    here = [chosen for chosen in alike if chosen.service.namespace == namespace]
    finalists = here or alike
    if len(finalists) > 1:
        raise _ambiguous(kind, finalists)
    rejected += [
        Rejected(
            str(other.service),
            f"fits as well, in another namespace than {namespace}"
            if rank == best
            else f"fits less: {other.why}",
        )
        for rank, other in fitting
        if other is not finalists[0]
    ]
    return Discovery(finalists[0], tuple(rejected))


def select_endpoint(
    section: Section, service: Service, wanted: str | None, reason: str = "as the site says"
) -> Chosen:
    """The port of `service` that `wanted` names, or that fits best when it is None.

    `reason` is why this Service. Raises UsageError when it has no such port.
    """
    port = _port(section, service) if wanted is None else service.port(wanted)
    if port is None:
        raise UsageError(
            f"Service {_full_name(service)} cannot be used: {_no_port(section, service, wanted)}",
            f"name the port: {_KINDS[section].option} {_full_name(service)}:PORT",
            code="site.service.port",
        )
    named = NamedService(service.namespace, service.name, port.name or str(port.port))
    return Chosen(named, protocol_of(section, port), f"{reason}; port {_shown(port)}", port)


def protocol_of(section: Section, port: ServicePort, heard: str = "") -> WireProtocol:
    """What is spoken to that port: a Nix cache is HTTP; of a Bazel cache the Service's appProtocol says it,
    else what was `heard` there ("HTTP/2", "HTTP/1.1"), else the port's name: gRPC unless that says http.
    """
    if section == "nix":
        return "http"
    said = _PROTOCOLS.get(port.app_protocol.lower()) or _HEARD.get(heard)
    if said is not None:
        return said
    if port.name.startswith(("http", "grpc-web")) and not _named_grpc(port.name):
        return "http"
    return "http" if not port.name and port.port in _HTTP_PORTS else "grpc"


def nothing_found(section: Section, discovery: Discovery, namespace: str) -> ClusterError:
    """The error for a section that has to be there, where discovery chose nothing."""
    kind = _KINDS[section]
    return ClusterError(
        f"no Service in {namespace} is known as a {kind.what}",
        *(f"passed over: {rejected}" for rejected in discovery.rejected[:5]),
        f"name it: {kind.option} NAMESPACE/NAME:PORT",
        f"see what there is: kubectl -n {word(namespace)} get services",
        "or look in another namespace: gfattach up --namespace NAMESPACE",
        code="site.service.none",
    )


def _fit(kind: _Kind, section: Section, service: Service) -> tuple[int | None, str]:
    """How well the Service fits, 0 the best; None when nothing about it does. The second says by what."""
    tests: Iterator[tuple[bool, str]] = iter(
        (
            *(
                (service.labels.get(key) == value, f"by its label {key}={value}")
                for key, value in kind.labels
            ),
            (service.name == kind.name, "by its name"),
            (_by_port(section, service), "by its port" if section == "cache" else "by its name and port"),
        )
    )
    return next(((rank, reason) for rank, (fits, reason) in enumerate(tests) if fits), (None, ""))


def _by_port(section: Section, service: Service) -> bool:
    if section == "cache":
        return any(port.port == _GRPC_PORT for port in service.ports)
    return "attic" in service.name and _port(section, service) is not None


def _fault(service: Service) -> str:
    """Why a Service that looks like a cache is none to attach to; "" when it is."""
    stale = stale_host(f"{service.namespace}/{service.name}")
    if stale is not None:
        return f"{stale} is a retired service; older documents still name it"
    if service.namespace in _OLD_NAMESPACES:
        return f"the namespace {service.namespace} is that of older documents; name it if it is meant"
    if service.name.startswith(_EXECUTOR_NAMES) or any(p.port == _EXECUTOR_PORT for p in service.ports):
        return "it is a remote executor, or belongs to one"
    if service.kind == "ExternalName":
        return f"it is an alias of {one_line(service.external_name)}, without pods to forward to"
    if not service.selector:
        return "it selects no pods"
    return ""


def _port(section: Section, service: Service) -> ServicePort | None:
    """The port that fits best: gRPC before HTTP for a Bazel cache."""
    grpc: tuple[Callable[[ServicePort], bool], ...] = (
        lambda port: _PROTOCOLS.get(port.app_protocol.lower()) == "grpc",
        lambda port: port.name == "grpc",
        lambda port: port.port == _GRPC_PORT,
        lambda port: _named_grpc(port.name),
    )
    http: tuple[Callable[[ServicePort], bool], ...] = (
        lambda port: port.name == "http",
        lambda port: port.port in _HTTP_PORTS,
    )
    for fits in (*grpc, *http) if section == "cache" else http:
        for port in service.ports:
            if fits(port):
                return port
    return None


def _named_grpc(name: str) -> bool:
    """Whether a port's name begins with gRPC's protocol, as service meshes read names: `http2-cache`.

    What is named grpc-web speaks HTTP/1.1, which no Bazel takes for gRPC.
    """
    return name.partition("-")[0] in ("grpc", "http2", "h2c") and not name.startswith("grpc-web")


def _no_port(section: Section, service: Service, wanted: str | None = None) -> str:
    has = ", ".join(_shown(port) for port in service.ports) or "none"
    if wanted is not None:
        return f"it has no port {wanted}; it has {has}"
    looked = f"grpc, {_GRPC_PORT} or http" if section == "cache" else "http, 80 or 8080"
    return f"none of its ports is {looked}; it has {has}"


def _ambiguous(kind: _Kind, finalists: Sequence[Chosen]) -> UsageError:
    return UsageError(
        f"{len(finalists)} Services may be the {kind.what}, and nothing tells which is meant",
        *(f"choose: {kind.option} {chosen.service}   ({chosen.why})" for chosen in finalists[:10]),
        code="site.service.ambiguous",
    )


def _full_name(service: Service) -> str:
    return f"{service.namespace}/{service.name}"


def _shown(port: ServicePort) -> str:
    return f"{one_line(port.name)} {port.port}" if port.name else str(port.port)
