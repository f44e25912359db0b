"""The local environment file: what it says, who can read it, and where it is not written."""

import os
import shutil
import subprocess

import pytest

from gfattach.contract.localfile import FILE_NAME, local_values, render, write_local_file
from gfattach.contract.substrate import classify
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import ExitCode, RefusedError, UsageError
from tests.harness.machine.git import no_user_configuration

__all__ = ["no_user_configuration"]

FORWARD = parse_endpoint("grpc://127.0.0.1:49152")

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git")


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", root], check=True)
    return root


def test_the_file_is_one_export_a_line_with_nothing_but_plain_quotes():
    head, *lines = render(local_values(FORWARD)).splitlines()
    assert head.startswith("# ")
    assert all(line.startswith("export ") for line in lines)
    assert "export BAZEL_REMOTE_CACHE=grpc://127.0.0.1:49152" in lines
    assert "export BAZEL_REMOTE_EXECUTOR=''" in lines
    assert "$" not in "".join(lines)


@pytest.mark.parametrize(
    "shell",
    [
        ["bash", "--norc", "-euc", '. "$1"; env -0', "bash"],
        ["bash", "--norc", "-c", 'set -a; source "$1"; set +a; env -0', "bash"],
        ["dash", "-euc", '. "$1"; env -0', "dash"],
        ["zsh", "-f", "-c", 'source "$1"; env -0', "zsh"],
    ],
    ids=lambda command: f"{command[0]} {command[-2]}",
)
def test_a_shell_that_sources_it_has_what_it_says(shell, tmp_path):
    if shutil.which(shell[0]) is None:
        pytest.skip(f"needs {shell[0]}: apt-get install {shell[0]}")
    meant = {**local_values(FORWARD), "BAZEL_OUTPUT_BASE": '/a dir/it\'s "so" $HOME `x` \\ !'}
    file = tmp_path / "outside" / FILE_NAME
    file.parent.mkdir()
    write_local_file(file, meant)
    answer = subprocess.run(
        [*shell, str(file)],
        env={"PATH": os.environ["PATH"], "BAZEL_REMOTE_EXECUTOR": "grpc://cell.example:1"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = dict(entry.split("=", 1) for entry in answer.stdout.decode().split("\0") if entry)
    assert {name: found[name] for name in meant} == meant
    assert classify(found, strict=True).accepted


def test_the_file_is_its_owner_s_alone(tmp_path):
    file = tmp_path / FILE_NAME
    write_local_file(file, {"A": "b"})
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("BAZEL_REMOTE_HEADER", "x-token=hunter2", "contract.local-file.secret"),
        ("ATTIC_TOKEN", "hunter2", "contract.local-file.secret"),
        ("NIX_CONFIG", "access-tokens = hunter2", "contract.local-file.secret"),
        ("BAZEL_CREDENTIAL_HELPER", "a=/b\nc=/hunter2", "contract.local-file.lines"),
        ("BAZEL_BIN", "hunter2\r", "contract.local-file.lines"),
    ],
)
def test_secrets_and_values_of_several_lines_are_not_written(tmp_path, name, value, code):
    with pytest.raises(UsageError) as caught:
        write_local_file(tmp_path / FILE_NAME, {name: value})
    assert caught.value.code == code
    assert "hunter2" not in f"{caught.value.fact} {caught.value.hints}"
    assert list(tmp_path.iterdir()) == []


@needs_git
def test_a_file_that_git_ignores_is_written(repository):
    (repository / ".gitignore").write_text(".env.*\n")
    write_local_file(repository / FILE_NAME, local_values(FORWARD))
    assert "BAZEL_REMOTE_CACHE" in (repository / FILE_NAME).read_text()


@needs_git
def test_a_file_that_git_would_take_is_not_written(repository):
    with pytest.raises(RefusedError) as caught:
        write_local_file(repository / FILE_NAME, local_values(FORWARD))
    assert (caught.value.code, caught.value.exit_code) == ("contract.local-file.exposed", ExitCode.REFUSED)
    assert not (repository / FILE_NAME).exists()


@needs_git
def test_a_file_that_git_tracks_is_not_written_even_when_it_is_ignored(repository):
    file = repository / FILE_NAME
    file.write_text("theirs\n")
    subprocess.run(["git", "-C", repository, "add", FILE_NAME], check=True)
    (repository / ".gitignore").write_text(".env.*\n")
    with pytest.raises(RefusedError) as caught:
        write_local_file(file, local_values(FORWARD))
    assert caught.value.code == "contract.local-file.tracked"
    assert file.read_text() == "theirs\n"


@needs_git
def test_the_hint_for_an_exposed_file_makes_git_ignore_it(repository, monkeypatch):
    monkeypatch.chdir(repository)
    with pytest.raises(RefusedError) as caught:
        write_local_file(repository / FILE_NAME, {"A": "b"})
    command = caught.value.hints[0].partition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    write_local_file(repository / FILE_NAME, {"A": "b"})


def test_where_git_cannot_be_asked_nothing_is_written(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError) as caught:
        write_local_file(tmp_path / FILE_NAME, {"A": "b"})
    assert caught.value.code == "contract.local-file.unknown"


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="there is no directory"):
        write_local_file(tmp_path / "nowhere" / FILE_NAME, {"A": "b"})
