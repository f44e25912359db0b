"""The programs that the tests fetch: laid out so that they run where they lie, and told by their version."""

from __future__ import annotations

import json
import os
import zipfile

import pytest

from tests.harness.programs import PROGRAMS, Kind, installed, of_kind, pythons, relocate
from tests.harness.programs.held import HELD, moved_on
from tests.harness.programs.installed import RECORD


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GFATTACH_TEST_CACHE", str(tmp_path))
    return tmp_path


def keep(cache, key, version, age, suite="sid"):
    place = cache / "programs/nix-sid" / key
    place.mkdir(parents=True)
    record = {
        "kind": "nix",
        "suite": suite,
        "version": version,
        "package_version": f"{version}-1",
        "launcher": "bin/nix",
    }
    (place / RECORD).write_text(json.dumps(record))
    os.utime(place / RECORD, (age, age))


def test_a_program_is_there_in_the_version_that_was_used_last(cache):
    assert installed("nix-sid") is None and of_kind(Kind.NIX) == {"nix-trixie": None, "nix-sid": None}
    keep(cache, "a", "2.34.8", age=2000)
    keep(cache, "b", "2.35.0", age=1000)
    (cache / "programs/nix-sid/c").mkdir()  # half a program: fetched up to a point
    found = installed("nix-sid")
    assert found is not None
    assert (found.version, found.label) == ("2.34.8", "debian-sid-2.34.8")
    assert found.launcher == cache / "programs/nix-sid/a/bin/nix"
    assert list(of_kind(Kind.NIX)) == ["nix-trixie", "debian-sid-2.34.8"]


def test_a_suite_that_has_moved_on_is_named_with_both_versions(cache):
    assert list(moved_on()) == [], "what is not there has not moved"
    keep(cache, "a", HELD["nix-sid"], age=2000)
    assert list(moved_on()) == []
    keep(cache, "b", "2.99.0", age=1000)
    keep(cache, "c", HELD["nix-sid"], age=500)  # a run of before the move, which goes on
    os.utime(cache / "programs/nix-sid/b" / RECORD)
    [line] = moved_on()
    assert line.startswith("nix-sid: Debian's sid has moved on from")
    assert HELD["nix-sid"] in line and "2.99.0 (2.99.0-1)" in line


def test_every_program_has_a_version_that_the_tests_were_brought_in_line_with():
    assert set(HELD) == {program.name for program in PROGRAMS}


def test_a_python_is_found_by_its_minor_version():
    found = {version: pythons.of_version(version) for version in ("3.13", "3.14", "3.1", "")}
    assert [program and program.name for program in found.values()] == [
        "python-trixie",
        "python-sid",
        None,
        None,
    ]


def test_a_python_makes_environments_with_the_pip_of_its_own_tree(tmp_path):
    library, launcher = tmp_path / "usr/lib/python3.14", tmp_path / "usr/bin/python3.14"
    for directory in (library, launcher.parent, tmp_path / "usr/lib/x86_64-linux-gnu"):
        directory.mkdir(parents=True)
    data = library / "_sysconfigdata__linux_x86_64-linux-gnu.py"
    data.write_text("build_time_vars = {'WHEEL_PKG_DIR': '/usr/share/python-wheels/'}\n")
    (library / "_sysconfigdata__x86_64-linux-gnu.py").symlink_to(
        data.name
    )  # a second name is not a second file
    loader = tmp_path / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    loader.touch()
    launcher.write_bytes(b"\x7fELF")
    pythons.lay_out(tmp_path, launcher)
    assert f"'{tmp_path}/usr/share/python-wheels/'" in data.read_text()
    assert f"exec {loader} " in launcher.read_text() and launcher.stat().st_mode & 0o111


def test_links_of_a_tree_lead_into_it_where_it_has_what_they_name(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/policy").write_text("own")
    for name, target in {"in": "/etc/policy", "out": "/etc/hostname", "near": "etc/policy"}.items():
        (tmp_path / name).symlink_to(target)
    relocate.relink(tmp_path)
    assert (tmp_path / "in").read_text() == "own"
    assert (tmp_path / "out").readlink().as_posix() == "/etc/hostname"
    assert (tmp_path / "near").readlink().as_posix() == "etc/policy"


def test_jars_that_manifests_name_are_listed_once_in_javas_order(tmp_path):
    java = tmp_path / "usr/share/java"
    java.mkdir(parents=True)
    classpaths = {
        "a": "/usr/share/java/c.jar gone.jar",
        "b": "../java/a.jar c.jar",
        "c": "a.jar",
        "d": None,
    }
    for name, classpath in classpaths.items():
        with zipfile.ZipFile(java / f"{name}.jar", "w") as archive:
            if classpath is not None:  # a long line of a manifest goes on after a blank
                folded = f"Class-Path: {classpath}"
                archive.writestr("META-INF/MANIFEST.MF", f"{folded[:20]}\r\n {folded[20:]}\r\n")
    listed = [f"/usr/share/java/{name}.jar" for name in "badx"]
    found = relocate.with_manifests(tmp_path, listed)
    assert [path.rpartition("/")[2] for path in found] == ["b.jar", "a.jar", "c.jar", "d.jar"]
