"""What is refused before any work, how it is worded, and what a program gets of it."""

import json
import shlex
from pathlib import Path

import jsonschema
import pytest

from gfattach.attach import logs as work
from gfattach.cli import main
from gfattach.core.errors import ExitCode

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/report-v1.json").read_text())


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """An account of its own, where nothing is attached."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)


def run(capsys, *args):
    code = main.run(args)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--cache", "grpc://cache.example:9092"], "--cache"),
        (["--nix-service", "apps/attic:http", "--context", "lab"], "--context, --nix-service"),
        (["--instance", "x", "--public-key", "k:AAAA"], "--instance, --public-key"),
    ],
)
def test_a_trial_is_not_attached_to_beside_caches_that_are_named(capsys, args, named):
    code, out, err = run(capsys, "up", "--trial", *args)
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.splitlines() == [
        f"gfattach: --trial attaches to caches of its own, and {named} would name others",
        "  leave out one or the other",
        "  see: gfattach up --help",
    ]


@pytest.mark.parametrize(
    "option", [("--bazel-port", "9092"), ("--nix-port", "8080"), ("--max-bytes", "8388608")]
)
def test_what_concerns_the_trial_alone_is_not_passed_over_without_it(capsys, option):
    code, _, err = run(capsys, "up", *option)
    assert code == ExitCode.USAGE
    assert err.startswith("gfattach: --bazel-port, --nix-port and --max-bytes go with --trial\n")


def test_an_address_without_a_scheme_is_answered_with_one_that_has_it(capsys):
    code, _, err = run(capsys, "up", "--cache", "cache.example:9092")
    assert code == ExitCode.USAGE
    assert err.splitlines()[1] == "  write the scheme in front of the host: grpc://HOST:PORT"


def test_who_asked_for_a_document_reads_on_stderr_too_what_ended_the_command(capsys):
    code, out, err = run(capsys, "prove", "--output", "json")
    made = json.loads(out)
    jsonschema.validate(made, SCHEMA)
    assert (code, made["error"]["code"]) == (ExitCode.USAGE, "prove.nothing")
    assert err.splitlines() == [
        f"gfattach: {made['error']['fact']}",
        *(f"  {hint}" for hint in made["error"]["hints"]),
    ]


def test_evidence_that_could_not_be_written_is_refused_before_anything_is_measured(capsys, tmp_path):
    missing = tmp_path / "no such place"
    code, _, err = run(capsys, "prove", "--evidence", str(missing / "evidence.json"))
    assert code == ExitCode.USAGE
    assert f"there is no directory {missing}" in err
    assert err.splitlines()[-1] == f"  make it: mkdir -p {shlex.quote(str(missing))}"


def test_the_level_of_the_log_is_confirmed_to_people_and_to_programs(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(work, "set_level", lambda workspace, context, level: asked.append(level))
    assert run(capsys, "logs", "--level", "debug") == (
        0,
        "the agent logs from debug on; to see it: gfattach logs -f\n",
        "",
    )
    code, out, _ = run(capsys, "logs", "--level", "info", "--output", "json")
    made = json.loads(out)
    jsonschema.validate(made, SCHEMA)
    assert (code, made["command"], made["result"], asked) == (0, "logs", {"level": "info"}, ["debug", "info"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["logs", "-n", "x"], "'x' is not a number"),
        (["logs", "-n", "-4"], "-4 is less than 0"),
        (["up", "--trial", "--bazel-port", "99999"], "99999 is not from 1 to 65535"),
        (["up", "--trial", "--max-bytes", "5"], "5 is less than 8388608"),
        (["up", "--lease", "0"], "0.0 is not more than 0.0 and at most 8760.0"),
        (["up", "--lease", "x"], "'x' is not a number"),
    ],
)
def test_a_number_out_of_bounds_is_answered_in_words(capsys, args, said):
    code, _, err = run(capsys, *args)
    assert code == ExitCode.USAGE
    assert err.splitlines()[0].startswith("gfattach: invalid value for '--")
    assert err.splitlines()[0].endswith(f": {said}")
