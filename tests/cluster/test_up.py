"""`gfattach up` from a kubeconfig alone, on a real API server, with real Bazel and Nix behind the forward."""

import json
import os
import shutil
import signal
import stat
import time
from pathlib import Path

import jsonschema
import pytest

from tests.harness.cluster.developer import developer_machine, fill, leaving_nothing, nix_cache
from tests.harness.machine.budget import budget
from tests.harness.machine.developer import ROOT

SCHEMA = json.loads((ROOT / "docs/schema/report-v1.json").read_text())
BAZEL = pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")
NIX = pytest.mark.skipif(shutil.which("nix") is None, reason="apt-get install nix-bin")


@pytest.fixture(scope="module")
def filled(cluster, tmp_path_factory):
    """The cluster's cache holds what a proof asks for."""
    fill(tmp_path_factory.mktemp("operator"), cluster)
    return cluster


@pytest.fixture
def machine(filled, tmp_path):
    """A developer's machine; whatever it attached is detached at its end, and nothing is left."""
    with leaving_nothing(developer_machine(tmp_path, filled)) as made:
        yield made


@BAZEL
def test_a_kubeconfig_alone_ends_with_a_hit_of_a_real_bazel_through_the_forward(machine):
    """No option, no file: the Service is discovered, the hit is the pod's, and `down` leaves nothing."""
    document = machine.json("up", "--no-nix")
    jsonschema.validate(document, SCHEMA)
    result = document["result"]
    assert (result["kind"], result["verdict"]) == ("forward", "proved")
    assert result["first_hit"]["client"] == "bazel"
    [phase] = [phase for phase in result["phases"] if phase["client"] == "bazel" and phase["warm"] is False]
    assert phase["hits"] >= 0.95 * phase["asked"] > 0 and phase["violations"] == []
    names = [stage["name"] for stage in document["stages"]]
    assert names.index("cluster") < names.index("forward") < names.index("cache") < names.index("bazelrc")
    rc = (machine.workspace / ".gfattach/bazelrc").read_text()
    assert "127.0.0.1" in rc and "--remote_executor=" in rc


def test_the_choice_of_the_service_is_explained(machine):
    document = machine.json("up", "--no-bazel", "--no-nix")
    said = json.dumps(document["stages"])
    assert "Service bazel-cache in nix-cache, by its label app.kubernetes.io/name=bazel-cache" in said


def test_status_shows_the_forward_and_logs_what_it_did(machine):
    machine.json("up", "--no-bazel", "--no-nix")
    document = machine.json("status")
    jsonschema.validate(document, SCHEMA)
    assert document["result"]["healthy"] is True
    [forward] = document["result"]["forwards"]
    assert forward["state"] == "up" and forward["port"] > 0
    assert machine.run("logs").stdout.strip()
    plain = machine.run("status")
    assert "bazel-cache" in plain.stdout and plain.returncode == 0


def test_up_twice_keeps_the_port_and_the_agent(machine):
    first = machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"]
    agents = [line for line in machine.processes() if "gfattach.agent" in line]
    second = machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"]
    assert first == second
    assert [line for line in machine.processes() if "gfattach.agent" in line] == agents


def test_a_port_comes_back_after_down_so_that_a_written_environment_stays_true(machine):
    first = machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"]
    assert machine.run("down").returncode == 0
    assert machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"] == first


def test_two_workspaces_share_the_forwards_of_one_site(machine):
    other = machine.root / "other"
    other.mkdir()
    (other / "WORKSPACE").write_text("")
    first = machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"]
    second = machine.json("up", "--no-bazel", "--no-nix", "--workspace", str(other))["result"]["endpoints"]
    assert first == second
    assert len([line for line in machine.processes() if "gfattach.agent" in line]) == 1
    assert machine.run("down").returncode == 0
    assert machine.json("status", "--workspace", str(other))["result"]["healthy"] is True
    assert machine.run("down", "--workspace", str(other)).returncode == 0
    shutil.rmtree(other)


def test_status_speaks_of_this_workspaces_forwards_and_not_of_those_that_share_its_agent(machine):
    from gfattach.agent.launch import supervisor
    from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
    from gfattach.core.deadline import Deadline

    machine.json("up", "--no-bazel", "--no-nix")
    [directory] = (machine.root / "home/.local/state/gfattach/agents").iterdir()
    client = supervisor.find(directory)
    elsewhere = machine.root / "another-record"
    elsewhere.touch()
    dead = ForwardSpec("dead", PodUpstream("nix-cache", "gone", "http"), Health("http", "/"))
    client.register(Registration(elsewhere, (dead,)), Deadline.after(10))
    document = machine.json("status")
    assert [forward["name"] for forward in document["result"]["forwards"]] == ["nix-cache/bazel-cache:grpc"]
    elsewhere.unlink()


