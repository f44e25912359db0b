"""AutoscalingRunnerSets: what labels are served for whom, how many runners there may be.

Their status counts are stale by design (they are written when the phase or the total changes) and are not
read: runners are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gfattach.cluster.api.arc import names
from gfattach.cluster.api.arc.names import Registration
from gfattach.cluster.api.fields import mapping, one_line, text, texts
from gfattach.cluster.api.metadata import Metadata, NamespacedObject, metadata
from gfattach.cluster.api.scheduling.needs import Need, need

#: What the controller takes an absent maxRunners for.
UNLIMITED = 2147483647


class ScaleSet(NamespacedObject, frozen=True):
    """An AutoscalingRunnerSet.

    `title` is its name at GitHub, `labels` what it was given besides (0.14.0 and later). `registered` is its
    id there, 0 before it has one; `group` the runner group that its spec asks for, `registered_group` the one
    that it was put into ("" unknown). `phase` is "" on charts before 0.14. `relabelled` says that the labels
    were written again after the set was made.
    """

    KIND: ClassVar[str] = "AutoscalingRunnerSet"

    url: str
    registration: Registration
    title: str
    labels: tuple[str, ...]
    minimum: int
    maximum: int
    registered: int
    group: str
    registered_group: str
    phase: str
    need: Need
    mode: str
    relabelled: bool

    @property
    def served(self) -> tuple[str, ...]:
        """Every label that a job can ask for to come here."""
        return (self.title, *(each for each in self.labels if each != self.title))

    @property
    def unlimited(self) -> bool:
        """Whether it has no maximum."""
        return self.maximum >= UNLIMITED

    def listener_names(self) -> tuple[str, ...]:
        """What its listener may be called, the likelier first."""
        return names.expected(self.name, self.namespace, self.group, self.url, self.meta.version)


def scale_set(document: Mapping[str, Any]) -> ScaleSet:
    """An AutoscalingRunnerSet. Raises ClusterError."""
    meta = metadata(document, with_changes=True)
    spec, status = mapping(document, "spec"), mapping(document, "status")
    annotations = texts(mapping(document, "metadata"), "annotations")
    url = one_line(text(spec, "githubConfigUrl"), 300)
    template = mapping(mapping(spec, "template"), "spec")
    labels = spec.get("runnerScaleSetLabels")
    named = [one_line(str(each), 253) for each in labels] if isinstance(labels, list) else []
    return ScaleSet(
        meta,
        url,
        names.registration(url),
        one_line(text(spec, "runnerScaleSetName"), 253) or meta.name,
        tuple(named),
        number(spec, "minRunners", 0),
        number(spec, "maxRunners", UNLIMITED),
        _registered(annotations.get("runner-scale-set-id", "")),
        one_line(text(spec, "runnerGroup"), 253),
        one_line(annotations.get("actions.github.com/runner-group-name", ""), 253),
        one_line(text(status, "phase"), 40),
        need(template),
        _mode(template),
        bool(named) and _relabelled(document, meta),
    )


def number(holder: Mapping[str, Any], key: str, default: int) -> int:
    """The whole number at `key`; `default` where there is none."""
    value = holder.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _registered(said: str) -> int:
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0


def _mode(template: Mapping[str, Any]) -> str:
    """dind, kubernetes or "": by what the chart's container modes put into the template."""
    containers = [*(template.get("containers") or ()), *(template.get("initContainers") or ())]
    names_of = {str(each.get("name", "")) for each in containers if isinstance(each, Mapping)}
    variables = [v for c in containers if isinstance(c, Mapping) for v in (c.get("env") or ())]
    if any(
        isinstance(each, Mapping) and each.get("name") == "ACTIONS_RUNNER_CONTAINER_HOOKS"
        for each in variables
    ):
        return "kubernetes"
    return "dind" if "dind" in names_of else ""


def _relabelled(document: Mapping[str, Any], meta: Metadata) -> bool:
    """Whether the newest writer of the labels came a minute and more after the set was made."""
    from gfattach.cluster.api.fields import items
    from gfattach.cluster.api.metadata import moment

    for entry in items(mapping(document, "metadata"), "managedFields"):
        fields = entry.get("fieldsV1")
        written = isinstance(fields, Mapping) and "f:runnerScaleSetLabels" in mapping(fields, "f:spec")
        at = moment(text(entry, "time"))
        if written and at is not None and (at - meta.created).total_seconds() > 60:
            return True
    return False
