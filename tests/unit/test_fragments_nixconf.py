"""The Nix fragment: what it adds, what it refuses, and how Nix is told of it."""

import shlex
import subprocess
from pathlib import Path

import pytest

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import UsageError
from gfattach.core.paths import Home
from gfattach.fragments import nixconf
from gfattach.nixcache.target import SubstituterTarget

TARGET = SubstituterTarget(parse_endpoint("http://127.0.0.1:8080/main"), ("main:AAAA=", "other:BBBB="))


def settings(text):
    pairs = [line.split(" = ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return dict(pairs)


def test_a_cache_and_its_keys_are_added_and_replace_nothing():
    found = settings(nixconf.render(TARGET, None))
    assert found["extra-substituters"] == "http://127.0.0.1:8080/main"
    assert found["extra-trusted-public-keys"] == "main:AAAA= other:BBBB="
    assert "substituters" not in found and "trusted-public-keys" not in found


def test_a_cache_that_is_away_costs_seconds():
    found = settings(nixconf.render(TARGET, None))
    assert 0 < int(found["connect-timeout"]) <= 10
    assert 0 < int(found["download-attempts"]) < 5
    assert 0 < int(found["stalled-download-timeout"]) < 300
    assert 0 <= int(found["narinfo-cache-negative-ttl"]) < 3600


@pytest.mark.parametrize(
    ("name", "own", "written"),
    [
        ("connect-timeout", 1, 1),
        ("connect-timeout", 20, nixconf.CONNECT_SECONDS),
        ("connect-timeout", 0, nixconf.CONNECT_SECONDS),  # without end
        ("connect-timeout", "1", nixconf.CONNECT_SECONDS),  # nothing that a Nix prints
        ("stalled-download-timeout", 3, 3),
        ("stalled-download-timeout", 0, nixconf.STALLED_SECONDS),
        ("download-attempts", 1, 1),
        ("download-attempts", 0, 0),
        ("download-attempts", 5, nixconf.ATTEMPTS),
        ("narinfo-cache-negative-ttl", 0, 0),
        ("narinfo-cache-negative-ttl", 3600, nixconf.NEGATIVE_SECONDS),
    ],
)
def test_a_bound_of_the_users_own_stays_where_it_is_stricter(name, own, written):
    everything = dict.fromkeys(nixconf.UNIVERSAL_SETTINGS)
    found = settings(nixconf.render(TARGET, everything | {name: own}))
    assert found == settings(nixconf.render(TARGET, None)) | {name: str(written)}


def test_only_known_settings_are_written():
    found = settings(nixconf.render(TARGET, {"substituters": [], "connect-timeout": 0}))
    assert set(found) == {"extra-substituters", "connect-timeout"}


def test_a_netrc_is_named_when_given_and_known():
    netrc = Path("/h/netrc")
    assert settings(nixconf.render(TARGET, {"netrc-file": ""}, netrc_file=netrc)) == {
        "netrc-file": "/h/netrc"
    }
    assert "netrc-file" not in settings(nixconf.render(TARGET, {"substituters": []}, netrc_file=netrc))


def test_without_keys_none_are_added():
    assert "keys" not in " ".join(settings(nixconf.render(SubstituterTarget(TARGET.endpoint), None)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://nix-cache.example/main/", "https://nix-cache.example/main"),
        ("https://nix-cache.example:8443/main", "https://nix-cache.example:8443/main"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8080/main", "http://[::1]:8080/main"),
    ],
)
def test_a_url_is_written_as_an_administrator_writes_it(text, expected):
    """A daemon compares it with its list as text: facts measured with Nix 2.8.0."""
    assert nixconf.substituter_url(parse_endpoint(text)) == expected


def test_emptied_it_sets_nothing_and_says_why():
    assert settings(nixconf.emptied()) == {}
    assert "fatal" in nixconf.emptied()


OBSTACLES = ["a b", "a\tb", "a\nb", "a#b", "a'b", 'a"b', "a`b", "a$b", "a\\b", "a\udcffb"]


@pytest.mark.parametrize("name", OBSTACLES)
def test_a_path_that_nix_cannot_include_is_refused_with_what_to_do(name):
    with pytest.raises(UsageError) as caught:
        nixconf.check_includable(Path(f"/w/{name}/nix.conf"))
    assert "XDG_STATE_HOME" in " ".join(caught.value.hints)


def test_a_relative_path_is_refused():
    with pytest.raises(UsageError, match="absolute"):
        nixconf.include_line(Path("nix.conf"))


def test_a_workspace_that_nix_cannot_include_from_has_its_fragment_in_the_state_directory(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    plain, spaced = (Home(Path(root) / ".gfattach", Path(root)) for root in ("/w/é", "/w/a b"))
    assert nixconf.fragment_path(plain) == Path("/w/é/.gfattach/nix.conf")
    assert nixconf.fragment_path(spaced) == Path(f"/state/gfattach/nix/{spaced.key}.conf")
    monkeypatch.setenv("XDG_STATE_HOME", "/my state")
    with pytest.raises(UsageError):
        nixconf.fragment_path(spaced)


@pytest.mark.parametrize("shell", [["/bin/sh"], ["/bin/bash", "--norc", "-i"]])
@pytest.mark.parametrize("existing", [None, "cores = 2\nmax-jobs = 1"])
def test_the_line_for_a_shell_does_the_same(shell, existing):
    """Typed into an interactive bash too, where `!` between double quotes calls up history."""
    line = nixconf.activation(Path("/h/nix.conf"))
    assert "\n" not in line
    before = "" if existing is None else f"NIX_CONFIG={shlex.quote(existing)}\n"
    script = f"{before}{line}\n{shlex.quote('/usr/bin/env')} | sed -n '/^NIX_CONFIG=/,$p'\n"
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "HISTFILE": "/dev/null"}
    shown = subprocess.run(
        shell,
        input=script,
        capture_output=True,
        text=True,
        env=environment,
        timeout=20,
        start_new_session=True,
    )
    expected = [*([] if existing is None else ["cores = 2", "max-jobs = 1"]), "!include /h/nix.conf"]
    found = [text for text in shown.stdout.removeprefix("NIX_CONFIG=").splitlines() if text]
    assert found[: len(expected)] == expected, shown.stderr
