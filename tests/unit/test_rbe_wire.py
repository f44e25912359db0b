"""The hand-written readers of Bazel's binary logs, beside the protobuf library on the same bytes."""

import io
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.bazel.logs.call_excerpt import keep_calls
from gfattach.bazel.logs.execution_log import compact_log
from gfattach.bazel.logs.execution_log.compact_log import read_compact_log
from gfattach.bazel.logs.execution_log.record import OTHER
from gfattach.core.wire.message import WireError, fields, number, varint
from gfattach.reapi.execution.calls import read_executions
from tests.harness.execution import compact_pb2, execution_pb2
from tests.harness.execution.evidence import Evidence
from tests.harness.execution.logs import (
    Action,
    call_entry,
    compact_entries,
    compact_entry,
    other_call,
    write_calls,
)

HEAVY = ("grpc", "httpx", "keyring", "rich", "cryptography", "google.protobuf", "asyncio")

NONCE = "20261130T060000Z-25983800544-1"

#: Those that are asked for.
LABELS = frozenset({"//:a", "x" * 127, "y" * 128})

#: Short and long, with what begins a field in the middle of them.
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "//:a",
            "//B:B",
            "/bin/cc",
            "bin/cc",
            "\x42\x03abc",
            "\x1a\x02",
            "\u0082\u0001",
            "x" * 127,
            "y" * 128,
            NONCE,
        ]
    ),
)

ACTIONS = st.lists(
    st.builds(
        Action,
        label=TEXTS,
        mnemonic=st.sampled_from(["Genrule", "CppCompile", "", "\u0082\u0001\x03\x0a"]),
        digest=st.sampled_from(["", "ab" * 32, "cd" * 20, "é" * 32]),
        runner=st.sampled_from(["remote", "remote cache hit", "linux-sandbox"]),
        cache_hit=st.booleans(),
        status=st.sampled_from(["", "NON_ZERO_EXIT"]),
        exit_code=st.sampled_from([0, 1, -1, 300]),
        environment=st.dictionaries(st.sampled_from(["A", "N"]), TEXTS, max_size=2),
        arguments=st.lists(TEXTS, max_size=3).map(tuple),
        platform=st.sampled_from(["", "gloriousflywheel-rbe-linux-x86_64", "other", NONCE]),
        remote_cacheable=st.booleans(),
        outputs=st.integers(0, 3),
    ),
    max_size=12,
)


def by_protobuf(entry):
    """What the library reads of a spawn's entry, as `Spawn` has it."""
    spawn = compact_pb2.SpawnEntry.FromString(entry).spawn
    command = compact_pb2.CommandEntry.FromString(entry).spawn
    properties = compact_pb2.Platform.FromString(spawn.platform).properties
    program = command.args[0].decode() if command.args else ""
    words = [*(each.decode() for each in command.args), *(each.value for each in command.env_vars)]
    kind = (spawn.mnemonic, spawn.runner, spawn.cache_hit, spawn.status, spawn.exit_code, spawn.remotable)
    return (
        (*kind, spawn.remote_cacheable, tuple((each.name, each.value) for each in properties)),
        spawn.target_label if spawn.target_label in LABELS else spawn.target_label and OTHER,
        program if program.startswith("/") else "",
        any(NONCE in word for word in words),
    ), spawn.digest.hash


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 400))
def test_spawns_are_read_as_the_library_reads_them(actions, piece):
    stream = io.BytesIO(compact_entries(actions))
    found = read_compact_log(lambda size: stream.read(piece), NONCE, LABELS)
    expected: dict = {}
    for spawn, digest in map(by_protobuf, map(compact_entry, actions)):
        count, keys = expected.get(spawn, (0, set()))
        expected[spawn] = (count + 1, keys | ({digest.encode()[:16]} if digest else set()))
    assert {spawn: (group.count, group.actions) for spawn, group in found.items()} == expected
    assert [*found] == [*expected]  # in the order of the log


def test_what_spawns_share_is_read_once(monkeypatch):
    read = []
    whole = compact_log._Reader.any
    monkeypatch.setattr(
        compact_log._Reader, "any", lambda self, *place: read.append(place) or whole(self, *place)
    )
    actions = [Action(f"//:{number}", digest=f"{number:016x}" * 4) for number in range(50)]
    (group,) = read_compact_log(io.BytesIO(compact_entries(actions)).read, NONCE).values()
    assert (group.count, len(group.actions), len(read)) == (50, 50, 1)


