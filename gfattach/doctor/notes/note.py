"""A note: Markdown of one scrubbed document, the same bytes each time. Nothing but the document goes in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.report.text import seconds

#: The version of the front matter.
SCHEMA = "gfattach.field-note/1"


def slug(text: str) -> str:
    """`text` as a part of a file's name: lower case letters, digits, hyphens; "note" where none is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "note"


def markdown(document: Mapping[str, Any]) -> str:
    """The note of a scrubbed report, whose result has `note`: title, date, remarks, machine, site, replay."""
    note = document["result"]["note"]
    lines = [*_front_matter(document, note), f"# {note['title']}", ""]
    lines += [_sentence(document), ""]
    lines += [*_stages(document), *_surprises(document), *_first_hit(document)]
    if note["remarks"]:
        lines += ["## Remarks", "", *(f"- {_inline(remark)}" for remark in note["remarks"]), ""]
    lines += ["## Replay", "", *(f"    {command}" for command in note["replay"]), ""]
    return "\n".join(lines)


def headline_seconds(document: Mapping[str, Any]) -> dict[str, float]:
    """Seconds to the first hit of each Bazel figure that was measured: cold and warm; of others by client."""
    found: dict[str, float] = {}
    for phase in document["result"].get("phases", ()):
        if phase["phase"] != "hit" or phase["to_first_hit"] is None:
            continue
        name = {True: "warm", False: "cold", None: ""}[phase["warm"]]
        found[f"{phase['client']} {name}".strip()] = phase["to_first_hit"]
    return found


def _front_matter(document: Mapping[str, Any], note: Mapping[str, Any]) -> Iterator[str]:
    yield "---"
    yield f"schema: {SCHEMA}"
    yield f"date: {note['date']}"
    yield f"command: gfattach {document['command']}"
    yield f"gfattach: {document['gfattach']}"
    yield f"exit_code: {document['exit_code']}"
    for key, value in note["machine"].items():
        yield f"{key}: {_scalar(value)}"
    yield f"site: {note['site']}"
    for name, value in headline_seconds(document).items():
        yield f"first_hit_{name.replace(' ', '_')}: {value:.3f}"
    yield "---"
    yield ""


def _scalar(value: Any) -> str:
    """A text as YAML: quoted where it could be read as something else."""
    text = str(value)
    return text if re.fullmatch(r"[A-Za-z][\w ./+-]*", text) else '"' + text.replace('"', "'") + '"'


def _sentence(document: Mapping[str, Any]) -> str:
    verdict = document["result"].get("verdict")
    if isinstance(verdict, Mapping):
        return f"**{_inline(verdict['sentence'])}**"
    error = document["error"]
    if error is not None:
        return f"**{_inline(error['fact'])}** (`{error['code']}`)"
    first = document["result"].get("first_hit")
    return f"**time to first cache hit {seconds(first['seconds'])}**" if first else "**nothing was hit**"


def _stages(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Stages"
    yield ""
    yield "| stage | state | time | what was seen |"
    yield "|---|---|---|---|"
    for stage in document["stages"]:
        worst = [found for found in stage["findings"] if found["status"] == stage["status"]]
        seen = worst[-1 if stage["status"] == "ok" else 0]["seen"] if worst else stage["title"]
        yield f"| {stage['name']} | {stage['status']} | {seconds(stage['seconds'])} | {_inline(seen)} |"
    yield ""


def _surprises(document: Mapping[str, Any]) -> Iterator[str]:
    found = [
        finding
        for stage in document["stages"]
        for finding in stage["findings"]
        if finding["status"] in ("warn", "fail", "unknown")
    ]
    if not found:
        return
    yield "## Surprises"
    yield ""
    for finding in found:
        yield f"### {finding['code']} ({finding['status']})"
        yield ""
        yield from (f"    {line}" for line in finding["seen"].splitlines())
        yield ""
        if finding["why"]:
            yield f"{_inline(finding['why'])}."
            yield ""
        if finding["hints"]:
            yield "What helps:"
            yield ""
            yield from (f"    {line}" for hint in finding["hints"] for line in hint.splitlines())
            yield ""


def _first_hit(document: Mapping[str, Any]) -> Iterator[str]:
    figures = headline_seconds(document)
    yield "## Time to first cache hit"
    yield ""
    if not figures:
        yield "Not measured in this run." if not document["result"].get("phases") else "Nothing was hit."
        yield ""
        return
    yield "| client | from the start of its phase |"
    yield "|---|---|"
    for name, value in figures.items():
        yield f"| {name} | {seconds(value)} |"
    yield ""
    yield "The first answer that is a hit, from Bazel's log of remote calls and Nix's activity log."
    yield ""


def _inline(text: str) -> str:
    """Text of other programs within a line of Markdown: no table, HTML or link can begin in it."""
    escaped = re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))
    return escaped.removesuffix(".")
