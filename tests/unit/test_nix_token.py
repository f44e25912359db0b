"""Where a forward listens whose substituter wants a token, and what is said where it cannot be had."""

import ipaddress
import sys

import pytest
from msgspec.structs import replace

from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream
from gfattach.attach.nix import token as nix_token
from gfattach.attach.route import addresses
from gfattach.core.endpoint import Endpoint
from gfattach.core.paths import Home
from gfattach.nixcache.target import SubstituterTarget
from tests.harness.machine.fake_nix import showing

SPEC = ForwardSpec("nix-cache/attic:80", PodUpstream("nix-cache", "attic", "80"), Health("nix", "/main"))
TARGET = SubstituterTarget(Endpoint("http", "127.0.0.1", 0, "/main"), real_host="attic.nix-cache.svc")


@pytest.fixture
def linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.usefixtures("linux")
def test_an_address_is_loopback_a_forwards_own_and_the_same_every_time():
    names = [f"nix-cache/attic-{number}:80" for number in range(40)]
    found = [addresses.own_address(name) for name in names]
    assert found == [addresses.own_address(name) for name in names]
    assert len(set(found)) == len(names)
    for address in (ipaddress.ip_address(each) for each in found):  # type: ignore[arg-type]
        assert address in ipaddress.ip_network("127.0.0.0/8")
        assert address not in ipaddress.ip_network("127.0.0.0/16")
        assert int(address) & 0xFF not in (0, 255)


@pytest.mark.usefixtures("linux")
def test_another_user_has_another_address_and_cannot_compute_this_ones(monkeypatch, tmp_path):
    mine = addresses.own_address("attic")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # another user's secret is another one
    assert addresses.own_address("attic") != mine


@pytest.mark.usefixtures("linux")
def test_a_forward_has_one_only_where_something_has_a_token(monkeypatch):
    asked = []
    monkeypatch.setattr(addresses, "has_token", lambda host, environ, **_: bool(asked.append(host)))
    assert addresses.with_address(SPEC, TARGET, {}) == SPEC
    assert asked == ["attic.nix-cache.svc"]
    monkeypatch.setattr(addresses, "has_token", lambda host, environ, **_: True)
    made = addresses.with_address(SPEC, TARGET, {})
    assert made == replace(SPEC, name=made.name, address=made.address)
    assert made.name != SPEC.name and made.address != SPEC.address


def test_elsewhere_there_is_none_and_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(addresses, "has_token", lambda host, environ, **_: True)
    assert addresses.with_address(SPEC, TARGET, {}) == SPEC
    home = Home(tmp_path, tmp_path)
    (tmp_path / "netrc").write_text("of an earlier attach")
    asked = replace(TARGET, headers=(("authorization", "Bearer secret-token"),))
    written = nix_token.write_netrc(home, asked, None, {})
    [finding] = written.findings
    assert written.path is None and not (tmp_path / "netrc").exists()
    assert finding.failed and finding.code == "nix.netrc.no-address"
    assert "attic.nix-cache.svc" in finding.seen and finding.hints
    assert "secret-token" not in str(finding)


@pytest.mark.parametrize(
    ("named", "kept"), [("netrc", False), ("../own", True)], ids=["the attachment's own", "the user's"]
)
def test_what_nix_reads_now_is_merged_unless_it_is_what_an_earlier_attach_has_written(tmp_path, named, kept):
    """A nix.conf that includes the fragment has Nix read the attachment's netrc before there is a new one."""
    home = Home(tmp_path / "home", None)
    home.directory.mkdir()
    (home.directory / named).write_text("machine cache.example login x password old\n")
    nix = showing(tmp_path / "bin", {"netrc-file": str((home.directory / named).resolve())})
    endpoint = Endpoint("https", "nix.example", 443, "/main")
    target = SubstituterTarget(endpoint, headers=(("authorization", "Bearer new"),))
    written = nix_token.write_netrc(home, target, nix, {})
    text = written.path.read_text()
    assert "machine nix.example" in text and "new" in text
    assert ("machine cache.example" in text) is kept
