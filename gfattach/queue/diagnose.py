"""From a snapshot and a question to answers: causes in order, a verdict, and what could not be told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gfattach.cluster.api.arc.scale_set import ScaleSet
from gfattach.queue.answer import Answer, Found, Unknown, rights
from gfattach.queue.causes.cause import Case, Cause, Certainty, Verdict, counted
from gfattach.queue.causes.table import CAUSES
from gfattach.queue.model.question import Question
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView, World, grouped
from gfattach.queue.pressure.capacity import run_of
from gfattach.queue.pressure.pressure import pressure


class Evaluation(Struct, frozen=True):
    """What came of every cause, in order."""

    seen: tuple[Found, ...]
    possible: tuple[Found, ...]
    ruled_out: tuple[Cause, ...]
    unknown: tuple[Unknown, ...]


def diagnose(world: World, question: Question, before: World | None = None) -> list[Answer]:
    """An answer for each label and owner that is asked about, at least one."""
    sets = world.snapshot.scale_sets.items
    answers = []
    for label in _labels(world, question, sets):
        serving = [each for each in sets if label.lower() in (served.lower() for served in each.served)]
        covering = [each for each in serving if _covers(each, question)]
        if question.repository:
            groups = [covering]
        else:
            groups = list(grouped(covering, lambda each: each.registration).values()) or [[]]
        for group in groups:
            others = tuple(each for each in serving if each not in covering)
            views = tuple(world.view(each) for each in group)
            answers.append(_answer(_with_alone(Case(world, question, label, views, others, before))))
    return answers


def _labels(world: World, question: Question, sets: Sequence[ScaleSet]) -> list[str]:
    """The labels that are asked about, in order; at least one, which may be "" where nothing is served."""
    if question.label:
        return [question.label]
    covering = [each for each in sets if _covers(each, question)]
    if question.run:
        running = [each for each in covering if _runs(world.view(each), question.run)]
        covering = running or covering
    return list(dict.fromkeys(label for each in covering for label in each.served)) or [""]


def _runs(view: SetView, run: int) -> bool:
    try:
        return bool(run_of(view.runners, run))
    except MayNot:
        return False


def _covers(found: ScaleSet, question: Question) -> bool:
    return not question.repository or found.registration.covers(question.repository) is not False


def _with_alone(case: Case) -> Case:
    """The case with what keeps each of several sets from serving, taken alone."""
    if len(case.sets) < 2:
        return case
    alone: dict[str, tuple[str, Verdict | None] | None] = {}
    for view in case.sets:
        found = evaluate(replace(case, sets=(view,)))
        first = next((each for each in found.seen if each.verdict is not Verdict.STARTING), None)
        key = view.set.meta.uid
        if _doubted(found, first) is not None:
            alone[key] = None
        else:
            alone[key] = ("", None) if first is None else (first.cause.title, first.verdict)
    return replace(case, alone=alone)


def evaluate(case: Case) -> Evaluation:
    """Every cause in the table's order."""
    seen, possible, ruled_out, unknown = [], [], [], []
    for cause in CAUSES:
        try:
            hit = cause.rule(case)
        except MayNot as error:
            unknown.append(Unknown(cause, error.right))
            continue
        if hit is None:
            ruled_out.append(cause)
        elif cause.certainty is Certainty.SEEN:
            seen.append(Found(cause, hit))
        else:
            possible.append(Found(cause, hit))
    possible.sort(key=lambda each: not each.hit.strong)
    return Evaluation(tuple(seen), tuple(possible), tuple(ruled_out), tuple(unknown))


def _doubted(found: Evaluation, first: Found | None) -> Unknown | None:
    """A cause that could not be looked for, comes before `first`, and would give another verdict.

    Without such a one the verdict stands: more rights could not change it.
    """
    order = {cause.code: place for place, cause in enumerate(CAUSES)}
    end = len(CAUSES) if first is None else order[first.cause.code]
    for each in found.unknown:
        if each.cause.certainty is Certainty.POSSIBLE or order[each.cause.code] > end:
            continue
        if (
            first is None
            or each.cause.verdict is not first.verdict
            or each.cause.code == "queue.label.shared"
        ):
            return each
    return None


def _answer(case: Case) -> Answer:
    found = evaluate(case)
    first = next(iter(found.seen), None)
    doubt = _doubted(found, first)
    missing: tuple[str, ...] = ()
    summary = ""
    verdict = Verdict.IDLE
    try:
        case.world.scale_sets()
        if doubt is not None:
            raise MayNot(doubt.right)
        if first is not None:
            verdict, summary = first.verdict, first.sentence
        else:
            verdict, summary = _without_cause(case)
    except MayNot as error:
        verdict = Verdict.UNKNOWN
        missing = tuple(dict.fromkeys((error.right, *rights(found.unknown))))
        seen = f"; what is seen: {first.sentence}" if first is not None else ""
        summary = f"may not {error.right}{seen}"
    # What is possible is told where nothing is seen: beside a cause it would only be noise.
    possible = found.possible if first is None and verdict in (Verdict.IDLE, Verdict.UNKNOWN) else ()
    return Answer(
        case.label,
        _owner(case),
        case.question.repository,
        case.now,
        verdict,
        summary,
        missing,
        first,
        found.seen[1:],
        tuple(possible),
        found.ruled_out,
        found.unknown,
        pressure(case.world, case.sets) if case.sets else None,
    )


def _owner(case: Case) -> str:
    owners = dict.fromkeys(str(view.set.registration) for view in case.sets)
    return ", ".join(owners) or case.question.repository.partition("/")[0]


def _without_cause(case: Case) -> tuple[Verdict, str]:
    """The verdict where nothing is seen that keeps a job waiting. Raises MayNot."""
    total = [view.counts for view in case.sets]
    waiting = sum(len(view.waiting) for view in case.sets)
    missing = sum(max(0, view.wanted - view.counts.current) for view in case.sets)
    booting = sum(each.booting for each in total)
    for view in case.sets:
        _listener_runs(view)
    coming = waiting + missing + booting
    if coming:
        return Verdict.STARTING, f"{counted(coming, 'runner')} of {case.label} {_be(coming)} on the way"
    busy, idle = sum(each.busy for each in total), sum(each.idle for each in total)
    maximum = _maximum(case.sets)
    young = [view for view in case.sets if view.set.registered <= 0 or view.listener is None]
    if young:
        return Verdict.STARTING, f"{young[0].set.name} was made a moment ago and has no listener yet"
    return Verdict.IDLE, (
        f"{busy} of {maximum} runners of {case.label} have a job, {idle} wait for one, none is on the"
        f" way: its"
        f" {'listener runs and asks' if len(case.sets) == 1 else 'listeners run and ask'} for no more"
    )


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _listener_runs(view: SetView) -> None:
    if view.listener is not None:
        view.world.pod_of(view.listener)


def _maximum(views: Iterable[SetView]) -> str:
    found = [view.set for view in views]
    if any(each.unlimited for each in found):
        return "unlimited"
    return str(sum(each.maximum for each in found))
