"""From what the work returned to an outcome: exit code, document, and the lines on stdout."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gfattach.cli.execute import Outcome
from gfattach.core.errors import ExitCode
from gfattach.report.text import headline, seconds, size

if TYPE_CHECKING:
    from gfattach.agent.model.status import ForwardStatus
    from gfattach.attach.down.down import Detached
    from gfattach.attach.model.record import Attachment
    from gfattach.attach.status import Inspection
    from gfattach.attach.up.up import Attached
    from gfattach.attach.watch import Look
    from gfattach.operator.publish import Linted, Published
    from gfattach.operator.site import ShownSite
    from gfattach.proof.evidence import Phase
    from gfattach.proof.record import Proof


def attached(done: Attached) -> Outcome:
    """What `up` came to: the fragments and how to use them, what was proved, the headline last."""
    return Outcome(done.exit_code, done.as_json(), [*_attached_lines(done)])


def _attached_lines(done: Attached) -> Iterator[str]:
    yield from _fragment_lines(done)
    yield from _proof_lines(done.proof)
    for reason in done.not_proved:
        yield f"not proved: {reason}"
    yield from _headline_lines(done.proof)


def _fragment_lines(done: Attached) -> Iterator[str]:
    record = done.attachment
    if record is None:
        yield "nothing was attached: the lines above say why"
        return
    if record.bazelrc is not None:
        yield f"bazel: {record.bazelrc}"
        yield from (f"       {line}" for line in done.bazel_use)
    if record.nix_conf is not None:
        yield f"nix:   {record.nix_conf}"
        yield f"       {done.nix_use}"
        yield from _store_lines(record)


def _store_lines(record: Attachment) -> Iterator[str]:
    target = record.substituter
    if target is not None and target.interim:
        yield f"       its store is {target.object_store}: for reading alone, and what it holds may go"


def proved(proof: Proof) -> Outcome:
    """What `prove` came to."""
    lines = [*_phase_lines(proof.phases), *_proof_lines(proof), *_headline_lines(proof)]
    return Outcome(proof.exit_code, proof.as_json(), lines)


def warmed(proof: Proof) -> Outcome:
    """What `site warm` came to: the same phases, read as filling."""
    lines = [*_phase_lines(proof.phases), *_proof_lines(proof)]
    return Outcome(proof.exit_code, proof.as_json(), lines)


def _phase_lines(phases: Iterable[Phase]) -> Iterator[str]:
    for phase in phases:
        server = {None: "", True: ", warm server", False: ", cold server"}[phase.warm]
        first = "" if phase.first_hit is None else f", first after {seconds(phase.first_hit - phase.started)}"
        yield (
            f"{phase.client.value:<9} {phase.name.value:<8} {phase.hits} of {phase.asked} from the cache"
            f"{first}  ({seconds(phase.seconds)}{server})"
        )
        if phase.hits and (stages := phase.detail.get("stages")):
            spans = " · ".join(f"{name} {span:.3f}" for name, span in stages.items())
            yield f"{'':<18} {phase.detail.get('bytes', 0)} bytes of NARs ({spans})"


def _proof_lines(proof: Proof) -> Iterator[str]:
    for client in proof.clients:
        yield f"{client.client.value}: {client.verdict.value.replace('-', ' ')}: {client.reason}"
    for hint in proof.hints:
        yield f"  {hint}"


def _headline_lines(proof: Proof) -> Iterator[str]:
    if proof.first_hit is not None:
        yield headline(proof.first_hit)
    else:
        yield "time to first cache hit  none: nothing was served from a cache"


def inspected(seen: Inspection) -> Outcome:
    """What `status` found."""
    return Outcome(seen.exit_code, seen.as_json(), [*_inspection_lines(seen)])


def _inspection_lines(seen: Inspection) -> Iterator[str]:
    record = seen.attachment
    if record is None:
        yield "nothing is attached here"
        yield "  to attach: gfattach up, or gfattach up --trial"
        yield from _shell_lines()
        return
    where = seen.home.workspace or "outside of any workspace"
    yield f"attached ({record.kind}) since {record.created:%Y-%m-%d %H:%M} UTC: {where}"
    yield "not healthy: the lines above say why" if seen.report.failed else "healthy"
    if record.cache is not None:
        yield f"cache        {record.cache.endpoint.url}  {record.bazelrc or 'no fragment'}"
    if record.substituter is not None:
        yield f"substituter  {record.substituter.endpoint.url}  {record.nix_conf or 'no fragment'}"
        yield from _store_lines(record)
    for forward in () if seen.agent is None else seen.agent.forwards:
        yield f"{'watched' if forward.port is None else 'forward':<12} {forward_line(forward)}"
    first = (record.first_hit or {}).get("first_hit")
    if first:
        yield f"last proof   first hit after {seconds(first['seconds'])} ({first['client']})"


def forward_line(forward: ForwardStatus) -> str:
    """One forward: how it is, where it is, and what has gone over it; of what is only watched, how it is."""
    line = f"{forward.name}  {forward.state}"
    if forward.port is not None:
        line += (
            f"  {forward.address}:{forward.port}"
            f"  {forward.open_connections} open, {forward.total_connections} in all"
            f", {size(forward.bytes_received)} received, {size(forward.bytes_sent)} sent"
        )
    if forward.pods:
        line += f", through {' and '.join(forward.pods)}"
    if forward.rejected_peers:
        line += f", {forward.rejected_peers} of other users turned away"
    return line if forward.state == "up" or not forward.last_error else f"{line}: {forward.last_error}"


def look_lines(look: Look) -> list[str]:
    """What a look of `status --watch` saw, each line with the time of the clock on the wall."""
    at = f"{look.at.astimezone():%H:%M:%S}"
    if look.hung:
        return [f"{at}  the agent does not answer: it is stopped or stuck; replace it: gfattach up"]
    if look.agent is None:
        return [f"{at}  the agent has ended; start it again: gfattach up"]
    return [f"{at}  {forward_line(forward)}" for forward in look.agent.forwards]


def detached(done: Detached) -> Outcome:
    """What `down` undid."""
    document = {**done.as_json(), "shell_attached": _shell_attached()}
    if done.undoing is None:
        return Outcome(ExitCode.GOOD, document, ["nothing is attached here", *_shell_lines()])
    left = [f"left, because gfattach did not make it: {path}" for path in done.undoing.left]
    where = done.home.workspace or "outside of any workspace"
    return Outcome(ExitCode.GOOD, document, [f"detached: {where}", *left, *_shell_lines()])


def _shell_attached() -> bool:
    from gfattach.contract.environment import MEMORY

    return bool(os.environ.get(MEMORY))


def _shell_lines() -> Iterator[str]:
    """What no command can undo: the variables of the shell that it was called from."""
    if _shell_attached():
        yield '  this shell has an attachment\'s variables; to take them back: eval "$(gfattach env)"'


def shown_site(shown: ShownSite) -> Outcome:
    """Every setting with its value and source, in columns, and what became of the ConfigMap."""
    rows = [(key, _value(entry["value"]), entry["source"]) for key, entry in shown.settings.items()]
    width = max((len(value) for _, value, _ in rows), default=0)
    lines = [f"{key:<18} {value:<{width}}  from {source}" for key, value, source in rows]
    document = {"site": shown.settings, "profile": shown.profile}
    return Outcome(ExitCode.GOOD, document, [*lines, shown.profile])


def linted(done: Linted) -> Outcome:
    """What `site lint` found; the findings themselves are above, line by line."""
    doubts = len(done.findings) - done.faults
    line = f"{done.file}: {_count(done.faults, 'fault')}, {_count(doubts, 'doubt')}"
    return Outcome(done.exit_code, done.as_json(), [line])


def published(done: Published) -> Outcome:
    """What `site publish` wrote and how to undo it, or with --dry-run the manifest alone."""
    if done.server is None:
        from gfattach.operator.publish import as_yaml

        return Outcome(ExitCode.GOOD, done.as_json(), as_yaml(done.manifest).splitlines())
    lines = [f"published: the ConfigMap {done.name} on {done.server}", f"  to undo it: {done.undo}"]
    return Outcome(ExitCode.GOOD, done.as_json(), lines)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    first, _, rest = text.partition("\n")
    return (f"{first} ..." if rest else text) or '""'
