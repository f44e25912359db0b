"""The agent's small parts: fragments, ports, registrations, directories, the environment, time, peers."""

import json
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gfattach.agent import clock
from gfattach.agent.forward.listener import socket_name
from gfattach.agent.forward.ports import Ports, RememberedPort
from gfattach.agent.guard import fragment as guard
from gfattach.agent.launch.environment import at_once, later
from gfattach.agent.model.registry import Registry
from gfattach.agent.model.spec import (
    DirectUpstream,
    ForwardSpec,
    GuardedFile,
    Health,
    PodUpstream,
    Registration,
)
from gfattach.agent.model.state import (
    SOCKET_PATH_BYTES,
    agent_directory,
    make_socket_directory,
    socket_directory,
)
from gfattach.agent.model.status import AgentStatus, ForwardStatus
from gfattach.agent.upstream.session import EARLY_SECONDS, _renewal
from gfattach.cluster.connection import ClusterRef
from gfattach.core.errors import AgentError, ClusterError


def forward(name="grpc", port=9092):
    return ForwardSpec(name, DirectUpstream("cache.example", port), Health("grpc"))


def registration(directory, name="one", **options):
    record = directory / f"{name}.json"
    record.write_text("{}")
    return Registration(record, (forward(**options),))


class TestGuard:
    @pytest.fixture
    def file(self, tmp_path):
        return GuardedFile(tmp_path / "nix.conf", "nix", "full\n", "empty\n")

    @pytest.mark.parametrize(
        ("held", "act", "then"),
        [
            ("full\n", guard.hide, "empty\n"),
            ("empty\n", guard.show, "full\n"),
            ("full\n", guard.show, "full\n"),
            ("empty\n", guard.hide, "empty\n"),
            ("full\nmine\n", guard.hide, "full\nmine\n"),
            ("", guard.show, ""),
        ],
    )
    def test_only_what_is_known_is_replaced(self, file, held, act, then):
        file.path.write_text(held)
        assert act(file) == (held != then)
        assert file.path.read_text() == then

    def test_a_missing_file_is_not_made(self, file):
        assert not guard.show(file)
        assert not file.path.exists()

    def test_a_directory_in_its_place_ends_nothing(self, file):
        file.path.mkdir()
        assert not guard.hide(file)


class TestPorts:
    def test_they_are_remembered_in_a_private_file(self, tmp_path):
        Ports(tmp_path, tmp_path).remember("nix", 4000, used=True)
        assert Ports(tmp_path, tmp_path).of("nix").port == 4000
        assert Ports(tmp_path, tmp_path).of("nix").used
        assert (tmp_path / "ports.json").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("port", [0, -1, 65536, "x", None])
    def test_what_is_no_port_is_not_remembered(self, tmp_path, port):
        written = {"nix": {"port": port, "used": True}, "cache": {"port": 4000, "used": True}}
        (tmp_path / "ports.json").write_text(json.dumps(written))
        assert (Ports(tmp_path, tmp_path).of("nix"), Ports(tmp_path, tmp_path).of("cache").port) == (
            None,
            4000,
        )

    def test_use_is_remembered_with_the_port_and_not_with_another(self, tmp_path):
        ports = Ports(tmp_path, tmp_path)
        ports.remember("nix", 4000, used=True)
        ports.remember("nix", 4000)
        assert ports.of("nix").used
        ports.remember("nix", 4001)
        assert not ports.of("nix").used

    def test_what_belongs_together_is_written_in_one_go(self, tmp_path):
        ports, file = Ports(tmp_path, tmp_path), tmp_path / "ports.json"
        with ports.together():
            ports.remember("cache", 4000)
            ports.remember("nix", 4001)
            assert not file.exists()
            assert ports.of("cache") == RememberedPort(4000, used=False)
        assert Ports(tmp_path, tmp_path).of("nix") == RememberedPort(4001, used=False)
        file.unlink()
        with ports.together():
            ports.remember("nix", 4001)
        assert not file.exists(), "nothing had changed"

    def test_a_released_port_is_free_to_change(self, tmp_path):
        ports = Ports(tmp_path, tmp_path)
        ports.remember("nix", 4000, used=True)
        ports.release("nix")
        ports.release("unknown")
        assert not Ports(tmp_path, tmp_path).of("nix").used

    def test_there_is_an_end_to_what_is_remembered(self, tmp_path):
        ports = Ports(tmp_path, tmp_path)
        for number in range(300):
            ports.remember(f"forward-{number}", 4000 + number)
        assert ports.of("forward-0") is None
        assert ports.of("forward-299").port == 4299


