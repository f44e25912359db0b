"""Causes that only GitHub can confirm: here they are possible, never more."""

from __future__ import annotations

from datetime import timedelta

from gfattach.queue.causes.cause import Case, Cause, Certainty, Hit, SetRule, Verdict, of_sets, span
from gfattach.queue.model.snapshot import MayNot
from gfattach.queue.model.world import SetView

#: After this long GitHub drops a job that no runner took.
DROPPED = timedelta(hours=24)


def _asked(case: Case) -> dict[str, object]:
    return {
        "label": case.label,
        "repository": case.question.repository or "OWNER/NAME",
        "org": (case.question.repository or "OWNER/NAME").partition("/")[0],
        "run": case.question.run or "RUN",
    }


def _group(view: SetView, case: Case) -> Hit | None:
    return Hit(_asked(case), (view.set.reference,)) if view.set.registered > 0 else None


def _late_label(view: SetView, case: Case) -> Hit | None:
    found = view.set
    if (
        case.label.lower() not in (each.lower() for each in found.labels)
        or case.label.lower() == found.title.lower()
    ):
        return None
    edited = "they were written again after it was made" if found.relabelled else "were they edited since?"
    return Hit({**_asked(case), "edited": edited}, (found.reference,), strong=found.relabelled)


def _lost_demand(view: SetView, case: Case) -> Hit | None:
    queued, made = case.question.queued, view.set.meta.created
    if queued is not None and queued < made:
        why = f"the job waits since before {view.set.name} was installed, {span(case.now - made)} ago"
    elif queued is not None and case.now - queued > DROPPED:
        why = "the job waits for more than 24 h, after which GitHub drops it"
    else:
        why = f"{view.set.name} asks for what was queued since it was installed, {span(case.now - made)} ago"
    strong = queued is not None and (queued < made or case.now - queued > DROPPED)
    return Hit({**_asked(case), "why": why}, (view.set.reference,), queued, strong)


def _oscillating(view: SetView, case: Case) -> Hit | None:
    earlier = None if case.before is None else case.before.views.get(view.set.meta.uid)
    if earlier is None:
        return None
    try:
        before, now = earlier.wanted, view.wanted
        had, has = earlier.counts.idle, view.counts.idle
    except MayNot:
        return None
    if now >= before or has >= had:
        return None
    objects = () if view.runner_set is None else (view.runner_set.reference,)
    return Hit({**_asked(case), "before": before, "now": now}, objects, strong=True)


def _cause(
    number: int, code: str, title: str, rule: SetRule, sentence: str, next_: tuple[str, ...], clear: str
) -> Cause:
    return Cause(
        number, code, title, Verdict.IDLE, Certainty.POSSIBLE, of_sets(rule), sentence, next_, clear
    )  # fmt: skip


JOBS = (
    "gh api repos/{repository}/actions/runs/{run}/jobs"
    " --jq '.jobs[]|{{name,status,labels,runner_name,runner_group_name}}'"
)

GROUP = _cause(
    3, "queue.github.group", "the runner group may not admit the repository", _group,
    "whether the runner group {group} of {owner} admits {repository} is not in the cluster; one that"
    " does not looks"
    " just like this",
    ("gh api orgs/{org}/actions/runner-groups", "gh api repos/{repository}/actions/runners", JOBS),
    "the runner group admits the repository",
)  # fmt: skip
LATE_LABEL = _cause(
    6, "queue.github.label", "the label may be unknown to GitHub", _late_label,
    "{label} stands among the labels of {set}, and labels are sent only when it is registered: {edited}",
    (JOBS, "gh api repos/{repository}/actions/runners --jq '.runners[]|{{name,labels}}'",
     "have the operator install {set} anew, which registers it again"),
    "the label is the scale set's own name, which GitHub knows",
)  # fmt: skip
LOST_DEMAND = _cause(
    35, "queue.github.demand", "GitHub may have forgotten the job", _lost_demand,
    "{why}: a job that was queued before, or was dropped, is never assigned",
    (JOBS, "gh run cancel {run} --repo {repository} && gh run rerun {run} --repo {repository}"),
    "GitHub has assigned the job",
)  # fmt: skip
OSCILLATING = _cause(
    38, "queue.runner.oscillating", "an idle runner may have been removed just before the job came",
    _oscillating,
    "{set} wanted {before} runners a moment ago and wants {now}: one that was idle was removed; the"
    " next poll brings"
    " another",
    ("wait a minute, and look again: gfattach queue {label} --watch",),
    "the number of runners that is wanted does not swing",
)  # fmt: skip