CALLS = st.lists(
    st.builds(
        Action,
        label=st.sampled_from(["//:a", "//:b", "@@//:a", ""]),
        mnemonic=st.sampled_from(["Genrule", ""]),
        digest=st.sampled_from(["", "ab" * 32, "cd" * 32, "ef" * 20]),
        exit_code=st.sampled_from([0, 3]),
        cached_result=st.booleans(),
        worker=st.sampled_from(["", "worker-1", "w" * 200]),
        worker_start=st.sampled_from([0.0, 1_796_000_000.0]),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(CALLS, st.sampled_from(["4a87556e-af7d-4803-bc7b-f0735e4d0ab6", "short", ""]), st.booleans())
def test_calls_are_read_as_the_library_reads_them(tmp_path_factory, actions, invocation, skip):
    path = tmp_path_factory.getbasetemp() / "calls"
    write_calls(path, actions, invocation)
    expected = []
    for action in actions:
        entry = execution_pb2.CallEntry.FromString(call_entry(action, invocation, skip))
        answer = entry.details.execute.responses[-1].response.value
        executed = answer.result.execution_metadata
        ours = entry.metadata.target_id in ("//:a", "@@//:a")
        call = (
            entry.metadata.tool_invocation_id,
            entry.metadata.target_id if ours else "",
            entry.metadata.action_mnemonic if ours else "",
            True,
            answer.cached_result,
            0,
            answer.result.exit_code,
            executed.worker,
        )
        digest = entry.details.execute.request.action_digest.hash.encode()[:16]
        expected.append((call, digest, executed.worker_start_timestamp.seconds))
    found = read_executions(path, ["//:a", "@@//:a"])
    assert {tuple(call): group.count for call, group in found.items()} == Counter(
        call for call, _, _ in expected
    )
    for call, group in found.items():
        alike = [(digest, begun) for own, digest, begun in expected if own == tuple(call)]
        assert group.actions == {digest for digest, _ in alike}
        assert group.begun == Counter(begun for _, begun in alike if begun)


def entry_of(**changes):
    """The entry of a call, with what `changes` say of it."""
    entry = execution_pb2.CallEntry.FromString(call_entry(Action(digest="ab" * 32)))
    for name, change in changes.items():
        change(getattr(entry, name))
    return bytes(entry.SerializeToString())


def waited(details):
    details.wait_execution.responses.extend(details.execute.responses)
    details.ClearField("execute")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("ab" * 32, True, 0)),
        ({"status": lambda status: setattr(status, "code", 14)}, ("ab" * 32, True, 14)),
        ({"details": waited}, ("ab" * 32, True, 0)),
        ({"details": lambda each: each.execute.responses.pop()}, ("ab" * 32, False, 0)),
        ({"details": lambda each: each.execute.responses.pop().Clear()}, ("ab" * 32, False, 0)),
        (
            {"details": lambda each: setattr(each.execute.request.action_digest, "hash", "cd" * 32)},
            ("cd" * 32, True, 0),
        ),
        (
            {"details": lambda each: setattr(each.execute.responses[-1].response.value.status, "code", 8)},
            ("ab" * 32, True, 8),
        ),
    ],
    ids=["usual", "call failed", "waited", "no answer", "none at all", "another digest", "answer failed"],
)
def test_a_call_that_is_not_as_most_are(tmp_path, changes, expected):
    entry = entry_of(**changes)
    (tmp_path / "calls").write_bytes(bytes((0x80 | len(entry) & 0x7F, len(entry) >> 7)) + entry)
    ((found, group),) = read_executions(tmp_path / "calls", ["//:a"]).items()
    digest, *end = expected
    assert ([found.done, found.status], group.actions) == (end, {digest.encode()[:16]})


def test_other_calls_are_passed_over(tmp_path):
    entry = other_call("build.bazel.remote.execution.v2.ActionCache/GetActionResult")
    (tmp_path / "calls").write_bytes(bytes((len(entry),)) + entry)
    assert read_executions(tmp_path / "calls", ["//:a"]) == {}


@pytest.mark.parametrize(
    "content", [b"\x0a\x05\x01", b"\x0b", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
)
def test_what_is_no_message(content):
    with pytest.raises(WireError):
        fields(content, 0, len(content))


def test_numbers_of_every_size():
    assert varint(b"\xac\x02", 0) == (300, 2)
    assert number(fields(b"\x08" + b"\xff" * 9 + b"\x01", 0, 11), 1) == -1
    assert fields(b"\x09" + bytes(8) + b"\x15" + bytes(4) + b"\x80\x01\x05", 0, 17) == {16: 5}


def test_a_verification_loads_no_protobuf_and_nothing_else_that_is_heavy(tmp_path):
    directory = Evidence(tmp_path / "evidence", compact=True).write()
    script = (
        "import sys; from gfattach.cli.main import run; code = run(sys.argv[1:]);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    words = ["rbe", "verify", str(directory), "--output", "json"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def test_of_a_log_of_calls_all_is_kept_but_the_transfers(tmp_path):
    log, kept = tmp_path / "log", tmp_path / "kept"
    actions = [Action("//:a", digest="ab" * 32), Action("//:b", digest="cd" * 32)]
    write_calls(log, actions)
    keep_calls(log, kept)
    assert b"ByteStream" in log.read_bytes() and b"ByteStream" not in kept.read_bytes()
    assert read_executions(kept, ["//:a"]) == read_executions(log, ["//:a"]) != {}
    assert b"Capabilities/GetCapabilities" in kept.read_bytes()


@pytest.mark.parametrize("content", [b"\xff" * 40, call_entry(Action())[:90]])
def test_a_log_of_calls_that_is_cut_off_or_none_is_kept_for_the_verifier(tmp_path, content):
    (tmp_path / "log").write_bytes(content)
    keep_calls(tmp_path / "log", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == content


def test_no_log_of_calls_leaves_none(tmp_path):
    keep_calls(tmp_path / "log", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
