"""Sums up the two logs of a build: one pass over each, and nothing kept but counts and digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gfattach.bazel.execution_log.record import Spawn
from gfattach.bazel.summary import DISK_HIT, REMOTE, REMOTE_HIT
from gfattach.reapi.execution.calls import Execution

#: Programs that are kept for each mnemonic.
PROGRAMS_KEPT = 16


@dataclass
class Tally:
    """What an execution log amounts to, for one part of its spawns.

    `executed` ran remotely to a good end, `forced` are those of them that carry the nonce, `uncacheable`
    those of the forced that no cache may keep. `claimed` say
    `remote` and a cache hit at once. `failed` say `remote` and ended badly; `unfinished` never ran there.
    """

    spawns: int = 0
    executed: int = 0
    forced: int = 0
    carrying: int = 0
    uncacheable: int = 0
    remote_hits: int = 0
    disk_hits: int = 0
    claimed: int = 0
    failed: int = 0
    unfinished: int = 0
    local: int = 0
    digests: set[int] = field(default_factory=set)

    def add(self, spawn: Spawn) -> None:
        """Count one spawn."""
        self.spawns += 1
        self.carrying += spawn.carries
        if spawn.executed:
            self.executed += 1
            self.forced += spawn.carries
            self.uncacheable += spawn.carries and not spawn.remote_cacheable
            if spawn.digest:
                self.digests.add(key_of(spawn.digest))
        elif spawn.runner == REMOTE:
            if spawn.cache_hit:
                self.claimed += 1
            elif spawn.status in ("", "NON_ZERO_EXIT", "TIMEOUT"):
                self.failed += 1
            else:
                self.unfinished += 1
        elif spawn.runner == REMOTE_HIT or (spawn.cache_hit and spawn.runner != DISK_HIT):
            self.remote_hits += 1
        elif spawn.runner == DISK_HIT:
            self.disk_hits += 1
        else:
            self.local += 1


@dataclass
class SpawnTally:
    """All spawns of a log, and those of the target.

    `labelled` says that the log names targets. `mnemonics` counts what was executed, `programs` are the
    absolute paths among what was run, by mnemonic, `declared` those whose program is an input. `properties`
    are the values of the platform property that was looked for, over what was executed: "" for none.
    """

    all: Tally = field(default_factory=Tally)
    target: Tally = field(default_factory=Tally)
    labelled: bool = False
    mnemonics: Counter[str] = field(default_factory=Counter)
    forced_mnemonics: Counter[str] = field(default_factory=Counter)
    programs: dict[str, set[str]] = field(default_factory=dict)
    declared: Counter[str] = field(default_factory=Counter)
    properties: Counter[str] = field(default_factory=Counter)


def tally_spawns(spawns: Iterable[Spawn], label: str, property_name: str) -> SpawnTally:
    """Sum up `spawns` for the target `label`. What `spawns` raises passes through."""
    found = SpawnTally()
    for spawn in spawns:
        found.all.add(spawn)
        if spawn.label:
            found.labelled = True
            if same_label(spawn.label, label):
                found.target.add(spawn)
        if not spawn.executed:
            continue
        found.mnemonics[spawn.mnemonic] += 1
        found.forced_mnemonics[spawn.mnemonic] += spawn.carries
        found.properties[spawn.platform.get(property_name, "")] += 1
        if spawn.program.startswith("/"):
            kept = found.programs.setdefault(spawn.mnemonic, set())
            if len(kept) < PROGRAMS_KEPT:
                kept.add(spawn.program)
        else:
            found.declared[spawn.mnemonic] += 1
    return found


@dataclass
class CallTally:
    """What the calls of the Execution service amount to. Sets hold actions, each once however often it was
    asked for.

    `executed` are those that the server says it ran, `cached` those that it took out of a cache; `target` are
    those of `executed` that were made for the target, `target_mnemonics` what they are. `early` began before
    the build did.
    """

    calls: int = 0
    executed: set[int] = field(default_factory=set)
    cached: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    target: set[int] = field(default_factory=set)
    target_cached: set[int] = field(default_factory=set)
    target_mnemonics: Counter[str] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)
    invocations: set[str] = field(default_factory=set)
    early: int = 0
    asked_cache: int = 0


def tally_calls(executions: Iterable[Execution], label: str, began: float | None) -> CallTally:
    """Sum up `executions` for the target `label`; `began` is the build's start on the wall clock.

    What `executions` raises passes through.
    """
    found = CallTally()
    for each in executions:
        found.calls += 1
        found.invocations.add(each.invocation)
        found.asked_cache += not each.skipped_cache
        key, of_target = key_of(each.digest), same_label(each.label, label)
        if each.executed:
            if of_target and key not in found.target:
                found.target.add(key)
                found.target_mnemonics[each.mnemonic] += 1
            found.executed.add(key)
            if each.worker:
                found.workers[each.worker] += 1
            # Whole seconds: the event file has milliseconds, and an executor a clock of its own.
            found.early += (
                began is not None and each.worker_start is not None and each.worker_start < began - 1
            )
        elif each.done and each.cached:
            found.cached.add(key)
            if of_target:
                found.target_cached.add(key)
        elif each.done:
            found.failed.add(key)
    return found


def key_of(digest: str) -> int:
    """An action's digest in little memory: its first 60 bits, which no two actions of a build share."""
    try:
        return int(digest[:15], 16)
    except ValueError:
        return hash(digest)


def same_label(one: str, other: str) -> bool:
    """Whether two labels are the same text, but for how Bazel writes those of the main repository."""
    return _canonical(one) == _canonical(other)


def _canonical(label: str) -> str:
    for prefix in ("@@//", "@//"):
        if label.startswith(prefix):
            return label[len(prefix) - 2 :]
    return label
