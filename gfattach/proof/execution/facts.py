"""One build as its files tell it: what the rules of a proof are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field

from gfattach.bazel.logs.events import BuildEvents, read_events
from gfattach.bazel.logs.execution_log.read import read_spawns
from gfattach.bazel.logs.summary import ProcessSummary, read_summary
from gfattach.core.errors import BazelError
from gfattach.core.finding import Finding, fail
from gfattach.core.wire.delimited import DelimitedError, TruncatedError
from gfattach.proof.execution.tally import CallTally, SpawnTally, spellings_of, tally_calls, tally_spawns
from gfattach.reapi.execution.calls import read_executions

#: The platform property by which an executor of the organisation's is asked for.
PLATFORM_PROPERTY = "gf.platform"

_CUT = "what happened after the cut is not known"


class Asked(Struct, frozen=True):
    """What a proof was to prove: the target, the nonce in the action's key, the platform, when and where."""

    label: str
    nonce: str
    platform: str
    run_id: str
    attempt: int
    started: datetime
    ended: datetime
    executor: str
    cache: str


class BuildFacts(Struct, frozen=True):
    """What the files of one build say. `faults` are what could not be read of them."""

    spawns: SpawnTally = field(default_factory=SpawnTally)
    calls: CallTally | None = None
    events: BuildEvents = field(default_factory=BuildEvents)
    summary: ProcessSummary | None = None
    faults: tuple[Finding, ...] = ()


def read_build(files: Mapping[str, Path], label: str, nonce: str) -> BuildFacts:
    """Read the files of a build, by role: `execution-log`, `remote-calls`, `build-events`, `console`.

    What is missing, or not asked for, says nothing. Raises StorageError.
    """
    faults: list[Finding] = []
    events = BuildEvents()
    if (path := files.get("build-events")) is not None:
        try:
            events = read_events(path)
        except BazelError as error:
            faults.append(fail("rbe.log.events", error.fact, "nothing says with which options was built"))
    spawns = SpawnTally()
    if (path := files.get("execution-log")) is not None:
        try:
            read = read_spawns(path, nonce, spellings_of(label))
            spawns = tally_spawns(read, label, PLATFORM_PROPERTY)
        except TruncatedError:
            faults.append(fail("rbe.log.truncated", f"{path.name} ends inside a record", _CUT))
        except DelimitedError as error:
            said = f"{path.name} is no execution log: {error}"
            faults.append(fail("rbe.log.unreadable", said, "nothing says what was executed"))
    calls = None
    if (path := files.get("remote-calls")) is not None:
        try:
            calls = tally_calls(read_executions(path, spellings_of(label)), label, events.started)
        except TruncatedError:
            faults.append(fail("rbe.log.calls-truncated", f"{path.name} ends inside an entry", _CUT))
        except BazelError as error:
            faults.append(fail("rbe.log.calls", error.fact, "nothing says what the server answered"))
    summary = None
    if (path := files.get("console")) is not None:
        summary = read_summary(path.read_text(encoding="utf-8", errors="replace"))
    return BuildFacts(spawns, calls, events, summary, tuple(faults))
