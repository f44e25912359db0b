"""The log of Nix's activities: logs that real Nixes wrote (2.8.0 and 2.26.3), and lines that none did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gfattach.nix.activity import ACTIVITY_LIMIT, MESSAGE_LIMIT, TEXT_LIMIT, ActivityLog, ActivityType

DATA = Path(__file__).parent / "data" / "nix"
PROBE = "/nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1"
SIGNED = "/nix/store/zyk6r3na7fmwmy1ih2y17hkxh7d82hh6-gfattach-test-signed-v1"
VERSIONS = ("2.8.0", "2.26.3")


def fed(name: str) -> ActivityLog:
    """The log in the file `name`, its lines arriving one a second from 100 on."""
    log = ActivityLog()
    for number, line in enumerate((DATA / name).read_text().splitlines()):
        log.feed(line, 100.0 + number)
    return log


def line(**entry: object) -> str:
    return f"@nix {json.dumps(entry)}"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hit_names_each_path_with_the_cache_that_served_it(version):
    log = fed(f"hit-{version}.log")
    substitutions = log.of(ActivityType.SUBSTITUTE)
    assert {a.field(0) for a in substitutions} == {PROBE, SIGNED}
    [uri] = {a.field(1) for a in substitutions}
    assert uri.startswith("http://127.0.0.1:")
    assert log.of(ActivityType.BUILD) == []
    assert log.dropped == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_activities_are_stamped_when_their_lines_arrive(version):
    log = fed(f"hit-{version}.log")
    lines = (DATA / f"hit-{version}.log").read_text().splitlines()
    assert log.first == 100.0
    for activity in log.of(ActivityType.SUBSTITUTE):
        begun = next(n for n, text in enumerate(lines) if '"type":108' in text and activity.field(0) in text)
        assert activity.started == 100.0 + begun
        number = json.loads(lines[begun].removeprefix("@nix "))["id"]
        ended = next(
            n for n, text in enumerate(lines) if '"stop"' in text and f'"id":{number}}}' in text and n > begun
        )
        assert activity.stopped == 100.0 + ended


@pytest.mark.parametrize("version", VERSIONS)
def test_transfers_tell_their_bytes(version):
    log = fed(f"hit-{version}.log")
    received = {a.field(0).rpartition("/")[2]: a.bytes for a in log.of(ActivityType.TRANSFER)}
    assert received.pop("nix-cache-info") == len("StoreDir: /nix/store\n")
    narinfos = {name for name in received if name.endswith(".narinfo")}
    assert {f"{name.partition('.')[0]}" for name in narinfos} == {PROBE[11:43], SIGNED[11:43]}
    assert all(amount > 100 for amount in received.values())
    assert len(received) == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_a_path_without_a_trusted_signature_is_complained_of_and_not_substituted(version):
    log = fed(f"wrong-key-{version}.log")
    assert [a.field(0) for a in log.of(ActivityType.SUBSTITUTE)] == [PROBE]
    assert any("not signed by any of the keys" in text and SIGNED in text for text in log.complaints())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_login_page_is_complained_of(version):
    log = fed(f"login-page-{version}.log")
    assert log.of(ActivityType.SUBSTITUTE) == []
    assert any("is corrupt" in text for text in log.complaints())


def test_a_build_is_an_activity_and_progress_of_the_same_number_is_none():
    log = fed("build-2.8.0.log")
    [build] = log.of(ActivityType.BUILD)
    assert build.field(0).endswith("-gfattach-test-signed-v1.drv")
    progress = (DATA / "build-2.8.0.log").read_text().count('"type":105')
    assert progress > 1


def test_complaints_have_no_colours():
    assert not any("\x1b" in text for text in fed("wrong-key-2.8.0.log").complaints())


def test_plain_text_is_kept_as_a_complaint_because_a_crash_says_so_in_it():
    log = ActivityLog()
    log.feed("nix-store: src/thing.cc:12: Assertion `x' failed.", 1.0)
    assert log.complaints() == ["nix-store: src/thing.cc:12: Assertion `x' failed."]


@pytest.mark.parametrize(
    "rubbish",
    [
        "",
        "@nix",
        "@nix ",
        "@nix {",
        "@nix []",
        "@nix null",
        "@nix 7",
        "@nix {}",
        '@nix {"action":"start"}',
        '@nix {"action":"start","id":1}',
        '@nix {"action":"start","id":1,"type":[]}',
        '@nix {"action":"start","id":1,"type":9999,"fields":[]}',
        '@nix {"action":"start","id":[],"type":108,"fields":[]}',
        '@nix {"action":"stop","id":[]}',
        '@nix {"action":"stop","id":77}',
        '@nix {"action":"stop"}',
        '@nix {"action":"result","id":77,"type":105,"fields":[1]}',
        '@nix {"action":"result","id":{},"type":105,"fields":{}}',
        '@nix {"action":["start"],"id":1,"type":108}',
        '@nix {"action":"msg"}',
        '@nix {"action":"msg","level":"0","msg":{}}',
        "@nix " + "[" * 100_000,
        '@nix {"id":' + "9" * 10_000 + "}",
        "\x00\x1b[31m\ufffd",
    ],
)
def test_lines_that_no_nix_writes_change_nothing(rubbish):
    log = ActivityLog()
    log.feed(rubbish, 1.0)
    assert all(log.of(kind) == [] for kind in ActivityType)


def test_fields_that_are_missing_are_empty():
    log = ActivityLog()
    log.feed(line(action="start", id=1, type=108), 1.0)
    log.feed(line(action="start", id=2, type=108, fields=[7, None]), 1.0)
    assert [(a.field(0), a.field(1)) for a in log.of(ActivityType.SUBSTITUTE)] == [("", ""), ("7", "None")]


def test_progress_never_goes_back():
    log = ActivityLog()
    log.feed(line(action="start", id=1, type=101, fields=["http://h/nar/x"]), 1.0)
    for done in (10, 30, 20, "x", None):
        log.feed(line(action="result", id=1, type=105, fields=[done, 30, 0, 0]), 2.0)
    [transfer] = log.of(ActivityType.TRANSFER)
    assert (transfer.bytes, transfer.stopped) == (30, None)


def test_what_is_kept_is_bounded():
    log = ActivityLog()
    for number in range(ACTIVITY_LIMIT + 5):
        log.feed(f'@nix {{"action":"start","id":{number},"type":109,"fields":[]}}', 1.0)
    for _ in range(MESSAGE_LIMIT + 3):
        log.feed(line(action="msg", level=0, msg="x" * (2 * TEXT_LIMIT)), 1.0)
    assert len(log.of(ActivityType.QUERY)) == ACTIVITY_LIMIT
    assert len(log.messages) == MESSAGE_LIMIT
    assert len(log.messages[0].text) == TEXT_LIMIT
    assert log.dropped == 5


def test_starts_are_told_of():
    told = []
    log = ActivityLog(on_start=told.append)
    log.feed(line(action="start", id=1, type=108, fields=[PROBE, "http://h"]), 1.0)
    log.feed(line(action="start", id=2, type=102, fields=[]), 1.0)
    assert [activity.field(0) for activity in told] == [PROBE]
