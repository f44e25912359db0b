"""Credential plugins of today on a real API server: what a command has used is what the agent uses, at
once.
"""

from __future__ import annotations

import json
import os
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gfattach.agent.launch import supervisor
from gfattach.agent.launch.environment import handed_over
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.agent.model.state import log_file
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig import exec_cache
from gfattach.cluster.kubeconfig.credentials import ExecOptions
from gfattach.cluster.kubeconfig.resolve import credential, read_kubeconfig, select
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.probes.cluster.stage import SERVICE_STAGE, STAGE, ClusterSubject
from tests.harness.cluster.agents import SECONDS, desk
from tests.harness.cluster.developer import developer_machine, leaving_nothing
from tests.harness.cluster.manifests import NAMESPACE, SERVICE
from tests.harness.cluster.probes.rules import PORTFORWARD, READS, SLICES

__all__ = ["desk"]

V1 = "client.authentication.k8s.io/v1"
WORDS = "not logged in: run x login"
GRPC = PodUpstream(NAMESPACE, SERVICE, "grpc")


def handed_out(kubeconfig: Path, **status: str) -> str:
    """An ExecCredential with the certificate of a kubeconfig's user."""
    import base64

    user = json.loads(kubeconfig.read_text())["users"][0]["user"]
    pair = {
        name: base64.b64decode(user[key]).decode()
        for name, key in (
            ("clientCertificateData", "client-certificate-data"),
            ("clientKeyData", "client-key-data"),
        )
    }
    return json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": pair | status})


def plugged(root: Path, cluster, condition: str, answer: str = "", **entry: str) -> ClusterRef:
    """A cluster whose user is the developer, by a plugin that needs `condition`, in words of the shell."""
    program, file = root / "plugin", root / "plugged"
    answer = answer or f"cat {root}/answer"
    (root / "answer").write_text(handed_out(cluster.kubeconfig))
    program.write_text(f"#!/bin/sh\nif {condition}; then {answer}; else echo '{WORDS}' >&2; exit 254; fi\n")
    program.chmod(0o755)
    document = json.loads(cluster.kubeconfig.read_text())
    asked = {"apiVersion": V1, "command": str(program), "interactiveMode": "IfAvailable"} | entry
    document["users"][0]["user"] = {"exec": asked}
    file.write_text(json.dumps(document))
    return ClusterRef((file,), "bed", NAMESPACE)


def soon() -> Deadline:
    return Deadline.after(SECONDS)


class Shell:
    """The environment of the one who calls."""

    def __init__(self, monkeypatch, root: Path) -> None:
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(root))
        monkeypatch.setattr(exec_cache, "_held", {})

    def set(self, **variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)


@pytest.fixture
def shell(monkeypatch, desk):
    return Shell(monkeypatch, desk.root)


def hold(desk, ref: ClusterRef, **handed):
    """Have the cache forwarded, as `up` has it; how it is once it was asked after that."""
    client = supervisor.ensure(desk.directory, ref, deadline=soon())
    if handed:
        client.adopt(handed_over(ref, ()), handed["credential"], soon())
    client.register(Registration(desk.record, (ForwardSpec("grpc", GRPC, Health("grpc")),)), soon())
    return client.awaited(["grpc"], ["up", "down"], SECONDS, Deadline.after(2 * SECONDS), anew=True).forward(
        "grpc"
    )


SHELLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a session that expired": ('[ "$SESSION" = new ]', {"SESSION": "old"}, {"SESSION": "new"}),
    "a variable that was not set": ('[ -n "$TOKEN_FILE" ]', {"TOKEN_FILE": None}, {"TOKEN_FILE": "/x"}),
    "a variable that is in the way": ('[ -z "$PROFILE" ]', {"PROFILE": "wrong"}, {"PROFILE": None}),
    "a value with odd characters": (
        '[ "$(printf %s "$ODD" | wc -l)" = 2 ]',
        {"ODD": "a"},
        {"ODD": "a\nä'\"\n" + "x" * 100_000},
    ),
    "a program on another PATH": (
        "command -v x-login > /dev/null",
        {},
        {"PATH": f"{{root}}/bin:{os.environ['PATH']}"},
    ),
}


@pytest.mark.parametrize("case", SHELLS)
def test_the_shell_of_the_last_command_is_the_agents(cluster, desk, shell, case):
    """The agent was started by a shell in which the plugin no longer works, and has met its refusal."""
    condition, before, after = SHELLS[case]
    (desk.root / "bin").mkdir()
    (desk.root / "bin/x-login").write_text("#!/bin/sh\n")
    (desk.root / "bin/x-login").chmod(0o755)
    ref = plugged(desk.root, cluster, condition)
    shell.set(**before)
    down = hold(desk, ref)
    assert down.state == "down"
    assert down.last_error.endswith(f"exited with 254: {WORDS}")
    assert WORDS in log_file(desk.directory).read_text()
    shell.set(**{name: value and value.format(root=desk.root) for name, value in after.items()})
    up = hold(desk, ref, credential=None)
    assert up.state == "up", up.last_error


