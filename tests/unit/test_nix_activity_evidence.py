"""What a log of Nix's proves: hits, their moment, and what voids them."""

from __future__ import annotations

import json
import re

import pytest

from gfattach.core.errors import ExitCode, NixError, UnprovedError
from gfattach.nix.activity import ActivityLog
from gfattach.nix.narinfo_cache import Entry
from gfattach.proof.evidence import Client, PhaseName
from gfattach.proof.nix.evidence import NOTHING_TO_HIT, phase_of
from gfattach.proof.nix.realisation import Realisation
from gfattach.proof.verdict import Verdict, judge
from tests.unit.test_nix_activity import DATA, PROBE, SIGNED, VERSIONS

STARTED = 99.0


def uri_of(text: str) -> str:
    return re.search(r"http://127\.0\.0\.1:\d+", text)[0]


def entry(uri: str, present: bool = True, content_addressed: bool = False) -> Entry:
    return Entry(uri, present, 0, ("gfattach-test-1:x",) if present else (), content_addressed)


def realisation(text: str, **changes) -> Realisation:
    """The realisation that wrote `text`, of two paths that were offered; its lines arrive one a second."""
    log = ActivityLog()
    for number, line in enumerate(text.splitlines()):
        log.feed(line, 100.0 + number)
    uri = changes.pop("uri", None) or uri_of(text)
    offered = {PROBE: entry(uri, content_addressed=True), SIGNED: entry(uri)}
    fields = {
        "name": PhaseName.HIT,
        "uri": uri,
        "paths": (PROBE, SIGNED),
        "spare": PROBE,
        "keys": frozenset({"gfattach-test-1"}),
        "started": STARTED,
        "seconds": 200.0,
        "exit_code": 0,
        "log": log,
        "valid": frozenset({PROBE, SIGNED}),
        "offered": offered,
    }
    return Realisation(**{**fields, **changes})


def recorded(name: str) -> str:
    return (DATA / name).read_text()


def line(**fields) -> str:
    return f"@nix {json.dumps(fields)}\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_two_paths_from_the_one_cache_are_two_hits_and_prove_the_key(version):
    phase = phase_of(realisation(recorded(f"hit-{version}.log")))
    assert (phase.client, phase.name, phase.asked, phase.hits, phase.local) == (
        Client.NIX,
        PhaseName.HIT,
        2,
        2,
        0,
    )
    assert phase.violations == ()
    assert phase.rpcs == {"GET nix-cache-info": 1, "GET narinfo": 2, "GET nar": 2}
    assert phase.detail["key_proved"] is True
    assert phase.detail["paths"] == {PROBE: "hit", SIGNED: "hit"}
    assert phase.detail["bytes"] > 300
    assert phase.detail["stages"]["start"] == 1.0
    assert set(phase.detail["stages"]) == {"start", "info", "narinfo", "nar"}
    assert judge(Client.NIX, [phase]).verdict is Verdict.PROVED


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_hit_is_the_end_of_the_first_substitution_and_not_its_begin(version):
    text = recorded(f"hit-{version}.log")
    done = realisation(text)
    phase = phase_of(done)
    assert phase.first_hit == min(a.stopped for a in done.substitutions())  # type: ignore[type-var]
    assert all(phase.first_hit > a.stopped for a in done.log.of(101) if "/nar/" not in a.field(0))  # type: ignore[arg-type]


def test_a_substitution_that_stopped_without_success_is_no_hit():
    with pytest.raises(UnprovedError) as caught:
        phase_of(realisation(recorded("hit-2.8.0.log"), exit_code=1, valid=frozenset()))
    assert caught.value.code == "nix.nar"


def test_what_became_valid_counts_though_another_path_failed():
    phase = phase_of(realisation(recorded("hit-2.8.0.log"), exit_code=1, valid=frozenset({SIGNED})))
    assert (phase.hits, phase.asked) == (1, 2)
    assert phase.detail["paths"] == {PROBE: "failed", SIGNED: "hit"}
    assert judge(Client.NIX, [phase]).verdict is Verdict.UNPROVED


def test_a_content_addressed_path_alone_does_not_prove_the_key():
    done = realisation(recorded("hit-2.8.0.log"), paths=(PROBE,), valid=frozenset({PROBE}))
    phase = phase_of(done)
    assert phase.hits == 1
    assert phase.detail["key_proved"] is False
    assert "content-addressed" in phase.detail["key_reason"]


