"""`gfattach rbe claims`: every document, every sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gfattach.core.context import Context
from gfattach.core.engine import Run
from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.core.finding import Finding, ok
from gfattach.core.paths import Home
from gfattach.rbe.claims.judge import Carried, judge, unclosed, undocumented
from gfattach.rbe.claims.sentences import Unclosed, sentences
from gfattach.rbe.evidence.store import evidence_home, find_evidence
from gfattach.rbe.evidence.verify import verify_evidence
from gfattach.rbe.manifest.read import find_manifest, load_manifest

#: Directories that hold other people's documents.
_OTHERS = frozenset({"node_modules", "external", "vendor", "third_party", "target", "dist"})

_SUFFIXES = (".md", ".markdown")


class ClaimsOptions(Struct, frozen=True):
    """What to look at, and what carries a claim."""

    paths: Sequence[Path]
    workspace: Path | None
    manifest: Path | None
    evidence: Sequence[Path]


class Claims(Struct, frozen=True):
    """What was found: how many documents and sentences were looked at, and how many claim too much."""

    documents: int
    sentences: int
    refused: int
    doubtful: int


def check_claims(options: ClaimsOptions, context: Context, run: Run) -> Claims:
    """Look at every document. Raises UsageError and StorageError."""
    home = context.home(options.workspace)
    manifest = load_manifest(find_manifest(options.manifest, home.workspace))
    carried = Carried(manifest, _evidence(options, home))
    root = home.workspace or context.cwd
    documents = sorted(set(_documents(options.paths or [root])))
    found: list[Finding] = []
    looked = 0

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        nonlocal looked
        texts = []
        for path in documents:
            name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
            progress(name)
            text = (read_bytes(path) or b"").decode("utf-8", "replace")
            texts.append(text)
            for each in sentences(text):
                if isinstance(each, Unclosed):
                    found.append(unclosed(each.line, name))
                else:
                    looked += 1
                    found.extend(judge(each, name, carried))
        shown = manifest.path.relative_to(root) if manifest.path.is_relative_to(root) else manifest.path
        found.extend(undocumented(manifest, texts, str(shown)))
        found[:] = [_placed(finding, root, top_of(root)) for finding in found]
        if not found:
            seen = f"{len(documents)} documents claim no more than is carried"
            return {"rbe.claims": ok("rbe.claim.none", seen)}
        return {f"rbe.claims {number}": finding for number, finding in enumerate(found, 1)}

    run.step("claims", "hold documents against manifest and evidence", work)
    refused = sum(finding.failed for finding in found)
    return Claims(len(documents), looked, refused, len(found) - refused)


def top_of(directory: Path) -> Path:
    """The top of the checkout around `directory`, which is where annotations count their paths from; the
    directory itself where there is none.
    """
    return next((each for each in (directory, *directory.parents) if (each / ".git").exists()), directory)


def _placed(finding: Finding, root: Path, top: Path) -> Finding:
    """A finding with its file as it is called from `top`."""
    path = root / str(finding.data["file"])
    file = str(path.relative_to(top)) if path.is_relative_to(top) else str(path)
    return replace(finding, data={**finding.data, "file": file})


def _evidence(options: ClaimsOptions, home: Home) -> list[Mapping[str, object]]:
    own = evidence_home(home)
    places = options.evidence or ([own] if own.exists() else [])
    kept = [each for each in find_evidence(places) if each.document]
    return [each.document for each in kept if verify_evidence(each.path).proved]


def _documents(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _below(path)
        elif path.exists():
            yield path
        else:
            raise UsageError(f"there is no {path}", "name documents, or a directory", code="rbe.claims.path")


def _below(directory: Path) -> Iterator[Path]:
    for entry in sorted(directory.iterdir()):
        if entry.is_symlink():
            continue  # Bazel's links lead out of the workspace
        if entry.is_dir():
            if not entry.name.startswith((".", "bazel-")) and entry.name not in _OTHERS:
                yield from _below(entry)
        elif entry.suffix.lower() in _SUFFIXES:
            yield entry
