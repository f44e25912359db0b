"""docs/benchmarks.md, made of the record of what the benchmarks found."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.figures import Figure, Growth, Results

_HEAD = """# Benchmarks

Made by `.venv/bin/python -m benchmarks`, from [benchmarks.json](benchmarks.json); a change by hand is lost.
Every other document takes its figures from here.

A ratio compares two things in one run, in turn, round by round; shown is the median of the rounds, and the
least and the largest beside it. Seconds of themselves say as much of the machine, and of what else it did,
as of gfattach: the load average before and after each benchmark is given for that reason, and a busy machine
makes the spread wide. A limit that is broken is shown as broken.
"""

#: What each benchmark is about, by its name.
TITLES = {
    "first_hit": "The first hit",
    "own_share": "What of an attach to the trial is gfattach's own",
    "startup": "Starting",
    "forward": "Forwards beside kubectl port-forward",
    "growth": "Growth",
    "bazel_wrapper": "gfattach bazel beside bazel",
    "credential_get": "Bazel's credential helper",
    "inputs": "Fetching external inputs",
    "queue": "Why a CI job is queued",
    "rbe_verify": "Verifying evidence of remote execution",
    "doctor": "The doctor beside the questions by hand",
    "dead_cache": "A build beside a cache that is dead",
    "kills": "Kills",
    "soak": "Soak",
    "year": "A simulated year",
}


def render(record: Mapping[str, Any], pictures: Mapping[str, Sequence[str]]) -> str:
    """The page. `pictures` are the files to show, below docs/, by the benchmark's name."""
    parts = [_HEAD]
    for name in sorted(record, key=[*TITLES].index):
        parts.append("\n".join(_section(name, record[name], pictures.get(name, ()))))
    return "\n".join(parts)


def _section(name: str, entry: Mapping[str, Any], pictures: Sequence[str]) -> Iterator[str]:
    results = Results.from_json(entry["results"])
    versions = ", ".join(f"{program} {version}" for program, version in sorted(entry["versions"].items()))
    before, after = entry["load"]
    yield f"## {TITLES[name]}\n"
    ran = f"`{entry['command']}`, {entry['date']}; {entry['machine']}, load {before} to {after}"
    yield f"{ran}; {versions}.\n"
    if results.figures:
        yield "| figure | value | spread | medians | limit |"
        yield "|---|---|---|---|---|"
        yield from map(_figure, results.figures)
        yield ""
    if results.growth:
        yield "| what | grows with the power | from | to | limit |"
        yield "|---|---|---|---|---|"
        yield from map(_growth, results.growth)
        yield ""
    if results.notes:
        yield from (f"- {note}" for note in results.notes)
        yield ""
    for picture in pictures:
        yield f"![{TITLES[name]}]({picture})\n"


def _figure(figure: Figure) -> str:
    unit = "x" if figure.beside else f" {figure.unit}"
    low, high = min(figure.values), max(figure.values)
    medians = f"{_short(statistics.median(figure.ours))} {figure.unit}"
    if figure.beside:
        medians += f" beside {_short(statistics.median(figure.beside))}"
    spread = (
        f"{_short(low)} to {_short(high)} ({len(figure.values)} rounds)" if len(figure.values) > 1 else "once"
    )
    return f"| {figure.name} | {_short(figure.value)}{unit} | {spread} | {medians} | {_limit(figure)} |"


def _growth(growth: Growth) -> str:
    ends = [f"{number:g}: {_short(cost)} {growth.unit}" for number, cost in sorted(growth.points)]
    verdict = "kept" if growth.kept else "**broken**"
    return f"| {growth.name} | {growth.power:.2f} | {ends[0]} | {ends[-1]} | {growth.limit:g}, {verdict} |"


def _limit(figure: Figure) -> str:
    if figure.limit is None:
        return ""
    return f"{'at least ' if figure.more else ''}{figure.limit:g}, {'kept' if figure.kept else '**broken**'}"


def _short(value: float) -> str:
    """Two decimals below ten, fewer above: what a reader can tell apart."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"
