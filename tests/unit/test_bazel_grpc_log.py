"""The log of remote calls: what Bazel wrote is summed up, what is cut off or foreign is said so."""

from pathlib import Path

import pytest

from gfattach.bazel.logs import grpc_log
from gfattach.bazel.logs.grpc_log import CallLog, read_calls
from gfattach.core.errors import BazelError
from gfattach.reapi.remote_cache_pb2 import LogEntry, RequestMetadata, Status, Timestamp

DATA = Path(__file__).parent / "data" / "bazel"
REAPI = "build.bazel.remote.execution.v2"


def entry(method, code=0, at=100.0, action="a"):
    moment = Timestamp(seconds=int(at), nanos=round((at % 1) * 1e9))
    return LogEntry(
        metadata=RequestMetadata(action_id=action),
        status=Status(code=code),
        method_name=method,
        start_time=moment,
        end_time=moment,
    )


def lookup(code=0, at=100.0, action="a"):
    return entry(f"{REAPI}.ActionCache/GetActionResult", code, at, action)


def delimited(*entries):
    out = b""
    for one in entries:
        content = one.SerializeToString()
        size = len(content)
        while size >= 0x80:
            out += bytes([size & 0x7F | 0x80])
            size >>= 7
        out += bytes([size]) + content
    return out


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "calls.log"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("version", ["2.1.0", "4.2.3"])
def test_a_real_log_of_twenty_hits(version):
    """Recorded with that Bazel against a cache that held all of the probe."""
    log = read_calls(DATA / f"{version}-hit.calls")
    assert log.counts == {"GetActionResult OK": 20, "GetCapabilities OK": 1, "Read OK": 20}
    assert (log.asked, log.hits, log.executions, log.uploads) == (20, 20, 0, 0)
    assert log.capabilities == "OK" and not log.truncated
    assert len(log.actions) == 20 and all(len(action) == 64 for action in log.actions)
    assert log.hit_at is not None and log.hit_at % 1 > 0


def test_the_two_bazels_ask_for_different_actions():
    """A probe that one Bazel stored does not serve the other."""
    mine, theirs = (read_calls(DATA / f"{v}-hit.calls").actions for v in ("2.1.0", "4.2.3"))
    assert not set(mine) & set(theirs)


def test_the_first_hit_is_the_earliest_end_of_a_successful_lookup(write):
    log = read_calls(
        write(
            delimited(lookup(5, 99.0, "x"), lookup(0, 103.0, "y"), lookup(0, 101.25, "z"), lookup(0, 102.0))
        )
    )
    assert log.hit_at == 101.25
    assert (log.asked, log.hits) == (4, 3)


def test_a_lookup_made_again_after_a_failure_counts_once(write):
    log = read_calls(write(delimited(lookup(14), lookup(14), lookup(0), lookup(14, action="b"))))
    assert (log.asked, log.hits) == (2, 1)
    assert log.counts == {"GetActionResult OK": 1, "GetActionResult UNAVAILABLE": 3}


def test_executions_and_uploads_are_counted_whatever_their_outcome(write):
    log = read_calls(
        write(
            delimited(
                entry(f"{REAPI}.Execution/Execute", 12),
                entry(f"{REAPI}.Execution/WaitExecution"),
                entry("google.bytestream.ByteStream/Write"),
                entry("google.bytestream.ByteStream/Read"),
                entry(f"{REAPI}.ActionCache/UpdateActionResult", 7),
                entry(f"{REAPI}.ContentAddressableStorage/BatchUpdateBlobs"),
                entry(f"{REAPI}.ContentAddressableStorage/FindMissingBlobs"),
            )
        )
    )
    assert (log.executions, log.uploads) == (2, 3)
    assert log.counts["Execute UNIMPLEMENTED"] == 1


@pytest.mark.parametrize(
    ("codes", "capabilities"),
    [([], None), ([14, 14], "UNAVAILABLE"), ([14, 0], "OK"), ([16], "UNAUTHENTICATED")],
)
def test_capabilities_are_ok_once_they_were_answered(write, codes, capabilities):
    calls = [entry(f"{REAPI}.Capabilities/GetCapabilities", code) for code in codes]
    assert read_calls(write(delimited(*calls))).capabilities == capabilities


def test_a_missing_log_is_an_empty_one(tmp_path):
    assert read_calls(tmp_path / "none") == CallLog()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_log_cut_off_anywhere_gives_what_is_whole(write, cut):
    """Bazel that is killed leaves half an entry."""
    whole = delimited(lookup(), lookup(action="b"))
    half = delimited(lookup(action="c" * 200))
    log = read_calls(write(whole + half[:cut]))
    assert log.truncated and log.hits == 2


@pytest.mark.parametrize(
    "content", [b"\xff" * 100, b"\x05\xff\xff\xff\xff\xff", b"\x80\x80\x80\x80\x01" + b"x"]
)
def test_a_file_of_another_kind_is_a_typed_error(write, content):
    with pytest.raises(BazelError) as caught:
        read_calls(write(content))
    assert caught.value.code == "bazel.log"


def test_an_entry_beyond_the_bound_is_not_read(write, monkeypatch):
    monkeypatch.setattr(grpc_log, "ENTRY_LIMIT", 100)
    with pytest.raises(BazelError):
        read_calls(write(delimited(lookup(), lookup(action="c" * 200))))


def test_an_endless_log_is_read_up_to_the_bound(write, monkeypatch):
    monkeypatch.setattr(grpc_log, "ENTRIES_LIMIT", 3)
    assert read_calls(write(delimited(*[lookup(action=str(n)) for n in range(9)]))).hits == 3
