"""The page of a diagnosis: the way from this machine to both caches, the stages as a bar, every finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.report.html import document as html_document
from gfattach.report.html import text
from gfattach.report.text import seconds

#: The hops of a connection, and the stages (by what their names begin with) that look at each.
_HOPS = (
    ("this machine", ("start", "state", "machine", "workspace", "bazel", "nix", "fragment")),
    ("agent", ("agent", "forward", "trial")),
    ("API server", ("cluster", "api-server", "services", "discover")),
    ("Bazel cache", ("cache",)),
    ("Nix cache", ("substituter", "nix-tls")),
)

#: From the worst to the best.
_ORDER = ("fail", "warn", "unknown", "ok", "skip")


def page(document: Mapping[str, Any]) -> str:
    """The page of a run's document (`report-v1.json`)."""
    return html_document(f"gfattach {document['command']}", _body(document))


def _body(document: Mapping[str, Any]) -> Iterator[str]:
    verdict = document["result"].get("verdict")
    if isinstance(verdict, Mapping):
        yield f'<p class="verdict {text(verdict["state"])}">{text(verdict["sentence"])}</p>'
    yield from _hops(document)
    yield from _bar(document)
    yield from _findings(document)


def _hops(document: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2>The way of a connection</h2><ol class="hops">'
    for title, prefixes in _HOPS:
        stages = [stage for stage in document["stages"] if stage["name"].startswith(prefixes)]
        state = next((each for each in _ORDER if any(s["status"] == each for s in stages)), "skip")
        span = sum(stage["seconds"] for stage in stages)
        said = f"{state}, {seconds(span)}" if stages else "not looked at"
        yield f'<li class="{state}"><b>{text(title)}</b><span>{text(said)}</span></li>'
    yield "</ol>"


def _bar(document: Mapping[str, Any]) -> Iterator[str]:
    whole = sum(stage["seconds"] for stage in document["stages"]) or 1.0
    yield f"<h2>Time, {text(seconds(whole))} in all</h2>"
    yield '<div class="bar" role="img" aria-label="stages by their time">'
    for stage in document["stages"]:
        title = f"{stage['name']} {seconds(stage['seconds'])}"
        part = 100 * stage["seconds"] / whole
        yield f'<span class="{text(stage["status"])}" style="width:{part:.2f}%" title="{text(title)}"></span>'
    yield '</div><div class="scroll"><table><tr><th>stage</th><th>state</th><th>time</th></tr>'
    for stage in document["stages"]:
        state, took = text(stage["status"]), text(seconds(stage["seconds"]))
        yield f'<tr><td>{text(stage["name"])}</td><td class="{state}">{state}</td><td>{took}</td></tr>'
    yield "</table></div>"


def _findings(document: Mapping[str, Any]) -> Iterator[str]:
    found = [finding for stage in document["stages"] for finding in stage["findings"]]
    ordered = sorted(found, key=lambda finding: _ORDER.index(finding["status"]))
    yield f"<h2>{len(found)} findings</h2>"
    for finding in ordered:
        yield f'<section class="finding {text(finding["status"])}"><b>{text(finding["code"])}</b>'
        yield f"<p>{text(finding['seen'])}</p>"
        if finding["why"]:
            yield f'<p class="detail">{text(finding["why"])}</p>'
        yield from (f"<pre>{text(hint)}</pre>" for hint in finding["hints"])
        yield "</section>"
