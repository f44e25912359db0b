"""The rc files of large public projects, as texts: no crash, and each hazard where it stands."""

import pytest

from gfattach.contract.bazel.rctext import RcFile
from gfattach.contract.hazards.rc import rc_hazards
from tests.harness.machine.projects import PROJECTS


@pytest.fixture(autouse=True)
def on_linux(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.parametrize("name", PROJECTS)
def test_the_hazards_of_a_projects_rc_files_are_those_that_stand_there(name):
    shape = PROJECTS[name]
    files = [
        RcFile(path, text, tracked=True) for path, text in shape.files.items() if "farm.bazelrc" not in path
    ]
    found = rc_hazards(files)
    places = [
        f"{each.data['file']}:{each.data['line']} {each.code.removeprefix('hazard.')}" for each in found
    ]
    assert sorted(places) == sorted(shape.hazards)
