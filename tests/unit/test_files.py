"""Writing: whole or not at all, private whatever the umask, and errors that say what to do."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gfattach.core import files
from gfattach.core.errors import ExitCode, StorageError


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077, 0o777], ids=oct)
def umask(request):
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def test_files_are_0600_and_directories_0700_under_any_umask(tmp_path, umask):
    directory = files.make_private_directory(tmp_path / "a" / "b")
    files.write_atomic(directory / "f", b"x")
    assert [mode(p) for p in (tmp_path / "a", directory, directory / "f")] == [0o700, 0o700, 0o600]


def test_an_existing_directory_keeps_its_mode(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o755)
    files.make_private_directory(tmp_path / "a")
    assert mode(tmp_path / "a") == 0o755


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "f"
    files.write_atomic(target, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        files.write_atomic(target, b"new")
    assert caught.value.exit_code == ExitCode.USAGE
    assert "no space left" in caught.value.fact and str(target) in caught.value.fact
    assert caught.value.hints
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_file_where_a_directory_should_be_is_a_clear_error(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(StorageError, match="not a directory"):
        files.make_private_directory(tmp_path / "f" / "below")


def test_json_survives_the_round_trip_and_rubbish_is_a_clear_error(tmp_path):
    path = tmp_path / "x.json"
    assert files.read_json(path) is None
    files.write_json(path, {"a": [1, "ü"]})
    assert files.read_json(path) == {"a": [1, "ü"]}
    assert json.loads(path.read_bytes()) == {"a": [1, "ü"]}
    path.write_text("{")
    with pytest.raises(StorageError, match=r"is not JSON") as caught:
        files.read_json(path)
    assert caught.value.hints == (f"remove it: rm {path}",)


def test_removing_what_is_not_there_is_fine(tmp_path):
    assert files.remove(tmp_path / "f") is False
    (tmp_path / "f").write_text("")
    assert files.remove(tmp_path / "f") is True


def test_a_lock_that_another_process_holds_is_waited_for_and_then_named(tmp_path):
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from gfattach.core.files import locked\n"
            f"with locked(Path({str(lock)!r})): print('held', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StorageError) as caught, files.locked(lock, seconds=0.1):
            pass
        assert caught.value.code == "storage.locked" and str(lock) in caught.value.fact
        # A Python that another loader loads has that for its first word.
        command = Path(f"/proc/{holder.pid}/cmdline")
        program = command.read_text().partition("\0")[0] if command.exists() else sys.executable
        assert f"process {holder.pid} ({program} " in caught.value.fact
        assert f"-p {holder.pid}" in caught.value.hints[0]
    finally:
        holder.communicate()
    with files.locked(lock, seconds=5):
        pass


@pytest.mark.parametrize("said", [b"", b"none", b"99999999", b"\xff" * 30])
def test_a_lock_whose_holder_cannot_be_told_is_named_without_it(tmp_path, said):
    lock = tmp_path / "lock"
    with files.locked(lock):
        lock.write_bytes(said)
        with pytest.raises(StorageError, match=f"another gfattach holds {lock}$"), files.locked(lock, 0.05):
            pass


def test_a_pipe_or_a_device_in_place_of_a_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        for read in (files.read_bytes, files.read_json):
            with pytest.raises(StorageError, match=f"{name}: it is a pipe or a device") as caught:
                read(tmp_path / name)
            assert caught.value.exit_code is ExitCode.USAGE


def test_a_file_that_was_linked_to_nowhere_is_an_empty_one(tmp_path):
    (tmp_path / ".bazelrc").symlink_to(os.devnull)
    assert files.read_bytes(tmp_path / ".bazelrc") == b""


def test_a_directory_in_place_of_a_file_is_called_one(tmp_path):
    with pytest.raises(StorageError, match="is a directory"):
        files.read_bytes(tmp_path)
