"""Files that take longest begin first, those of a cluster together; what is kept names files that exist."""

import json
from types import SimpleNamespace

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
    before = {"files": {"one.py": 3.0, "two.py": 4.0, "gone.py": 9.0}, "slow": {"gone.py::a": 1.0}}
    monkeypatch.setattr(kept, "_kept", lambda: before)
    kept.keep({"two.py::a": 2.04, "two.py::b": 3.0})
    assert json.loads(kept.KEPT.read_text()) == {"files": {"one.py": 3.0, "two.py": 5.0}, "slow": {}}


def test_of_the_fast_suites_the_slow_tests_are_kept_and_left_out_of_a_fast_run(monkeypatch, tmp_path):
    for name in ("unit", "cluster"):
        (tmp_path / "tests" / name).mkdir(parents=True)
        (tmp_path / "tests" / name / "one.py").touch()
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "KEPT", tmp_path / "times.json")
    before = {"files": {}, "slow": {"tests/unit/one.py::mended": 9.0, "tests/unit/one.py::other": 8.0}}
    monkeypatch.setattr(kept, "_kept", lambda: before)
    found = {
        "tests/unit/one.py::mended": 0.01,
        "tests/unit/one.py::slow": 0.2,
        "tests/cluster/one.py::a": 3.0,
    }
    kept.keep(found)
    written = json.loads(kept.KEPT.read_text())
    assert written["slow"] == {"tests/unit/one.py::other": 8.0, "tests/unit/one.py::slow": 0.2}
    monkeypatch.setattr(kept, "_kept", lambda: written)
    items = [SimpleNamespace(nodeid=test) for test in found]
    left = kept.quick(items)  # type: ignore[arg-type]
    assert [item.nodeid for item in left] == ["tests/unit/one.py::mended", "tests/cluster/one.py::a"]


def test_a_fast_run_is_most_of_the_suites_that_need_no_program():
    """What is left out are some hundreds of five thousand."""
    assert len(kept.slow()) < 800


def test_every_file_that_is_kept_is_there():
    assert [file for file in kept.times() if not (kept.ROOT / file).exists()] == []
