"""Judges one sentence: what it claims, and whether manifest or evidence carry that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gfattach.core.finding import Finding, fail, warn
from gfattach.rbe.claims import words
from gfattach.rbe.claims.sentences import Sentence
from gfattach.rbe.manifest.model import Manifest, Standing, TargetClass

_WHY = "documents may not claim more than the manifest, and evidence of the very target, carry"
_MARK = "if it is meant otherwise: <!-- gfattach: no-claim -->"


class Carried(Struct, frozen=True):
    """What carries a claim: the manifest, and evidence that was verified."""

    manifest: Manifest
    evidence: Sequence[Mapping[str, Any]] = ()

    def proved(self, label: str) -> bool:
        """Whether the manifest has the label as proved, or evidence is of it."""
        found = self.manifest.labels().get(label)
        if found is not None and found.standing is Standing.BLOCKED:
            return False
        listed = found is not None and found.standing is Standing.PROVED
        return listed or any(document["target"] == label for document in self.evidence)

    @property
    def runs(self) -> set[str]:
        """The numbers of the runs that evidence is of."""
        return {str(document["run"]["id"]) for document in self.evidence}

    def counts(self, labels: Sequence[str]) -> set[int]:
        """How many remote processes evidence counts, of `labels` or of all targets."""
        of = [each for each in self.evidence if not labels or each["target"] in labels]
        return {int(each["counts"]["executed"]) for each in of}


def judge(sentence: Sentence, name: str, carried: Carried) -> Iterator[Finding]:
    """What `sentence` of the document shown as `name` claims beyond `carried`."""
    text = sentence.text
    if not words.CLAIM.search(text) or words.DENIAL.search(text):
        return
    labels = tuple(dict.fromkeys(label.rstrip(".,;") for label in words.LABEL.findall(text)))
    own = [label for label in labels if not label.endswith("...") and not label.endswith(":all")]
    named = _classes(text, carried.manifest)

    def found(code: str, said: str) -> Finding:
        return _finding(code, said, sentence, name)

    if words.HITS.search(text) and not words.COUNT.search(text):
        yield found("rbe.claim.hits", "remote cache hits are no remote execution")
        return
    if broad := words.BROAD.search(text):
        yield found(
            "rbe.claim.broad", f"{broad[0]!r} claims more than any proof can: a proof is of one target"
        )
        return
    for label in own:
        if not carried.proved(label):
            code, said = _unproved(label, carried.manifest)
            yield found(code, said)
    for each in named:
        if each.standing is not Standing.PROVED and not _carries(each, carried):
            yield found("rbe.claim.class", f"the class {each.name} is {each.standing.value}, and not proved")
    yield from _numbers(sentence, name, own, carried)
    if not own and not named and not words.RUN.search(text) and not words.COUNT.search(text):
        yield _doubt("rbe.claim.unnamed", "it names no target of which it is claimed", sentence, name)


def undocumented(manifest: Manifest, texts: Sequence[str], name: str) -> Iterator[Finding]:
    """The proved classes that no document names, neither by name nor by a label."""
    together = "\n".join(texts)
    for each in manifest.classes:
        if each.standing is Standing.PROVED and not any(
            _names(together, word) for word in (each.name, *each.labels)
        ):
            said = f"no document names the proved class {each.name}"
            yield _doubt("rbe.claim.undocumented", said, Sentence("", each.line), name)


def unclosed(line: int, name: str) -> Finding:
    """A mark that is begun and not ended: nothing behind it would be looked at."""
    said = "the mark no-claim is begun here and not ended"
    return _finding("rbe.claim.mark", said, Sentence("", line), name)


def _unproved(label: str, manifest: Manifest) -> tuple[str, str]:
    found = manifest.labels().get(label)
    if found is not None and found.standing is Standing.BLOCKED:
        return "rbe.claim.blocked", f"{label} is blocked: {'; '.join(found.blockers)}"
    standing = Standing.UNLISTED if found is None else found.standing
    return "rbe.claim.label", f"{label} is {standing.value} in the manifest, and no evidence is of it"


def _classes(text: str, manifest: Manifest) -> list[TargetClass]:
    return [each for each in manifest.classes if _names(text, each.name)]


def _names(text: str, word: str) -> bool:
    """Whether a text has a word as it is, and not as a part of a longer one."""
    return re.search(rf"(?<![\w/:.-]){re.escape(word)}(?![\w/:-])", text) is not None


def _carries(each: TargetClass, carried: Carried) -> bool:
    """Whether evidence is of every label of a class: then all of it was executed."""
    return each.standing is not Standing.BLOCKED and all(map(carried.proved, each.labels))


def _numbers(sentence: Sentence, name: str, labels: list[str], carried: Carried) -> Iterator[Finding]:
    for run in words.RUN.findall(sentence.text):
        if run not in carried.runs:
            said = f"no evidence is of the run {run}"
            yield _finding("rbe.claim.run", said, sentence, name)
    for count in words.COUNT.findall(sentence.text):
        if int(count) not in carried.counts(labels):
            said = f"no evidence counts {count} remote processes" + (
                f" for {', '.join(labels)}" if labels else ""
            )
            yield _finding("rbe.claim.count", said, sentence, name)


def _finding(code: str, said: str, sentence: Sentence, name: str) -> Finding:
    seen = f"{name}:{sentence.line}: {said}"
    return fail(code, seen, _WHY, _MARK, file=name, line=sentence.line, sentence=sentence.text)


def _doubt(code: str, said: str, sentence: Sentence, name: str) -> Finding:
    seen = f"{name}:{sentence.line}: {said}"
    return warn(code, seen, _WHY, _MARK, file=name, line=sentence.line, sentence=sentence.text)