def test_a_key_is_not_proved_by_answers_that_could_not_be_read():
    phase = phase_of(realisation(recorded("hit-2.8.0.log"), offered={PROBE: None, SIGNED: None}))
    assert (phase.hits, phase.detail["key_proved"]) == (2, False)


def test_a_key_that_was_not_trusted_is_not_proved():
    phase = phase_of(realisation(recorded("hit-2.8.0.log"), keys=frozenset({"another-1"})))
    assert phase.detail["key_proved"] is False


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_key_lets_the_content_addressed_path_through_and_names_the_other(version):
    done = realisation(recorded(f"wrong-key-{version}.log"), exit_code=1, valid=frozenset({PROBE}))
    phase = phase_of(done)
    assert phase.detail["paths"] == {PROBE: "hit", SIGNED: "not-signed"}
    assert phase.detail["key_proved"] is False
    assert any("not signed by" in text for text in phase.detail["said"])
    assert judge(Client.NIX, [phase]).verdict is Verdict.UNPROVED


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_key_and_nothing_else_is_an_error_that_says_so(version):
    done = realisation(recorded(f"wrong-key-{version}.log"), paths=(SIGNED,), exit_code=1, valid=frozenset())
    with pytest.raises(UnprovedError) as caught:
        phase_of(done)
    assert (caught.value.code, caught.value.exit_code) == ("nix.signature", ExitCode.UNPROVED)
    assert SIGNED in caught.value.fact


@pytest.mark.parametrize("version", VERSIONS)
def test_a_login_page_is_an_error_that_says_so(version):
    done = realisation(
        recorded(f"login-page-{version}.log"), paths=(PROBE,), exit_code=1, valid=frozenset(), offered={}
    )
    with pytest.raises(UnprovedError) as caught:
        phase_of(done)
    assert caught.value.code == "nix.corrupt"
    assert any("login page" in hint for hint in caught.value.hints)


@pytest.mark.parametrize("shared", ["", "1", "\nresponse body:\n<html>x</html>"])
def test_a_refusal_is_unreachable_and_the_page_that_came_with_it_is_left_out(shared):
    text = line(
        action="msg", level=1, msg=f"\x1b[35;1mwarning:\x1b[0m unable to download 'http://h': error{shared}"
    )
    done = realisation(text, uri="http://h", exit_code=1, valid=frozenset(), offered={})
    with pytest.raises(UnprovedError) as caught:
        phase_of(done)
    assert caught.value.code == "nix.unreachable"
    assert "unable to download 'http://h'" in caught.value.fact
    assert "html" not in caught.value.fact and "warning" not in caught.value.fact


def test_a_local_build_voids_the_leg():
    build = recorded("build-2.8.0.log").replace('"id":27878632', '"id":99878632')
    phase = phase_of(realisation(recorded("hit-2.8.0.log") + build))
    assert phase.local == 1
    assert phase.violations[0].startswith("Nix built /nix/store/")
    assert judge(Client.NIX, [phase]).verdict is Verdict.VOID


@pytest.mark.parametrize(
    "elsewhere",
    ["https://cache.nixos.org", "http://127.0.0.1:1", "http://127.0.0.1:1/other", "daemon", "", "local"],
)
def test_a_path_from_another_cache_voids_the_leg(elsewhere):
    text = recorded("hit-2.8.0.log")
    phase = phase_of(realisation(text.replace(uri_of(text), elsewhere), uri="http://127.0.0.1:1/main"))
    assert phase.hits == 0
    assert len(phase.violations) == 2
    assert "came from" in phase.violations[0]


def test_a_substituter_that_is_trusted_without_signatures_voids_the_leg():
    text = recorded("hit-2.8.0.log")
    uri = uri_of(text)
    phase = phase_of(realisation(text.replace(f'"{uri}"', f'"{uri}?trusted=1"'), uri=uri))
    assert phase.hits == 0
    assert all("without a signature" in violation for violation in phase.violations)
    assert judge(Client.NIX, [phase]).verdict is Verdict.VOID


def test_a_path_that_was_there_without_a_substitution_voids_the_leg():
    text = "\n".join(line for line in recorded("hit-2.8.0.log").splitlines() if '"type":108' not in line)
    phase = phase_of(realisation(text))
    assert phase.hits == 0
    assert f"{PROBE} was in the store without a substitution" in phase.violations


@pytest.mark.parametrize("spelling", ["http://LOCALHOST:80/main/", "http://localhost/main"])
def test_the_same_cache_in_another_spelling_is_the_same_cache(spelling):
    text = recorded("hit-2.8.0.log")
    phase = phase_of(realisation(text.replace(uri_of(text), spelling), uri="http://localhost/main"))
    assert (phase.hits, phase.violations) == (2, ())


