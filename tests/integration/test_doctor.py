"""`gfattach doctor` as a command: attached, unattached, and with what keeps other commands from starting."""

import hashlib
import json
import socket
from pathlib import Path

import jsonschema
import pytest

from gfattach.trial.nix_server import NixCacheServer
from tests.harness.machine.developer import make_machine

ROOT = Path(__file__).parents[2]
QUESTIONS = json.loads((ROOT / "docs/schema/questions-v1.json").read_text())


def tree(root):
    """Every file below `root` with its bytes, but for what git keeps."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts
    }


def verdict(document):
    return document["result"]["verdict"]


def test_unattached_it_says_what_it_looked_at_and_changes_nothing(machine):
    machine.json("status", code=1)
    before = tree(machine.root)
    done = machine.run("doctor", "--no-nix")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(("all of ", "it works, with "))
    assert tree(machine.root) == before and machine.processes() == []


def test_a_healthy_attachment_is_told_with_every_stage_and_changes_nothing(machine):
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    machine.run("doctor", "--no-nix")  # what a first look remembers of Bazel is there now
    before = tree(machine.root / "workspace")
    document = machine.json("doctor", "--no-nix")
    assert verdict(document)["state"] in ("ok", "warn") and document["result"]["attached"]
    names = [stage["name"] for stage in document["stages"]]
    assert {"state", "machine", "workspace", "trial", "cache", "fragments"} <= set(names)
    assert tree(machine.root / "workspace") == before


def test_a_dead_trial_is_the_cause_and_what_follows_is_folded_under_it(machine):
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    import os
    import signal

    trial = machine.json("status")["stages"]
    [pid] = {
        finding["data"]["pid"]
        for stage in trial
        for finding in stage["findings"]
        if finding["probe"] == "trial"
    }
    os.kill(pid, signal.SIGKILL)
    document = machine.json("doctor", "--no-nix", code=1)
    assert verdict(document)["roots"][0] == "trial"
    assert "ended" in verdict(document)["sentence"]


def test_a_damaged_record_keeps_other_commands_from_starting_and_is_its_cause(machine):
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    [record] = (machine.root / "home/.local/state").rglob("attachment.json")
    kept = record.read_bytes()
    record.write_text("{")
    try:
        assert machine.run("status").returncode == 2
        document = machine.json("doctor", "--no-nix", code=1)
    finally:
        record.write_bytes(kept)
    assert verdict(document)["roots"][0] == "state.record"
    [found] = [f for s in document["stages"] for f in s["findings"] if f["probe"] == "state.record"]
    assert found["code"] == "attachment.damaged" and found["hints"]


def test_a_site_file_with_a_fault_is_its_cause(machine):
    (machine.root / "home/.config/gfattach").mkdir(parents=True)
    (machine.root / "home/.config/gfattach/gfattach.toml").write_text("[cache\n")
    document = machine.json("doctor", "--no-nix", code=1)
    assert verdict(document)["roots"][0] == "state.site"


def test_a_refusing_cache_is_named_and_the_last_line_is_one_sentence(machine):
    done = machine.run("doctor", "--cache", "grpc://127.0.0.1:1", "--no-nix")
    assert done.returncode == 1
    assert "127.0.0.1:1 refused the connection" in done.stdout.splitlines()[-1]
    assert "cache.port.refused" in done.stdout


def test_everything_hanging_it_ends_all_the_same(machine):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        document = machine.json(
            "doctor", "--cache", f"grpc://127.0.0.1:{port}", "--no-nix", "--substituter", f"http://127.0.0.1:{port}",
            "--public-key", "a:" + "A" * 43 + "=", code=1,
        )  # fmt: skip
    assert document["seconds"] < 30


def test_only_what_is_asked_for_is_asked_with_what_it_needs(machine):
    document = machine.json("doctor", "--cache", "grpc://127.0.0.1:1", "--only", "cache.port", code=1)
    asked = {finding["probe"] for stage in document["stages"] for finding in stage["findings"]}
    assert "cache.port" in asked and not {name for name in asked if name.startswith(("machine.", "bazel."))}
    left = machine.json("doctor", "--skip", "machine", "--no-nix")
    assert "machine" not in {stage["name"] for stage in left["stages"]}


def test_a_word_that_names_nothing_is_refused(machine):
    done = machine.run("doctor", "--only", "no-such-thing")
    assert done.returncode == 2 and "gfattach doctor --list" in done.stderr


def test_strict_takes_a_warning_for_a_failure(machine):
    machine.variables["HTTP_PROXY"] = "http://proxy.invalid:3128"
    assert verdict(machine.json("doctor", "--no-nix"))["state"] == "warn"
    assert verdict(machine.json("doctor", "--no-nix", "--strict", code=1))["state"] == "fail"


def test_every_probe_is_listed_with_its_question_and_its_codes(machine):
    listed = machine.run("doctor", "--list").stdout
    assert "cache.port" in listed and "machine.disk" in listed and "nix.trust" in listed
    assert "cache.port.refused" in machine.run("doctor", "--list", "--verbose").stdout
    document = json.loads(machine.run("doctor", "--list", "--output", "json").stdout)
    jsonschema.validate(document, QUESTIONS)
    listed_codes = {code for entry in document["questions"] for code in entry["codes"]}
    assert {"machine.disk.full", "cluster.clock.ahead", "substituter.signature.unsigned"} <= listed_codes


def test_a_note_a_recorded_run_and_a_page_of_it_without_a_name_of_this_machine(machine):
    report = machine.root / "run.json"
    done = machine.run(
        "doctor", "--no-nix", "--note", "A first look", "--remark", "all went well", "--report", str(report)
    )
    assert done.returncode == 0, done.stderr
    [note] = (machine.workspace / "docs/field-notes").glob("*-a-first-look.md")
    kept = note.with_suffix(".json")
    for file in (note, kept):
        text = file.read_text()
        assert str(machine.root) not in text and socket.gethostname() not in text
    assert "- all went well" in note.read_text()
    assert machine.run("doctor", "--from", str(kept)).stdout == note.read_text()
    page = machine.root / "page.html"
    done = machine.run("doctor", "--from", str(report), "--output", "html", str(page))
    assert (done.returncode, done.stdout.strip()) == (0, str(page))
    assert page.read_text().startswith("<!doctype html>")
    assert Path(machine.workspace / "docs/field-notes/README.md").read_text().count("A first look") == 1


@pytest.mark.parametrize("output", ["html", "junit"])
def test_what_people_open_goes_into_a_file(machine, output):
    file = machine.root / f"out.{output}"
    machine.run("doctor", "--no-nix", "--output", output, str(file))
    assert file.read_text().startswith(("<!doctype", "<?xml"))


def test_a_note_of_up_has_the_digest_of_the_site_whatever_file_says_it(machine, tmp_path):
    """Two machines say one site in a file and as options; a third one says another."""
    servers = [NixCacheServer(tmp_path / name) for name in ("one", "another")]
    for server in servers:
        server.start()
    try:
        one, another = ((f"http://127.0.0.1:{each.port}", each.public_key) for each in servers)

        def noted(name, *words, text=""):
            made = make_machine(tmp_path / name)
            if text:
                made.write_site(text)
            made.json("up", *words, "--no-bazel", "--no-nix", "--note", "a look")
            made.json("down")
            [note] = (made.workspace / "docs/field-notes").glob("*.json")
            return json.loads(note.read_text())["result"]["note"]["site"]

        said = [
            noted("file", text=f'[nix]\nsubstituter = "{one[0]}"\npublic_keys = ["{one[1]}"]\n'),
            noted("options", "--substituter", one[0], "--public-key", one[1]),
            noted("other", "--substituter", another[0], "--public-key", another[1]),
        ]
    finally:
        for server in servers:
            server.stop()
    assert said[0] == said[1] != said[2]
