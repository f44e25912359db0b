"""What git makes of a path, asked of a real git; and "cannot tell" where it cannot say."""

import shutil
import subprocess

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.git import Standing, ask
from tests.harness.machine.git import no_user_configuration

__all__ = ["no_user_configuration"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git")

NAMES = ["user.bazelrc", "with space", "ünï ¢ode", ":(top)magic", "*", "-dash", "[a]", "new\nline"]


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "répo sitory"
    root.mkdir()
    git(root, "init", "--quiet")
    return root


def git(directory, *args):
    subprocess.run(
        ["git", "-C", directory, "-c", "user.name=n", "-c", "user.email=e@example.com", *args],
        check=True,
        capture_output=True,
    )


def ignore(root, *lines):
    (root / ".git/info/exclude").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_git_tracks_is_tracked_even_when_it_is_ignored_too(repository, name):
    (repository / name).write_text("x")
    git(repository, "--literal-pathspecs", "add", "--", name)
    ignore(repository, "*")
    answer = ask(repository / name)
    assert (answer.standing, answer.root) == (Standing.TRACKED, repository)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_is_ignored_need_not_exist(repository, name, exists):
    ignore(repository, "*")
    if exists:
        (repository / name).write_text("x")
    assert ask(repository / name).standing is Standing.IGNORED


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_pattern_for_the_files_beside_it(repository, name):
    (repository / "a").write_text("x")
    git(repository, "add", "a")
    assert ask(repository / name).standing is Standing.EXPOSED


def test_a_directory_is_tracked_when_a_file_below_it_is(repository):
    (repository / "d").mkdir()
    (repository / "d/f").write_text("x")
    assert ask(repository / "d").standing is Standing.EXPOSED
    git(repository, "add", "d/f")
    assert ask(repository / "d").standing is Standing.TRACKED


def test_below_the_root_the_root_is_named(repository):
    (repository / "a/b").mkdir(parents=True)
    assert ask(repository / "a/b/c").root == repository


def test_a_directory_without_a_repository_is_outside(tmp_path):
    assert ask(tmp_path / "f").standing is Standing.OUTSIDE


def test_a_hooks_variables_do_not_lead_to_another_repository(repository, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    ignore(repository, "user.bazelrc")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert ask(repository / "user.bazelrc").standing is Standing.IGNORED


def test_without_git_nothing_can_be_told(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    answer = ask(repository / "f")
    assert (answer.standing, answer.reason) == (Standing.UNKNOWN, "git is not installed")


def script(path, text):
    path.mkdir()
    (path / "git").write_text(f"#!/bin/sh\n{text}\n")
    (path / "git").chmod(0o755)
    return str(path)


def test_a_git_that_hangs_is_given_up(repository, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", script(tmp_path / "bin", "exec /bin/sleep 60"))
    answer = ask(repository / "f", Deadline.after(0.2))
    assert answer.standing is Standing.UNKNOWN and "in time" in answer.reason


def test_a_git_that_refuses_is_quoted(repository, monkeypatch, tmp_path):
    said = "fatal: detected dubious ownership in repository"
    monkeypatch.setenv("PATH", script(tmp_path / "bin", f"echo '{said}' >&2; exit 128"))
    answer = ask(repository / "f")
    assert (answer.standing, answer.reason) == (
        Standing.UNKNOWN,
        "git said: detected dubious ownership in repository",
    )


def test_a_git_that_cannot_be_run_is_named(repository, monkeypatch, tmp_path):
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "git").write_bytes(b"\x7fELF not really")
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    answer = ask(repository / "f")
    assert answer.standing is Standing.UNKNOWN and "cannot be run" in answer.reason


def test_a_directory_that_is_not_there_is_unknown(tmp_path):
    assert ask(tmp_path / "nowhere" / "f").standing is Standing.UNKNOWN


def test_git_is_given_nothing_of_the_environment_but_what_it_needs(tmp_path, monkeypatch):
    """No token of somebody else's, nor the password of a proxy; its own variables are."""
    program, seen = tmp_path / "bin/git", tmp_path / "seen"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv >> {seen}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    for name in ("ATTIC_TOKEN", "https_proxy", "GF_REAPI_CREDENTIAL_HELPER_TOKEN"):
        monkeypatch.setenv(name, "c4nary")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    ask(tmp_path / "file")
    said = seen.read_text()
    assert "c4nary" not in said and "GIT_CONFIG_COUNT=0" in said and "HOME=" in said
