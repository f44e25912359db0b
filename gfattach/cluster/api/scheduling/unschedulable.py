"""The scheduler's message about a pod that fits nowhere, in counted parts. Pure.

`0/12 nodes are available: 3 Insufficient ephemeral-storage, 9 node(s) had untolerated taint {a: b}.
preemption: ...` (kube-scheduler, framework.FitError). Kubernetes 1.36 does not name taints: `9 node(s) had
untolerated taint(s)`.
"""

from __future__ import annotations

import re

from msgspec import Struct

_HEAD = re.compile(r"(\d{1,6})/(\d{1,6}) nodes are available:\s*")

#: What a part begins with: a count, and the first word of one of the scheduler's reasons.
_PART = re.compile(r"(\d{1,6}) (?=Insufficient|Too many pods|node\(s\)|Preemption|No preemption)")

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("insufficient", re.compile(r"Insufficient (\S{1,253}?)[.,]?$")),
    ("insufficient", re.compile(r"(Too many pods)")),
    ("taint", re.compile(r"had untolerated taint(\(s\)|.{0,400})")),
    ("affinity", re.compile(r"didn't match Pod's node (affinity/selector|affinity|selector)")),
    ("spread", re.compile(r"didn't match pod (topology spread)")),
    ("pod-affinity", re.compile(r"(?:didn't match pod|didn't satisfy existing pods) ((?:anti-)?affinity)")),
    ("volume-affinity", re.compile(r"(?:had|with) (volume node affinity) conflict")),
    (
        "volume",
        re.compile(r"(unbound immediate PersistentVolumeClaims|didn't find available persistent volumes)"),
    ),
    ("cordoned", re.compile(r"(?:were|was) (unschedulable)")),
    ("ports", re.compile(r"didn't have (free ports)")),
)


class Part(Struct, frozen=True):
    """So many nodes for one reason: `kind` is of `_KINDS`, or other; `what` names the resource or taint."""

    count: int
    kind: str
    what: str
    text: str


class Unschedulable(Struct, frozen=True):
    """The message taken apart; `nodes` is how many there are, `fitting` how many were left."""

    fitting: int
    nodes: int
    parts: tuple[Part, ...]

    def lacking(self, resource: str) -> int:
        """How many nodes lack `resource`."""
        return sum(part.count for part in self.parts if part.kind == "insufficient" and part.what == resource)

    def tainted(self, key: str) -> int:
        """How many nodes have a taint of that key."""
        return sum(part.count for part in self.parts if part.kind == "taint" and key in part.what)


def parse(message: str) -> Unschedulable | None:
    """The message in parts; None where it is not of the scheduler's form."""
    head = _HEAD.search(message)
    if head is None:
        return None
    body = message[head.end() :]
    # Behind the parts stands what the plugins after the filters say, of preemption for one.
    body = re.split(r"\.\s", body, maxsplit=1)[0].rstrip(". ")
    # A pod that has unbound immediate claims fits nowhere: the message then has no count.
    if not _PART.match(body):
        return Unschedulable(int(head[1]), int(head[2]), (_part(int(head[2]), body),) if body else ())
    starts = [*_PART.finditer(body)]
    ends = [*(start.start() for start in starts[1:]), len(body)]
    return Unschedulable(
        int(head[1]),
        int(head[2]),
        tuple(
            _part(int(start[1]), body[start.end() : end].rstrip(" ,."))
            for start, end in zip(starts, ends, strict=True)
        ),
    )


def _part(count: int, text: str) -> Part:
    for kind, pattern in _KINDS:
        found = pattern.search(text)
        if found is not None:
            what = {"Too many pods": "pods", "(s)": ""}.get(found[1], found[1].strip(" .,"))
            return Part(count, kind, what, text)
    return Part(count, "other", text, text)
