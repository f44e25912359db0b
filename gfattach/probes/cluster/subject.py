"""What the cluster's probes are given, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gfattach.agent.model.spec import PodUpstream
from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Inquiry, fail

if TYPE_CHECKING:
    from gfattach.cluster.api.client import Api
    from gfattach.cluster.kubeconfig.entries import Entries, Kubeconfig

#: The ConfigMap that an operator publishes a site in.
PROFILE = "gfattach-site"

#: Seconds that each of the two stages may take in all, whatever its probes may take each.
STAGE_SECONDS = 18.0
SERVICE_STAGE_SECONDS = 11.0

#: Taken off a probe's own deadline, so that it is the probe that says what was silent.
MARGIN_SECONDS = 0.1


@dataclass
class Held:
    """What one probe found and the next ones need, and what no finding may carry: credentials.

    `api` keeps its connections to the API server, which close when this is forgotten.
    """

    kubeconfig: Kubeconfig | None = None
    entries: Entries | None = None
    connection: ClusterConnection | None = None
    api: Api | None = None
    ends: dict[str, Deadline] = field(default_factory=dict)

    def renew(self, connection: ClusterConnection) -> None:
        """Go on with this connection; those that were kept belonged to another credential."""
        self.connection, self.api = connection, None


@dataclass(frozen=True)
class ClusterSubject:
    """Which cluster is asked, and for what.

    `services` are the ports that will be forwarded, () while they are not known; `names` are those that their
    certificates are for, by `endpoint_selection.shown`, where the ports speak TLS; `profile` names the
    ConfigMap; `environ` is where kubectl would run, that of this process by default. `held` fills as the
    probes go: a connection in it is used as it is.
    """

    ref: ClusterRef
    services: tuple[PodUpstream, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    profile: str = PROFILE
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    held: Held = field(default_factory=Held, repr=False, compare=False)

    @property
    def connection(self) -> ClusterConnection:
        """The connection, as `cluster.credential` resolved it, or as it was given."""
        if self.held.connection is None:
            raise LookupError("no connection was resolved yet")
        return self.held.connection

    @property
    def api(self) -> Api:
        """The API server, once there is a connection; for coroutines that `loop.run_sync` runs."""
        held = self.held
        if held.api is None:
            from gfattach.cluster.api.client import Api
            from gfattach.cluster.api.loop import when_gone
            from gfattach.cluster.wire.http import Client

            client = Client(self.connection)
            held.api = Api(self.connection, client)
            when_gone(held, client.close)
        return held.api

    def serving(self, *services: PodUpstream, names: Mapping[str, str] | None = None) -> ClusterSubject:
        """The same cluster, with all that is known of it, for the stage that asks of services."""
        return replace(self, services=services, names=names or self.names)


ClusterInquiry = Inquiry[ClusterSubject]


def until(inquiry: ClusterInquiry, stage: str = "cluster") -> Deadline:
    """When a probe has to have its answer: its own deadline, or that of its stage."""
    seconds = STAGE_SECONDS if stage == "cluster" else SERVICE_STAGE_SECONDS
    whole = inquiry.subject.held.ends.setdefault(stage, Deadline.after(seconds))
    return Deadline(min(inquiry.deadline.at, whole.at) - MARGIN_SECONDS)


def failure(code: str, error: ClusterError, why: str, *otherwise: str, **data: Any) -> Finding:
    """The finding for an error; `otherwise` are the hints for one that carries none."""
    return fail(code, error.fact, why, *(tuple(error.hints) or otherwise), **data)
