"""What a command has at hand: where it was called, the run that shows it, and for `up` the plan so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach.attach.model import record as records
from gfattach.attach.model.options import ClientOptions, UpOptions
from gfattach.attach.model.record import Attachment
from gfattach.attach.route import agents, forwards
from gfattach.attach.route.plan import Plan
from gfattach.attach.route.route import Route
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Progress, Run
from gfattach.core.finding import Finding, Stage, Status
from gfattach.core.paths import Home
from gfattach.proof.measure import Measurement

if TYPE_CHECKING:
    from gfattach.agent.launch.client import AgentClient
    from gfattach.agent.model.status import ForwardStatus
    from gfattach.bazel.server.kept import KeptServer


Subject = TypeVar("Subject")


class Session(Struct, kw_only=True):
    """One command at work on one attachment. `kept` is the server of Bazel that lives as long as it does."""

    context: Context
    home: Home
    run: Run
    clients: ClientOptions = field(default_factory=ClientOptions)
    kept: KeptServer | None = None

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that the command was called in."""
        return self.context.environ

    def passes(self, stage: Stage[Subject], subject: Subject) -> bool:
        """Ask every probe of the stage; whether nothing failed."""
        return self.run.stage(stage, subject).status is not Status.FAIL


class UpSession(Session, kw_only=True):
    """One `up` under way. `plan` is what it has come to, `record` what is on disk of that.

    `stale` says that an earlier attach had a forward end TLS of a cache that is dialled directly, and that
    nobody has taken it back yet. `agent` is the agent that was last told of the plan.
    """

    options: UpOptions
    plan: Plan
    record: Attachment
    measurement: Measurement
    stale: bool = False
    agent: AgentClient | None = None

    @property
    def route(self) -> Route:
        """Where the caches are, as they are reached by now."""
        return self.plan.route

    def change(self, **changes: Any) -> None:
        """Change the plan where the agent has no part in it, and save it. Raises StorageError."""
        self._save(replace(self.plan, **changes))

    def hold(self, plan: Plan, *, anew: bool = False) -> tuple[ForwardStatus, ...]:
        """Save `plan` and have the agent hold what it says, if that is news or `anew`; where forwards listen.

        An agent that has nothing to hold is ended. Raises AgentError, ClusterError and StorageError.
        """
        record, before = self.home.record, self.plan.registration(self.home)
        wanted = plan.registration(self.home)
        if wanted == before and not anew:
            self._save(plan)
            return ()
        directory = agents.directory_for(plan.route)
        if wanted.is_empty:
            agents.release(directory, record)
            self._save(plan if plan.route.listens else replace(plan, agent=None))
            return ()
        # Saved first, so that `down` knows of the agent of an `up` that was killed.
        self._save(replace(plan, agent=directory))
        self.agent = agents.agent_for(plan.route, self.options.lease_hours)
        if anew and plan.route.cluster is not None:
            agents.hand_over(self.agent, plan.route)
        return self.agent.register(wanted, Deadline.after(agents.AGENT_SECONDS))

    def open_forwards(self, route: Route, name: str, title: str) -> None:
        """Have the forwards of `route` held, as the step `name`, and lead its targets through them.

        Raises as `hold` does.
        """

        def work(progress: Progress) -> tuple[Route, Mapping[str, Finding]]:
            listening = self.hold(replace(self.plan, route=route), anew=True)
            progress("waiting for an answer from the far end")
            assert self.agent is not None
            well = agents.settled(self.agent, [spec.name for spec in route.forwards], anew=True)
            statuses = {status.name: status for status in listening}
            return forwards.lead_through(route, statuses), forwards.opened(route, statuses, well)

        led, _ = self.run.obtain(name, title, work)
        self.change(route=led)

    def _save(self, plan: Plan) -> None:
        self.plan = plan
        self.record = plan.attachment(self.record)
        records.save(self.home, self.record)
