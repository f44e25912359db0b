"""The private rc file with headers: where it is, who may read it, and when it goes."""

import os
import stat
import subprocess
import sys

import pytest

from gfattach.attach.bazel.headers import sweep, write_headers


@pytest.fixture(params=["runtime", "gone"])
def places(request, tmp_path, monkeypatch):
    """With a session's runtime directory, and with a variable that names one which is not there."""
    (tmp_path / "runtime").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / request.param))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / ("runtime" if request.param == "runtime" else "cache")


@pytest.fixture
def environ(places):
    """What the commands of that session have."""
    return dict(os.environ)


def test_only_this_user_can_read_it(places, environ):
    file = write_headers("build --remote_header=a=canary\n", environ)
    assert file.is_relative_to(places)
    assert file.read_text() == "build --remote_header=a=canary\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_it_stays_while_its_process_runs_and_goes_with_the_next_sweep(places, environ):
    own = write_headers("x", environ)
    other = own.with_name(f"headers-{os.getppid()}.bazelrc")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = own.with_name(f"headers-{ended.pid}.bazelrc")
    foreign = own.with_name("notes.txt")
    for file in (other, gone, foreign):
        file.write_text("x")
    sweep(environ)
    assert [other.exists(), gone.exists(), own.exists(), foreign.exists()] == [True, False, False, True]


def test_a_sweep_of_nothing_is_fine(environ):
    sweep(environ)
