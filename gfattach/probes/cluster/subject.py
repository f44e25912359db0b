"""What the cluster's probes are given, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach.agent.model.spec import PodUpstream
from gfattach.cluster.api.client import ApiError
from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Inquiry, fail
from gfattach.core.value import Redacted

if TYPE_CHECKING:
    from gfattach.cluster.api.client import Api
    from gfattach.cluster.kubeconfig.credentials import Credential
    from gfattach.cluster.kubeconfig.entries import Entries, Kubeconfig
    from gfattach.core.terminal import Terminal

Answer = TypeVar("Answer")

#: The ConfigMap that an operator publishes a site in.
PROFILE = "gfattach-site"

#: Seconds that each of the two stages may take in all, whatever its probes may take each.
STAGE_SECONDS = 18.0
SERVICE_STAGE_SECONDS = 11.0

#: Seconds that an exec plugin gets to hand out another credential.
RENEWAL_SECONDS = 12.0

#: Taken off a probe's own deadline, so that it is the probe that says what was silent.
MARGIN_SECONDS = 0.1


class Held(Struct, weakref=True):
    """What one probe found and the next ones need, and what no finding may carry: credentials.

    `api` keeps its connections to the API server, which close when this is forgotten.
    """

    kubeconfig: Kubeconfig | None = None
    entries: Entries | None = None
    connection: ClusterConnection | None = None
    credential: Credential | None = None
    api: Api | None = None
    ends: dict[str, Deadline] = {}

    def show(self, credential: Credential, connection: ClusterConnection) -> None:
        """Go on with this credential; connections that were kept belonged to another."""
        self.credential, self.connection, self.api = credential, connection, None


class ClusterSubject(Redacted, frozen=True, kw_only=True):
    """Which cluster is asked, and for what.

    `services` are the ports that will be forwarded, () while they are not known; `names` are those that their
    certificates are for, by `endpoint_selection.shown`, where the ports speak TLS; `profile` names the
    ConfigMap; `environ` is where kubectl would run; `terminal` is what an
    exec plugin may ask at. `held` fills as the probes go: a connection in it is used as it is.
    """

    REDACTED: ClassVar = frozenset({"environ", "terminal", "held"})

    ref: ClusterRef
    services: tuple[PodUpstream, ...] = ()
    names: Mapping[str, str] = {}
    profile: str = PROFILE
    environ: Mapping[str, str]
    terminal: Terminal | None = None
    held: Held = field(default_factory=Held)

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

    def show_credential(self, deadline: Deadline, *, anew: bool = False) -> Credential:
        """Have the credential of the selected context, and a connection that shows it; `anew` asks an exec
        plugin again. Raises ClusterError.
        """
        from gfattach.cluster.kubeconfig.credentials import ExecOptions
        from gfattach.cluster.kubeconfig.resolve import connection, credential

        entries = self.held.entries
        if entries is None:
            raise LookupError("no context was selected")
        shown = credential(entries, deadline, self.environ, ExecOptions(anew=anew, terminal=self.terminal))
        self.held.show(shown, connection(entries, shown, self.environ))
        return shown

    def show_another(self, deadline: Deadline) -> bool:
        """Have an exec plugin asked once more where what is shown was handed out before this command: its
        user may have been given more rights since. Whether it was. Raises ClusterError.
        """
        if not self.renewal_seconds:
            return False
        self.show_credential(deadline, anew=True)
        return True

    @property
    def plugin_seconds(self) -> float:
        """Seconds that an exec plugin of the selected context may take where the user is asked, or has given
        them; else 0.
        """
        from gfattach.cluster.kubeconfig.exec_plugin import seconds_for

        entries = self.held.entries
        return 0.0 if entries is None else seconds_for(entries.user, self.environ, self.terminal)

    @property
    def renewal_seconds(self) -> float:
        """Seconds that `show_another` may take; 0 where it asks nothing."""
        shown = self.held.credential
        kept = shown is not None and shown.exec_credential is not None and shown.exec_credential.kept
        return max(self.plugin_seconds, RENEWAL_SECONDS) if kept else 0.0

    def serving(self, *services: PodUpstream, names: Mapping[str, str] | None = None) -> ClusterSubject:
        """The same cluster, with all that is known of it, for the stage that asks of services."""
        return replace(self, services=services, names=names or self.names)


ClusterInquiry = Inquiry[ClusterSubject]


def until(inquiry: ClusterInquiry, stage: str = "cluster") -> Deadline:
    """When a probe has to have its answer: its own deadline, or that of its stage."""
    seconds = STAGE_SECONDS if stage == "cluster" else SERVICE_STAGE_SECONDS
    whole = inquiry.subject.held.ends.setdefault(stage, Deadline.after(seconds))
    return Deadline(min(inquiry.deadline.at, whole.at) - MARGIN_SECONDS)


def until_plugin(inquiry: ClusterInquiry) -> Deadline:
    """When an exec plugin has to have answered: as `until`, unless it may take longer than the stage. What it
    has taken then is not the stage's.
    """
    seconds = inquiry.subject.plugin_seconds
    if seconds <= STAGE_SECONDS:
        return until(inquiry)
    inquiry.subject.held.ends["cluster"] = Deadline.after(seconds + STAGE_SECONDS)
    return Deadline(inquiry.deadline.at - MARGIN_SECONDS)


def with_rights(subject: ClusterSubject, ask: Callable[[], Answer]) -> Answer:
    """What `ask` answers. A refusal (403) of what an exec plugin had handed out before this command is asked
    once more with what it hands out now: its user may have been given more rights. Raises ClusterError.
    """
    try:
        return ask()
    except ApiError as error:
        if error.status != 403 or not subject.show_another(Deadline.after(subject.renewal_seconds)):
            raise
        return ask()


def failure(code: str, error: ClusterError, why: str, *otherwise: str, **data: Any) -> Finding:
    """The finding for an error; `otherwise` are the hints for one that carries none."""
    return fail(code, error.fact, why, *(tuple(error.hints) or otherwise), **data)
