"""Where connections to the ports of pods lead, told to both kubelets of the bed."""

from __future__ import annotations

import time

from tests.harness.cluster.api import Api
from tests.harness.cluster.components import RuntimeNode
from tests.harness.cluster.daemon import Daemon
from tests.harness.cluster.manifests import NAMESPACE, Manifest
from tests.harness.cluster.wire.portforward import kubelet_answers

DEFAULT_IDLE = 4 * 3600.0  # seconds; what containerd closes an idle stream after

# KWOK sees a change of its rules a moment after the API server has taken it. Each change
# brings one more rule, for a port that is used once and leads nowhere: when KWOK tries to
# dial it, KWOK has the change.
_FIRST_MARKER = 40000

# A pod whose own rules KWOK does not have falls back on those of all, so its marker is another port.
_OF_A_POD = 10000
_NOWHERE = {"address": "127.0.0.1", "port": 1}

# KWOK 0.8.0 keeps its list of rules under a version that is ahead of the list for an
# instant. Asked in that instant it keeps the old list until the next change (seen in one
# of some 250 changes), so a change that does not arrive is made again.
_MAKE_AGAIN = 2.0  # seconds


class Targets:
    """Maps (pod, port) to an address, for connections to come."""

    def __init__(self, admin: Api, runtime: RuntimeNode, kwok: Daemon, kwok_port: int) -> None:
        self._admin = admin
        self._runtime = runtime
        self._kwok = kwok
        self._kwok_port = kwok_port
        self._all: dict[int, str] = {}
        self._of_pod: dict[str, dict[int, str]] = {}
        self._idle = DEFAULT_IDLE
        self._marker = _FIRST_MARKER
        self._told = 0.0  # when KWOK's rules were last written

    def reset(self, targets: dict[int, str]) -> None:
        """Every pod's ports lead to `targets` (port -> "HOST:PORT"); nothing else is set."""
        if (targets, {}, DEFAULT_IDLE) == (self._all, self._of_pod, self._idle):
            return
        for pod in self._of_pod:
            self._admin.delete(f"/apis/kwok.x-k8s.io/v1alpha1/namespaces/{NAMESPACE}/portforwards/{pod}")
        self._all, self._of_pod, self._idle = dict(targets), {}, DEFAULT_IDLE
        self._tell()

    def set(self, port: int, target: str, pod: str | None = None) -> None:
        """Let `port` of one pod, or of all that have none of their own, lead to "HOST:PORT"."""
        if pod is None:
            self._all[port] = target
        else:
            self._of_pod.setdefault(pod, {})[port] = target
        self._tell()

    def idle(self, seconds: float) -> None:
        """Set the idle time of the runtime node; KWOK's is one hour and fixed."""
        self._idle = seconds
        self._tell_runtime()

    def wait_for_kwok(self) -> None:
        """Return when KWOK has the current rules; at once while it is down."""
        if self._kwok.pid is not None:
            self._kwok.wait_for("KWOK has the current port-forward rules", self._arrived)

    def _arrived(self) -> bool:
        if time.monotonic() > self._told + _MAKE_AGAIN:
            self._tell_kwok()
        markers = {"any": self._marker, **dict.fromkeys(self._of_pod, self._marker + _OF_A_POD)}
        said = [kubelet_answers(self._kwok_port, NAMESPACE, pod, port) for pod, port in markers.items()]
        return all("failed to dial" in text for text in said)

    def _tell(self) -> None:
        self._tell_runtime()
        self._tell_kwok()
        self.wait_for_kwok()

    def _tell_kwok(self) -> None:
        self._marker += 1
        for pod, own in self._of_pod.items():
            metadata = {"name": pod, "namespace": NAMESPACE}
            self._admin.apply(
                self._rules("PortForward", metadata, self._marker + _OF_A_POD, {**self._all, **own})
            )
        self._admin.apply(self._rules("ClusterPortForward", {"name": "bed"}, self._marker, self._all))
        self._told = time.monotonic()

    def _tell_runtime(self) -> None:
        own = {f"{NAMESPACE}/{pod}:{port}": t for pod, ts in self._of_pod.items() for port, t in ts.items()}
        self._runtime.configure({**{str(port): t for port, t in self._all.items()}, **own}, self._idle)

    def _rules(self, kind: str, metadata: Manifest, marker: int, targets: dict[int, str]) -> Manifest:
        forwards = [{"ports": [marker], "target": _NOWHERE}]
        for port, target in targets.items():
            host, _, number = target.rpartition(":")
            forwards.append({"ports": [port], "target": {"address": host, "port": int(number)}})
        return {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": kind,
            "metadata": metadata,
            "spec": {"forwards": forwards},
        }
