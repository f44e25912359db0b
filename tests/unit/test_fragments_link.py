"""The import line: added where git says it is the user's own, and offered everywhere else."""

import shlex
import shutil
import subprocess

import pytest

from gfattach.core.errors import ExitCode, RefusedError, StorageError
from gfattach.core.paths import Home
from gfattach.fragments.link import import_line, link, offer, user_rc_is_read
from gfattach.undo.journal import Journal, Undone
from gfattach.undo.managed_block import BEGIN
from tests.harness.machine.git import no_user_configuration

__all__ = ["no_user_configuration"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git")

LINE = "try-import %workspace%/.gfattach/bazelrc"


def test_what_a_hint_gives_to_a_shell_is_one_word_there(tmp_path):
    fragment = tmp_path / "it's $HOME" / "bazelrc"
    (line,) = [hint for hint in offer(Home(fragment.parent, None), fragment).hints if "to attach one" in hint]
    command = line.partition(": ")[2]
    assert shlex.split(command) == ["bazel", f"--bazelrc={fragment}", "build", "..."]


@pytest.fixture
def home(tmp_path):
    workspace = tmp_path / "my ünï workspace"
    workspace.mkdir()
    (workspace / "WORKSPACE").touch()
    (workspace / ".gitignore").write_text("user.bazelrc\n")
    (workspace / ".bazelrc").write_text("build --x\ntry-import %workspace%/user.bazelrc\n")
    git(workspace, "init", "--quiet")
    return Home(workspace / ".gfattach", workspace)


def git(directory, *args):
    subprocess.run(["git", "-C", directory, *args], check=True, capture_output=True)


def add_link(home):
    return link(home, home.directory / "bazelrc", Journal(home))


def refused(home):
    with pytest.raises(RefusedError) as caught:
        add_link(home)
    assert caught.value.exit_code == ExitCode.REFUSED
    assert any(hint.endswith(LINE) for hint in caught.value.hints), caught.value.hints
    assert not home.journal.exists()
    return caught.value


def test_the_line_is_added_in_a_marked_block_and_taken_out_again(home):
    user_rc = home.workspace / "user.bazelrc"
    user_rc.write_bytes(b"build --mine\r\nbuild --more")
    found = add_link(home)
    assert (found.line, found.file, found.hints) == (LINE, user_rc, ())
    assert LINE.encode() in user_rc.read_bytes()
    assert user_rc.read_bytes().count(b"\r\n") == 5
    assert [outcome.result for outcome in Journal(home).undo()] == [Undone.RESTORED]
    assert user_rc.read_bytes() == b"build --mine\r\nbuild --more"


def test_linking_twice_is_linking_once(home):
    add_link(home)
    once = (home.workspace / "user.bazelrc").read_bytes()
    assert add_link(home).hints == ()
    assert (home.workspace / "user.bazelrc").read_bytes() == once
    assert once.count(BEGIN) == 1


def test_a_file_that_was_not_there_is_gone_again(home):
    add_link(home)
    assert [outcome.result for outcome in Journal(home).undo()] == [Undone.REMOVED]
    assert not (home.workspace / "user.bazelrc").exists()


def test_a_workspace_that_does_not_read_the_file_is_told_how(home):
    (home.workspace / ".bazelrc").write_text("build --x\n")
    found = add_link(home)
    assert LINE in (home.workspace / "user.bazelrc").read_text()
    assert any("try-import %workspace%/user.bazelrc" in hint for hint in found.hints)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".bazelrc": "import %workspace%/user.bazelrc"}, True),
        (
            {".bazelrc": "import %workspace%/tools/rc", "tools/rc": "try-import %workspace%/user.bazelrc"},
            True,
        ),
        ({".bazelrc": "# try-import %workspace%/user.bazelrc"}, False),
        ({".bazelrc": "try-import %workspace%/tools/user.bazelrc"}, False),
        ({}, False),
    ],
)
def test_the_chain_of_imports_is_followed(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert user_rc_is_read(tmp_path) is expected


def test_a_file_that_git_tracks_is_refused(home):
    (home.workspace / "user.bazelrc").write_text("build --shared\n")
    git(home.workspace, "add", "--force", "user.bazelrc")
    error = refused(home)
    assert error.code == "link.tracked"
    assert (home.workspace / "user.bazelrc").read_text() == "build --shared\n"


def test_a_file_that_git_does_not_ignore_is_refused_and_the_hint_cures_it(home):
    (home.workspace / ".gitignore").unlink()
    error = refused(home)
    assert error.code == "link.exposed"
    assert not (home.workspace / "user.bazelrc").exists()
    [command] = [hint.partition(": ")[2] for hint in error.hints if "let git ignore it" in hint]
    subprocess.run(command, shell=True, check=True)
    add_link(home)
    assert LINE in (home.workspace / "user.bazelrc").read_text()


def test_without_git_the_file_is_left_alone(home, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    error = refused(home)
    assert error.code == "link.unknown" and "git is not installed" in error.fact


def test_outside_of_a_repository_the_file_is_left_alone(home):
    shutil.rmtree(home.workspace / ".git")
    assert refused(home).code == "link.outside"


def test_a_link_to_a_shared_file_is_left_alone(home, tmp_path):
    (tmp_path / "dotfiles").write_text("build --shared\n")
    (home.workspace / "user.bazelrc").symlink_to(tmp_path / "dotfiles")
    assert refused(home).code == "link.symlink"
    assert (tmp_path / "dotfiles").read_text() == "build --shared\n"


def test_half_a_block_is_a_typed_error(home):
    (home.workspace / "user.bazelrc").write_bytes(BEGIN + b"\n")
    with pytest.raises(StorageError) as caught:
        add_link(home)
    assert caught.value.code == "link.damaged"
    assert (home.workspace / "user.bazelrc").read_bytes() == BEGIN + b"\n"


def test_outside_of_a_workspace_it_is_only_offered(tmp_path):
    home = Home(tmp_path / "my state", None)
    fragment = home.directory / "bazelrc"
    with pytest.raises(RefusedError) as caught:
        link(home, fragment, Journal(home))
    line = f'try-import "{fragment}"'
    assert caught.value.code == "link.workspace"
    assert any(hint.endswith(line) for hint in caught.value.hints)
    assert offer(home, fragment).line == line


def test_offering_writes_nothing(home):
    found = offer(home, home.directory / "bazelrc")
    assert (found.line, found.file) == (LINE, None)
    assert not (home.workspace / "user.bazelrc").exists()
    assert any("--bazelrc=" in hint for hint in found.hints)


def test_where_bazel_sees_no_workspace_the_path_is_written_out(home):
    (home.workspace / "WORKSPACE").unlink()
    fragment = home.directory / "bazelrc"
    assert import_line(home, fragment) == f'try-import "{fragment}"'
