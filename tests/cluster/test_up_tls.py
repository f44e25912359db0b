"""A cache that speaks TLS inside the cluster, attached through a pod's port by real Bazels."""

import json
import os
import re
import time
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.certificates.pki import DAY, pki
from tests.harness.certificates.tls_front import front
from tests.harness.cluster.developer import developer_machine, fill, leaving_nothing
from tests.harness.cluster.manifests import PORTS
from tests.harness.machine.bazels import debian, upstream

__all__ = ["pki"]

NAME = "bazel-cache.nix-cache.example"
TOKEN = "c4nary-of-the-cache-behind-tls"


@pytest.fixture(scope="module")
def filled(cluster, tmp_path_factory):
    """The cluster's cache holds what a proof asks for, by either Bazel."""
    fill(tmp_path_factory.mktemp("operator"), cluster, "--bazel", str(debian().path))
    fill(tmp_path_factory.mktemp("operator"), cluster, "--bazel", str(upstream().path))
    return cluster


@pytest.fixture
def machine(filled, tmp_path):
    """A developer's machine; whatever it attached is detached at its end, and nothing is left."""
    with leaving_nothing(developer_machine(tmp_path, filled)) as made:
        yield made


@pytest.fixture
def behind(filled, pki):
    """Puts a front with that certificate where connections to the pod's port lead."""
    open_fronts = []

    def put(*names, **dates):
        made = front(pki.issue(*names, **dates), filled.cache.grpc_port)
        filled.forward_target(PORTS["grpc"], "127.0.0.1", made.__enter__())
        open_fronts.append(made)

    yield put
    for made in open_fronts:
        made.__exit__(None, None, None)


def site(pki, bazel, name=NAME):
    return (
        *("--cache", f"grpcs://{name}:443", "--cache-service", "bazel-cache", "--ca-file", str(pki.ca)),
        *("--no-nix", "--bazel", str(bazel.path)),
    )


def failed(document):
    """Every failed finding, in the order in which a person reads them."""
    return [f for s in document["stages"] for f in s["findings"] if f["status"] == "fail"]


def has_hits(document):
    [phase] = [
        phase for phase in document["result"]["phases"] if phase["client"] == "bazel" and not phase["warm"]
    ]
    assert phase["hits"] >= 0.95 * phase["asked"] > 0 and phase["violations"] == []
    assert document["result"]["verdict"] == "proved"


def test_a_bazel_with_tls_keeps_the_caches_own_name_and_has_hits_through_the_socket(machine, behind, pki):
    behind(NAME)
    document = machine.json("up", *site(pki, upstream()))
    has_hits(document)
    rc = (machine.workspace / ".gfattach/bazelrc").read_text()
    assert f"--remote_cache=grpcs://{NAME}:443" in rc and "--remote_proxy=unix:" in rc
    names = [stage["name"] for stage in document["stages"]]
    assert names.index("bazel") < names.index("cache-tls") < names.index("cache")
    assert machine.json("status")["result"]["healthy"] is True
    assert machine.json("prove", "--no-nix", "--bazel", str(upstream().path))["result"]["verdict"] == "proved"


@pytest.mark.parametrize(
    ("names", "dates", "code", "said"),
    [
        (("other.example",), {}, "certificates.name.other", "other.example"),
        ((NAME,), {"start": -3 * DAY, "end": -DAY}, "certificates.validity.expired", "expired on"),
        ((NAME,), {"self_signed": True}, "certificates.trust.", "trust"),
    ],
)
def test_a_certificate_that_is_wrong_is_what_a_person_reads_first(
    machine, behind, pki, names, dates, code, said
):
    behind(*names, **dates)
    document = machine.json("up", *site(pki, upstream()), code=1)
    first = failed(document)[0]
    assert first["code"].startswith(code), first
    assert said in first["seen"]
    assert not (machine.workspace / ".gfattach/bazelrc").exists()


def test_a_certificate_near_its_end_is_attached_to_and_warned_of(machine, behind, pki):
    behind(NAME, end=timedelta(days=2))
    document = machine.json("up", *site(pki, upstream()))
    warned = [f["code"] for s in document["stages"] for f in s["findings"] if f["status"] == "warn"]
    assert "certificates.validity.soon" in warned


def test_a_bazel_without_tls_is_told_both_ways_out(machine, behind, pki):
    behind(NAME)
    document = machine.json("up", *site(pki, debian()), code=2)
    [finding] = failed(document)
    assert finding["code"] == "bazel.transport.no-tls"
    hints = " ".join(finding["hints"])
    assert "bazelisk" in hints and "--allow-plaintext-loopback" in hints
    assert not (machine.workspace / ".gfattach/bazelrc").exists()
    said = " ".join(document["result"]["not_proved"])
    assert f"grpcs://{NAME}:443 needs TLS, and this Bazel cannot do that" in said


