"""Probes of Nix: which substituters, keys and timeouts are in force, and what has taken them away."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gfattach.core.finding import Status
from gfattach.probes.nix.stage import NixSubject
from tests.harness.machine.fake_nix import showing
from tests.harness.machine.nix_home import KEY, SETTINGS, TARGET, URL, machine

__all__ = ["machine"]


# nix.substituters and nix.timeouts


def test_without_a_substituter_those_in_force_are_shown(machine):
    finding = machine.ask(None)["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.seen", Status.OK)
    assert "https://cache.nixos.org/" in finding.seen


@pytest.mark.parametrize("left", [[], ["https://cache.nixos.org/"], [f"{URL}?priority=1"]])
def test_a_later_plain_setting_that_wipes_the_fragments(machine, tmp_path, left):
    nix = showing(tmp_path / "bin", {**SETTINGS, "substituters": left})
    finding = machine.probe(NixSubject(program=str(nix.path), target=TARGET, environ={}))["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.wiped", Status.WARN)


@pytest.mark.parametrize("other", [f"{URL}/", f"{URL}?priority=10", URL.replace("http", "HTTP")])
def test_the_same_cache_in_another_spelling(machine, other):
    finding = machine.ask(substituters=[other, URL])["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.spelling", Status.WARN)
    assert other in finding.seen


OLD_KEY = KEY.replace("YlVM", "AAAA")
SECOND_KEY = OLD_KEY.replace("team-1", "team-2")


@pytest.mark.parametrize(
    ("trusted", "code"),
    [
        ([KEY], "nix.keys.ok"),
        ([SECOND_KEY], "nix.keys.ok"),  # one of several will do
        ([], "nix.keys.wiped"),
        (["cache.nixos.org-1:AAAA"], "nix.keys.wiped"),
        ([OLD_KEY, KEY], "nix.keys.hidden"),
        ([KEY, OLD_KEY], "nix.keys.ok"),
    ],
)
def test_the_keys_that_are_in_force(machine, trusted, code):
    target = replace(TARGET, public_keys=(KEY, SECOND_KEY))
    assert machine.ask(target, trusted_public_keys=trusted)["nix.keys"].code == code


@pytest.mark.parametrize(
    ("keys", "place"), [((KEY,), "/etc/nix"), ((OLD_KEY, KEY), "gfattach.toml: nix.public_keys")]
)
def test_a_key_that_hides_another_is_to_be_taken_out_where_it_is_set(machine, keys, place):
    finding = machine.ask(replace(TARGET, public_keys=keys), trusted_public_keys=[OLD_KEY, KEY])["nix.keys"]
    assert finding.code == "nix.keys.hidden" and place in finding.hints[0]


def test_a_target_without_a_key_asks_for_none(machine):
    assert machine.ask(replace(TARGET, public_keys=()))["nix.keys"].code == "nix.keys.none"


def test_substitution_that_is_turned_off(machine):
    assert machine.ask(substitute=False)["nix.substituters"].code == "nix.substituters.off"


@pytest.mark.parametrize("changes", [{"require_sigs": False}, {"substituters": [URL, "http://h?trusted=1"]}])
def test_paths_that_nobody_signed(machine, changes):
    finding = machine.ask(**changes)["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.unsigned", Status.WARN)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "nix.timeouts.ok"),
        ({"connect_timeout": 0}, "nix.timeouts.unbounded"),
        ({"stalled_download_timeout": 300}, "nix.timeouts.long"),
        ({"download_attempts": 50}, "nix.timeouts.long"),
    ],
)
def test_how_long_nix_waits(machine, changes, code):
    assert machine.ask(**changes)["nix.timeouts"].code == code


def test_a_nix_that_does_not_say_how_long_it_waits(machine, tmp_path):
    few = {name: value for name, value in SETTINGS.items() if name in ("substituters", "store")}
    nix = showing(tmp_path / "bin", few)
    found = machine.probe(NixSubject(program=str(nix.path), target=TARGET, environ={}))
    assert found["nix.timeouts"].code == "nix.timeouts.unknown"
    assert found["nix.substituters"].code == "nix.substituters.ok"
