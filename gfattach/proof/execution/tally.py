"""Sums up the two logs of a build: one pass over each, and nothing kept but counts and digests."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct, field

from gfattach.bazel.logs.execution_log.record import Groups, Spawn
from gfattach.bazel.logs.summary import DISK_HIT, REMOTE, REMOTE_HIT
from gfattach.reapi.execution.calls import CallGroups

#: Programs that are kept for each mnemonic.
PROGRAMS_KEPT = 16


class Tally(Struct):
    """What an execution log amounts to, for one part of its spawns.

    `executed` ran remotely to a good end, `forced` are those of them that carry the nonce, `uncacheable`
    those of the forced that no cache may keep. `claimed` say `remote` and a cache hit at once. `failed` say
    `remote` and ended badly; `unfinished` never ran there.
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

    def add(self, spawn: Spawn, count: int) -> None:
        """Count `count` spawns that are like this one."""
        kind, carries = spawn.kind, count if spawn.carries else 0
        self.spawns += count
        self.carrying += carries
        if kind.executed:
            self.executed += count
            self.forced += carries
            self.uncacheable += 0 if kind.remote_cacheable else carries
        elif kind.runner == REMOTE:
            if kind.cache_hit:
                self.claimed += count
            elif kind.status in ("", "NON_ZERO_EXIT", "TIMEOUT"):
                self.failed += count
            else:
                self.unfinished += count
        elif kind.runner == REMOTE_HIT or (kind.cache_hit and kind.runner != DISK_HIT):
            self.remote_hits += count
        elif kind.runner == DISK_HIT:
            self.disk_hits += count
        else:
            self.local += count


class SpawnTally(Struct):
    """All spawns of a log, and those of the target.

    `labelled` says that the log names targets. `mnemonics` counts what was executed, `programs` are the
    absolute paths among what was run, by mnemonic, `declared` those whose program is an input. `properties`
    are the values of the platform property that was looked for, over what was executed: "" for none.
    `actions` are those that were executed, where the log names them, as `key_of` has them.
    """

    all: Tally = field(default_factory=Tally)
    target: Tally = field(default_factory=Tally)
    labelled: bool = False
    mnemonics: Counter[str] = field(default_factory=Counter)
    forced_mnemonics: Counter[str] = field(default_factory=Counter)
    programs: dict[str, set[str]] = {}
    declared: Counter[str] = field(default_factory=Counter)
    properties: Counter[str] = field(default_factory=Counter)
    actions: set[bytes] = set()

    def add(self, spawn: Spawn, count: int, property_name: str, *, of_target: bool) -> None:
        """Count `count` spawns that are like this one."""
        self.all.add(spawn, count)
        if of_target:
            self.target.add(spawn, count)
        kind = spawn.kind
        if not kind.executed:
            return
        self.mnemonics[kind.mnemonic] += count
        self.forced_mnemonics[kind.mnemonic] += count if spawn.carries else 0
        self.properties[dict(kind.platform).get(property_name, "")] += count
        if spawn.program:
            kept = self.programs.setdefault(kind.mnemonic, set())
            if len(kept) < PROGRAMS_KEPT:
                kept.add(spawn.program)
        else:
            self.declared[kind.mnemonic] += count


def tally_spawns(groups: Groups, label: str, property_name: str) -> SpawnTally:
    """Sum up the spawns of a log for the target `label`."""
    found, own = SpawnTally(), spellings_of(label)
    for spawn, group in groups.items():
        found.labelled = found.labelled or spawn.label != ""
        found.add(spawn, group.count, property_name, of_target=spawn.label in own)
        if spawn.kind.executed:
            found.actions |= group.actions
    return found


class CallTally(Struct):
    """What the calls of the Execution service amount to. Sets hold actions, each once however often it was
    asked for.

    `executed` are those that the server says it ran, `cached` those that it took out of a cache; `target` are
    those of `executed` that were made for the target, `target_mnemonics` what they are. `early` began before
    the build did.
    """

    calls: int = 0
    executed: set[bytes] = set()
    cached: set[bytes] = set()
    failed: set[bytes] = set()
    target: set[bytes] = set()
    target_cached: set[bytes] = set()
    target_mnemonics: Counter[str] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)
    invocations: set[str] = set()
    early: int = 0


def tally_calls(groups: CallGroups, label: str, began: float | None) -> CallTally:
    """Sum up the calls of a log for the target `label`; `began` is the build's start on the wall clock."""
    found, own = CallTally(), spellings_of(label)
    # Whole seconds: the event file has milliseconds, and an executor a clock of its own.
    earliest = None if began is None else began - 1
    for call, group in groups.items():
        found.calls += group.count
        found.invocations.add(call.invocation)
        of_target = call.label in own
        if call.executed:
            if of_target:
                found.target_mnemonics[call.mnemonic] += len(group.actions - found.target)
                found.target |= group.actions
            found.executed |= group.actions
            if call.worker:
                found.workers[call.worker] += group.count
            if earliest is not None:
                found.early += sum(count for begun, count in group.begun.items() if begun < earliest)
        elif call.done and call.cached:
            found.cached |= group.actions
            if of_target:
                found.target_cached |= group.actions
        elif call.done:
            found.failed |= group.actions
    return found


def spellings_of(label: str) -> frozenset[str]:
    """The texts in which Bazel's logs have `label`: that of the main repository in three ways."""
    bare = label.lstrip("@") if label.startswith(("@//", "@@//")) else label
    return frozenset((label, bare, f"@{bare}", f"@@{bare}") if bare.startswith("//") else (label,))
