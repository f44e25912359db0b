"""What an agent has of the environment of who started it: as the system shows it, and as a plugin sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gfattach.agent import supervisor
from gfattach.agent.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.cluster.connection import ClusterRef
from gfattach.deadline import Deadline
from gfattach.errors import ClusterError
from tests.integration.agents import SECONDS, desk, free_port, wait_for

__all__ = ["desk"]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")

#: More than a pipe holds at once.
LARGE = "x" * 100_000


def soon() -> Deadline:
    return Deadline.after(SECONDS)


def kubeconfig(desk, user: dict[str, object]) -> ClusterRef:
    """A cluster where nobody listens, and this user."""
    path = desk.root / "kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{free_port()}", "insecure-skip-tls-verify": True}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(json.dumps(document))
    return ClusterRef((path,), "c")


def plugin(desk) -> dict[str, object]:
    """An exec plugin that writes down what it was given."""
    program, seen = desk.root / "plugin", desk.root / "seen"
    program.write_text(
        f'#!/bin/sh\nprintf "%s" "$CANARY $WITHHELD ${{#LONG}}" > {seen}.new; mv {seen}.new {seen}\nexit 1\n'
    )
    program.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(program), "interactiveMode": "Never"}}


def test_a_plugin_has_what_its_user_has_and_nobody_else_sees_it(desk, monkeypatch):
    for name, value in (("CANARY", "canary-51c7"), ("WITHHELD", "never"), ("LONG", LARGE)):
        monkeypatch.setenv(name, value)
    ref = kubeconfig(desk, plugin(desk))
    client = supervisor.ensure(desk.directory, ref, deadline=soon(), withheld={"WITHHELD"})
    upstream = PodUpstream("default", "cache", "grpc")
    client.register(Registration(desk.record, (ForwardSpec("cache", upstream, Health("grpc")),)), soon())
    wait_for((desk.root / "seen").exists)
    assert (desk.root / "seen").read_text() == f"canary-51c7  {len(LARGE)}"
    shown = Path(f"/proc/{client.status(soon()).pid}/environ").read_bytes()
    assert b"canary-51c7" not in shown
    assert b"PATH=" in shown


def test_without_a_plugin_the_agent_has_nothing_of_it(desk, monkeypatch):
    monkeypatch.setenv("CANARY", "canary-51c7")
    ref = kubeconfig(desk, {"token": "t"})
    client = supervisor.ensure(desk.directory, ref, deadline=soon())
    assert b"canary-51c7" not in Path(f"/proc/{client.status(soon()).pid}/environ").read_bytes()


def test_a_kubeconfig_that_cannot_be_read_leaves_no_process(desk):
    (desk.root / "kubeconfig").write_text("{")
    with pytest.raises(ClusterError):
        supervisor.ensure(desk.directory, ClusterRef((desk.root / "kubeconfig",)), deadline=soon())
    assert desk.processes() == []
    # Nor anything that is in the way of the next one.
    assert supervisor.ensure(desk.directory, None, deadline=soon()).status(soon()).forwards == ()
