"""The journal where something goes wrong: crashes, a damaged record, a full or closed directory."""

import errno
import json
import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from gfattach.core import files
from gfattach.core.errors import ExitCode, StorageError
from gfattach.core.paths import Home
from gfattach.undo import journal
from gfattach.undo.changes import JournalError
from gfattach.undo.journal import Journal, Undone
from tests.harness.machine.journals import changed, home, results

__all__ = ["home"]


class Crash(BaseException):
    """The machine dies."""


@pytest.mark.parametrize("content", [None, b"mine"])
def test_a_crash_between_the_record_and_the_file_leaves_the_old_file(home, monkeypatch, content):
    file = home.workspace / "user.bazelrc"
    if content is not None:
        file.write_bytes(content)

    def die(path, *_):
        if path == file:
            raise Crash
        files.write_atomic(path, *_)

    monkeypatch.setattr(journal, "write_atomic", die)
    with pytest.raises(Crash):
        Journal(home).will_change(file, b"ours")
    monkeypatch.undo()
    assert changed(home) == (file,)
    assert results(home) == [Undone.UNTOUCHED]
    assert (file.read_bytes() if file.exists() else None) == content


def test_a_crash_within_a_second_change_still_leads_back_to_the_first_original(home, monkeypatch):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine")
    Journal(home).will_change(file, b"ours")

    def die(*_):
        raise Crash

    monkeypatch.setattr(journal, "write_atomic", die)
    with pytest.raises(Crash):
        Journal(home).will_change(file, b"ours too")
    monkeypatch.undo()
    assert results(home) == [Undone.RESTORED]
    assert file.read_bytes() == b"mine"


def test_a_crash_at_the_end_of_an_undo_is_made_good_by_the_next(home, monkeypatch):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine")
    Journal(home).will_change(file, b"ours")

    def die(*_):
        raise Crash

    monkeypatch.setattr(journal, "remove", die)
    with pytest.raises(Crash):
        Journal(home).undo()
    monkeypatch.undo()
    assert results(home) == [Undone.UNTOUCHED]
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"schema": 1}',
        '{"schema": 1, "changes": [{}]}',
        '{"schema": 1, "changes": [{"path": "relative", "before": null, "mode": null,'
        ' "written": [], "directories": []}]}',
        '{"schema": 1, "changes": [{"path": "/x", "before": 7, "mode": 7,'
        ' "written": [], "directories": []}]}',
    ],
)
def test_a_damaged_journal_is_a_typed_error_that_says_what_to_do(home, text):
    home.state.mkdir(parents=True)
    home.journal.write_text(text)
    for act in (Journal(home).undo, lambda: Journal(home).will_change(home.workspace / "x", b"x")):
        with pytest.raises(JournalError) as caught:
            act()
        assert caught.value.code == "journal.damaged"
        assert caught.value.exit_code == ExitCode.USAGE
        assert any(str(home.journal) in hint for hint in caught.value.hints)
    assert home.journal.read_text() == text
    assert not (home.workspace / "x").exists()


def test_a_journal_of_another_format_names_it(home):
    home.state.mkdir(parents=True)
    home.journal.write_text(json.dumps({"schema": 2, "changes": []}))
    with pytest.raises(JournalError, match="format 2") as caught:
        Journal(home).undo()
    assert caught.value.code == "journal.version"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_a_change_whose_original_is_lost_is_not_undone_by_halves(home, damage):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine")
    Journal(home).will_change(file, b"ours")
    damage(next((home.originals).iterdir()))
    assert results(home) == [Undone.FAILED]
    assert file.read_bytes() == b"ours"
    assert changed(home) == (file,)


def test_one_that_cannot_be_undone_does_not_keep_the_others_from_it(home):
    first, second = home.workspace / "first", home.workspace / "second"
    for file in (first, second):
        file.write_bytes(b"mine")
        Journal(home).will_change(file, b"ours")
    first.unlink()
    first.mkdir()
    assert results(home) == [Undone.RESTORED, Undone.FAILED]
    assert changed(home) == (first,)
    first.rmdir()
    first.write_bytes(b"ours")
    assert results(home) == [Undone.RESTORED]
    assert first.read_bytes() == second.read_bytes() == b"mine"


def test_a_file_too_large_for_the_limit_leaves_the_old_one(home):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
    try:
        with pytest.raises(StorageError, match=os.strerror(errno.EFBIG).lower()):
            Journal(home).will_change(file, b"x" * 65536)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name for path in home.workspace.iterdir()} == {"user.bazelrc"}
    assert results(home) == [Undone.UNTOUCHED]
    assert file.read_bytes() == b"mine"


@contextmanager
def somebody():
    """Act as a user who is not root: root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_that_may_not_be_written_to_loses_nothing(monkeypatch):
    # Not below tmp_path, which is closed to everybody but who runs the tests.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        monkeypatch.setenv("XDG_STATE_HOME", f"{name}/state")
        with somebody():
            workspace = Path(name, "w")
            workspace.mkdir()
            home = Home(workspace / ".gfattach", workspace)
            file = workspace / "user.bazelrc"
            file.write_bytes(b"mine")
            home.state.mkdir(parents=True)
            workspace.chmod(0o555)
            with pytest.raises(StorageError) as caught:
                Journal(home).will_change(file, b"ours")
            assert "owner and mode" in " ".join(caught.value.hints)
            assert file.read_bytes() == b"mine"
            workspace.chmod(0o755)
            Journal(home).will_change(file, b"ours")
            workspace.chmod(0o555)
            [outcome] = Journal(home).undo()
            assert outcome.result is Undone.FAILED and "permission denied" in outcome.seen
            workspace.chmod(0o755)
            assert Undone.RESTORED in results(home)
            assert file.read_bytes() == b"mine"