def test_with_the_option_it_has_hits_in_the_clear_and_the_agent_does_tls(machine, behind, pki):
    behind(NAME)
    document = machine.json("up", *site(pki, debian()), "--allow-plaintext-loopback")
    has_hits(document)
    rc = (machine.workspace / ".gfattach/bazelrc").read_text()
    assert "--remote_cache=grpc://127.0.0.1:" in rc and "grpcs" not in rc and "remote_proxy" not in rc
    status = machine.json("status")["result"]
    assert status["healthy"] is True
    [forward] = status["forwards"]
    assert forward["name"].endswith("TLS ended") and forward["state"] == "up"
    proved = machine.json("prove", "--no-nix", "--bazel", str(debian().path))
    assert proved["result"]["verdict"] == "proved"
    again = machine.json("up", *site(pki, debian()), "--allow-plaintext-loopback")
    assert again["result"]["endpoints"] == document["result"]["endpoints"]


def test_nothing_listens_in_the_clear_once_a_bazel_does_tls_itself(machine, behind, pki):
    behind(NAME)
    machine.json("up", *site(pki, debian()), "--allow-plaintext-loopback")
    machine.json("up", *site(pki, upstream()), "--allow-plaintext-loopback")
    [forward] = machine.json("status")["result"]["forwards"]
    assert not forward["name"].endswith("TLS ended")
    assert "--remote_cache=grpcs://" in (machine.workspace / ".gfattach/bazelrc").read_text()


def test_a_forward_that_ends_tls_goes_down_when_the_certificate_is_not_the_caches_any_more(
    machine, behind, pki
):
    behind(NAME)
    machine.json("up", *site(pki, debian()), "--allow-plaintext-loopback")
    behind("other.example")
    end = time.monotonic() + 30
    while "hostname mismatch" not in (said := machine.run("status").stdout):
        assert time.monotonic() < end, said
    assert machine.run("status").returncode == 1


@pytest.fixture
def private(filled, pki, tmp_path):
    """A cache that wants a token, over TLS, where connections to the pod's port lead; its server's state."""
    pair = pki.issue(NAME, "localhost")
    key = pair.key.read_bytes()
    credentials = grpc.ssl_server_credentials([(key, pair.certificate.read_bytes())])
    with reapi(Faults(token=TOKEN), credentials) as (port, state):
        filled.forward_target(PORTS["grpc"], "127.0.0.1", port)
        yield state


def program(call):
    """Who made a call: "grpc-java" is Bazel, "grpc-python" gfattach itself, "" the agent."""
    made = re.match("grpc-[a-z]+", str(call.get("user-agent", "")))
    return made[0] if made else ""


@pytest.mark.parametrize("transport", ["socket", "plaintext"])
def test_a_token_that_is_stored_for_the_caches_own_name_is_sent_on_either_road_and_nowhere_seen(
    machine, private, pki, transport
):
    bazel, option = (upstream(), ()) if transport == "socket" else (debian(), ("--allow-plaintext-loopback",))
    refused = machine.json("up", *site(pki, bazel), *option, code=1)
    assert "cache.call.unauthenticated" in [f["code"] for f in failed(refused)]
    assert f"gfattach credential login {NAME}" in json.dumps(failed(refused))
    machine.login(NAME, TOKEN)
    private.metadata.clear()
    seen, without, serve = [], set(), private.serve

    def watched(name, request, context):
        seen.append((json.dumps(machine.processes()), _environments(machine)))
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {TOKEN}":
            without.add((program(metadata), name))
            if (transport, name, program(metadata)) == ("socket", "GetCapabilities", "grpc-java"):
                return private.faults.capabilities  # Bazel 2.1.0 sends no header with this one call
        return serve(name, request, context)

    private.serve = watched
    done = machine.run("up", *site(pki, bazel), *option)
    assert done.returncode == 0, done.stderr
    assert {"grpc-java", "grpc-python"} <= {program(call) for call in private.metadata}
    # The agent asks for health without it: that a cache refuses it says that it lives.
    allowed = {
        ("", "GetCapabilities"),
        *([("grpc-java", "GetCapabilities")] if transport == "socket" else []),
    }
    assert without <= allowed
    assert seen and all(TOKEN not in line and TOKEN not in environment for line, environment in seen)
    assert TOKEN not in done.stdout + done.stderr
    assert f"what is stored for {NAME}" in done.stderr
    assert TOKEN not in machine.run("logs").stdout
    for path in (machine.workspace / ".gfattach").rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_a_token_for_a_plaintext_cache_is_stored_for_its_services_name(machine, filled):
    """No name but the Service's: SERVICE.NAMESPACE.svc is whom a person logs in for."""
    with reapi(Faults(token=TOKEN)) as (port, _):
        filled.forward_target(PORTS["grpc"], "127.0.0.1", port)
        command = ("up", "--cache-service", "bazel-cache", "--no-nix", "--bazel", str(debian().path))
        refused = machine.json(*command, code=1)
        assert "gfattach credential login bazel-cache.nix-cache.svc" in json.dumps(failed(refused))
        machine.login("bazel-cache.nix-cache.svc", TOKEN)
        assert machine.json(*command)["result"]["attached"] is True
        assert machine.json("status")["result"]["healthy"] is True
        asked = machine.run("bazel", "info", "release")
        assert (asked.returncode, TOKEN in asked.stderr) == (0, False), asked.stderr
        assert machine.run("bazel", "shutdown").returncode == 0


def _environments(machine):
    """The environments of all processes of the machine, the agent's and Bazel's among them."""
    found = ""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(machine.root) in (entry / "cmdline").read_text():
                    found += (entry / "environ").read_text(errors="replace")
            except OSError:
                continue
    return found
