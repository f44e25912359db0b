"""Files that take longest begin first, those of a cluster together; what is kept names files that exist."""

import json

from tests.harness.times import kept


def test_a_bed_comes_first_and_in_it_and_after_it_the_longest(monkeypatch):
    monkeypatch.setattr(
        kept,
        "times",
        lambda: {"tests/cluster/b.py": 5.0, "tests/cluster/c.py": 9.0, "tests/integration/d.py": 99.0},
    )
    files = [
        *("tests/unit/a.py", "tests/cluster/b.py", "tests/cluster/c.py", "tests/integration/d.py"),
        *("tests/integration/new.py", "tests/cluster/arc/e.py"),
    ]
    assert sorted(files, key=kept.place) == [
        *("tests/cluster/arc/e.py", "tests/cluster/c.py", "tests/cluster/b.py"),
        *("tests/integration/d.py", "tests/integration/new.py", "tests/unit/a.py"),
    ]


def test_a_run_of_some_files_leaves_the_seconds_of_the_others_and_none_of_those_that_are_gone(
    monkeypatch, tmp_path
):
    for name in ("one.py", "two.py"):
        (tmp_path / name).touch()
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "KEPT", tmp_path / "times.json")
    monkeypatch.setattr(kept, "times", lambda: {"one.py": 3.0, "two.py": 4.0, "gone.py": 9.0})
    kept.keep({"two.py": 5.04})
    assert json.loads(kept.KEPT.read_text()) == {"one.py": 3.0, "two.py": 5.0}


def test_every_file_that_is_kept_is_there():
    assert [file for file in kept.times() if not (kept.ROOT / file).exists()] == []
