"""A private Nix cache behind a forward on a real API server: its token, and who else might be sent it."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gfattach.core.files import remove_tree
from gfattach.fragments import nixconf
from tests.harness.cluster.developer import ATTIC, ATTIC_LABELS, ATTIC_POD, ATTIC_PORT, developer_machine
from tests.harness.cluster.manifests import NAMESPACE, service
from tests.harness.machine.developer import findings
from tests.harness.machine.nixes import private_environment
from tests.harness.substituters import binary_caches as nix_caches
from tests.harness.substituters.attic import KEY, SIGNED, attic, sent, token

pytestmark = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix") is None, reason="apt-get install nix-bin"),
]

HOST = f"{ATTIC}.{NAMESPACE}.svc"
ARCHIVE_PATH = f"/{nix_caches.signed_info().url}"


@pytest.fixture
def private(cluster, tmp_path):
    """A machine at the cluster of a private cache that takes `machine.good`; `machine.asked` are requests."""
    machine = developer_machine(tmp_path / "machine", cluster)
    environment = private_environment(machine.root / "nix")
    machine.variables |= {name: value for name, value in environment.items() if name.startswith("NIX_")}
    site = '[nix]\nservice = "attic"\ncache = "main"\n[cache]\nservice = "bazel-cache"\n'
    (machine.workspace / ".git/info/exclude").write_text("gfattach.toml\n")
    machine.write_site(site)
    machine.good, machine.instead = token(), {}  # type: ignore[attr-defined]
    machine.up = ("up", "--no-bazel", "--public-key", KEY)  # type: ignore[attr-defined]
    with attic({machine.good}, machine.instead) as (port, asked):  # type: ignore[attr-defined]
        machine.asked = asked  # type: ignore[attr-defined]
        cluster.apply(service(ATTIC, NAMESPACE, ATTIC_LABELS, {"http": 80}))
        cluster.create_pod(ATTIC_POD, labels=ATTIC_LABELS, ports={"http": ATTIC_PORT})
        cluster.forward_target(ATTIC_PORT, "127.0.0.1", port)
        yield machine
        machine.run("credential", "logout", HOST)
        assert machine.run("down").returncode == 0
        cluster.delete_pod(ATTIC_POD)
        cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{ATTIC}")
    assert machine.processes() == []


def realise(machine):
    """Have a real Nix under the attachment fetch the path into an empty store."""
    fragment = machine.workspace / ".gfattach/nix.conf"
    store = machine.root / "nix/store"
    done = subprocess.run(
        ["nix-store", "--store", f"local?root={store}", "--realise", SIGNED, "--max-jobs", "0"],
        env={**machine.environment, "NIX_CONFIG": nixconf.include_line(fragment)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    remove_tree(store)
    return done


def test_without_a_token_nothing_comes_and_the_login_is_named(private):
    found = findings(private.json(*private.up, code=1))
    assert found["substituter.info"]["code"] == "substituter.info.unauthorised"
    assert found["substituter.info"]["hints"][0] == f"store its token: gfattach credential login {HOST}"
    assert {sent(head) for head in private.asked} == {""}


def test_with_one_a_real_nix_hits_through_an_address_of_the_forwards_own(private):
    private.login(HOST, private.good)
    document = private.json(*private.up)
    fragment = (private.workspace / ".gfattach/nix.conf").read_text()
    netrc = private.workspace / ".gfattach/netrc"
    forward = next(f for f in private.json("status")["result"]["forwards"] if f["name"].endswith("+token"))
    address = forward["address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network("127.0.0.0/8")
    assert ipaddress.ip_address(address) not in ipaddress.ip_network("127.0.0.0/16")
    assert netrc.read_text() == f"machine {address} login gfattach password {private.good}\n"
    assert f"http://{address}:{forward['port']}/main" in fragment and private.good not in fragment
    assert realise(private).returncode == 0
    proved = json.loads(private.run("prove", "--no-bazel", "--nix-path", SIGNED, "--output", "json").stdout)
    verdicts = {client["client"]: client["verdict"] for client in proved["result"]["clients"]}
    assert verdicts["nix"] == "proved"
    status = findings(private.json("status"))
    assert status["token"]["code"] == "credential.nix.found" and HOST in status["token"]["seen"]
    assert private.good not in f"{document} {proved} {status}"


def test_the_address_stays_the_same(private):
    private.login(HOST, private.good)
    first = private.json(*private.up)["result"]["endpoints"]["substituter"]
    assert private.json(*private.up)["result"]["endpoints"]["substituter"] == first
    assert private.run("down").returncode == 0
    assert private.json(*private.up)["result"]["endpoints"]["substituter"] == first


@pytest.mark.parametrize("elsewhere", ["127.0.0.1", "localhost"])
def test_where_the_cache_sends_nix_on_to_no_credentials_go(private, elsewhere):
    """A netrc knows no ports: with `machine 127.0.0.1` this other server would be sent the token."""
    archive = nix_caches.publishing(nix_caches.signed_info())[ARCHIVE_PATH]
    with nix_caches.serving({ARCHIVE_PATH: archive}, requests=(others := [])) as port:
        private.login(HOST, private.good)
        private.instead[ARCHIVE_PATH] = nix_caches.redirect(f"http://{elsewhere}:{port}{ARCHIVE_PATH}")
        private.json(*private.up)
        others.clear()
        done = realise(private)
        assert done.returncode == 0, done.stderr
    assert len(others) == 1
    assert {sent(head) for head in others} == {""}
    assert private.good.encode() not in b"".join(others)


def test_the_netrc_of_the_other_way_is_the_leak_that_is_kept_out(private):
    """The control of the test above: what it looks for can be seen."""
    archive = nix_caches.publishing(nix_caches.signed_info())[ARCHIVE_PATH]
    with nix_caches.serving({ARCHIVE_PATH: archive}, requests=(others := [])) as port:
        private.login(HOST, private.good)
        private.instead[ARCHIVE_PATH] = nix_caches.redirect(f"http://127.0.0.1:{port}{ARCHIVE_PATH}")
        # In the user's own, whose lines stand behind the attachment's: the agent keeps it so.
        own = private.root / "netrc"
        own.write_text(f"machine 127.0.0.1 login gfattach password {private.good}\n")
        own.chmod(0o600)
        Path(private.variables["NIX_USER_CONF_FILES"]).write_text(f"netrc-file = {own}\n")
        private.json(*private.up)
        others.clear()
        assert realise(private).returncode == 0
    assert {sent(head) for head in others} == {private.good}
