"""How the executor is reached: dialled as it is named, or through a forward into the cluster of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gfattach.agent.launch import supervisor
from gfattach.agent.model import state as agent_state
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.attach.route import agents
from gfattach.cluster.api.client import Api
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.contract.environment import WITHHELD
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError, UsageError
from gfattach.core.files import make_private_directory, remove, write_atomic
from gfattach.core.quote import word
from gfattach.rbe.prove.pods import Workers
from gfattach.reapi.target import CacheTarget

_SECONDS = 20.0


class Executor(Struct, frozen=True):
    """The executor as it is dialled. `through` is the forward, `workers` whose pods are looked at."""

    target: CacheTarget
    through: str | None = None
    workers: Workers | None = None

    @property
    def url(self) -> str:
        """What Bazel is told."""
        return self.target.endpoint.url


def service_of(text: str, namespace: str) -> PodUpstream:
    """The Service that `[NAMESPACE/]NAME[:PORT]` names; the port of its own without one."""
    place, _, rest = text.rpartition("/")
    name, _, port = rest.partition(":")
    if not name:
        raise UsageError(
            f"{text!r} names no Service", "write [NAMESPACE/]NAME:PORT", code="rbe.prove.service"
        )
    return PodUpstream(place or namespace, name, port)


@contextlib.contextmanager
def reached(
    target: CacheTarget,
    service: str | None,
    cluster: Mapping[str, object] | None,
    selector: str | None,
    record: Path,
    environ: Mapping[str, str],
) -> Iterator[Executor]:
    """The executor at `target`, through a forward to `service` where one is named, for as long as this lasts.

    Raises ClusterError for a cluster that cannot be asked and for an executor that is scaled to zero,
    AgentError where no forward can be had, UsageError and StorageError.
    """
    if service is None:
        yield Executor(target)
        return
    ref = reference(cluster or {})
    connection = resolve(ref, Deadline.after(_SECONDS), environ)
    upstream = service_of(service, ref.namespace or connection.namespace)
    workers = Workers(Api(connection), upstream.namespace, upstream.service, selector)
    workers.look()
    ref = replace(ref, context=connection.context or ref.context, identity=connection.identity)
    with _forward(target, upstream, ref, record) as local:
        shown = f"Service {upstream.namespace}/{upstream.service}:{upstream.port}"
        yield Executor(local, shown, workers)


def reference(cluster: Mapping[str, object]) -> ClusterRef:
    """The cluster that the options of a command name, by the keys of a site's settings."""
    kubeconfig = cluster.get("cluster.kubeconfig")
    context, namespace = cluster.get("cluster.context"), cluster.get("cluster.namespace")
    return ClusterRef(
        None if kubeconfig is None else (Path(str(kubeconfig)),),
        None if context is None else str(context),
        None if namespace is None else str(namespace),
    )


@contextlib.contextmanager
def _forward(
    target: CacheTarget, upstream: PodUpstream, ref: ClusterRef, record: Path
) -> Iterator[CacheTarget]:
    endpoint = target.endpoint
    health = Health(
        "grpc",
        "",
        endpoint.tls,
        endpoint.host if endpoint.tls else "",
        target.tls.ca_file,
        endpoint.authority if endpoint.tls else "",
    )
    name = f"executor {upstream.namespace}/{upstream.service}:{upstream.port}"
    spec = ForwardSpec(name, upstream, health)
    directory = agent_state.agent_directory(ref)
    make_private_directory(record.parent)
    write_atomic(record, b"{}\n")
    try:
        client = supervisor.ensure(directory, ref, deadline=Deadline.after(_SECONDS), withheld=WITHHELD)
        (status,) = client.register(Registration(record, (spec,)), Deadline.after(_SECONDS))
        settled = agents.settled(client, [name]).get(name)
        if settled is None or settled.state != "up":
            said = "" if settled is None else settled.last_error
            shown = name.removeprefix("executor ")
            raise AgentError(
                f"the forward to {shown} leads to nothing{f': {said}' if said else ''}",
                f"see its pods: kubectl -n {word(upstream.namespace)} get pods",
                code="rbe.prove.forward",
            )
        if endpoint.tls:
            yield replace(target, socket=status.socket_path)
        else:
            assert status.address is not None and status.port is not None
            local = replace(endpoint, host=status.address, port=status.port)
            yield replace(target, endpoint=local, real_host=endpoint.host)
    finally:
        with contextlib.suppress(AgentError):
            agents.release(directory, record)
        remove(record)
