"""Process summaries of real proofs, and the formats of execution logs."""

import io
import json
from pathlib import Path

import pytest

from gfattach.bazel.logs.execution_log.compact_log import read_compact_log
from gfattach.bazel.logs.execution_log.json_log import read_json_log
from gfattach.bazel.logs.execution_log.read import read_spawns
from gfattach.bazel.logs.execution_log.record import OTHER
from gfattach.bazel.logs.summary import read_summary
from gfattach.core.wire.delimited import DelimitedError, TruncatedError, messages
from gfattach.core.wire.digest import key_of
from gfattach.proof.execution.tally import spellings_of, tally_spawns
from tests.harness.execution.logs import (
    Action,
    compact_entries,
    json_record,
    varint,
    write_compact_log,
    write_json_log,
)

DATA = Path(__file__).parent / "data/bazel"

#: Published with the proofs of 25970619559, 25978934708, 25981546207, 25984827370, 25935041748, 25634296833,
#: 25649628233 and, as evidence of a blocker, 25638930305: line, processes, remote, hits, action cache hits.
REAL = [
    (
        "5578 processes: 1 action cache hit, 2567 remote cache hit, 2955 internal, 56 remote",
        5578,
        56,
        2567,
        1,
    ),
    ("6146 processes: 3125 remote cache hit, 2959 internal, 62 remote", 6146, 62, 3125, 0),
    ("728 processes: 1 action cache hit, 299 remote cache hit, 415 internal, 14 remote", 728, 14, 299, 1),
    ("553 processes: 223 remote cache hit, 328 internal, 2 remote", 553, 2, 223, 0),
    ("1531 processes: 468 remote cache hit, 1059 internal, 4 remote", 1531, 4, 468, 0),
    ("20 processes: 9 internal, 11 remote", 20, 11, 0, 0),
    ("18 processes: 7 internal, 11 remote", 18, 11, 0, 0),
    ("6 processes: 6 internal", 6, 0, 0, 0),
]


@pytest.mark.parametrize("shape", ["{}", "INFO: {}.\n", "\x1b[32mINFO: \x1b[0m{}.\nINFO: Build completed\n"])
@pytest.mark.parametrize(("line", "total", "remote", "hits", "known"), REAL)
def test_the_summary_of_a_real_proof(line, total, remote, hits, known, shape):
    summary = read_summary(shape.format(line))
    counted = (summary.total, summary.remote, summary.remote_hits, summary.action_cache_hits)
    assert counted == (total, remote, hits, known)
    assert summary.adds_up and summary.local == 0
    assert summary.text.removesuffix(".") == line


def test_the_last_of_several_counts():
    assert read_summary("INFO: 1 process: 1 internal.\nINFO: 2 processes: 2 remote.\n").remote == 2


@pytest.mark.parametrize("line", ["", "20 processes of the host", "INFO: Build completed, 3 total actions"])
def test_what_is_no_summary(line):
    assert read_summary(line) is None


def test_what_ran_here_is_local_whatever_it_is_called():
    summary = read_summary("7 processes: 1 internal, 2 linux-sandbox, 1 worker, 3 my-own-strategy.")
    assert (summary.local, summary.remote) == (6, 0)


NEW = Action("//:a", environment={"N": "nonce-1"})
ACTIONS = [
    NEW,
    NEW.but(label="//:b", environment={}, arguments=("external/t/cc", "-DN=nonce-1")),
    NEW.but(label="//:c", environment={}, platform="nonce-1", runner="remote cache hit", cache_hit=True),
    NEW.but(label="//:d", status="NON_ZERO_EXIT", exit_code=3, arguments=()),
]


@pytest.mark.parametrize("write", [write_json_log, write_compact_log])
def test_both_formats_tell_the_same(tmp_path, write):
    write(tmp_path / "log", ACTIONS)
    read = read_spawns(tmp_path / "log", "nonce-1", {"//:a", "//:c"})
    found = [*read]
    assert [each.label for each in found] == ["//:a", OTHER, "//:c", OTHER]
    assert [each.kind.executed for each in found] == [True, True, False, False]
    # In the environment, in the arguments; a platform property is no part of every server's key.
    assert [each.carries for each in found] == [True, True, False, True]
    assert [each.program for each in found] == ["/bin/bash", "", "/bin/bash", ""]
    assert [dict(each.kind.platform)["gf.platform"] for each in found][2] == "nonce-1"
    assert (found[3].kind.status, found[3].kind.exit_code) == ("NON_ZERO_EXIT", 3)
    assert {each.count for each in read.values()} == {1}
    assert read[found[0]].actions == {key_of(NEW.digest.encode())}


