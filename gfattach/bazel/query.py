"""Asks Bazel which targets a workspace has. Nothing is built, and no cache or executor is called."""

from __future__ import annotations

from msgspec import Struct

from gfattach.bazel.messages import error_line
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError

#: All rules of the workspace's own packages.
EVERY_RULE = 'kind("rule", //...)'

_SECONDS = 600.0

#: What Bazel exits with when it answered and could not load some package.
_PARTLY = 3


class Target(Struct, frozen=True):
    """A target: its label as Bazel writes it, and the kind of rule (`genrule rule`)."""

    label: str
    kind: str


class Targets(Struct, frozen=True):
    """What there is. `complaint` says what could not be loaded, "" for nothing."""

    found: tuple[Target, ...]
    complaint: str = ""


def query(server: Server, expression: str, deadline: Deadline | None = None) -> Targets:
    """The targets of `expression`, sorted. Raises BazelError (`bazel.query`) when Bazel cannot answer."""
    answer = server.run(
        "query",
        ["--output=label_kind", "--keep_going", "--noshow_progress", "--color=no", "--", expression],
        deadline or Deadline.after(_SECONDS),
    )
    said = error_line(answer.stderr) or answer.last_words()
    if not answer.good and answer.returncode != _PARTLY:
        raise BazelError(
            f"bazel query {answer.ending}",
            f"it said: {said}" if said else "it said nothing",
            f"ask it by hand: bazel query '{expression}'",
            code="bazel.query",
        )
    found = []
    for line in answer.stdout.splitlines():
        kind, _, label = line.rpartition(" ")
        if kind and label.startswith(("//", "@")):
            found.append(Target(label, kind))
    complaint = "" if answer.good else said
    return Targets(tuple(sorted(found, key=lambda target: target.label)), complaint)
