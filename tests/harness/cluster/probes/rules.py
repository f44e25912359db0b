"""Rules of a Role, to be left out one at a time."""

from __future__ import annotations

PORTFORWARD = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
READS = {"apiGroups": [""], "resources": ["services", "pods", "configmaps"], "verbs": ["get", "list"]}
SLICES = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list"]}


def verbs(rule, *verbs, resources=None):
    return rule | {"verbs": list(verbs)} | ({"resources": resources} if resources else {})
