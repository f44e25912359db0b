"""A TLS cache that is dialled directly, attached by a Bazel without TLS and by none."""

import contextlib
import json
import os
import signal
import socket

import grpc
import pytest

from tests.harness.caches.reapi_server import reapi
from tests.harness.certificates.pki import DAY, pki
from tests.harness.certificates.tls_front import front
from tests.harness.machine.bazels import debian
from tests.harness.machine.natives import natives

__all__ = ["pki"]

ALLOWED = "--allow-plaintext-loopback"


@contextlib.contextmanager
def cache(pair):
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])
    with reapi(credentials=credentials) as (port, state):
        yield port, state


@pytest.fixture
def site(machine, pki):
    """The options for a cache behind TLS, once an operator who needs none has filled it."""
    with reapi() as (plain, _), front(pki.issue("localhost"), plain) as port:
        machine.write_site('[cache]\nupload = "trusted"\n')
        endpoint = f"grpc://127.0.0.1:{plain}"
        done = machine.run("site", "warm", "--upload", "--no-nix", "--cache", endpoint)
        (machine.workspace / "gfattach.toml").unlink()
        assert done.returncode == 0, done.stdout + done.stderr
        yield ("--cache", f"grpcs://localhost:{port}", "--ca-file", str(pki.ca), "--no-nix")


def findings(document):
    return {f["code"]: f for s in document["stages"] for f in s["findings"]}


def listeners(machine):
    """The forwards of the agent by name, with their ports."""
    document = json.loads(machine.run("status", "--output", "json").stdout)
    return {f["name"]: f["port"] for f in document["result"]["forwards"]}


def test_without_bazel_a_good_certificate_is_all_that_is_asked_before_the_cache(machine, site):
    document = machine.json("up", *site, "--no-bazel")
    names = [stage["name"] for stage in document["stages"]]
    assert names.index("cache-tls") < names.index("cache")
    assert document["result"]["attached"] is True
    assert machine.json("status")["result"]["agent"] is None
    assert machine.run("down").returncode == 0


@pytest.mark.parametrize(
    ("names", "dates", "code"),
    [
        (("localhost",), {"start": -3 * DAY, "end": -DAY}, "certificates.validity.expired"),
        (("other.example",), {}, "certificates.name.other"),
        (("localhost",), {"self_signed": True}, "certificates.trust."),
    ],
)
def test_a_certificate_that_is_wrong_ends_the_half_before_the_cache_is_asked(
    machine, pki, names, dates, code
):
    with cache(pki.issue(*names, **dates)) as (port, state):
        site = ("--cache", f"grpcs://localhost:{port}", "--ca-file", str(pki.ca), "--no-nix", "--no-bazel")
        document = machine.json("up", *site, code=1)
    failed = [f["code"] for s in document["stages"] for f in s["findings"] if f["status"] == "fail"]
    assert failed[0].startswith(code)
    assert state.calls == {}
    assert document["result"]["attached"] is False


@pytest.mark.bazel
def test_a_bazel_without_tls_attaches_in_the_clear_and_down_leaves_nothing(machine, site):
    before = machine.files()
    refused = machine.json("up", *site, "--bazel", str(debian().path), code=2)
    assert "bazel.transport.no-tls" in findings(refused)
    assert machine.files() == before
    document = machine.json("up", *site, "--bazel", str(debian().path), ALLOWED)
    assert (document["result"]["kind"], document["result"]["verdict"]) == ("direct", "proved")
    assert findings(document)["bazel.transport.no-tls"]["status"] == "warn"
    [(name, port)] = listeners(machine).items()
    assert name == f"{site[1]}, TLS ended"
    assert f"--remote_cache=grpc://127.0.0.1:{port}" in (machine.workspace / ".gfattach/bazelrc").read_text()
    assert machine.run("down").returncode == 0
    assert machine.files() == before and machine.processes() == []


@pytest.mark.bazel
def test_an_agent_that_has_ended_is_missed_and_made_anew_at_the_same_port(machine, site):
    machine.json("up", *site, "--bazel", str(debian().path), ALLOWED)
    before = listeners(machine)
    os.kill(machine.json("status")["result"]["agent"]["pid"], signal.SIGKILL)
    missed = machine.json("status", code=1)
    assert "agent.ended" in findings(missed) and "cache.port.refused" not in findings(missed)
    proved = machine.json("prove", "--no-nix", "--bazel", str(debian().path))
    assert proved["result"]["verdict"] == "proved"
    assert listeners(machine) == before
    assert machine.run("down").returncode == 0


@pytest.mark.bazel
def test_nothing_listens_in_the_clear_after_an_up_without_the_option(machine, site):
    machine.json("up", *site, "--bazel", str(debian().path), ALLOWED)
    [port] = listeners(machine).values()
    machine.json("up", *site, "--bazel", str(debian().path), code=2)
    assert listeners(machine) == {}
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    assert not (machine.workspace / ".gfattach/bazelrc").exists()
    assert machine.run("down").returncode == 0


@pytest.mark.bazel
def test_without_the_option_and_without_bazel_an_earlier_listener_is_closed_too(machine, site):
    machine.json("up", *site, "--bazel", str(debian().path), ALLOWED)
    machine.json("up", *site, "--no-bazel")
    assert listeners(machine) == {}
    assert f"--remote_cache={site[1]}" in (machine.workspace / ".gfattach/bazelrc").read_text()
    assert machine.run("down").returncode == 0


@pytest.mark.bazel
def test_a_bazel_that_was_given_the_library_that_the_finding_names_goes_over_tls(machine, site):
    refused = machine.json("up", *site, "--bazel", str(debian().path), code=2)
    hints = "\n".join(findings(refused)["bazel.transport.no-tls"]["hints"])
    assert "libnetty-tcnative-jni" in hints and "export LD_LIBRARY_PATH=DIR" in hints
    machine.variables["LD_LIBRARY_PATH"] = str(natives())
    document = machine.json("up", *site, "--bazel", str(debian().path))
    assert findings(document)["bazel.transport.ok"]["status"] == "ok"
    assert document["result"]["verdict"] == "proved"
    assert f"--remote_cache={site[1]}" in (machine.workspace / ".gfattach/bazelrc").read_text()
