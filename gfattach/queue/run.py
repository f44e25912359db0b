"""The command's work: read, look a second time where a rule needs it, answer."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.value import Redacted
from gfattach.queue.answer import GRANTS, Answer
from gfattach.queue.audit.audit import Audit, audit
from gfattach.queue.causes.cause import Verdict, counted
from gfattach.queue.diagnose import diagnose
from gfattach.queue.model.question import Question, Scope
from gfattach.queue.model.snapshot import MayNot, Snapshot
from gfattach.queue.model.world import World
from gfattach.queue.owners.receipts import read_receipts
from gfattach.queue.owners.repositories import Entry
from gfattach.queue.owners.scoreboard import STALE_DAYS, Scoreboard, row
from gfattach.queue.owners.workflows import labels_of

if TYPE_CHECKING:
    from gfattach.cluster.api.arc.listener import Listener
    from gfattach.cluster.api.scheduling.pods import RunnerPod

#: Seconds that one look may take, the cluster's credentials included.
LOOK_SECONDS = 60.0

#: Seconds a page of a list may take over a kept connection before that is taken to be dead.
_PAGE_SECONDS = 20.0

#: A listener's pod that is younger than this, of a listener that is older, may be one of many that crashed.
_YOUNG = timedelta(seconds=60)

#: Seconds between two looks at such a pod.
_STEP = 3.0


class QueueOptions(Redacted, frozen=True):
    """Whom to ask and what. `patience` is how many seconds a second look may wait for, 0 for none."""

    REDACTED: ClassVar = frozenset({"environ"})

    ref: ClusterRef
    environ: Mapping[str, str]
    question: Question
    scope: Scope
    patience: float = 30.0


class Looked(Struct, frozen=True):
    """What a look came to."""

    answers: tuple[Answer, ...]
    world: World

    @property
    def exit_code(self) -> ExitCode:
        """0 for an answer, 4 where there is none because of a right that is missing."""
        unknown = any(each.verdict is Verdict.UNKNOWN for each in self.answers)
        return ExitCode.UNPROVED if unknown else ExitCode.GOOD


def ask(options: QueueOptions, run: Run) -> Looked:
    """Look once, twice where a listener's pod is new, and answer. Raises ClusterError."""
    cluster = _connect(options, run)
    world = _read(cluster, options, run)
    before = None
    pod = _new_listener_pod(world, options.question) if options.patience > 0 else None
    if pod is not None and _wait_for_another(cluster, pod, options, run):
        before, world = world, _read(cluster, options, run)
    answers: list[Answer] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        answers.extend(diagnose(world, options.question, before))
        return {f"queue.{number}": finding_of(each) for number, each in enumerate(answers, 1)}

    run.step("queue", "why it is queued", work)
    return Looked(tuple(answers), world)


def watch(options: QueueOptions, every: float) -> Iterator[Looked]:
    """Look again and again; a look comes out whenever what it says has changed. Raises ClusterError."""
    cluster = _connect(options, Run())
    before: World | None = None
    shown: object = None
    while True:
        if cluster.expires is not None and cluster.expires <= datetime.now(UTC):
            cluster = _connect(options, Run())
        world = _read(cluster, options, Run())  # a run keeps its stages, and a watch has no end
        looked = Looked(tuple(diagnose(world, options.question, before)), world)
        said = [(each.headline, each.summary.split(", the oldest")[0]) for each in looked.answers]
        if said != shown:
            shown = said
            yield looked
        before = world
        time.sleep(every)


def audit_cluster(options: QueueOptions, run: Run) -> tuple[Audit, World]:
    """Look for everything that is amiss. Raises ClusterError."""
    world = _read(_connect(options, run), options, run)
    made: list[Audit] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        made.append(audit(world))
        found = {
            f"audit.{n}": warn(each.rule.code, each.sentence, "")
            for n, each in enumerate(made[0].findings, 1)
        }
        if made[0].unknown:
            rights = ", ".join(dict.fromkeys(right for _, right in made[0].unknown))
            found["audit.unread"] = warn(
                "queue.audit.unread", f"not all could be looked at: may not {rights}", ""
            )
        return found or {"audit": ok("queue.audit.clean", "nothing is amiss")}

    run.step("audit", "what is amiss", work)
    return made[0], world


def audit_exit(found: Audit) -> ExitCode:
    """0 where nothing is amiss, 1 where something is, 4 where not all could be looked at."""
    if found.findings:
        return ExitCode.FAILED
    return ExitCode.UNPROVED if found.unknown else ExitCode.GOOD


class OwnersOptions(Struct, frozen=True):
    """Which repositories; none stands for those whose jobs run now."""

    entries: tuple[Entry, ...]
    stale_days: float = STALE_DAYS