def test_a_log_that_a_real_bazel_wrote():
    """By 7.7.1, of two genrules that it ran itself and of one that failed; PATH was made another."""
    labels = {"//:wrong", "//:a", "//:b"}
    failed, first, second = read_spawns(DATA / "7.7.1-execution.log.zst", "n-123", labels)
    assert [each.label for each in (failed, first, second)] == ["//:wrong", "//:a", "//:b"]
    kind = ("Genrule", "local", False, "", 0, True, True, (("gf.platform", "p"),))
    assert tuple(first.kind) == tuple(second.kind) == kind
    assert (failed.kind.status, failed.kind.exit_code) == ("NON_ZERO_EXIT", 3)
    assert {(each.program, each.carries) for each in (failed, first, second)} == {("/bin/bash", True)}


def test_an_old_log_names_its_target_in_the_progress_message_alone():
    text = json.dumps(json_record(NEW.but(old=True, cache_hit=True))).encode()
    (found,) = read_json_log(io.BytesIO(text).read, "", {"//:a"})
    assert (found.label, found.kind.cache_hit, found.kind.executed) == ("//:a", True, False)


def test_records_are_read_across_pieces_of_any_size():
    text = json.dumps(json_record(NEW.but(arguments=("é" * 999,))), ensure_ascii=False).encode()
    stream = io.BytesIO(text * 9)
    (group,) = read_json_log(lambda size: stream.read(7), "").values()
    assert group.count == 9
    stream = io.BytesIO(compact_entries(ACTIONS))
    assert len(read_compact_log(lambda size: stream.read(3), "")) == 4


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_log_that_is_cut_off_is_told_from_one_that_ends(kept):
    text = json.dumps(json_record(NEW)).encode()
    with pytest.raises(TruncatedError):
        read_json_log(io.BytesIO(text + text[:-kept]).read, "")
    with pytest.raises(TruncatedError):
        read_compact_log(io.BytesIO(compact_entries([NEW])[:-kept]).read, "")


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{} x", b'{"cacheHit": 1}', b'{"exitCode": true}', b'{"platform": []}', b'{"runner"} {"a": 1}'],
)
def test_what_is_no_json_log(content):
    with pytest.raises(DelimitedError):
        read_json_log(io.BytesIO(content).read, "")


@pytest.mark.parametrize("content", [b"\xff" * 8, varint(1 << 34), varint(3) + b"\x3a\x05\x01"])
def test_what_is_no_compact_log(content):
    with pytest.raises(DelimitedError):
        read_compact_log(io.BytesIO(content).read, "")


def test_an_empty_log_has_no_spawn():
    assert read_json_log(io.BytesIO(b"\n").read, "") == {}
    assert list(messages(io.BytesIO(b"").read)) == []
    assert list(messages(io.BytesIO(b"\x00\x00").read)) == []


def test_a_message_larger_than_a_piece_comes_whole():
    content = b"x" * 3_000_000
    ((data, at, end),) = messages(io.BytesIO(varint(len(content)) + content).read)
    assert data[at:end] == content


def test_spawns_are_counted_by_what_became_of_them(tmp_path):
    kinds = [
        NEW,
        NEW.but(runner="linux-sandbox"),
        NEW.but(runner="disk cache hit", cache_hit=True),
        NEW.but(runner="remote cache hit", cache_hit=True),
        NEW.but(cache_hit=True),
        NEW.but(status="EXECUTION_FAILED", exit_code=34),
        NEW.but(status="NON_ZERO_EXIT", exit_code=1),
    ]
    write_json_log(tmp_path / "log", kinds)
    found = tally_spawns(read_spawns(tmp_path / "log", "nonce-1", {"//:a"}), "//:a", "gf.platform").target
    counted = (found.executed, found.local, found.disk_hits, found.remote_hits)
    assert counted == (1, 1, 1, 1)
    assert (found.claimed, found.unfinished, found.failed, found.forced) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("@//:a", "//:a", True),
        ("@@//x:a", "//x:a", True),
        ("//a", "//a:a", False),
        ("@repo//:a", "//:a", False),
    ],
)
def test_a_label_of_the_main_repository_in_bazels_own_spelling(one, other, same):
    assert (one in spellings_of(other)) is same