class TestRegistry:
    def test_it_is_read_again_as_it_was_written(self, tmp_path):
        wanted = Registration(
            registration(tmp_path).record,
            (forward(), ForwardSpec("nix", PodUpstream("ns", "attic", "http"), Health("nix", "/main"))),
            (GuardedFile(tmp_path / "nix.conf", "nix", "a", "b"),),
        )
        Registry(tmp_path).add(wanted)
        assert Registry(tmp_path).registrations == (wanted,)

    def test_a_record_has_one_registration(self, tmp_path):
        registry = Registry(tmp_path)
        registry.add(registration(tmp_path))
        registry.add(registration(tmp_path, port=1))
        assert [spec.upstream.port for spec in registry.forwards.values()] == [1]

    def test_two_attachments_may_share_a_forward_and_not_differ_on_it(self, tmp_path):
        registry = Registry(tmp_path)
        registry.add(registration(tmp_path, "one"))
        registry.check(registration(tmp_path, "two"))
        with pytest.raises(AgentError) as caught:
            registry.check(registration(tmp_path, "two", port=1))
        assert caught.value.code == "agent.conflict"

    def test_records_that_are_gone_are_told(self, tmp_path):
        registry = Registry(tmp_path)
        registry.add(registration(tmp_path))
        assert registry.missing_records() == ()
        (tmp_path / "one.json").unlink()
        assert registry.missing_records() == (tmp_path / "one.json",)
        registry.remove(tmp_path / "one.json")
        assert not (tmp_path / "registrations.json").exists()


