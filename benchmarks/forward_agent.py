"""Start an agent with two forwards for `benchmarks/forward.py`, or stop it.

python benchmarks/forward_agent.py KUBECONFIG DIRECTORY [stop]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gfattach.agent.launch import supervisor
from gfattach.agent.model.state import read_state
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline


def main() -> None:
    kubeconfig, place = Path(sys.argv[1]), Path(sys.argv[2])
    directory = place / "agent"
    if sys.argv[3:] == ["stop"]:
        supervisor.stop(directory)
        return
    record = place / "record"
    record.touch()
    client = supervisor.ensure(directory, ClusterRef((kubeconfig,), "bed"), deadline=Deadline.after(10))
    # What the start of an agent does not need was loaded meanwhile, and is not waited for.
    from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration

    raw, cache = (PodUpstream("nix-cache", "bazel-cache", port) for port in ("http", "grpc"))
    forwards = (ForwardSpec("cache", cache, Health("grpc")), ForwardSpec("raw", raw, Health("http", "/")))
    statuses = client.register(Registration(record, forwards), Deadline.after(10))
    ports = {status.name: status.port for status in statuses}
    state = read_state(directory)
    assert state is not None, "the agent that has answered serves"
    print(json.dumps({**ports, "pid": state.process.pid}))


if __name__ == "__main__":
    main()
