"""Probes of Nix: through which store it works, and whether a daemon lets its user bring a cache and a key."""

from __future__ import annotations

import grp
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from gfattach.core.finding import Status
from gfattach.nix import daemon as nix_daemon
from gfattach.nix.daemon import UNLISTED
from gfattach.nix.program import Flavour, Nix
from gfattach.probes.nix import trust as nix_trust
from tests.harness.machine.nix_home import KEY, TARGET, URL, daemon, machine

__all__ = ["daemon", "machine"]

GROUP = grp.getgrgid(os.getegid()).gr_name


# nix.mode and nix.trust


def test_no_store_is_no_fault(machine, tmp_path):
    machine.environ["NIX_STATE_DIR"] = str(tmp_path / "none")
    found = machine.ask(store="auto")
    assert found["nix.mode"].code == "nix.mode.new"
    assert found["nix.trust"].code == "nix.trust.owner"


def test_a_store_on_another_machine_is_warned_of(machine):
    finding = machine.ask(store="ssh-ng://user:secret@builder")["nix.mode"]
    assert (finding.code, finding.status) == ("nix.mode.elsewhere", Status.WARN)
    assert "secret" not in finding.seen


@pytest.mark.parametrize("what", ["nothing", "a file", "a socket that nobody listens to"])
def test_a_daemon_that_is_dead_fails(machine, tmp_path, what):
    path = tmp_path / "s"
    if what == "a file":
        path.write_text("")
    elif what != "nothing":
        with closing(socket.socket(socket.AF_UNIX)) as dead:
            dead.bind(str(path))
    finding = machine.ask(store=f"unix://{path}")["nix.mode"]
    assert (finding.code, finding.status) == ("nix.mode.daemon-dead", Status.FAIL)


def test_a_store_of_somebody_elses_without_a_daemon_fails(machine, tmp_path, monkeypatch):
    """A machine for many users whose daemon was not started: the socket is not there at all."""
    state, may = tmp_path / "state", os.access
    state.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != state and may(path, mode))
    machine.environ["NIX_STATE_DIR"] = str(state)
    finding = machine.ask(store="auto")["nix.mode"]
    assert (finding.code, finding.status) == ("nix.mode.shut", Status.FAIL)
    assert str(tmp_path / "state/daemon-socket/socket") in finding.seen
    assert "nix-daemon" in finding.hints[0]


@pytest.mark.parametrize("allowed", [["*"], [nix_daemon.own_name()], ["someone", "@" + GROUP]])
def test_a_user_whom_the_daemon_lets_in(machine, daemon, allowed):
    found = machine.ask(store=daemon, then=ignoring(), allowed_users=allowed)
    assert found["nix.trust"].code == "nix.trust.ok"


@pytest.mark.parametrize("nixos", [False, True])
def test_a_user_whom_the_daemon_does_not_let_in(machine, daemon, tmp_path, monkeypatch, nixos):
    monkeypatch.setattr(nix_trust, "NIXOS_MARK", tmp_path if nixos else tmp_path / "none")
    finding = machine.ask(store=daemon, then="exit 1", allowed_users=["someone", "@nobodies"])["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.refused", Status.FAIL)
    name = nix_daemon.own_name()
    line = f'nix.settings.allowed-users = [ "{name}" ];' if nixos else f"extra-allowed-users = {name}"
    assert finding.hints[1] == line
    assert not any("trusted-users" in hint for hint in finding.hints)


def test_what_the_daemon_said_is_shown_and_not_that_a_command_is_unknown(machine, daemon):
    unknown = "error: 'info' is not a recognised command"
    then = f'if [ "$2" = ping ]; then echo "error: gone" >&2; else echo "{unknown}" >&2; fi; exit 1'
    finding = machine.ask(store=daemon, then=then)["nix.trust"]
    assert finding.code == "nix.trust.unanswered" and finding.seen.endswith(": gone")


def ignoring(*urls: str) -> str:
    """What a daemon's client prints that ignores `urls`."""
    warnings = "".join(f"warning: ignoring untrusted substituter '{url}'\\n" for url in urls)
    return f'if [ "$1 $2" = "store ping" ]; then printf "{warnings}" >&2; exit 0; fi'


def test_a_trusted_user(machine, daemon):
    found = machine.ask(store=daemon, then=ignoring())
    assert found["nix.mode"].code == "nix.mode.daemon"
    assert found["nix.trust"].code == "nix.trust.ok"


def test_a_user_for_whom_the_administrator_has_listed_all(machine, daemon):
    finding = machine.ask(store=daemon, then=ignoring(UNLISTED))["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.listed", Status.OK)


def test_a_substituter_that_is_not_listed(machine, daemon):
    finding = machine.ask(store=daemon, then=ignoring(URL, UNLISTED), trusted_public_keys=[])["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.untrusted", Status.WARN)
    assert f"extra-trusted-substituters = {URL}" in finding.hints
    assert f"extra-trusted-public-keys = {KEY}" in finding.hints


def test_a_key_that_is_not_listed(machine, daemon):
    other = "other-1:AAAA"
    finding = machine.ask(store=daemon, then=ignoring(UNLISTED), trusted_public_keys=[other])["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.key", Status.WARN)


def test_one_listed_key_of_several_will_do(machine, daemon):
    target = replace(TARGET, public_keys=("next-1:AAAA", KEY))
    assert machine.ask(target, store=daemon, then=ignoring(UNLISTED))["nix.trust"].code == "nix.trust.listed"


def test_a_daemon_that_gives_no_answer_is_warned_of(machine, daemon):
    finding = machine.ask(store=daemon, then="echo 'error: protocol mismatch' >&2; exit 1")["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.unanswered", Status.WARN)
    assert "protocol mismatch" in finding.seen


@pytest.mark.parametrize(
    ("flavour", "custom", "file"),
    [
        (Flavour.NIX, False, "nix.conf"),
        (Flavour.LIX, False, "nix.conf"),
        (Flavour.DETERMINATE, False, "nix.custom.conf"),
        (Flavour.NIX, True, "nix.custom.conf"),
    ],
)
def test_the_administrator_is_told_the_file_that_is_theirs_to_edit(tmp_path, flavour, custom, file):
    if custom:
        (tmp_path / "nix.custom.conf").write_text("")
    nix = Nix(Path("/bin/nix"), "2.31.0", flavour)
    hints = nix_trust.administrator_lines(nix, URL, (KEY,), {"NIX_CONF_DIR": str(tmp_path)})
    assert hints[0].endswith(f"{tmp_path / file}:")
    assert hints[1:3] == (f"extra-trusted-substituters = {URL}", f"extra-trusted-public-keys = {KEY}")


def test_the_administrator_of_a_nixos_is_told_its_options(tmp_path, monkeypatch):
    monkeypatch.setattr(nix_trust, "NIXOS_MARK", tmp_path)
    hints = nix_trust.administrator_lines(Nix(Path("/bin/nix"), "2.31.0"), URL, (KEY,), {})
    assert f'nix.settings.trusted-substituters = [ "{URL}" ];' in hints
    assert f'nix.settings.trusted-public-keys = [ "{KEY}" ];' in hints
    assert "nixos-rebuild switch" in hints[-1]