class TestDirectories:
    @pytest.fixture(autouse=True)
    def _state(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def test_each_cluster_and_user_has_one(self, tmp_path):
        files = tmp_path / "a", tmp_path / "b"
        refs = [None, *(ClusterRef((file,), context) for file in files for context in ("x", "y", None))]
        found = [agent_directory(ref) for ref in refs]
        assert len(set(found)) == len(refs)
        assert {path.parent for path in found} == {tmp_path / "gfattach" / "agents"}
        assert all(len(path.name) == 8 for path in found)

    def test_the_namespace_makes_no_difference(self, tmp_path):
        ref = ClusterRef((tmp_path / "a",), "x")
        assert agent_directory(ref) == agent_directory(ClusterRef((tmp_path / "a",), "x", "other"))

    def test_a_cluster_of_another_identity_has_another(self, tmp_path):
        refs = [ClusterRef((tmp_path / "a",), "x", identity=identity) for identity in ("", "one", "two")]
        assert len({agent_directory(ref) for ref in refs}) == 3
        assert [ClusterRef.from_json(ref.as_json()) for ref in refs] == refs
        kept = {name: value for name, value in refs[0].as_json().items() if name != "identity"}
        assert ClusterRef.from_json(kept) == refs[0]

    def test_a_long_path_has_a_short_stand_in(self, monkeypatch, tmp_path):
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        short, long = Path("/home/jo/.local/state/gfattach/agents/0badcafe"), Path("/" + "long/" * 20)
        assert socket_directory(short) == short
        stand_in = socket_directory(long)
        assert len(os.fsencode(stand_in / socket_name("x" * 32))) <= SOCKET_PATH_BYTES
        with tempfile.TemporaryDirectory(dir="/tmp") as own:  # 0700, with a path that is short enough
            monkeypatch.setenv("XDG_RUNTIME_DIR", own)
            assert socket_directory(long).parent == Path(own)
            Path(own).chmod(0o755)
            assert socket_directory(long).parent == Path("/tmp")

    def test_a_stand_in_of_somebody_else_is_not_used(self, monkeypatch, tmp_path):
        long = tmp_path / ("long" * 30)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        place = socket_directory(long)
        place.symlink_to(tmp_path)
        made = None
        try:
            made = make_socket_directory(long)
            assert made != place and made.lstat().st_mode & 0o777 == 0o700
            assert socket_directory(long) == made
        finally:
            place.unlink()
            if made is not None:
                made.rmdir()

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a directory to somebody else")
    def test_a_stand_in_that_belongs_to_somebody_else_is_not_used(self, monkeypatch, tmp_path):
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        place = socket_directory(tmp_path / ("long" * 30))
        place.mkdir()
        try:
            os.chown(place, 65534, 65534)
            made = make_socket_directory(tmp_path / ("long" * 30))
            assert made != place and made.stat().st_uid == os.getuid()
            made.rmdir()
        finally:
            place.rmdir()

    @pytest.mark.parametrize("name", ["control", "../x", "", "a b", "x" * 40, "ä", ".hidden"])
    def test_a_name_that_is_no_file_name_is_stood_in_for(self, name):
        found = socket_name(name)
        assert found.removesuffix(".sock").isalnum()
        assert found != "control.sock"
        assert found != socket_name(name + "x")


class TestEnvironment:
    def test_only_what_is_needed_is_passed_on(self, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("KUBECONFIG", "/k")
        monkeypatch.setenv("XDG_STATE_HOME", "/s")
        monkeypatch.setenv("XDG_CACHE_HOME", "/c")
        found = at_once({"XDG_CACHE_HOME"})
        assert (found["KUBECONFIG"], found["XDG_STATE_HOME"]) == ("/k", "/s")
        assert found.keys().isdisjoint({"AWS_SECRET_ACCESS_KEY", "XDG_CACHE_HOME"})
        assert later(None, frozenset()) == {}

    def test_a_plugin_gets_everything_but_what_is_withheld(self, monkeypatch, tmp_path):
        entry = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: p, interactiveMode: Never}}"
        kubeconfig = tmp_path / "config"
        kubeconfig.write_text(
            "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: "
            "{server: 'https://h:1'}}], contexts: [{name: c, context: {cluster: c, user: u}}], "
            f"users: [{{name: u, user: {entry}}}]}}"
        )
        monkeypatch.setenv("AWS_PROFILE", "work")
        monkeypatch.setenv("CACHE_TOKEN", "x")
        monkeypatch.setenv("PYTHONPATH", "/elsewhere")
        found = later(ClusterRef((kubeconfig,)), {"CACHE_TOKEN", "KUBECONFIG"})
        assert found["AWS_PROFILE"] == "work"
        # Neither what is withheld, nor what it was started with already.
        assert found.keys().isdisjoint({"CACHE_TOKEN", "KUBECONFIG", "PYTHONPATH", "PATH"})

    def test_a_kubeconfig_that_cannot_be_read_is_an_error(self, tmp_path):
        with pytest.raises(ClusterError):
            later(ClusterRef((tmp_path / "none",)), frozenset())


class TestTime:
    def test_a_look_that_is_late_tells_by_how_much(self, monkeypatch):
        moment = [100.0]
        monkeypatch.setattr(clock, "now", lambda: moment[0])
        looked = clock.SuspendDetector()
        moment[0] += 1.2
        assert looked.suspended_for(1.0) == 0.0
        moment[0] += 61.0
        assert looked.suspended_for(1.0) == pytest.approx(60.0)
        moment[0] += 1.0
        assert looked.suspended_for(1.0) == 0.0

    def test_a_credential_is_renewed_a_minute_early_or_at_half_its_life(self):
        assert _renewal(None) is None
        now = datetime.now(UTC)
        assert _renewal(now + timedelta(hours=1)) == pytest.approx(time.time() + 3600 - EARLY_SECONDS, abs=1)
        assert _renewal(now + timedelta(seconds=40)) == pytest.approx(time.time() + 20, abs=1)


def test_a_status_is_read_again_as_it_was_written():
    held = ForwardStatus(
        "nix", "up", 1.5, "", "127.0.0.1", 4000, Path("/s/nix.sock"), 1, 2, 3, 4, 5, 6, 7, ("pod-0",)
    )
    watched = ForwardStatus("grpc", "down", 1.5, "no", None, None, None, 0, 0, 0, 0, 0, 0, 0, ())
    status = AgentStatus(1, "0.1.0", 2.0, None, 7, 3.0, True, "info", (held, watched), (Path("/r"),))
    assert AgentStatus.from_json(status.as_json()) == status
    assert status.forward("nix") == held
    assert status.forward("none") is None