@pytest.mark.parametrize("interactive_mode", ["IfAvailable", "Always"])
def test_what_a_plugin_has_handed_out_at_the_terminal_is_what_the_agent_shows(
    cluster, desk, shell, interactive_mode
):
    """It hands out nothing to who has no terminal, and says no time until which it holds."""
    ref = plugged(desk.root, cluster, "[ -e once ]", interactiveMode=interactive_mode)
    assert hold(desk, ref).state == "down"
    answer = json.loads((desk.root / "answer").read_text())["status"]
    handed = exec_cache.ExecCredential(
        "", answer["clientCertificateData"].encode(), answer["clientKeyData"].encode()
    )
    up = hold(desk, ref, credential=handed.as_json())
    assert up.state == "up", up.last_error


@pytest.mark.parametrize("status", [{}, {"expirationTimestamp": "soon"}], ids=["for good", "for a while"])
def test_an_up_whose_plugin_answers_once_attaches(cluster, tmp_path, status):
    """As one that asks for a second factor: the agent does not ask again."""
    if status:
        until = datetime.now(UTC) + timedelta(hours=1)
        status = {"expirationTimestamp": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
    with leaving_nothing(developer_machine(tmp_path / "machine", cluster)) as machine:
        (tmp_path / "once").touch()
        ref = plugged(tmp_path, cluster, f"rm {tmp_path}/once 2> /dev/null")
        (tmp_path / "answer").write_text(handed_out(cluster.kubeconfig, **status))
        machine.variables["KUBECONFIG"] = str(ref.kubeconfigs[0])
        document = machine.json("up", "--no-bazel", "--no-nix")
        assert document["result"]["kind"] == "forward"
        assert machine.json("status")["result"]["forwards"][0]["state"] == "up"
        assert machine.run("credential", "refresh").returncode == 0


def test_the_first_up_after_a_login_attaches_and_one_before_it_has_the_plugins_words(cluster, tmp_path):
    with leaving_nothing(developer_machine(tmp_path / "machine", cluster)) as machine:
        ref = plugged(tmp_path, cluster, f"[ -e {tmp_path}/login ]")
        machine.variables["KUBECONFIG"] = str(ref.kubeconfigs[0])
        refused = machine.json("up", "--no-bazel", "--no-nix", code=1)
        assert refused["error"]["code"] == "cluster.credential.plugin-failed"
        assert WORDS in refused["error"]["fact"]
        (tmp_path / "login").touch()
        machine.json("up", "--no-bazel", "--no-nix")


class TestMoreRights:
    """A plugin's answer that is kept has the rights that its user had then."""

    def subject(self, root: Path, cluster, shell) -> ClusterSubject:
        """Its plugin hands out a user who may nothing; from now on, one who may all."""
        later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        poor, rich = cluster.user("poor", ()), cluster.user("rich", (READS, SLICES, PORTFORWARD))
        ref = plugged(root, cluster, "true")
        (root / "answer").write_text(handed_out(poor, expirationTimestamp=later))
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(root), "XDG_RUNTIME_DIR": str(root)}
        entries = select(read_kubeconfig(ref.kubeconfigs), ref)  # type: ignore[arg-type]
        assert credential(entries, soon(), environ, ExecOptions()).exec_credential
        (root / "answer").write_text(handed_out(rich, expirationTimestamp=later))
        return ClusterSubject(ref=ref, services=(GRPC,), environ=environ)

    def test_what_is_refused_is_asked_once_more_with_a_fresh_answer(self, cluster, desk, shell):
        subject = self.subject(desk.root, cluster, shell)
        run = Run()
        asked = run.stage(STAGE, subject)
        assert asked.findings["cluster.identity"].data["user"] in ("poor", "rich")
        services = run.stage(SERVICE_STAGE, subject)
        assert services.findings["cluster.rights"].code == "cluster.rights.ok"
        assert not any(finding.failed for finding in services.findings.values())

    def test_where_it_still_may_not_it_is_run_once_and_no_more(self, cluster, desk, shell):
        subject = self.subject(desk.root, cluster, shell)
        runs = desk.root / "runs"
        program = desk.root / "plugin"
        program.write_text(
            program.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\necho >> {shlex.quote(str(runs))}\n")
        )
        later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        poor = cluster.user("poor", ())
        (desk.root / "answer").write_text(handed_out(poor, expirationTimestamp=later))
        run = Run()
        run.stage(STAGE, subject)
        services = run.stage(SERVICE_STAGE, subject)
        assert services.findings["cluster.rights"].code == "cluster.rights.missing"
        assert len(runs.read_text().splitlines()) == 1
