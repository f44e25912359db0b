"""Nix as a program: found where it is, taken for what it says, and told apart from what is broken."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.errors import ExitCode, NixError, ProgramMissingError
from gfattach.core.process import ProcessId
from gfattach.nix.config import read_settings
from gfattach.nix.program import Flavour, Nix, identify, locate, nix_store, unconfigured
from tests.harness.machine.fake_nix import fake_nix, script

SECONDS = 10.0


def soon() -> Deadline:
    return Deadline.after(SECONDS)


def test_the_nix_on_path_is_found(tmp_path):
    nix = fake_nix(tmp_path, "exit 1")
    assert locate(None, {"PATH": str(tmp_path)}) == nix.path


def test_no_nix_on_path_is_no_error(tmp_path):
    assert locate(None, {"PATH": str(tmp_path)}) is None


@pytest.mark.parametrize("name", ["nix-2.31", "{}/nix-2.31"])
def test_a_nix_that_was_asked_for_by_name_has_to_be_there(tmp_path, name):
    with pytest.raises(ProgramMissingError) as caught:
        locate(name.format(tmp_path), {"PATH": str(tmp_path)})
    assert caught.value.exit_code is ExitCode.MISSING
    assert "nix-2.31" in caught.value.fact
    assert any("apt-get install nix-bin" in hint for hint in caught.value.hints)


def test_a_file_that_cannot_be_run_is_not_there(tmp_path):
    (tmp_path / "nix").write_text("")
    with pytest.raises(ProgramMissingError):
        locate(str(tmp_path / "nix"), {"PATH": ""})


@pytest.mark.parametrize(
    ("banner", "flavour", "version", "release"),
    [
        ("nix (Nix) 2.8.0", Flavour.NIX, "2.8.0", ""),
        ("nix (Nix) 2.26.3", Flavour.NIX, "2.26.3", ""),
        ("nix (Nix) 2.4pre20210908_3c56f62", Flavour.NIX, "2.4pre20210908_3c56f62", ""),
        ("nix (Lix, like Nix) 2.91.1", Flavour.LIX, "2.91.1", ""),
        ("nix (Lix, like Nix) 2.94.0-dev-pre20250701 (A Name)", Flavour.LIX, "2.94.0-dev-pre20250701", ""),
        ("nix (Determinate Nix 3.6.2) 2.29.0", Flavour.DETERMINATE, "2.29.0", "3.6.2"),
        ("warning: the group 'nixbld' does not exist\nnix (Nix) 2.18.1\n", Flavour.NIX, "2.18.1", ""),
    ],
)
def test_it_is_what_it_says_it_is(tmp_path, banner, flavour, version, release):
    path = script(tmp_path / "nix", f"cat <<'END'\n{banner}\nEND")
    assert identify(path, soon(), dict(os.environ)) == Nix(path, version, flavour, release)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("kill -SEGV $$", "nix.crashed", "signal 11"),
        ("echo 'cannot open shared object' >&2; exit 127", "nix.crashed", "exited with 127"),
        ("echo hello", "nix.rubbish", "does not answer as a Nix does"),
        ("exit 0", "nix.rubbish", "does not answer as a Nix does"),
        ("head -c 5000000 /dev/zero", "nix.rubbish", "does not answer as a Nix does"),
        ("echo 'bazel 8.0.0'", "nix.rubbish", "does not answer as a Nix does"),
    ],
)
def test_what_is_broken_is_told_apart(tmp_path, body, code, words):
    path = script(tmp_path / "nix", body)
    with pytest.raises(NixError) as caught:
        identify(path, soon(), dict(os.environ))
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.USAGE)
    assert words in caught.value.fact
    assert caught.value.hints


def test_what_it_said_is_passed_on(tmp_path):
    path = script(tmp_path / "nix", "echo 'libnixstore.so: no such file' >&2; exit 127")
    with pytest.raises(NixError) as caught:
        identify(path, soon(), dict(os.environ))
    assert "libnixstore.so" in caught.value.hints[0]


def test_a_nix_that_hangs_is_ended_at_the_deadline_with_all_that_it_started(tmp_path):
    path = script(tmp_path / "nix", f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(NixError) as caught:
        identify(path, Deadline.after(2.0), dict(os.environ))
    assert caught.value.code == "nix.hung"
    child = int((tmp_path / "child").read_text())
    waited = Deadline.after(SECONDS)
    while ProcessId.of(child) is not None and not waited.expired:
        time.sleep(0.02)
    assert ProcessId.of(child) is None


def test_a_file_that_is_no_program_is_unusable(tmp_path):
    path = tmp_path / "nix"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(NixError) as caught:
        identify(path, soon(), dict(os.environ))
    assert caught.value.code == "nix.unusable"


def test_a_broken_configuration_is_not_held_against_the_program(tmp_path):
    reads_nothing = '[ "$NIX_CONFIG$NIX_USER_CONF_FILES" = /nonexistent/nix/nix.conf ]'
    body = f'if {reads_nothing}; then echo "nix (Nix) 2.8.0"; fi'
    path = script(tmp_path / "nix", body)
    environ = {**os.environ, "NIX_CONFIG": "garbage", "NIX_USER_CONF_FILES": "garbage.conf"}
    assert identify(path, soon(), environ).version == "2.8.0"


def test_nix_store_is_the_one_beside_it_also_behind_a_link(tmp_path):
    nix = fake_nix(tmp_path / "store", "exit 1")
    store = script(tmp_path / "store" / "nix-store", "exit 0")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "nix"
    link.symlink_to(nix.path)
    assert nix_store(nix) == store
    assert nix_store(Nix(link, "2.8.0")) == store


def test_a_nix_without_nix_store_is_said(tmp_path):
    with pytest.raises(ProgramMissingError, match="no nix-store beside"):
        nix_store(fake_nix(tmp_path, "exit 1"))


def test_a_nix_survives_being_written_down():
    nix = Nix(Path("/opt/nix/bin/nix"), "2.29.0", Flavour.DETERMINATE, "3.6.2")
    assert Nix.from_json(nix.as_json()) == nix
    assert nix.label == "Determinate Nix 3.6.2, as Nix 2.29.0"


SETTINGS = '{"substituters": {"value": ["https://a", "https://b"]}, "connect-timeout": {"value": 5}}'


@pytest.mark.parametrize(
    ("version", "command"),
    [
        ("2.8.0", "show-config"),
        ("2.19.2", "show-config"),
        ("2.20.0", "config show"),
        ("2.91.0", "config show"),
    ],
)
def test_settings_are_asked_for_as_the_version_has_it(tmp_path, version, command):
    body = (
        f'case "$*" in "{command} "*) echo \'{SETTINGS}\';; *) echo wrong >> {tmp_path}/tried; exit 1;; esac'
    )
    settings = read_settings(fake_nix(tmp_path, body, version), soon(), dict(os.environ))
    assert settings.words("substituters") == ("https://a", "https://b")
    assert settings.setting("connect-timeout") == 5
    assert settings.known == {"substituters", "connect-timeout"}
    assert not (tmp_path / "tried").exists()


@pytest.mark.parametrize(("version", "command"), [("2.8.0", "config show"), ("2.91.0", "show-config")])
def test_a_nix_that_has_only_the_other_command_is_asked_by_that(tmp_path, version, command):
    unknown = "error: 'it' is not a recognised command"
    body = f'case "$*" in "{command} "*) echo \'{SETTINGS}\';; *) echo "{unknown}" >&2; exit 1;; esac'
    assert (
        read_settings(fake_nix(tmp_path, body, version), soon(), dict(os.environ)).setting("connect-timeout")
        == 5
    )


def test_warnings_beside_the_settings_do_no_harm(tmp_path):
    nix = fake_nix(tmp_path, f"echo 'warning: unknown setting' >&2; echo '{SETTINGS}'")
    assert read_settings(nix, soon(), dict(os.environ)).setting("connect-timeout") == 5


def test_a_configuration_that_nix_cannot_read_is_said_in_its_words(tmp_path):
    words = "error: syntax error in configuration line 'garbage' in 'NIX_CONFIG'"
    nix = fake_nix(tmp_path, f'echo "{words}" >&2; echo "Try nix --help" >&2; exit 1')
    with pytest.raises(NixError) as caught:
        read_settings(nix, soon(), dict(os.environ))
    assert caught.value.code == "nix.configuration"
    assert "syntax error in configuration line 'garbage'" in caught.value.fact
    assert "Try" not in caught.value.fact


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", "{", '{"substituters": 7}', '{"substituters": {}}', "null"]
)
def test_settings_that_are_none_are_rubbish(tmp_path, text):
    with pytest.raises(NixError) as caught:
        read_settings(fake_nix(tmp_path, f"echo '{text}'"), soon(), dict(os.environ))
    assert caught.value.code == "nix.rubbish"


@pytest.mark.parametrize(("body", "code"), [("sleep 600", "nix.hung"), ("kill -ABRT $$", "nix.crashed")])
def test_a_nix_that_does_not_show_its_settings_is_told_apart(tmp_path, body, code):
    with pytest.raises(NixError) as caught:
        read_settings(
            fake_nix(tmp_path, body), Deadline.after(0.5 if code == "nix.hung" else SECONDS), dict(os.environ)
        )
    assert caught.value.code == code


def test_a_nix_that_is_to_read_nothing_is_pointed_nowhere():
    environ = unconfigured({"PATH": "/bin", "NIX_CONFIG": "x", "NIX_CONF_DIR": "/etc/nix", "HOME": "/h"})
    assert environ["PATH"] == "/bin"
    assert "NIX_CONFIG" not in environ
    assert not Path(environ["NIX_CONF_DIR"]).exists()
    assert not Path(environ["NIX_USER_CONF_FILES"]).exists()
