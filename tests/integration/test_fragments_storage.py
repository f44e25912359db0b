"""A disk that is full or read-only: what a person had is there afterwards, and an undo comes to its end.

Each test runs in a mount namespace of its own, on a small file system in memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PRELUDE = """
import os, subprocess, sys
from pathlib import Path
from gfattach.attach.model import record
from gfattach.attach.model.record import Attachment
from gfattach.undo import journal, managed_block
from gfattach.undo.changes import read_changes
from gfattach.core.errors import StorageError
from gfattach.fragments.home import create_home, remove_home
from gfattach.undo.journal import Journal, Undone
from gfattach.core.paths import Home

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", disk], check=True)
workspace = disk / "w"
workspace.mkdir()
home = Home(workspace / ".gfattach", workspace)
mine = b"build --mine\\n" * 700
user_rc = workspace / "user.bazelrc"
user_rc.write_bytes(mine)

def fill():
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            pass

def free():
    (disk / "filler").unlink()

def remount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)

def fails(act, words):
    try:
        act()
    except StorageError as error:
        assert words in error.fact, error.fact
        assert error.hints, error.fact
    else:
        raise AssertionError("it did not fail")

def results():
    return [outcome.result for outcome in Journal(home).undo()]
"""


def on_a_small_disk(tmp_path: Path, script: str) -> None:
    """Run `script` in a mount namespace of its own."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs mount namespaces: sysctl -w kernel.unprivileged_userns_clone=1")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        [*unshare, sys.executable, "-c", PRELUDE + textwrap.dedent(script), disk],
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(disk / "state")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(disk.iterdir()) == []  # the mount was the child's own


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        create_home(home)
        fill()
        fails(lambda: Journal(home).will_change(user_rc, managed_block.put(mine, ["x"])), "no space")
        assert user_rc.read_bytes() == mine
        assert sorted(path.name for path in workspace.iterdir()) == [".gfattach", "user.bazelrc"]
        free()
        assert set(results()) <= {Undone.UNTOUCHED}
        assert Journal(home).will_change(user_rc, managed_block.put(mine, ["x"]))
        assert results() == [Undone.RESTORED]
        assert user_rc.read_bytes() == mine
        """,
    )


def test_a_disk_that_fills_up_between_the_record_and_the_file_leaves_the_old_file(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        write = journal.write_atomic
        def fill_first(path, *args):
            if path == user_rc:
                fill()
            write(path, *args)
        journal.write_atomic = fill_first
        fails(lambda: Journal(home).will_change(user_rc, managed_block.put(mine, ["x"])), "no space")
        journal.write_atomic = write
        assert user_rc.read_bytes() == mine
        assert results() == [Undone.UNTOUCHED]
        assert not home.journal.exists()
        """,
    )


def test_on_a_full_disk_what_cannot_be_undone_now_is_undone_later(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        made = workspace / "made"
        Journal(home).will_change(user_rc, managed_block.put(mine, ["x"]))
        Journal(home).will_change(made, b"x")
        fill()
        assert results() == [Undone.REMOVED, Undone.FAILED]
        assert user_rc.read_bytes() == managed_block.put(mine, ["x"]) and not made.exists()
        free()
        assert Undone.RESTORED in results()
        assert user_rc.read_bytes() == mine
        assert results() == []
        """,
    )


def test_on_a_full_disk_a_file_that_gfattach_made_can_be_undone(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        create_home(home)
        Journal(home).will_change(workspace / "made", b"x")
        fill()
        assert results() == [Undone.REMOVED]
        assert remove_home(home) == ()
        assert sorted(path.name for path in workspace.iterdir()) == ["user.bazelrc"]
        """,
    )


def test_a_home_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        fill()
        fails(lambda: create_home(home), "no space")
        assert sorted(path.name for path in workspace.iterdir()) == ["user.bazelrc"]
        """,
    )


def test_a_record_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        create_home(home)
        before = Attachment.begin("trial")
        record.save(home, before)
        fill()
        fails(lambda: record.save(home, Attachment.begin("direct")), "no space")
        assert record.load(home) == before
        assert record.forget(home)
        assert record.load(home) is None
        """,
    )


def test_a_read_only_disk_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    on_a_small_disk(
        tmp_path,
        """
        remount("ro")
        fails(lambda: create_home(home), "read-only")
        fails(lambda: Journal(home).will_change(user_rc, b"x"), "read-only")
        remount("rw")
        Journal(home).will_change(user_rc, managed_block.put(mine, ["x"]))
        remount("ro")
        [outcome] = Journal(home).undo()
        assert outcome.result is Undone.FAILED and "read-only" in outcome.seen
        assert [change.path for change in read_changes(home.journal, home.originals)] == [user_rc]
        remount("rw")
        assert results() == [Undone.RESTORED]
        assert user_rc.read_bytes() == mine
        """,
    )
