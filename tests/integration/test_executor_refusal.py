"""Ways to enable an executor, each refused with a real Bazel; workspaces that only use a cache, none refused.

All of them ask one Bazel server: what is refused is what that Bazel says of its effective options.
"""

import os
import socket
import stat

import pytest

from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import RefusedError
from gfattach.proof.bazel.no_executor import refuse_executors
from tests.harness.machine.bazels import BUILD_SECONDS, debian
from tests.harness.machine.executors import NOT_REFUSED, REAL, REFUSED, Route

pytestmark = pytest.mark.bazel


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with one Bazel server for all cases, which ends with them."""
    root = tmp_path_factory.mktemp("refusal")
    for name in ("workspace", "home"):
        (root / name).mkdir()
    bazel = debian()
    own = server(bazel, root, Route({}))
    with own:
        yield bazel, root


def environment(root, route):
    return {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "USER": "dev", **route.variables}


def server(bazel, root, route):
    """The one server, as a case calls it: it is the output base that makes it the same."""
    given = [root / "workspace" / name for name in route.rc]
    return Server(bazel, root / "workspace", root / "work", "one", environ=environment(root, route), rc=given)


def ask(place, route):
    bazel, root = place
    workspace = root / "workspace"
    paths = {
        name: root / "home" / name[2:] if name.startswith("~/") else workspace / name for name in route.files
    }
    startup = f"startup --output_user_root={root / 'user-root'}\n"
    (workspace / "WORKSPACE").touch()
    (workspace / ".bazelrc").write_text("")
    try:
        for name, path in paths.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(route.files[name])
            if name == "tools/bazel":
                path.chmod(stat.S_IRWXU)
        with (workspace / ".bazelrc").open("a") as file:
            file.write(startup)
        rc_files = [workspace / name for name in route.rc]
        refuse_executors(
            server(bazel, root, route),
            root / "phase",
            Deadline.after(BUILD_SECONDS),
            environ=environment(root, route),
            rc=rc_files,
            accepted={"--experimental_remote_downloader="},
        )
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", REFUSED)
def test_a_way_to_an_executor_is_refused_with_the_place_where_it_stands(place, name):
    route = REFUSED[name]
    with pytest.raises(RefusedError) as caught:
        ask(place, route)
    assert caught.value.code == route.code
    assert caught.value.exit_code == 3
    assert route.place in "\n".join((caught.value.fact, *caught.value.hints))


@pytest.mark.parametrize("name", NOT_REFUSED)
def test_a_workspace_that_only_uses_a_cache_is_not_refused(place, name):
    ask(place, NOT_REFUSED[name])


class Listener:
    """Somebody at an address of this machine: `asked` says whether anybody has come."""

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.5)
        return self

    def __exit__(self, *_):
        self._socket.close()

    @property
    def option(self):
        return f"--remote_executor=grpc://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def asked(self):
        try:
            self._socket.accept()[0].close()
        except TimeoutError:
            return False
        return True


@pytest.mark.parametrize(
    "body",
    ['{REAL} "$@" {option}', 'if true; then set -- "$@" {option}; fi\n"$BAZEL_REAL" "$@"', ". ./farm.sh"],
    ids=["behind", "conditional", "in a file of its own"],
)
def test_no_executor_of_a_wrapper_is_asked_though_it_stands_behind_everything(place, body):
    """`--remote_executor=` before it would not keep Bazel from asking it what it can."""
    with Listener() as executor:
        line = f'{REAL} "$@" {executor.option}\n'
        route = Route(
            {
                "tools/bazel": "#!/bin/sh\n# runs BAZEL_REAL\n"
                + body.format(REAL=REAL, option=executor.option)
                + "\n",
                "farm.sh": line,
            }
        )
        with pytest.raises(RefusedError) as caught:
            ask(place, route)
        assert executor.option in caught.value.fact
        assert not executor.asked


def test_a_proof_of_a_users_own_target_ends_with_3_and_names_the_line(machine):
    """The command: attached to the trial, with an executor in the rc that a person keeps for himself."""
    debian()
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    (machine.workspace / "user.bazelrc").write_text(
        f"startup --output_user_root={machine.root / 'user-root'}\nbuild --spawn_strategy=remote\n"
    )
    done = machine.run("prove", "--target", "//:x")
    assert done.returncode == 3, done.stderr
    assert "it stands in user.bazelrc:2" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BAZEL_REMOTE_EXECUTOR", "grpc://farm:1"),
        ("BAZEL_REMOTE_EXECUTOR_CACHE", "grpc://farm:1"),
        ("GF_BAZEL_SUBSTRATE_MODE", "executor-backed"),
        ("GF_FLYWHEEL_PROFILE_STATE", "executor-backed"),
        ("GF_RBE_PROOF_MODE", "explicit"),
        ("BAZEL_REMOTE_EXEC_HEADER", "a=b"),
    ],
)
def test_a_variable_that_asks_for_an_executor_refuses_a_proof_before_bazel_is_asked(machine, variable, value):
    machine.variables[variable] = value
    done = machine.run("prove", "--target", "//:x")
    assert done.returncode == 3 and variable in done.stderr
