"""What a real Nix is told of and whom it trusts, as `gfattach up` and `gfattach prove` say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfattach.fragments import nixconf
from gfattach.nix.authorities import BUNDLES
from tests.harness.certificates.pki import pki, server_context
from tests.harness.machine.developer import findings
from tests.harness.machine.nixes import daemon, private_environment, real_nix
from tests.harness.substituters import binary_caches as nix_caches

__all__ = ["pki"]

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

KEY = str(nix_caches.KEY.public_key)


@pytest.fixture
def cache():
    """A signed path in a cache that is spoken to in the clear; its port."""
    with nix_caches.serving(_routes()) as port:
        yield port


def _routes():
    infos = (nix_caches.probe_info(), nix_caches.signed(nix_caches.signed_info(), nix_caches.KEY))
    return nix_caches.publishing(*infos)


@pytest.fixture
def tls_cache(pki):
    """The same over TLS, under the name localhost and by an authority that this machine does not know."""
    with nix_caches.serving(_routes(), server_context(pki.issue("localhost"))) as port:
        yield f"https://localhost:{port}"


def attach(machine, url: str) -> dict:
    document = machine.json("up", "--substituter", url, "--public-key", KEY, "--no-bazel")
    return findings(document)


def private_nix(machine) -> None:
    real_nix()
    private = private_environment(machine.root / "nix")
    machine.variables |= {name: value for name, value in private.items() if name.startswith("NIX_")}


def test_a_nix_that_does_not_know_who_vouches_for_the_substituter_is_told_apart(
    machine, pki, tls_cache, each_nix
):
    """One that can be told of an authority is told by the fragment; of another it is said."""
    if not any(path.exists() for path in BUNDLES):
        pytest.skip("needs a bundle of authorities: apt-get install ca-certificates")
    private_nix(machine)
    machine.write_site(f"[nix]\nca_file = '{pki.ca}'\n")
    found = attach(machine, tls_cache)
    assert found["certificates.substituter.trust"]["status"] == "ok"
    fragment = (machine.workspace / ".gfattach/nix.conf").read_text()
    if real_nix().minor >= (2, 15):
        assert found["nix.ca"]["code"] == "nix.ca.ok" and str(pki.ca) in found["nix.ca"]["seen"]
        assert f"{nixconf.AUTHORITIES} = " in fragment
        return
    assert found["nix.ca"]["code"] == "nix.ca.lacks" and nixconf.AUTHORITIES not in fragment
    assert "CN=root of the tests" in found["nix.ca"]["seen"]
    assert str(pki.ca) in "\n".join(found["nix.ca"]["hints"])


def test_a_daemon_that_does_not_know_who_vouches_is_named_where_the_site_names_no_authority(
    machine, pki, tls_cache, tmp_path
):
    """The user's Nix has a variable for it, which no daemon sees."""
    if not any(path.exists() for path in BUNDLES):
        pytest.skip("needs a bundle of authorities: apt-get install ca-certificates")
    with daemon(real_nix(), tmp_path / "d", trusted_users="*") as served:
        machine.variables |= {k: v for k, v in served.environment.items() if k.startswith("NIX_")}
        machine.variables["NIX_SSL_CERT_FILE"] = str(pki.ca)
        found = attach(machine, tls_cache)
    assert found["nix.ca"]["code"] == "nix.ca.daemon"
    assert found["nix.ca"]["data"]["file"] == str(pki.ca)
    assert Path(found["nix.ca"]["data"]["daemon_file"]) in BUNDLES


@pytest.mark.parametrize(
    ("command", "config", "code"),
    [
        ("up", "{include}\nsubstituters = http://a.invalid", "nix.substituters.wiped"),
        ("up", "substituters = http://a.invalid\n{include}", "nix.substituters.ok"),
        ("prove", "{include}\nsubstituters = http://a.invalid", "nix.substituters.wiped"),
    ],
)
def test_in_an_attached_shell_a_later_plain_setting_is_seen_to_wipe_the_fragments(
    machine, cache, command, config, code
):
    private_nix(machine)
    url = f"http://127.0.0.1:{cache}"
    assert attach(machine, url)["nix.substituters"]["code"] == "nix.substituters.ok"
    include = nixconf.include_line(machine.workspace / ".gfattach/nix.conf")
    machine.variables["NIX_CONFIG"] = config.format(include=include)
    found = attach(machine, url) if command == "up" else findings(machine.json("prove", "--no-bazel"))
    assert found["nix.substituters"]["code"] == code


def test_a_substituter_behind_a_proxy_of_the_environment_is_attached_and_watched_by_nobody(machine, cache):
    """An agent has no such environment, and would take a cache for dead that Nix can reach."""
    site = ("--substituter", "http://cache.invalid", "--public-key", KEY, "--no-bazel", "--no-nix")
    machine.variables["http_proxy"] = f"http://127.0.0.1:{cache}"
    document = machine.json("up", *site)
    assert document["result"]["attached"] is True
    assert machine.json("status")["result"]["agent"] is None
    del machine.variables["http_proxy"]
    direct = ("--substituter", f"http://127.0.0.1:{cache}", *site[2:])
    machine.json("up", *direct)
    assert machine.json("status")["result"]["agent"] is not None
