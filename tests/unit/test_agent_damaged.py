"""What an agent keeps on disk, damaged in every way: what makes sense of it is read, and nothing fails."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.agent.forward.ports import Ports
from gfattach.agent.model.registry import Registry
from gfattach.agent.model.spec import (
    DirectUpstream,
    ForwardSpec,
    GuardedFile,
    Health,
    PodUpstream,
    Registration,
)
from gfattach.agent.model.state import AgentState, read_state, to_document
from gfattach.cluster.connection import ClusterRef
from gfattach.core.process import ProcessId

RECORD = Path("/w/.gfattach/attachment.json")
FORWARDS = (
    ForwardSpec("grpc", PodUpstream("ns", "cache", "grpc"), Health("grpc")),
    ForwardSpec("nix", DirectUpstream("127.0.0.1", 8080), Health("nix"), listen=False),
)
WANTED = Registration(RECORD, FORWARDS, (GuardedFile(Path("/w/nix.conf"), "nix", "full", "empty"),))

GOOD = {
    "registrations.json": {"version": 1, "registrations": [WANTED.as_json()]},
    "ports.json": {"grpc": {"port": 23456, "used": True}},
    "agent.json": to_document(
        AgentState(ProcessId(os.getpid(), "1"), Path("/x/control.sock"), ClusterRef((Path("/k"),), "c", "n"))
    ),
}

ODD = st.sampled_from(
    [
        None,
        5,
        -1,
        10**400,
        True,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "\0",
        "\ud800",
        "x" * 300,
        [],
        {},
        [[]],
    ]
)


@st.composite
def changed(draw, value):
    """`value` with something in it lost, or something else in its place."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        return rest if draw(st.booleans()) else {**rest, key: draw(changed(value[key]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [draw(changed(item)) for item in value]
    return draw(ODD)


def read(directory):
    registry = Registry(directory)
    registry.missing_records()
    registry.of(RECORD)
    found = read_state(directory)
    if found is not None:
        found.process.alive()
    return registry.registrations, Ports(directory, directory).of("grpc"), found


@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
def test_of_a_changed_document_what_makes_sense_is_read(tmp_path_factory, name, data):
    directory = tmp_path_factory.mktemp("agent")
    document = data.draw(changed(json.loads(json.dumps(GOOD[name]))))
    (directory / name).write_text(json.dumps(document))
    read(directory)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\0",
        b"[" * 100_000,
        b"null",
        b"5",
        b'"x"',
        b"1e999",
        b"9" * 5000,
        b'{"version": 2}',
    ],
)
def test_what_is_none_is_as_if_it_were_not_there(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path) == ((), None, None)


def test_what_is_whole_is_read_whole(tmp_path):
    for name, document in GOOD.items():
        (tmp_path / name).write_text(json.dumps(document))
    registrations, port, state = read(tmp_path)
    assert registrations == (WANTED,)
    assert (port.port, port.used) == (23456, True)
    assert to_document(state) == GOOD["agent.json"]


def test_of_several_registrations_a_damaged_one_hides_no_other(tmp_path):
    document = {"version": 1, "registrations": [5, WANTED.as_json(), {}]}
    (tmp_path / "registrations.json").write_text(json.dumps(document))
    assert Registry(tmp_path).registrations == (WANTED,)


def test_a_record_whose_file_system_is_away_is_not_gone(tmp_path, monkeypatch):
    registry = Registry(tmp_path)
    registry.add(WANTED)
    assert registry.missing_records() == (RECORD,)

    def away(*_, **__):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(Path, "stat", away)
    assert registry.missing_records() == ()
