"""What an agent has of the environment of who started it: as the system shows it, and as a plugin sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from gfattach.agent.guard import watchdog
from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import ForwardSpec, GuardedFile, Health, PodUpstream, Registration
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from tests.harness.cluster.agents import SECONDS, desk, nix, nix_forward, wait_for
from tests.harness.machine.ports import free_port

__all__ = ["desk", "nix"]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")

#: More than a pipe holds at once.
LARGE = "x" * 100_000


def soon() -> Deadline:
    return Deadline.after(SECONDS)


def kubeconfig(desk, user: dict[str, object], host: str = "127.0.0.1") -> ClusterRef:
    """A cluster where nobody listens, and this user."""
    path = desk.root / "kubeconfig"
    cluster = {"server": f"https://{host}:{free_port()}", "insecure-skip-tls-verify": True}
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


def environments(desk) -> bytes:
    """What the system shows of every process that works for the desk's agent."""
    shown = b""
    for pid in desk.processes():
        with contextlib.suppress(OSError):  # it has ended since it was listed
            shown += Path(f"/proc/{pid}/environ").read_bytes()
    return shown


PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.mark.parametrize("name", PROXIES)
def test_the_password_of_a_proxy_is_in_no_environment_and_the_agent_goes_by_it(desk, monkeypatch, name):
    """The cluster is behind the proxy: what the agent says of it shows by which way it went."""
    for other in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    proxy = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(name, f"http://me:canary-51c7@{proxy}")
    ref = kubeconfig(desk, {"token": "t"}, host="cluster.example")
    client = supervisor.ensure(desk.directory, ref, deadline=soon())
    assert b"canary-51c7" not in environments(desk) and b"PATH=" in environments(desk)
    if name.lower() != "https_proxy":
        return  # Go's programs go by no other to a server with TLS
    upstream = PodUpstream("default", "cache", "grpc")
    client.register(Registration(desk.record, (ForwardSpec("cache", upstream, Health("grpc")),)), soon())
    wait_for(lambda: proxy in json.dumps(client.status(soon()).as_json()))
    assert "canary-51c7" not in json.dumps(client.status(soon()).as_json())


def test_a_proxy_without_a_password_is_an_ordinary_variable(desk, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    supervisor.ensure(desk.directory, kubeconfig(desk, {"token": "t"}), deadline=soon())
    assert b"https_proxy=http://proxy.example:3128" in environments(desk)


def test_who_guards_for_an_agent_shows_nothing_and_the_agent_that_it_starts_has_all(desk, nix, monkeypatch):
    """The plugin of the second agent is given what the first one's user had."""
    for name, value in (("CANARY", "canary-51c7"), ("LONG", LARGE)):
        monkeypatch.setenv(name, value)
    path = desk.root / "nix.conf"
    path.write_text("")
    ref = kubeconfig(desk, plugin(desk))
    client = supervisor.ensure(desk.directory, ref, deadline=soon())
    forwards = (
        ForwardSpec("cache", PodUpstream("default", "cache", "grpc"), Health("grpc")),
        nix_forward(nix.port, listen=False),
    )
    guarded = (GuardedFile(path, "nix", "full", "empty"),)
    client.register(Registration(desk.record, forwards, guarded=guarded), soon())
    wait_for((desk.root / "seen").exists)
    wait_for(lambda: len(desk.processes()) == 2)
    assert b"canary-51c7" not in environments(desk)
    time.sleep(watchdog.LIVED_SECONDS)
    first = client.status(soon()).pid
    (desk.root / "seen").unlink()
    os.kill(first, signal.SIGKILL)
    wait_for((desk.root / "seen").exists)
    assert (desk.root / "seen").read_text() == f"canary-51c7  {len(LARGE)}"
    wait_for(lambda: len(desk.processes()) == 2)
    assert b"canary-51c7" not in environments(desk)


def test_a_kubeconfig_that_cannot_be_read_leaves_no_process(desk):
    (desk.root / "kubeconfig").write_text("{")
    with pytest.raises(ClusterError):
        supervisor.ensure(desk.directory, ClusterRef((desk.root / "kubeconfig",)), deadline=soon())
    assert desk.processes() == []
    # Nor anything that is in the way of the next one.
    assert supervisor.ensure(desk.directory, None, deadline=soon()).status(soon()).forwards == ()
