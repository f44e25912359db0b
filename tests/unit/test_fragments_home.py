"""The home as a directory: private, invisible to a real git, and removed down to what is foreign."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from gfattach.core.errors import RefusedError, StorageError
from gfattach.core.paths import Home
from gfattach.fragments.home import IGNORE, create_home, remove_home
from tests.harness.machine.git import no_user_configuration

__all__ = ["no_user_configuration"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git")


@pytest.fixture(autouse=True)
def state(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(params=["w", "with space", "ünï¢ode", "l" * 200 + "/" + "o" * 200 + "/" + "ng" * 100])
def home(tmp_path, request):
    workspace = tmp_path / request.param
    workspace.mkdir(parents=True)
    git(workspace, "init", "--quiet")
    return Home(workspace / ".gfattach", workspace)


@pytest.fixture
def plain(tmp_path):
    workspace = tmp_path / "w"
    workspace.mkdir()
    git(workspace, "init", "--quiet")
    return Home(workspace / ".gfattach", workspace)


def git(directory, *args):
    command = ["git", "-C", directory, "-c", "user.name=n", "-c", "user.email=e@example.com", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_it_is_private_and_git_never_sees_it(home, mask):
    before = os.umask(mask)
    try:
        create_home(home)
    finally:
        os.umask(before)
    home.record.write_text("{}")
    assert mode(home.directory) == 0o700
    assert mode(home.directory / ".gitignore") == 0o600
    assert git(home.workspace, "status", "--porcelain", "--untracked-files=all") == ""


def test_making_it_twice_changes_nothing(home):
    create_home(home)
    before = (home.directory / ".gitignore").stat().st_ino
    create_home(home)
    assert (home.directory / ".gitignore").stat().st_ino == before


def test_what_gfattach_made_is_removed_and_the_directory_with_it(home):
    create_home(home)
    for path in (home.record, home.journal, home.lock, home.evidence, home.directory / "bazelrc"):
        path.write_text("x")
    (home.state / ".attachment.json.abc123.new").write_text("half")
    (home.trial / "cas/deep").mkdir(parents=True)
    (home.trial / "cas/deep/blob").write_text("x")
    home.originals.mkdir()
    (home.trial / "cas").chmod(0o500)
    assert remove_home(home) == ()
    assert [path.name for path in home.workspace.iterdir()] == [".git"]
    assert remove_home(home) == ()


def test_foreign_files_are_left_and_named(plain):
    create_home(plain)
    plain.record.write_text("x")
    (plain.directory / "notes").write_text("mine")
    plain.originals.mkdir()
    (plain.originals / "kept").write_text("mine")
    assert remove_home(plain) == (plain.directory / "notes", plain.originals)
    assert (plain.directory / "notes").read_text() == "mine"
    assert not plain.record.exists() and not (plain.directory / ".gitignore").exists()


def test_a_link_in_the_home_is_removed_and_what_it_leads_to_is_not(plain, tmp_path):
    create_home(plain)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    plain.trial.symlink_to(elsewhere)
    assert remove_home(plain) == ()
    assert (elsewhere / "precious").exists()


def test_an_ignore_file_of_somebody_elses_is_kept(plain):
    plain.directory.mkdir()
    (plain.directory / ".gitignore").write_text("*\n")
    create_home(plain)
    assert (plain.directory / ".gitignore").read_text() == "*\n"
    assert remove_home(plain) == (plain.directory / ".gitignore",)


def test_a_home_that_git_would_see_is_refused(plain):
    plain.directory.mkdir()
    (plain.directory / ".gitignore").write_text("!*\n")
    with pytest.raises(RefusedError) as caught:
        create_home(plain)
    assert caught.value.code == "home.visible"
    assert (plain.directory / ".gitignore").read_text() == "!*\n"


def test_a_home_that_git_tracks_is_refused(plain):
    plain.directory.mkdir()
    (plain.directory / "bazelrc").write_text("x")
    git(plain.workspace, "add", "--force", ".gfattach/bazelrc")
    with pytest.raises(RefusedError) as caught:
        create_home(plain)
    assert caught.value.code == "home.tracked"
    assert f"git -C {plain.workspace} rm -r -f .gfattach" in " ".join(caught.value.hints)


def test_a_refusal_leaves_no_directory_behind(plain):
    """Tracked, though the file is gone from the work tree: the directory is gfattach's to make."""
    plain.directory.mkdir()
    (plain.directory / "bazelrc").write_text("x")
    git(plain.workspace, "add", "--force", ".gfattach/bazelrc")
    shutil.rmtree(plain.directory)
    with pytest.raises(RefusedError):
        create_home(plain)
    assert not plain.directory.exists()


def test_without_git_and_outside_of_a_repository_it_is_made_all_the_same(tmp_path, monkeypatch):
    for name, path in (("outside", None), ("no git", str(tmp_path / "empty"))):
        if path is not None:
            monkeypatch.setenv("PATH", path)
        workspace = tmp_path / name
        workspace.mkdir()
        home = Home(workspace / ".gfattach", workspace)
        create_home(home)
        assert (home.directory / ".gitignore").read_bytes() == IGNORE


def test_outside_of_a_workspace_there_is_nothing_to_ignore(tmp_path):
    home = Home(tmp_path / "state/attachments/default", None)
    create_home(home)
    assert mode(home.directory) == 0o700
    assert list(home.directory.iterdir()) == []


def test_a_link_in_its_place_is_not_followed(plain, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    plain.directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="symbolic link"):
        create_home(plain)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert remove_home(plain) == ()
    assert plain.directory.is_symlink()


def test_a_directory_that_others_may_read_is_closed(plain):
    plain.directory.mkdir(mode=0o755)
    create_home(plain)
    assert mode(plain.directory) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away: run the tests as root too")
def test_a_directory_of_another_user_is_refused(plain):
    plain.directory.mkdir()
    os.chown(plain.directory, 12345, 12345)
    with pytest.raises(RefusedError, match="12345"):
        create_home(plain)


def test_a_file_in_its_place_is_a_typed_error(plain):
    plain.directory.write_text("x")
    with pytest.raises(StorageError):
        create_home(plain)
    assert plain.directory.read_text() == "x"


def test_a_path_that_is_too_long_is_a_typed_error_that_says_so(tmp_path):
    workspace = tmp_path / ("x" * 300)
    with pytest.raises(StorageError, match="too long") as caught:
        create_home(Home(workspace / ".gfattach", workspace))
    assert "shorter" in " ".join(caught.value.hints)
    assert Path(tmp_path).exists()
