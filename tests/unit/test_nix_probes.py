"""The probes of Nix, from a Nix that is as the test says: the program, its start, and all of them at once.

The real one is asked elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.finding import Probe, Status
from gfattach.probes.nix.stage import STAGE, NixSubject
from tests.harness.machine.fake_nix import VERSION, fake_nix, script, showing
from tests.harness.machine.nix_home import SETTINGS, TARGET, URL, hurried, machine

__all__ = ["machine"]


def test_a_nix_that_has_nothing_against_it_passes_every_probe(machine):
    found = machine.ask()
    assert {name: finding.status for name, finding in found.items() if finding.status is not Status.OK} == {}
    assert list(found) == [probe.name for probe in STAGE.probes]


def test_every_warning_and_failure_says_why_and_what_to_do(machine):
    """Over the findings of all sorts of broken machines at once."""
    netrc = machine.root / "netrc"
    netrc.write_text("machine 127.0.0.1:8123 login u password p\n")
    broken = [
        machine.ask(substituters=[], connect_timeout=0, netrc_file=str(netrc)),
        machine.ask(store="ssh-ng://elsewhere", substitute=False, stalled_download_timeout=300),
        machine.ask(store="unix:///nonexistent/socket", require_sigs=False),
        machine.ask(replace(TARGET, endpoint=parse_endpoint("https://h"), ca_file=Path("/nonexistent/ca"))),
        machine.probe(NixSubject(program="no-such-nix", target=TARGET, environ={})),
    ]
    findings = [f for found in broken for f in found.values() if f.status in (Status.WARN, Status.FAIL)]
    assert len({finding.code for finding in findings}) >= 9
    for finding in findings:
        assert finding.why and finding.hints, finding
        for text in (finding.seen, finding.why, *finding.hints):
            assert not text.endswith(".") and "\n" not in text, finding
            assert "trusted-users" not in text


@pytest.mark.parametrize("probe", STAGE.probes, ids=lambda probe: probe.name)
def test_codes_are_named_after_their_probe(probe: Probe):
    assert probe.name.startswith("nix.")
    assert all(code.startswith(f"{probe.name}.") for code in probe.codes)
    assert set(probe.needs) <= {other.name for other in STAGE.probes}


# nix.program


def test_a_missing_nix_is_skipped_with_what_installs_it(machine, tmp_path):
    found = machine.probe(NixSubject(program=None, target=TARGET, environ={"PATH": str(tmp_path)}))
    assert (found["nix.program"].code, found["nix.program"].status) == ("nix.program.missing", Status.SKIP)
    assert any("apt-get install nix-bin" in hint for hint in found["nix.program"].hints)
    assert {finding.status for finding in found.values()} == {Status.SKIP}


def test_a_nix_that_was_named_and_is_missing_fails(machine):
    finding = machine.probe(NixSubject(program="/nonexistent/nix", target=TARGET, environ={}))["nix.program"]
    assert (finding.code, finding.status) == ("nix.program.named", Status.FAIL)


def test_a_nix_that_is_well_is_found_and_starts(machine):
    found = machine.ask()
    assert (found["nix.program"].code, found["nix.starts"].code) == ("nix.program.ok", "nix.starts.ok")
    assert found["nix.program"].data["version"] == VERSION


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("kill -SEGV $$", "nix.program.crashed"),
        ("exit 3", "nix.program.crashed"),
        ("echo bazel 8", "nix.program.rubbish"),
    ],
)
def test_a_nix_that_is_broken_fails_by_kind(machine, tmp_path, body, code):
    path = script(tmp_path / "nix", body)
    found = machine.probe(NixSubject(program=str(path), target=TARGET, environ={}))
    assert (found["nix.program"].code, found["nix.program"].status) == (code, Status.FAIL)
    assert {found[name].status for name in found if name != "nix.program"} == {Status.SKIP}


def test_a_nix_that_cannot_be_started_fails(machine, tmp_path):
    path = tmp_path / "nix"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    assert (
        machine.probe(NixSubject(program=str(path), target=TARGET, environ={}))["nix.program"].code
        == "nix.program.unusable"
    )


def test_a_nix_that_hangs_fails_within_the_time_of_the_probe(machine, tmp_path):
    """The probe itself has its say: it is not the engine that gives it up."""
    path = script(tmp_path / "nix", "exec sleep 600")
    finding = machine.probe(NixSubject(program=str(path), target=TARGET, environ={}), hurried("nix.program"))[
        "nix.program"
    ]
    assert (finding.code, finding.status) == ("nix.program.hung", Status.FAIL)


# nix.starts


def test_the_settings_are_read_with_the_fragment_and_without(machine, tmp_path):
    """Before there is a fragment, with what it will say; afterwards, with that where the fragment is read."""
    log = tmp_path / "seen"
    nix = showing(tmp_path / "bin", SETTINGS)
    nix.path.write_text(
        nix.path.read_text().replace("#!/bin/sh", f'#!/bin/sh\necho "$*:$NIX_CONFIG:" >> {log}')
    )
    machine.probe(NixSubject(program=str(nix.path), target=TARGET, environ={"NIX_CONFIG": "cores = 1"}))
    plain, attached = log.read_text().split("config show")[1:]
    assert URL not in plain
    assert f"extra-substituters = {URL}" in attached and "cores = 1" in attached
    log.unlink()
    fragment = tmp_path / "fragment.conf"
    config = f"cores = 1\n!include {fragment}\nsubstituters = https://a"
    machine.probe(
        NixSubject(program=str(nix.path), target=TARGET, fragment=fragment, environ={"NIX_CONFIG": config})
    )
    plain, attached = log.read_text().split("config show")[1:]
    assert URL not in plain
    places = [attached.index(text) for text in (f"!include {fragment}", URL, "substituters = https://a")]
    assert places == sorted(places)


def test_what_nix_shows_of_secrets_is_not_kept(machine):
    found = machine.ask(
        substituters=["https://me:hunter2@cache", URL], access_tokens={"github.com": "hunter2"}
    )
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("echo 'error: syntax error in configuration line' >&2; exit 1", "nix.starts.configuration"),
        ("echo '{}x'", "nix.starts.rubbish"),
        ("kill -ABRT $$", "nix.starts.crashed"),
        ("exec sleep 600", "nix.starts.hung"),
    ],
)
def test_a_nix_that_does_not_show_its_settings_fails_by_kind(machine, tmp_path, body, code):
    nix = fake_nix(tmp_path / "bin", body)
    stage = hurried("nix.starts") if "sleep" in body else STAGE
    finding = machine.probe(NixSubject(program=str(nix.path), target=TARGET, environ={}), stage)["nix.starts"]
    assert (finding.code, finding.status) == (code, Status.FAIL)


def test_a_nix_that_is_taken_away_meanwhile_cannot_be_asked(machine, tmp_path):
    path = script(tmp_path / "nix", f'echo "nix (Nix) {VERSION}"; rm -f "$0"')
    finding = machine.probe(NixSubject(program=str(path), target=TARGET, environ={}))["nix.starts"]
    assert (finding.code, finding.status) == ("nix.starts.unusable", Status.FAIL)


def test_a_fragment_that_nix_cannot_read_is_told_apart_from_its_own_configuration(machine, tmp_path):
    nix = showing(tmp_path / "bin", SETTINGS)
    refuse = '#!/bin/sh\ncase "$NIX_CONFIG" in *extra-*) echo "error: no" >&2; exit 1;; esac'
    nix.path.write_text(nix.path.read_text().replace("#!/bin/sh", refuse))
    finding = machine.probe(NixSubject(program=str(nix.path), target=TARGET, environ={}))["nix.starts"]
    assert (finding.code, finding.status) == ("nix.starts.fragment", Status.FAIL)
