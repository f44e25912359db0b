"""CustomResourceDefinitions of ARC, with structural schemas: the fields that charts 0.13 and 0.14 have.

A field that a schema lacks is pruned, as on a real cluster: up to 0.13 a scale set's status has `state`, from
0.14 on `phase`. Templates are kept as they are; ARC's own schemas hold all of PodTemplateSpec there.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

GROUP, VERSION = "actions.github.com", "v1alpha1"

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
YES: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXTS: Schema = {"type": "array", "items": TEXT}

_COUNTS = ("pendingEphemeralRunners", "runningEphemeralRunners", "failedEphemeralRunners")


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _runner_spec() -> Schema:
    """EphemeralRunnerSpec: a PodTemplateSpec with the registration beside it."""
    return _object(
        githubConfigUrl=TEXT,
        githubConfigSecret=TEXT,
        runnerScaleSetId=NUMBER,
        proxy=ANYTHING,
        proxySecretRef=TEXT,
        githubServerTLS=ANYTHING,
        metadata=ANYTHING,
        spec=ANYTHING,
    )


def _scale_set(phase: bool) -> Schema:
    counts = dict.fromkeys(("currentRunners", *_COUNTS), NUMBER)
    return _object(
        spec=_object(
            githubConfigUrl=TEXT,
            githubConfigSecret=TEXT,
            runnerGroup=TEXT,
            runnerScaleSetName=TEXT,
            **({"runnerScaleSetLabels": TEXTS} if phase else {}),
            minRunners={"type": "integer", "minimum": 0},
            maxRunners={"type": "integer", "minimum": 0},
            proxy=ANYTHING,
            githubServerTLS=ANYTHING,
            listenerTemplate=ANYTHING,
            listenerMetrics=ANYTHING,
            template=ANYTHING,
        ),
        status=_object(**counts, **({"phase": TEXT} if phase else {"state": TEXT})),
    )


def _runner_set(phase: bool) -> Schema:
    counts = dict.fromkeys(("currentReplicas", *_COUNTS), NUMBER)
    return _object(
        spec=_object(replicas=NUMBER, patchID=NUMBER, ephemeralRunnerSpec=_runner_spec()),
        status=_object(**counts, **({"phase": TEXT} if phase else {})),
    )


def _runner() -> Schema:
    return _object(
        spec=_runner_spec(),
        status=_object(
            phase=TEXT,
            ready=YES,
            reason=TEXT,
            message=TEXT,
            failures={"type": "object", "additionalProperties": TIME},
            runnerId=NUMBER,
            runnerName=TEXT,
            jobRequestId={"type": "integer", "format": "int64"},
            jobId=TEXT,
            jobRepositoryName=TEXT,
            jobWorkflowRef=TEXT,
            workflowRunId={"type": "integer", "format": "int64"},
            jobDisplayName=TEXT,
        ),
    )


def _listener() -> Schema:
    return _object(
        spec=_object(
            githubConfigUrl=TEXT,
            githubConfigSecret=TEXT,
            runnerScaleSetId=NUMBER,
            autoscalingRunnerSetNamespace=TEXT,
            autoscalingRunnerSetName=TEXT,
            ephemeralRunnerSetName=TEXT,
            minRunners={"type": "integer", "minimum": 0},
            maxRunners={"type": "integer", "minimum": 0},
            image=TEXT,
            imagePullSecrets={"type": "array", "items": ANYTHING},
            proxy=ANYTHING,
            template=ANYTHING,
        ),
        status=_object(),
    )


def definitions(chart: str) -> list[Schema]:
    """The four definitions of a chart: `0.13` has `state`, `0.14` has `phase`."""
    phase = chart >= "0.14"
    return [
        _definition("AutoscalingRunnerSet", _scale_set(phase)),
        _definition("AutoscalingListener", _listener()),
        _definition("EphemeralRunnerSet", _runner_set(phase)),
        _definition("EphemeralRunner", _runner()),
    ]


def _definition(kind: str, schema: Schema) -> Schema:
    plural = f"{kind.lower()}s"
    whole = {
        "type": "object",
        "properties": {"apiVersion": TEXT, "kind": TEXT, "metadata": {"type": "object"}},
    }
    whole["properties"] |= schema["properties"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": whole},
                }
            ],
        },
    }
