"""What a workspace's `tools/bazel` makes of a command, seen without running the command."""

import os

import pytest

from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.bazel.server.wrapper import WRAPPER, seen_by_bazel
from gfattach.core.deadline import Deadline

#: A launcher as bazelisk is one: it runs the wrapper of the workspace, and names the real Bazel to it.
LAUNCHER = """#!/bin/sh
if [ -x tools/bazel ]; then BAZEL_REAL={real} exec tools/bazel "$@"; fi
exec {real} "$@"
"""

#: A Bazel that notes that it was run, and says who it is.
REAL = '#!/bin/sh\necho "$*" >> {log}\necho "bazel 8.1.1"\n'


class Room:
    def __init__(self, root):
        self.root, self.log = root, root / "log"
        self.workspace = root / "with space"
        (self.workspace / "tools").mkdir(parents=True)
        self.real = self.program("real", REAL.replace("{log}", str(self.log)))

    def program(self, name, text):
        path = self.root / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def seen(self, program, wrapper, *words):
        self.program(self.workspace / WRAPPER, f"#!/bin/sh\n{wrapper}\n")
        environ = {"PATH": os.environ["PATH"]}
        server = Server(Bazel(program, "8.1.1"), self.workspace, self.root / "w", "one", environ=environ)
        path = self.workspace / WRAPPER
        return seen_by_bazel(server, path, words, "build", self.root / "work", Deadline.after(20))

    @property
    def ran(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


@pytest.fixture
def launcher(room):
    return room.program("launcher", LAUNCHER.replace("{real}", str(room.real)))


def test_the_words_behind_a_wrapper_are_known_and_bazel_was_not_run_with_them(room, launcher):
    wrapper = 'exec "$BAZEL_REAL" --batch "$@" --jobs="a b" "$(printf \'c\\nd\')"'
    seen = room.seen(launcher, wrapper, "--base=/x y", "build", "--nobuild")
    assert seen == (room.real, ["--batch", "--base=/x y", "build", "--nobuild", "--jobs=a b", "c\nd"])
    assert room.ran == []
    assert list((room.root / "work").iterdir()) == []


def test_what_a_wrapper_asks_of_bazel_besides_the_real_one_answers(room, launcher):
    wrapper = 'case "$("$BAZEL_REAL" --version)" in "bazel 8"*) set -- "$@" --new;; esac; "$BAZEL_REAL" "$@"'
    assert room.seen(launcher, wrapper, "build") == (room.real, ["build", "--new"])
    assert room.ran == ["--version"]


def test_a_program_that_runs_no_wrapper_is_asked_nothing_of_it(room):
    """A plain Bazel: what the file in the workspace would do is of no concern."""
    assert room.seen(room.real, f"echo wrapper >> {room.log}", "build") is None
    assert room.ran == ["--version"]


@pytest.mark.parametrize("wrapper", ["exit 3", "exec /nonexistent/bazel", "true"])
def test_of_a_wrapper_that_does_not_call_the_bazel_that_it_is_given_nothing_is_known(room, launcher, wrapper):
    assert room.seen(launcher, wrapper, "build") is None
