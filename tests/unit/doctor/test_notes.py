"""Notes: the same bytes from one recorded run, nobody's names in them, an index, a comparison."""

import copy
import json
from pathlib import Path

import pytest

from gfattach.core.errors import UsageError
from gfattach.doctor.notes.compare import compared, lines
from gfattach.doctor.notes.files import read_run, write_index, write_note
from gfattach.doctor.notes.note import markdown, slug
from gfattach.doctor.notes.privacy import Identity, scrubbed

ME = Identity("ada", Path("/home/ada"), "adas-laptop.example.net", Path("/home/ada/src/app"))


def finding(probe, status="ok", seen="well", **more):
    code = f"{probe}.{status}"
    base = {"probe": probe, "code": code, "status": status, "seen": seen, "why": "", "hints": []}
    return base | {"seconds": 0.01, "data": {}} | more


def stage(name, *findings, seconds=0.5):
    states = [each["status"] for each in findings]
    worst = next((s for s in ("fail", "warn", "unknown", "ok") if s in states), "ok")
    return {"name": name, "title": name, "status": worst, "started": 0.0, "seconds": seconds,
            "findings": list(findings)}  # fmt: skip


def run(*stages, code=0, phases=(), title="a first attach"):
    machine = {"machine": "Linux aarch64, 4 cores", "bazel": "7.7.1"}
    note = {"title": title, "date": "2026-11-30", "machine": machine, "site": "sha256:abc"}
    note |= {"remarks": ["it *worked*"], "replay": ["gfattach up"]}
    verdict = {"state": "ok", "sentence": "all is well"}
    return {
        "schema": "gfattach.report/1", "gfattach": "0.1.0", "command": "doctor", "exit_code": code,
        "seconds": 1.0, "error": None, "stages": list(stages),
        "result": {"note": note, "phases": list(phases), "verdict": verdict},
    }  # fmt: skip


HIT = {"client": "bazel", "phase": "hit", "warm": False, "to_first_hit": 1.84}
CONTEXT = finding(
    "cluster.context",
    seen="work: https://api.corp.example:6443, namespace nix-cache",
    data={
        "context": "work-ctx",
        "cluster": "prod-eu",
        "user": "ada@corp",
        "server": "https://api.corp.example:6443",
    },
)
IDENTITY = finding("cluster.identity", seen="you are ada@corp", data={"user": "ada@corp"})
REFUSED = "10.1.2.3:9092 refused ada at /home/ada/src/app/.gfattach on adas-laptop"
SECRETIVE = run(
    stage("cluster", CONTEXT, IDENTITY), stage("cache", finding("cache.port", "fail", REFUSED)), code=1
)


def test_nobodys_name_home_host_or_address_is_in_a_scrubbed_run():
    text = json.dumps(scrubbed(SECRETIVE, ME)) + markdown(scrubbed(SECRETIVE, ME))
    for name in ("ada", "adas-laptop", "/home/", "10.1.2.3", "corp", "work-ctx", "prod-eu"):
        assert name not in text.replace("gfattach", "")
    assert "PRIVATE-ADDRESS:9092 refused USER at WORKSPACE/.gfattach on HOST" in text


def test_scrubbing_again_anywhere_changes_nothing():
    once = scrubbed(SECRETIVE, ME)
    assert scrubbed(once, Identity("bob", Path("/home/bob"), "bobs-desk", None)) == once


def test_a_note_made_twice_from_one_run_is_the_same_and_from_the_kept_json_too(tmp_path):
    document = scrubbed(run(stage("cache", finding("cache.port")), phases=[HIT]), ME)
    path = write_note(tmp_path, document)
    first = path.read_bytes()
    assert write_note(tmp_path, read_run(path.with_suffix(".json"))) == path
    assert path.read_bytes() == first and path.name == "2026-11-30-a-first-attach.md"


def test_a_note_has_front_matter_stages_surprises_the_first_hit_and_how_to_replay():
    document = run(
        stage("cache", finding("cache.port", "warn", "slow | very", why="builds wait", hints=["measure it"])),
        phases=[HIT],
    )
    text = markdown(document)
    assert text.startswith("---\nschema: gfattach.field-note/1\ndate: 2026-11-30\n")
    assert "| cache | warn | 0.50 s | slow \\| very |" in text
    assert (
        "### cache.port.warn (warn)\n\n    slow | very\n\nbuilds wait.\n\nWhat helps:\n\n    measure it"
        in text
    )
    assert "| bazel cold | 1.84 s |" in text and "first_hit_bazel_cold: 1.840" in text
    assert "- it \\*worked\\*" in text and "    gfattach up" in text


def test_the_index_lists_every_note_and_keeps_what_else_is_in_it(tmp_path):
    directory = tmp_path / "docs/field-notes"
    directory.mkdir(parents=True)
    (directory / "README.md").write_text("# Field notes\n\nWritten by hand.\n")
    write_note(tmp_path, run(phases=[HIT]))
    write_note(tmp_path, run(code=1, title="a second one"))
    index = (directory / "README.md").read_text()
    assert "Written by hand." in index
    assert (
        "| 2026-11-30 | [a first attach](2026-11-30-a-first-attach.md) | good | bazel cold 1.84 s |" in index
    )
    assert "| exit code 1 | - |" in index
    write_index(directory)
    assert (directory / "README.md").read_text() == index


def test_a_comparison_names_what_was_fixed_what_is_new_and_what_took_longer():
    before = run(
        stage("cache", finding("cache.port", "fail", "refused"), seconds=0.5), stage("nix", seconds=1.0)
    )
    after = run(stage("cache", finding("cache.tls", "warn", "soon"), seconds=2.0), stage("nix", seconds=1.05))
    found = compared(before, after)
    assert [*lines(found)] == [
        "fixed   refused  [cache.port.fail]",
        "new     soon  [cache.tls.warn]",
        "slower  cache: 0.50 s -> 2.00 s",
    ]


def test_two_equal_runs_have_no_difference():
    assert [*lines(compared(run(), copy.deepcopy(run())))] == ["no difference that is one"]


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "other/1"}'])
def test_what_is_no_recorded_run_is_named(tmp_path, content):
    file = tmp_path / "run.json"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        read_run(file)
    assert caught.value.code == "note.unreadable"


@pytest.mark.parametrize(
    ("text", "name"), [("Ein Täst: 1/2", "ein-t-st-1-2"), ("///", "note"), ("a" * 99, "a" * 60)]
)
def test_a_title_becomes_a_part_of_a_files_name(text, name):
    assert slug(text) == name