def owners(options: QueueOptions, wanted: OwnersOptions, run: Run) -> tuple[Scoreboard, World]:
    """The scoreboard. Raises ClusterError, and UsageError for a receipt that is none."""
    receipts = {
        each.name: [one for path in each.receipts for one in read_receipts(path)] for each in wanted.entries
    }
    world = _read(_connect(options, run), options, run)
    entries = wanted.entries or tuple(Entry(name) for name in _running(world))
    made: list[Scoreboard] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        rows = []
        for each in entries:
            asked = None if each.checkout is None else labels_of(each.checkout)
            source = "" if each.checkout is None else str(each.checkout)
            found = receipts.get(each.name, [])
            rows.append(row(world, each.name, found, asked, source, wanted.stale_days))
        made.append(Scoreboard(world.now, world.snapshot.server, wanted.stale_days, tuple(rows)))
        return {"owners": ok("queue.owners", counted(len(rows), "repository", "repositories"))}

    run.step("owners", "which repositories can get a runner", work)
    return made[0], world


def _running(world: World) -> list[str]:
    return sorted({each.repository for each in world.snapshot.runners.items if each.repository})


def finding_of(answer: Answer) -> Finding:
    """An answer as a finding, for checklists and annotations."""
    if answer.verdict is Verdict.UNKNOWN:
        return warn(
            "queue.unknown",
            answer.headline,
            answer.unproved,
            f"have an administrator grant it: {GRANTS[0]}",
            f"and bind it: {GRANTS[1]}",
        )
    if answer.cause is None:
        starting = answer.verdict is Verdict.STARTING
        return ok("queue.starting" if starting else "queue.idle", f"{answer.headline}: {answer.summary}")
    cause = answer.cause.cause
    if answer.verdict is Verdict.STARTING:
        return ok(cause.code, f"{answer.headline}: {answer.summary}")
    return warn(cause.code, answer.headline, answer.summary)


def _connect(options: QueueOptions, run: Run) -> ClusterConnection:
    from gfattach.cluster.kubeconfig.resolve import resolve

    found: list[ClusterConnection] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        found.append(resolve(options.ref, Deadline.after(LOOK_SECONDS), options.environ))
        return {}

    run.step("cluster", "the kubeconfig and its credential", work)
    return found[0]


def _read(connection: ClusterConnection, options: QueueOptions, run: Run) -> World:
    made: list[Snapshot] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        made.append(_snapshot(connection, options.scope, progress))
        return {}

    run.step("read", "scale sets, listeners, runners, pods and nodes", work)
    return World(made[0])


def _snapshot(connection: ClusterConnection, scope: Scope, progress: Callable[[str], None]) -> Snapshot:
    from gfattach.cluster.api.client import Api
    from gfattach.cluster.api.loop import run_sync
    from gfattach.cluster.wire.http import Client
    from gfattach.queue.read import read_snapshot

    async def read() -> Snapshot:
        client = Client(connection, _PAGE_SECONDS)
        try:
            return await read_snapshot(Api(connection, client), scope, Deadline.after(LOOK_SECONDS), progress)
        finally:
            client.close()

    # Parsing makes no cycles, and the collector's passes over all that is kept would take as long as it does.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return run_sync(read())
    finally:
        if collecting:
            gc.enable()


def _new_listener_pod(world: World, question: Question) -> tuple[RunnerPod, Listener] | None:
    """A listener's pod that was made within the last minute, of a listener that is older than that."""
    wanted = question.label.lower()
    for found in world.snapshot.scale_sets.items:
        if wanted and wanted not in (each.lower() for each in found.served):
            continue
        try:
            view = world.view(found)
            pod = None if view.listener is None else world.pod_of(view.listener)
        except MayNot:
            continue
        if pod is None or view.listener is None or pod.meta.deleted is not None:
            continue
        if world.age(pod.meta.created) < _YOUNG and pod.meta.created - view.listener.meta.created > _YOUNG:
            return pod, view.listener
    return None


def _wait_for_another(
    connection: ClusterConnection, pod: tuple[RunnerPod, Listener], options: QueueOptions, run: Run
) -> bool:
    """Whether the pod is replaced by another within the options' patience."""
    from gfattach.cluster.api.arc.resources import PODS
    from gfattach.cluster.api.client import Api, ApiError
    from gfattach.cluster.api.loop import run_sync

    found, listener = pod
    path, api = PODS.path(found.namespace, found.name), Api(connection)
    changed: list[bool] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        deadline = Deadline.after(options.patience)
        while not changed and not deadline.expired:
            progress(f"the pod of {listener.name} is new: is it made anew again and again?")
            time.sleep(min(_STEP, deadline.remaining()))
            try:
                seen = run_sync(api.get(path, Deadline.after(LOOK_SECONDS)))
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            if seen.get("metadata", {}).get("uid") != found.meta.uid:
                changed.append(True)
        return {}

    run.step("again", "a second look at a listener's pod", work)
    return bool(changed)
