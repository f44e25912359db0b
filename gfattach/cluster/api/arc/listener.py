"""AutoscalingListeners: the public part of how a scale set asks GitHub for jobs.

The rest is in the Secret `<listener>-config`, GitHub's private key included. It is neither needed nor read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gfattach.cluster.api.arc.scale_set import UNLIMITED, number
from gfattach.cluster.api.fields import mapping, name_of, one_line, text
from gfattach.cluster.api.metadata import NamespacedObject, metadata


class Listener(NamespacedObject, frozen=True):
    """An AutoscalingListener. `set_namespace` and `set_name` name its scale set, `runner_set` the
    EphemeralRunnerSet that it scales, `registered` the scale set's id at GitHub."""

    KIND: ClassVar[str] = "AutoscalingListener"

    set_namespace: str
    set_name: str
    runner_set: str
    registered: int
    minimum: int
    maximum: int
    url: str


def listener(document: Mapping[str, Any]) -> Listener:
    """An AutoscalingListener. Raises ClusterError."""
    spec = mapping(document, "spec")
    return Listener(
        metadata(document),
        name_of(spec, "autoscalingRunnerSetNamespace"),
        name_of(spec, "autoscalingRunnerSetName"),
        name_of(spec, "ephemeralRunnerSetName"),
        number(spec, "runnerScaleSetId", 0),
        number(spec, "minRunners", 0),
        number(spec, "maxRunners", UNLIMITED),
        one_line(text(spec, "githubConfigUrl"), 300),
    )
