"""A private Nix cache, attached with a stored token: from `credential login` to `down`, with a real Nix.

The cache has a name of its own, behind a proxy on this machine: a netrc knows no ports, so what is served
on 127.0.0.1 itself gets no token.
"""

from __future__ import annotations

import json
import stat
import time

import pytest

from tests.harness.machine.developer import findings
from tests.harness.machine.nixes import real_nix, untouched  # noqa: F401
from tests.harness.substituters.attic import KEY, SIGNED, attic, sent, token

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

HOST = "nix-cache.example"
OWN = "machine other.example login me password mine\n"


@pytest.fixture
def private(machine):
    """A machine with a netrc of its own, a private cache behind a proxy, and what attaches to it."""
    real_nix()
    own = machine.root / "home/own-netrc"
    conf = machine.root / "home/.config/nix/nix.conf"
    conf.parent.mkdir(parents=True)
    own.write_text(OWN)
    own.chmod(0o600)
    conf.write_text(f"netrc-file = {own}\n")
    good = token()
    accepted = {good}
    with attic(accepted) as (port, asked):
        machine.variables |= {"http_proxy": f"http://127.0.0.1:{port}", "TOKEN": good}
        machine.good, machine.accepted, machine.asked = good, accepted, asked
        machine.up = ("up", "--substituter", f"http://{HOST}/main", "--public-key", KEY, "--no-bazel")
        yield machine
        machine.run("credential", "logout", HOST)


def test_a_private_cache_is_attached_proved_and_left_with_a_token(private):
    before = private.files()
    private.login(f"http://{HOST}", private.good)
    document = private.json(*private.up)
    netrc = private.workspace / ".gfattach/netrc"
    fragment = (private.workspace / ".gfattach/nix.conf").read_text()
    assert f"netrc-file = {netrc}" in fragment and private.good not in fragment
    assert stat.S_IMODE(netrc.stat().st_mode) == 0o600
    assert netrc.read_text() == f"machine {HOST} login gfattach password {private.good}\n{OWN}"
    found = findings(document)
    assert found["substituter.token"]["code"] == "substituter.token.ok"
    assert found["substituter.attic"]["code"] == "substituter.attic.ok"
    assert "private" in found["substituter.attic"]["seen"]
    assert found["nix.netrc"]["code"] == "nix.netrc.ok"
    [phase] = [phase for phase in document["result"]["phases"] if phase["client"] == "nix"]
    assert phase["hits"] == 0  # the site names no path, and the probe path is not published
    proved = private.json("prove", "--no-bazel", "--nix-path", SIGNED)
    assert proved["result"]["verdict"] == "proved"
    assert findings(private.json("status"))["substituter.info"]["status"] != "fail"
    spoken = [head for head in private.asked if sent(head)]
    assert {sent(head) for head in spoken} == {private.good}
    assert private.good not in f"{document} {proved}"
    private.json("down")
    assert private.files() == before


def test_a_second_up_keeps_the_users_entries_and_takes_none_of_its_own_for_them(private):
    private.login(f"http://{HOST}", private.good)
    private.json(*private.up)
    private.variables["NIX_CONFIG"] = f"!include {private.workspace}/.gfattach/nix.conf"
    private.json(*private.up)
    netrc = (private.workspace / ".gfattach/netrc").read_text()
    assert netrc == f"machine {HOST} login gfattach password {private.good}\n{OWN}"


def test_without_a_token_the_private_cache_is_told_apart_from_one_that_is_empty(private):
    found = findings(private.json(*private.up, code=1))
    assert found["substituter.info"]["code"] == "substituter.info.unauthorised"
    assert (
        found["substituter.info"]["hints"][0]
        == f"store its token: gfattach credential login http://{HOST}:80"
    )
    assert not (private.workspace / ".gfattach").exists()


def test_a_token_that_the_cache_does_not_take_is_said_to_be_that(private):
    """Attic ignores what it cannot verify, and refuses the request as an anonymous one."""
    private.login(f"http://{HOST}", token(r=1, w=1))
    found = findings(private.json(*private.up, code=1))
    assert found["substituter.token"]["code"] == "substituter.token.writes"
    assert found["substituter.info"]["code"] == "substituter.info.unauthorised"
    assert "counts for nothing" in found["substituter.info"]["hints"][0]


def test_a_token_that_expires_is_named_by_up_and_status_and_takes_the_fragment_back(private):
    file = private.root / "token"
    store = ("credential", "login", f"http://{HOST}", "--store", "file", "--from-file", str(file))
    for spare in (6.0, 30.0, 90.0):  # seconds to attach in, before the last minute: as many as it takes
        file.write_text(token(lasts=60.0 + spare))
        private.accepted.add(file.read_text())
        if private.run(*store).returncode == 0 and run_up(private)["exit_code"] == 0:
            break
    assert (private.workspace / ".gfattach/netrc").exists()
    while findings(document := run_up(private)).get("token", {}).get("code") != "credential.expired":
        time.sleep(0.5)
    assert document["exit_code"] != 0
    assert not (private.workspace / ".gfattach/netrc").exists()
    assert "netrc-file" not in (private.workspace / ".gfattach/nix.conf").read_text()


def run_up(machine):
    done = machine.run(*machine.up, "--output", "json")
    return json.loads(done.stdout)


def test_a_cache_that_stops_needing_a_token_loses_the_netrc(private):
    private.login(f"http://{HOST}", private.good)
    private.json(*private.up)
    assert private.run("credential", "logout", HOST).returncode == 0
    run_up(private)
    assert not (private.workspace / ".gfattach/netrc").exists()
