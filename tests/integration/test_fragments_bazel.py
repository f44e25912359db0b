"""The Bazel fragment, read by real Bazels the way a person's builds read it.

One server for each Bazel, in a workspace that is linked through `user.bazelrc`; the fragment is
written anew for each test. The workspace's path is a plain one, because neither Bazel builds in one
with spaces or with letters beyond ASCII; a fragment elsewhere may have both in its path.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.bazel.capabilities.flags import accepted_flags
from gfattach.bazel.logs.grpc_log import CallLog, read_calls
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.rc.grammar import words
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.paths import Home
from gfattach.core.process import Completed
from gfattach.fragments.bazelrc import CANDIDATE_FLAGS, UNIVERSAL_FLAGS, accepted_names, render
from gfattach.fragments.home import BAZELRC, create_home
from gfattach.fragments.link import import_line, link
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from gfattach.undo.journal import Journal, Undone
from tests.harness.caches.bazel_caches import make_certificate, tls_socket
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, offline_rc, upstream

pytestmark = [
    pytest.mark.bazel,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git"),
]

BUILD = 'genrule(name = "a", outs = ["a.txt"], cmd = "echo a > $@")\n'

#: Bazel's exit code when the remote cannot be reached.
EXIT_REMOTE = 34

#: Commands that inherit `build` lines, one that does not, and one that has no such option.
COMMANDS = (
    ("build", "//:a"),
    ("info", "output_base"),
    ("cquery", "//:a"),
    ("aquery", "//:a"),
    ("query", "//:a"),
    ("clean",),
    ("help", "build"),
)

USER_RC = b"# mine\r\nbuild --define=mine=1"


@dataclass
class World:
    """One Bazel in one workspace, and a cache that holds what `//:a` needs."""

    bazel: Bazel
    server: Server
    home: Home
    cache: CacheServer
    accepts: frozenset[str]
    root: Path

    @property
    def fragment(self) -> Path:
        return self.home.directory / BAZELRC

    @property
    def target(self) -> CacheTarget:
        return CacheTarget(parse_endpoint(f"grpc://127.0.0.1:{self.cache.port}"))

    def run(self, command: str, *args: str) -> Completed:
        return self.server.run(command, args, Deadline.after(BUILD_SECONDS))

    def build(self, *args: str) -> tuple[Completed, CallLog | None, list[str]]:
        """Build `//:a` anew: how it ended, the calls that it made, and the options that it took."""
        log, events = self.root / "log", self.root / "events"
        for path in (log, events):
            path.unlink(missing_ok=True)
        assert self.run("clean").good
        own = [f"--experimental_remote_grpc_log={log}", f"--build_event_json_file={events}", *args]
        done = self.run("build", "//:a", *own)
        parsed = [
            event
            for line in events.read_text().splitlines()
            if "optionsParsed" in (event := json.loads(line))
        ]
        options = parsed[0]["optionsParsed"]["cmdLine"] if parsed else []
        return done, read_calls(log) if log.exists() and log.stat().st_size else None, options


@pytest.fixture(scope="module", params=BAZELS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    bazel = BAZELS[request.param]()
    root = tmp_path_factory.mktemp("world")
    workspace = root / "workspace"
    workspace.mkdir()
    (workspace / "WORKSPACE").touch()
    (workspace / "BUILD").write_text(BUILD)
    (workspace / ".bazelrc").write_text(f"{offline_rc(bazel)}try-import %workspace%/user.bazelrc\n")
    (workspace / ".gitignore").write_text("user.bazelrc\nbazel-*\n")
    (workspace / "user.bazelrc").write_bytes(USER_RC)
    user = root / "user"
    user.mkdir()
    home = Home(workspace / ".gfattach", workspace)
    environ = {"HOME": str(user), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    cache = CacheServer(root / "cache")
    cache.start()
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            Server(bazel, workspace, root / "work", "base", environ=environ) as server,
        ):
            patch.setenv("HOME", str(user))
            subprocess.run(["git", "init", "--quiet"], cwd=workspace, check=True)
            create_home(home)
            asked = accepted_flags(
                bazel,
                tuple(CANDIDATE_FLAGS.values()),
                work=root / "flags",
                server=server,
                deadline=Deadline.after(BUILD_SECONDS),
            )
            world = World(bazel, server, home, cache, accepted_names(asked), root)
            filled = world.run(
                "build",
                "//:a",
                f"--remote_cache={world.target.endpoint.url}",
                "--remote_upload_local_results",
            )
            assert filled.good, filled.stderr
            link(home, world.fragment, Journal(home))
            yield world
    finally:
        cache.stop()


def test_each_bazel_knows_the_flags_that_all_are_said_to_know(world: World) -> None:
    assert world.accepts >= UNIVERSAL_FLAGS
    # Stable since 6.3; a development version (4.2.3) is older than that here: the probe tells.
    assert ("credential_helper" in world.accepts) == (world.bazel.version not in (None, "2.1.0"))


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
@pytest.mark.parametrize("probed", [True, False], ids=["probed", "unknown-bazel"])
def test_every_command_takes_the_fragment(world: World, command: tuple[str, ...], probed: bool) -> None:
    text = render(
        world.target,
        world.accepts if probed else None,
        credential_helper=Path("/opt/my helper"),
        zstd=True,
    )
    world.fragment.write_text(text)
    done = world.run(*command)
    assert done.good, done.stderr
    assert "Unrecognized option" not in done.stderr


@pytest.mark.parametrize("on_cache_down", ["local", "fail"])
def test_a_build_takes_every_flag_of_the_fragment_and_hits(world: World, on_cache_down: str) -> None:
    text = render(world.target, world.accepts, on_cache_down=on_cache_down)  # type: ignore[arg-type]
    world.fragment.write_text(text)
    written = [words(line)[1] for line in text.splitlines() if line.startswith("build ")]
    done, log, options = world.build()
    assert done.good, done.stderr
    assert {_written_out(flag) for flag in written} <= {_written_out(option) for option in options}
    assert "--define=mine=1" in options  # what the user had in the file counts still
    assert log is not None and log.hits == 1
    assert not [call for call in log.counts if call.startswith(("Update", "Write"))]


def _written_out(option: str) -> str:
    """Bazel reports `--noflag` as `--noflag` or `--flag=0`, and `--flag` as `--flag` or `--flag=1`."""
    name, sign, value = option.partition("=")
    if sign and value in ("0", "1") and "retries" not in name and "mine" not in name:
        return name if value == "1" else f"--no{name.removeprefix('--')}"
    return option


def test_reading_never_uploads_what_a_build_event_file_speaks_of(world: World) -> None:
    """`--noremote_upload_local_results` alone does not keep Bazel from it: the control shows that.

    What the cache keeps is counted: the log of calls is closed before these uploads, and with it
    2.1.0 waits for them without end.
    """
    lines = render(world.target, world.accepts).splitlines(keepends=True)
    event_file = f"--build_event_json_file={world.root / 'events'}"

    def stored_by_a_miss(name: str) -> set[Path]:
        before = _files(world.root / "cache")
        assert world.run("clean").good
        assert world.run("build", "//:a", event_file, f"--action_env=UNKNOWN_TO_THE_CACHE={name}").good
        return _files(world.root / "cache") - before

    world.fragment.write_text("".join(lines))
    assert stored_by_a_miss("1") == set()
    world.fragment.write_text("".join(line for line in lines if "upload_strategy" not in line))
    assert stored_by_a_miss("2") != set()


def _files(directory: Path) -> set[Path]:
    return {path for path in directory.rglob("*") if path.is_file()}


def test_without_the_cache_a_build_is_local_or_fails_as_was_asked_for(world: World) -> None:
    gone = CacheTarget(parse_endpoint("grpc://127.0.0.1:1"))
    world.fragment.write_text(render(gone, world.accepts))
    done, _, _ = world.build()
    # 2.1.0 has the flag, and heeds it only once the cache has answered: there is no cure for that one.
    assert done.returncode == (EXIT_REMOTE if world.bazel.version == "2.1.0" else 0), done.stderr
    world.fragment.write_text(render(gone, world.accepts, on_cache_down="fail"))
    done, _, _ = world.build()
    # 7.7.1 builds all the same: what stands in the fragment's place then ends it (test_bazel_failures).
    ends = world.bazel.version in (None, "2.1.0")
    assert done.returncode == (EXIT_REMOTE if ends else 0), done.stderr


@pytest.mark.parametrize("command", COMMANDS[1:], ids=[command[0] for command in COMMANDS[1:]])
def test_commands_that_build_nothing_do_not_mind_a_cache_that_is_away(
    world: World, command: tuple[str, ...]
) -> None:
    gone = CacheTarget(parse_endpoint("grpc://127.0.0.1:1"))
    world.fragment.write_text(render(gone, world.accepts, on_cache_down="fail"))
    done = world.run(*command)
    assert done.good, done.stderr
    assert "remote execution capabilities" not in done.stderr


def test_looking_without_the_cache_discards_no_analysis(world: World) -> None:
    """A cquery between two builds must not cost the second one its analysis."""
    world.fragment.write_text(render(world.target, world.accepts))
    assert world.run("build", "//:a").good
    assert world.run("cquery", "//:a").good
    again = world.run("build", "//:a")
    assert again.good
    assert "discarding analysis cache" not in again.stderr


def test_undone_nothing_asks_the_cache_and_the_file_is_as_it_was(world: World) -> None:
    world.fragment.write_text(render(world.target, world.accepts))
    user_rc = world.home.workspace / "user.bazelrc"
    assert world.build()[1] is not None
    assert [outcome.result for outcome in Journal(world.home).undo()] == [Undone.RESTORED]
    assert user_rc.read_bytes() == USER_RC
    done, log, options = world.build()
    assert done.good and log is None
    assert not any(option.startswith("--remote_cache") for option in options)
    link(world.home, world.fragment, Journal(world.home))
    assert world.build()[1] is not None


def test_a_link_outlives_the_fragment_without_harm(world: World) -> None:
    world.fragment.unlink(missing_ok=True)
    done, log, _ = world.build()
    assert done.good and log is None


def test_the_line_may_stand_in_the_users_own_rc_file_for_all_workspaces(world: World) -> None:
    world.fragment.write_text(render(world.target, world.accepts))
    Journal(world.home).undo()
    home_rc = world.root / "user/.bazelrc"
    home_rc.write_text(import_line(world.home, world.fragment) + "\n")
    try:
        _, log, _ = world.build()
        assert log is not None and log.hits == 1
        outside = Home(world.root / "my 'own' ünï state", None)
        outside.directory.mkdir()
        shutil.copy(world.fragment, outside.directory)
        home_rc.write_text(import_line(outside, outside.directory / BAZELRC) + "\n")
        _, log, _ = world.build()
        assert log is not None and log.hits == 1
    finally:
        home_rc.unlink()
        link(world.home, world.fragment, Journal(world.home))


def test_a_tls_cache_is_reached_by_its_name_through_a_socket_whose_path_has_spaces(tmp_path: Path) -> None:
    bazel = upstream()
    cache = CacheServer(tmp_path / "cache")
    cache.start()
    certificate, key = make_certificate(tmp_path, "cache.example")
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "WORKSPACE").touch()
    (workspace / "BUILD").write_text(BUILD)
    fragment = tmp_path / "my bazelrc"
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with (
        tempfile.TemporaryDirectory(prefix="a b ") as directory,
        tls_socket(Path(directory) / "s", cache.port, certificate, key) as socket,
        Server(bazel, workspace, tmp_path / "work", "tls", environ=environ, rc=[fragment]) as server,
    ):
        target = CacheTarget(
            parse_endpoint("grpcs://cache.example:9092"),
            tls=TlsFiles(ca_file=certificate),
            socket=socket,
        )
        try:
            fragment.write_text(render(target, None, on_cache_down="fail"))
            for phase, own, expected in (
                ("fill", ["--remote_upload_local_results"], "UpdateActionResult OK"),
                ("hit", [], "GetActionResult OK"),
            ):
                log = tmp_path / f"log-{phase}"
                assert server.run("clean", [], Deadline.after(BUILD_SECONDS)).good
                line = ["//:a", f"--experimental_remote_grpc_log={log}", *own]
                done = server.run("build", line, Deadline.after(BUILD_SECONDS))
                assert done.good, done.stderr
                assert read_calls(log).counts[expected] == 1
        finally:
            cache.stop()
