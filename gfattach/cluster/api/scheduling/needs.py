"""What a pod asks of a node: its requests and limits, as the scheduler and the quota count them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.fields import items, mapping, text, texts
from gfattach.cluster.api.scheduling.quantity import Amounts, amounts, largest, total

#: A NoSchedule or NoExecute taint: key, value, effect.
Taint = tuple[str, str, str]


class Toleration(Struct, frozen=True):
    """A toleration; an empty `key` with Exists tolerates all, an empty `effect` every effect."""

    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """As core/v1 defines it."""
        key, value, effect = taint
        if self.effect and self.effect != effect:
            return False
        if self.key and self.key != key:
            return False
        return self.operator == "Exists" or (bool(self.key) and self.value == value)


class ClaimTemplate(Struct, frozen=True):
    """A generic ephemeral volume: its claim is named `<pod>-<volume>`; `size` is in thousandths of a byte."""

    volume: str
    storage_class: str | None
    size: int


class Need(Struct, frozen=True):
    """What one pod of a template needs. `claims` are its generic ephemeral volumes."""

    requests: Amounts
    limits: Amounts
    selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...]
    claims: tuple[ClaimTemplate, ...]


def need(spec: Mapping[str, Any]) -> Need:
    """The need of a PodSpec. Raises ClusterError."""
    return Need(
        effective(spec, "requests"),
        effective(spec, "limits"),
        texts(spec, "nodeSelector"),
        tuple(_toleration(each) for each in items(spec, "tolerations")),
        tuple(_claim(each) for each in items(spec, "volumes") if each.get("ephemeral")),
    )


def effective(spec: Mapping[str, Any], which: str) -> dict[str, int]:
    """The requests or limits (`which`) that count for a PodSpec: the containers' sum, or more where an init
    container needs more, init containers that go on running (sidecars, KEP-753) included, and the overhead;
    what the pod itself says (KEP-2837) before all of it."""
    running = total(_of(each, which) for each in items(spec, "containers"))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for each in items(spec, "initContainers"):
        own = _of(each, which)
        if text(each, "restartPolicy") == "Always":
            sidecars = total((sidecars, own))
            peak = largest((peak, sidecars))
        else:
            peak = largest((peak, total((sidecars, own))))
    whole = largest((total((running, sidecars)), peak))
    whole |= amounts(mapping(mapping(spec, "resources"), which))
    return total((whole, amounts(mapping(spec, "overhead"))))


def _of(container: Mapping[str, Any], which: str) -> dict[str, int]:
    resources = container.get("resources")
    if not resources:
        return {}
    found = amounts(mapping(resources, which))
    if which == "requests":  # a limit without a request is a request too: the API server fills it in for pods
        return {**amounts(mapping(resources, "limits")), **found}
    return found


def _toleration(found: Mapping[str, Any]) -> Toleration:
    return Toleration(
        text(found, "key"), text(found, "operator") or "Equal", text(found, "value"), text(found, "effect")
    )


def _claim(volume: Mapping[str, Any]) -> ClaimTemplate:
    spec = mapping(mapping(mapping(volume, "ephemeral"), "volumeClaimTemplate"), "spec")
    asked = amounts(mapping(mapping(spec, "resources"), "requests"))
    chosen = text(spec, "storageClassName") if spec.get("storageClassName") is not None else None
    return ClaimTemplate(text(volume, "name"), chosen, asked.get("storage", 0))


def tolerated(taints: Sequence[Taint], tolerations: Sequence[Toleration]) -> bool:
    """Whether a pod with these tolerations may be put on a node with these taints."""
    hard = [taint for taint in taints if taint[2] in ("NoSchedule", "NoExecute")]
    return all(any(each.tolerates(taint) for each in tolerations) for taint in hard)
