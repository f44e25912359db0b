"""Does the document follow from its files: the counts, the summary, the ids, and who allowed the checkout?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.finding import Finding, fail, warn
from gfattach.proof.execution.facts import BuildFacts
from gfattach.rbe.evidence.compose import counts, mnemonics
from gfattach.rbe.evidence.shape import moment_of


def told(document: Mapping[str, Any], build: BuildFacts) -> Iterator[Finding]:
    """Where `document` says something else than the files of its build."""
    summary = "" if build.summary is None else build.summary.text
    if document["process_summary"] != summary:
        said = f"the evidence has the summary {document['process_summary']!r}, and Bazel printed {summary!r}"
        yield fail("rbe.proof.summary-told", said, _UNFOUNDED)
    if not build.faults:
        found = counts(build)
        if other := [key for key, count in found.items() if document["counts"][key] != count]:
            said = ", ".join(f"{key} {document['counts'][key]} (the logs: {found[key]})" for key in other)
            yield fail(
                "rbe.proof.counts-told", f"the evidence counts other than its logs: {said}", _UNFOUNDED
            )
        if document["mnemonics"] != mnemonics(build):
            yield fail(
                "rbe.proof.mnemonics-told", "the evidence tells other mnemonics than its log", _UNFOUNDED
            )
    if document["bazel"]["invocation_id"] != build.events.invocation:
        yield fail(
            "rbe.proof.invocation-told",
            "the evidence names another invocation than its event file",
            _UNFOUNDED,
        )
    if document["exit_code"] != build.events.exit_code:
        said = f"the evidence says that Bazel ended with {document['exit_code']}, and its event file "
        yield fail("rbe.proof.exit-told", f"{said}{build.events.exit_code}", _UNFOUNDED)
    if build.events.command not in ("", document["command"]):
        said = f"the evidence says bazel {document['command']}, and its event file {build.events.command}"
        yield fail("rbe.proof.command-told", said, _UNFOUNDED)
    workers = [] if build.calls is None else sorted(build.calls.workers)
    if document["remote_workers"] != workers and not build.faults:
        said = f"the evidence names the workers {document['remote_workers']}, and the server {workers}"
        yield fail("rbe.proof.remote-workers-told", said, _UNFOUNDED)
    run = document["run"]
    if not moment_of(run["started"]) <= moment_of(run["ended"]) <= moment_of(document["written"]):
        said = f"the run began {run['started']}, ended {run['ended']}, and was written {document['written']}"
        yield fail("rbe.proof.times", said, "that is no order: a clock was set, or the document changed")
    if not document["forced"]:
        yield fail(
            "rbe.proof.unforced", "the evidence says that nothing was forced", "a cache may have served it"
        )
    if document["repository"]["commit"] is None:
        said = "the evidence names no commit"
        yield warn(
            "rbe.proof.commit-unknown", said, "nobody can build the same again", "prove it in a git checkout"
        )
    elif document["repository"]["modified"]:
        said = "the checkout had changes that are not in its commit"
        yield warn(
            "rbe.proof.commit-modified", said, "what was built is not what the commit has", "commit first"
        )


_UNFOUNDED = "the document does not follow from what it was made from"
