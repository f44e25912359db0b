"""`logs --follow`: every entry once, over the beginning of a new file, until the agent is no more."""

from __future__ import annotations

import pytest

from gfattach.attach import logs
from gfattach.core.files import remove_tree


@pytest.fixture
def log(tmp_path):
    """The log of an agent that has one entry."""
    directory = tmp_path / "agent"
    directory.mkdir()
    (directory / "agent.log").write_text("before\n")
    return logs.Log((directory / "agent.log.1", directory / "agent.log"), ("before",))


def followed(log, monkeypatch, *acts):
    """What is given out while each of `acts` is done between two looks."""
    coming = iter(acts)
    monkeypatch.setattr(logs.time, "sleep", lambda seconds: next(coming)())  # type: ignore[attr-defined]
    return [*logs.follow(log)]


def test_what_came_before_a_new_file_was_begun_is_not_lost(log, monkeypatch):
    older, file = log.files

    def written():
        with file.open("a") as handle:
            handle.write("one\ntw")

    def begun_anew():
        with file.open("a") as handle:
            handle.write("o\nthree\n")
        file.rename(older)
        file.write_text("4\n")

    def ended():
        remove_tree(file.parent)

    assert followed(log, monkeypatch, written, begun_anew, ended) == ["one", "two", "three", "4"]


def test_it_ends_when_the_attachment_does(log, monkeypatch):
    assert followed(log, monkeypatch, lambda: remove_tree(log.files[1].parent)) == []
