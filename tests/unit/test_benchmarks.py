"""The page of benchmarks is made of its record and of nothing else; figures and powers are right."""

import json
import math
import re
import sys
from xml.etree import ElementTree

import pytest

from benchmarks import page, pictures
from benchmarks.__main__ import BENCHMARKS, PAGE, RECORD, ROOT, machine
from benchmarks.figures import Figure, Growth, Results, Timeline, publish

ENTRY = {
    "command": "python benchmarks/some.py",
    "date": "2026-11-30",
    "load": [1.5, 2.0],
    "machine": "2 cores, 8 GiB, Linux x86_64",
    "versions": {"gfattach": "0123456789ab", "Bazel": "7.7.1"},
}


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_the_medians():
    figure = Figure("f", [1.0, 2.0, 9.0], "s", [1.0, 4.0, 3.0], limit=1.0)
    assert (figure.value, figure.kept) == (1.0, True)
    assert Figure("f", [3.0], "s", [2.0], limit=1.0).kept is False
    assert Figure("f", [3.0], "MiB/s", [2.0], limit=1.0, more=True).kept is True
    assert Figure("f", [3.0], "s").kept is None


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_power_is_found_beyond_what_is_there_at_every_size(power):
    points = [(number, 0.05 + 0.01 * (number - 1) ** power) for number in (1, 10, 100, 1000)]
    growth = Growth("g", "s", points)
    # Points that the base hides are left out; those left are on the line.
    assert growth.power == pytest.approx(power, abs=0.05)
    assert growth.kept is (power <= 1.0)


def test_what_does_not_grow_has_no_power():
    assert Growth("g", "s", [(1, 1.0), (10, 1.01), (100, 0.98)]).power == 0.0


def made():
    growth = Growth("connections", "s", [(1, 0.1), (10, 0.3), (100, 2.1)])
    line = Timeline("first", [("start", 0.0, 0.4), ("hit", 0.4, 1.0)], [("bazel", 0.1, 0.3)], 1.2)
    return Results(
        [Figure("first hit", [2.0, 3.0], "s", [4.0, 4.0], limit=0.5)], [growth], [line], ["a note"]
    )


def test_results_survive_their_record(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHMARK_FIGURES", str(tmp_path / "f.json"))
    publish(made())
    kept = Results.from_json(json.loads((tmp_path / "f.json").read_text()))
    assert str(kept.figures[0]) == str(made().figures[0])
    assert math.isclose(kept.growth[0].power, made().growth[0].power)
    assert kept.notes == ["a note"]


def test_the_page_says_what_was_measured_where_when_and_with_what():
    shown = page.render(
        {"growth": ENTRY | {"results": made().as_json()}}, {"growth": ["pictures/growth.svg"]}
    )
    for said in (
        "2026-11-30",
        "load 1.5 to 2.0",
        "Bazel 7.7.1",
        "2 cores",
        "](pictures/growth.svg)",
        "- a note",
    ):
        assert said in shown
    assert "| first hit | 0.62x | 0.50 to 0.75 (2 rounds) | 2.50 s beside 4.00 | 0.5, **broken** |" in shown


def test_pictures_are_svg_with_the_names_of_what_they_show(tmp_path):
    drawn = pictures.draw({"first_hit": {"results": made().as_json()}}, tmp_path / "pictures")
    assert drawn == {"first_hit": ["pictures/first_hit-stages.svg", "pictures/first_hit.svg"]}
    texts = []
    for name in drawn["first_hit"]:
        root = ElementTree.parse(tmp_path / name).getroot()
        texts += ["".join(each.itertext()).strip() for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"first", "start", "hit", "bazel"} <= set(texts)
    assert any(text.startswith("connections: power") for text in texts)


def test_every_benchmark_has_a_title_and_a_file():
    assert [*page.TITLES] == [*BENCHMARKS]
    for words in BENCHMARKS.values():
        module = words[-1].replace(".", "/")
        files = [f"{module}.py", f"{module}/__main__.py"] if words[0] == "-m" else [words[0]]
        assert any((ROOT / file).is_file() for file in files)


def test_no_benchmark_hides_a_module_of_the_standard_library():
    """Each is run as a script, whose directory is the first that imports are looked for in."""
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert names & sys.stdlib_module_names == set()


def test_the_page_of_the_repository_is_what_its_record_says():
    record = json.loads(RECORD.read_text())
    shown = {name: re.findall(r"\]\((pictures/[^)]+)\)", PAGE.read_text()) for name in record}
    mine = {
        name: [each for each in found if re.match(rf"pictures/{name}(-|\.)", each)]
        for name, found in shown.items()
    }
    assert page.render(record, mine) == PAGE.read_text()
    assert all((PAGE.parent / each).is_file() for found in mine.values() for each in found)


def test_the_machine_is_a_class_and_has_no_name():
    assert re.fullmatch(r"\d+ cores, \d+ GiB, \w+ \w+", machine())
