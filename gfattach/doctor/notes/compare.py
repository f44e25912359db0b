"""A comparison of two recorded runs: what got faster and slower, what was fixed and what is new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.doctor.notes.note import headline_seconds
from gfattach.report.text import seconds

#: A duration differs when it does by this part and by so many seconds: less is a machine's mood.
_PART, _SECONDS = 0.2, 0.1


def compared(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison of two documents, for programs."""
    old, new = _problems(before), _problems(after)
    spans = {name: (_spans(before).get(name), span) for name, span in _spans(after).items()}
    changes = [
        {"stage": name, "before": was, "after": now, "change": _change(was, now)}
        for name, (was, now) in spans.items()
    ]
    return {
        "fixed": [{"code": code, "seen": old[code]} for code in old if code not in new],
        "new": [{"code": code, "seen": new[code]} for code in new if code not in old],
        "same": [code for code in new if code in old],
        "times": changes,
    }


def lines(comparison: Mapping[str, Any]) -> Iterator[str]:
    """The comparison for people; that nothing differs is said, too."""
    said = False
    for entry in comparison["fixed"]:
        said = True
        yield f"fixed   {entry['seen']}  [{entry['code']}]"
    for entry in comparison["new"]:
        said = True
        yield f"new     {entry['seen']}  [{entry['code']}]"
    for entry in comparison["times"]:
        if entry["change"] in ("faster", "slower"):
            said = True
            span = f"{seconds(entry['before'])} -> {seconds(entry['after'])}"
            yield f"{entry['change']:<7} {entry['stage']}: {span}"
    if comparison["same"]:
        yield f"still   {', '.join(comparison['same'])}"
    elif not said:
        yield "no difference that is one"


def _problems(document: Mapping[str, Any]) -> dict[str, str]:
    """What was not well, by code."""
    return {
        finding["code"]: finding["seen"]
        for stage in document["stages"]
        for finding in stage["findings"]
        if finding["status"] in ("warn", "fail")
    }


def _spans(document: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by stage, and to the first hits."""
    stages = {stage["name"]: stage["seconds"] for stage in document["stages"]}
    return stages | {f"first hit, {name}": span for name, span in headline_seconds(document).items()}


def _change(before: float | None, after: float) -> str:
    if before is None:
        return "only after"
    if abs(after - before) < max(_SECONDS, _PART * max(before, after)):
        return "same"
    return "faster" if after < before else "slower"