def test_a_cache_that_has_none_of_them_makes_a_leg_without_hits_and_no_proof():
    missing = {path: entry("http://h", present=False) for path in (PROBE, SIGNED)}
    text = line(action="msg", level=0, msg="error: build of '/nix/store/x' failed")
    done = realisation(text, uri="http://h", exit_code=1, valid=frozenset(), offered=missing)
    phase = phase_of(done)
    assert (phase.asked, phase.hits, phase.first_hit, phase.violations) == (2, 0, None, ())
    assert phase.detail["nothing_to_hit"] is True
    assert phase.detail["reason"] == NOTHING_TO_HIT
    assert phase.detail["key_proved"] is False
    assert judge(Client.NIX, [phase]).verdict is Verdict.NOTHING_TO_HIT


def test_an_operator_need_not_publish_the_probe_path_beside_a_signed_one():
    text = "\n".join(line for line in recorded("hit-2.8.0.log").splitlines() if PROBE not in line)
    offered = {PROBE: entry("u", present=False), SIGNED: entry("u")}
    phase = phase_of(realisation(text, exit_code=1, valid=frozenset({SIGNED}), offered=offered))
    assert (phase.asked, phase.hits) == (1, 1)
    assert phase.detail["paths"] == {PROBE: "not-published", SIGNED: "hit"}
    assert judge(Client.NIX, [phase]).verdict is Verdict.PROVED


def test_a_signed_path_that_is_not_published_is_missed():
    text = "\n".join(line for line in recorded("hit-2.8.0.log").splitlines() if SIGNED not in line)
    offered = {PROBE: entry("u", content_addressed=True), SIGNED: entry("u", present=False)}
    phase = phase_of(realisation(text, exit_code=1, valid=frozenset({PROBE}), offered=offered))
    assert (phase.asked, phase.hits) == (2, 1)
    assert judge(Client.NIX, [phase]).verdict is Verdict.UNPROVED


def test_a_control_without_hits_is_a_leg():
    done = realisation("", uri="http://h", name=PhaseName.CONTROL, exit_code=1, valid=frozenset(), offered={})
    phase = phase_of(done)
    assert (phase.name, phase.asked, phase.hits, phase.violations) == (PhaseName.CONTROL, 2, 0, ())


def test_a_control_that_got_something_shows_it():
    phase = phase_of(realisation(recorded("hit-2.8.0.log"), name=PhaseName.CONTROL))
    assert phase.hits == 2
    proved = phase_of(realisation(recorded("hit-2.8.0.log")))
    assert judge(Client.NIX, [proved, phase]).verdict is Verdict.VOID


@pytest.mark.parametrize("name", [PhaseName.HIT, PhaseName.CONTROL])
def test_a_nix_that_was_ended_proves_nothing_either_way(name):
    crash = "nix-store: goal.cc:12: Assertion failed.\n"
    with pytest.raises(NixError) as crashed:
        phase_of(realisation(crash, uri="http://h", name=name, exit_code=-6, valid=frozenset(), offered={}))
    assert crashed.value.code == "nix.crashed"
    assert "signal 6" in crashed.value.fact
    assert "Assertion failed" in crashed.value.hints[0]
    with pytest.raises(UnprovedError) as late:
        phase_of(realisation("", uri="http://h", name=name, exit_code=None, valid=frozenset(), offered={}))
    assert late.value.code == "nix.late"


def test_that_a_result_is_no_root_is_no_complaint():
    text = recorded("hit-2.8.0.log")
    assert "--add-root" in text
    assert phase_of(realisation(text)).detail["said"] == []


def test_a_leg_is_recorded_as_json():
    phase = phase_of(realisation(recorded("hit-2.26.3.log")))
    document = json.loads(json.dumps(phase.record(STARTED)))
    assert document["client"] == "nix"
    assert document["to_first_hit"] == phase.first_hit - STARTED


def test_activities_that_were_not_kept_void_the_proof(monkeypatch):
    """Any of them may have been a build."""
    done = realisation(recorded("hit-2.8.0.log"))
    assert phase_of(done).violations == ()
    monkeypatch.setattr("gfattach.nix.activity.ACTIVITY_LIMIT", 1)
    done.log.feed(line(action="start", id=10**6, type=105, fields=["/nix/store/x.drv"]), 300.0)
    phase = phase_of(done)
    assert phase.local == 0 and any("were not looked at" in said for said in phase.violations)
    assert judge(Client.NIX, [phase]).verdict is Verdict.VOID
