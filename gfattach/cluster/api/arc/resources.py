"""The kinds that are read, as the API's paths name them."""

from __future__ import annotations

from gfattach.cluster.api.listing import Resource

_ARC = "apis/actions.github.com/v1alpha1"

SCALE_SETS = Resource(_ARC, "autoscalingrunnersets")
LISTENERS = Resource(_ARC, "autoscalinglisteners")
RUNNER_SETS = Resource(_ARC, "ephemeralrunnersets")
RUNNERS = Resource(_ARC, "ephemeralrunners")

PODS = Resource("api/v1", "pods")
NODES = Resource("api/v1", "nodes")
QUOTAS = Resource("api/v1", "resourcequotas")
LIMIT_RANGES = Resource("api/v1", "limitranges")
CLAIMS = Resource("api/v1", "persistentvolumeclaims")
EVENTS = Resource("api/v1", "events")
SERVICE_ACCOUNTS = Resource("api/v1", "serviceaccounts")
DEPLOYMENTS = Resource("apis/apps/v1", "deployments")
STORAGE_CLASSES = Resource("apis/storage.k8s.io/v1", "storageclasses")
