"""`gfattach rbe target`: what the manifest says of a target, and what is missing for its promotion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.bazel.program.binary import INSTALL_HINT, Bazel, identify, locate
from gfattach.bazel.query import EVERY_RULE, Targets, query
from gfattach.bazel.server.run import Server
from gfattach.contract.environment import WITHHELD
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.errors import ProgramMissingError, UsageError
from gfattach.core.files import remove_tree
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.paths import Home
from gfattach.rbe.evidence.store import evidence_home, find_evidence
from gfattach.rbe.evidence.verify import verify_evidence
from gfattach.rbe.manifest.answer import Answer, answer
from gfattach.rbe.manifest.model import Manifest, Standing
from gfattach.rbe.manifest.promotion import missing
from gfattach.rbe.manifest.read import find_manifest, load_manifest
from gfattach.site.allow import demand_wrapper


class TargetOptions(Struct, frozen=True):
    """One question. `label` None asks for all targets of the workspace, and so does `ask_bazel`."""

    workspace: Path | None
    manifest: Path | None
    label: str | None
    ask_bazel: bool = False
    bazel: str | None = None
    evidence: Sequence[Path] = ()


class TargetReport(Struct, frozen=True):
    """What was found out. `missing` is what a promotion lacks, `listed` and `unnamed` are the workspace's
    targets by label: the standing of each, and those that no class names.
    """

    manifest: Manifest
    answer: Answer | None
    missing: tuple[str, ...] = ()
    listed: Mapping[str, str] | None = None
    unnamed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "manifest": str(self.manifest.path),
            "platform": self.manifest.platform,
            "counts": {
                standing.value: sum(each.standing is standing for each in self.manifest.classes)
                for standing in (Standing.PROVED, Standing.CANDIDATE, Standing.BLOCKED)
            },
            "answer": None if self.answer is None else self.answer.as_json(),
            "missing_for_promotion": list(self.missing),
            "targets": None if self.listed is None else dict(self.listed),
            "unnamed": list(self.unnamed),
        }


def ask_target(options: TargetOptions, context: Context, run: Run) -> TargetReport:
    """Answer `options`. Raises UsageError, RefusedError for a wildcard, BazelError, ProgramMissingError."""
    home = context.home(options.workspace)
    manifest = load_manifest(find_manifest(options.manifest, home.workspace))
    said = None if options.label is None else answer(manifest, options.label)
    lacks: tuple[str, ...] = ()
    if said is not None and said.standing is Standing.CANDIDATE:
        lacks = tuple(missing(_latest(options, home, said)))
    if said is not None and not options.ask_bazel:
        return TargetReport(manifest, said, lacks)
    targets = _asked_bazel(options, home, context.environ, run)
    labels = manifest.labels()
    listed = {each.label: _standing(labels.get(each.label)) for each in targets.found}
    unnamed = tuple(label for label in listed if label not in labels)
    return TargetReport(manifest, said, lacks, listed, unnamed)


def _standing(found: Any) -> str:
    return Standing.UNLISTED.value if found is None else str(found.standing.value)


def _latest(options: TargetOptions, home: Home, said: Answer) -> Mapping[str, Any] | None:
    """The latest evidence of the target that holds; None without any."""
    own = evidence_home(home)
    places = options.evidence or ([own] if own.exists() else [])
    labels = said.found.labels if said.is_class and said.found is not None else (said.asked,)
    kept = [each for each in find_evidence(places) if each.document.get("target") in labels]
    for each in sorted(kept, key=lambda kept: kept.proved_at, reverse=True):
        if verify_evidence(each.path).proved:
            return each.document
    return None


def find_bazel(named: str | None, workspace: Path | None, environ: Mapping[str, str]) -> Bazel:
    """The Bazel that is named, or the one at hand.

    Raises RefusedError (`site.unallowed`), ProgramMissingError and BazelError.
    """
    demand_wrapper(workspace)
    path = locate(named, environ)
    if path is None:
        raise ProgramMissingError("there is no Bazel on this machine", INSTALL_HINT)
    return identify(path, Deadline.after(60.0), workspace=workspace, environ=environ)


def _asked_bazel(options: TargetOptions, home: Home, variables: Mapping[str, str], run: Run) -> Targets:
    workspace = home.workspace
    if workspace is None:
        raise UsageError("this is no workspace, so it has no targets", "name one: --workspace DIR")
    bazel = find_bazel(options.bazel, workspace, variables)
    environ = {name: value for name, value in variables.items() if name not in WITHHELD}
    work = home.work.with_name(f"{home.work.name}-rbe-query")
    found: list[Targets] = []

    def work_of(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        progress("asking Bazel for the workspace's targets")
        with Server(bazel, workspace, work, "query", environ=environ) as server:
            found.append(query(server, EVERY_RULE))
        targets = found[0]
        seen = f"{len(targets.found)} targets in {workspace}"
        if targets.complaint:
            why = "what could not be loaded is not among them"
            return {"rbe.targets": warn("rbe.targets.partly", f"{seen}: {targets.complaint}", why)}
        return {"rbe.targets": ok("rbe.targets.found", seen)}

    try:
        run.step("targets", "ask Bazel which targets there are", work_of)
    finally:
        remove_tree(work)
    return found[0]