def test_a_cluster_that_cannot_be_reached_ends_the_attach_and_writes_nothing(machine, tmp_path):
    """No silent fall-through to a local build."""
    broken = tmp_path / "kubeconfig"
    text = Path(machine.variables["KUBECONFIG"]).read_text()
    server = json.loads(text)["clusters"][0]["cluster"]["server"]
    broken.write_text(text.replace(server, "https://127.0.0.1:1"))
    before = machine.files()
    done = machine.run("up", "--no-bazel", "--no-nix", "--kubeconfig", str(broken))
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr and "refused" in done.stderr
    assert "time to first cache hit" not in done.stdout
    assert machine.files() == before


def test_an_attachment_of_before_stays_when_the_cluster_cannot_be_reached_and_that_is_said(machine, tmp_path):
    first = machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"]
    broken = tmp_path / "kubeconfig"
    text = Path(machine.variables["KUBECONFIG"]).read_text()
    broken.write_text(
        text.replace(json.loads(text)["clusters"][0]["cluster"]["server"], "https://127.0.0.1:1")
    )
    done = machine.run("up", "--no-bazel", "--no-nix", "--kubeconfig", str(broken))
    assert done.returncode == 1 and "what was attached before is left as it was" in done.stderr
    assert machine.json("status")["result"]["healthy"] is True
    assert machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"] == first


def test_everything_that_up_wrote_is_private_whatever_the_umask(machine):
    for mask in (0o000, 0o077):
        before = os.umask(mask)
        try:
            machine.json("up", "--no-bazel", "--no-nix")
        finally:
            os.umask(before)
        for place in (machine.workspace / ".gfattach", machine.root / "home/.local/state/gfattach"):
            for path in [place, *place.rglob("*")]:
                if not path.is_symlink():
                    wanted = 0o700 if path.is_dir() else 0o600
                    assert stat.S_IMODE(path.lstat().st_mode) == wanted, path
        assert machine.run("down").returncode == 0


def test_an_agent_that_was_killed_is_healed_by_the_next_up_at_the_same_port(machine):
    first = machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"]
    pid = machine.json("status")["result"]["agent"]["pid"]
    os.kill(pid, signal.SIGKILL)
    document = machine.json("status", code=1)
    assert "gfattach up" in json.dumps(document["stages"])
    assert machine.json("up", "--no-bazel", "--no-nix")["result"]["endpoints"] == first


@NIX
def test_both_halves_attach_through_one_agent_and_nix_is_proved(machine, filled, tmp_path):
    # Attic serves a cache below its name, the one that stands in for it at the root.
    (machine.root / "home/.config/gfattach").mkdir(parents=True)
    (machine.root / "home/.config/gfattach/gfattach.toml").write_text(
        '[nix]\nservice = "attic"\ncache = ""\n[cache]\nservice = "bazel-cache"\n'
    )
    with nix_cache(tmp_path / "keeper", filled) as facts:
        document = machine.json("up", "--no-bazel", "--public-key", facts["public_key"])
        verdicts = {client["client"]: client["verdict"] for client in document["result"]["clients"]}
        assert verdicts["nix"] == "proved"
        status = machine.json("status")["result"]
        assert len(status["forwards"]) == 2
        fragment = Path(status["nix_conf"])
        full = fragment.read_text()
        os.kill(facts["pid"], signal.SIGKILL)
        assert _becomes(lambda: "extra-substituters" not in fragment.read_text(), budget(3.0))
        assert full != fragment.read_text()
        machine.run("down")


def _becomes(true, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def test_of_a_forward_that_is_down_the_cause_is_said_and_nothing_is_asked_through_it(machine, filled):
    assert machine.run("up", "--no-bazel", "--no-nix").returncode == 0
    filled.cache.kill()
    deadline = time.monotonic() + 20
    # The first may still ask the cache, where it is the first to meet the end: it names the forward besides.
    while (failed := failures(machine.run("status", "--output", "json"))) != ["forward.down"]:
        assert failed == [] or failed[-1] == "forward.down", failed
        assert time.monotonic() < deadline, failed
        time.sleep(0.2)


def failures(done):
    """The codes of the findings that failed, in a document on stdout."""
    stages = json.loads(done.stdout)["stages"]
    return [
        finding["code"] for stage in stages for finding in stage["findings"] if finding["status"] == "fail"
    ]


def test_a_forward_to_what_speaks_otherwise_is_not_attached_and_ends_with_the_cause(machine):
    site = ("--cache-service", "bazel-cache:http", "--cache", "grpc://cache.example:9092")
    document = machine.json("up", *site, "--no-bazel", "--no-nix", code=1)
    (failed,) = [f for stage in document["stages"] for f in stage["findings"] if f["status"] == "fail"]
    assert failed["code"] == "forward.down" and failed["seen"].endswith("the answer is not HTTP/2")
    assert failed["hints"] == ["once that is mended, attach again: gfattach up"]
    assert document["result"]["not_proved"][0] == "bazel: the forward to the cache is down"
