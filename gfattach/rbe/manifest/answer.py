"""What the manifest says of one label or class: exactly that, and nothing of its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from gfattach.core.errors import ExitCode, RefusedError
from gfattach.rbe.manifest.model import Manifest, Standing, TargetClass

#: How a command ends that asks for a target: each standing has an exit code of its own.
EXIT_CODES = {
    Standing.PROVED: ExitCode.GOOD,
    Standing.CANDIDATE: ExitCode.UNPROVED,
    Standing.BLOCKED: ExitCode.REFUSED,
    Standing.UNLISTED: ExitCode.FAILED,
}


class Answer(Struct, frozen=True):
    """What is said of `asked`, a label or the name of a class; `found` is None for what is not listed."""

    asked: str
    standing: Standing
    found: TargetClass | None
    hints: tuple[str, ...] = ()
    is_class: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """How `gfattach rbe target` ends."""
        return EXIT_CODES[self.standing]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        each = self.found
        return {
            "asked": self.asked,
            "standing": self.standing.value,
            "kind": "class" if self.is_class else "label",
            "class": None if each is None else each.name,
            "labels": [] if each is None else list(each.labels),
            "allowed_modes": [] if each is None else list(each.allowed_modes),
            "requirements": [] if each is None else list(each.requirements),
            "proof_required": [] if each is None else list(each.proof_required),
            "boundary": None if each is None else each.boundary,
            "blockers": [] if each is None else list(each.blockers),
            "hints": list(self.hints),
        }


def answer(manifest: Manifest, asked: str) -> Answer:
    """What `manifest` says of `asked`, compared exactly. A label goes before a class of the same name.

    Raises RefusedError (`rbe.target.wildcard`) for a pattern of several targets, unless it is blocked as it
    stands.
    """
    found = manifest.labels().get(asked)
    pattern = is_pattern(asked)
    if found is not None and (found.standing is Standing.BLOCKED or not pattern):
        return Answer(asked, found.standing, found, tuple(_hints(manifest, asked)))
    if pattern:
        raise RefusedError(
            f"{asked} stands for several targets, and a proof is of one",
            "ask for one target: gfattach rbe target //package:target",
            code="rbe.target.wildcard",
        )
    named = manifest.named(asked)
    if named is not None:
        return Answer(asked, named.standing, named, is_class=True)
    return Answer(asked, Standing.UNLISTED, None, tuple(_hints(manifest, asked)))


def is_pattern(label: str) -> bool:
    """Whether a label is a pattern of Bazel's for several targets."""
    name = label.rpartition(":")[2]
    bazel = label.startswith(("//", "@", "-//"))
    return bazel and (label.endswith("...") or name in ("all", "*", "all-targets") or label.startswith("-"))


def spellings(label: str) -> tuple[str, ...]:
    """Other texts by which Bazel knows the same target: `//a` is `//a:a` to it, and `@//x` is `//x`."""
    if not label.startswith(("//", "@//", "@@//")):
        return ()
    bare = label[label.index("//") :]
    package, colon, name = bare.partition(":")
    last = package.rpartition("/")[2]
    forms = [bare]
    if not colon and last:
        forms.append(f"{package}:{last}")
    elif name == last:
        forms.append(package)
    return tuple(form for form in dict.fromkeys(forms) if form != label)


def _hints(manifest: Manifest, asked: str) -> Iterator[str]:
    labels = manifest.labels()
    for other in spellings(asked):
        if other in labels:
            standing = labels[other].standing.value
            yield f"{other} is listed ({standing}); to the manifest {asked} is another text"
    if asked not in labels and not asked.startswith(("//", "@")) and f"//{asked.lstrip('/')}" in labels:
        yield f"//{asked.lstrip('/')} is listed: labels are compared as they are written"
