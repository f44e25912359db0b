"""The command line itself: usage errors, defects, help topics."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from gfattach.cli import main
from gfattach.cli.registry import COMMANDS
from gfattach.core.errors import EXIT_CODE_MEANING, ExitCode

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/report-v1.json").read_text())


def run(capsys, *args):
    code = main.run(args)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


@pytest.mark.parametrize(
    "args",
    [["bogus"], ["up", "--bogus"], ["up", "--output", "yaml"], ["up", "--bazel-port", "1"], ["help", "x"]],
)
def test_bad_usage_is_exit_code_2_and_says_where_help_is(capsys, args):
    code, out, err = run(capsys, *args)
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith("gfattach: ") and "--help" in err


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["up", "--no-bazil"], ["no such option '--no-bazil'", "  did you mean"]),
        (["consumer-env", "x"], ["missing option '--write'"]),
        (["credential", "list"], ["no such command 'list'"]),
        (["up", "x"], ["got unexpected extra argument (x)"]),
    ],
)
def test_bad_usage_is_a_fact_in_lower_case_with_what_may_be_meant_below_it(capsys, args, lines):
    _, _, err = run(capsys, *args)
    expected = [f"gfattach: {lines[0]}", *lines[1:], f"  see: gfattach {args[0]} --help"]
    assert len(err.splitlines()) == len(expected)
    assert all(line.startswith(start) for line, start in zip(err.splitlines(), expected, strict=True)), err


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["env", "--write"], "env"),
        (["site", "show", "--output"], "site show"),
        (["consumer-env", "x", "--write"], "consumer-env"),
    ],
)
def test_an_option_without_its_value_leads_to_the_help_of_its_own_command(capsys, args, command):
    code, _, err = run(capsys, *args)
    assert (code, err.splitlines()[1]) == (ExitCode.USAGE, f"  see: gfattach {command} --help")


def test_a_shell_that_is_named_for_the_local_file_is_refused_and_not_passed_over(capsys, tmp_path):
    code, _, err = run(capsys, "env", "--shell", "github", "--write", "x", "--workspace", str(tmp_path))
    assert code == ExitCode.USAGE and "--shell and --write exclude each other" in err
    assert "no Bazel cache is attached" in run(capsys, "env", "--write", "x", "--workspace", str(tmp_path))[2]


@pytest.mark.parametrize("words", [("--output", "json"), ("-o", "json"), ("--output=json",), ("-ojson",)])
def test_who_asked_for_a_document_has_one_of_bad_usage_too(capsys, words):
    code, out, err = run(capsys, "up", *words, "--bogus")
    made = json.loads(out)
    jsonschema.validate(made, SCHEMA)
    assert (code, made["command"], made["exit_code"], made["error"]["code"]) == (2, "up", 2, "usage")
    assert err.startswith("gfattach: no such option '--bogus'")
    assert run(capsys, "exec", "--bogus", "--", *words)[1] == ""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_stream_that_was_closed_before_the_start_is_the_null_device(closed):
    closing = " ".join(f"{each}>&-" for each in closed)
    program = ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-m", "gfattach"]
    done = subprocess.run([*program, "help", "exit-codes"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"interrupted" in done.stdout) == (1 not in closed)


def test_an_unknown_command_names_those_there_are(capsys):
    _, _, err = run(capsys, "atach")
    assert all(name in err for name in COMMANDS)


def test_every_exit_code_has_a_meaning_in_the_help_topic(capsys):
    code, out, _ = run(capsys, "help", "exit-codes")
    assert code == 0
    assert set(EXIT_CODE_MEANING) == set(ExitCode)
    assert all(f"{int(number):>3}  {meaning}" in out for number, meaning in EXIT_CODE_MEANING.items())


def test_every_code_of_every_probe_is_in_the_help_topic_with_its_meaning(capsys):
    from gfattach.probes.codes import all_codes, all_stages

    _, out, _ = run(capsys, "help", "codes")
    declared = {code for stage in all_stages() for probe in stage.probes for code in probe.codes}
    assert len(declared) > 50
    for code, meaning in all_codes().items():
        assert meaning and f"{code} " in out
    assert declared <= set(all_codes())


def test_names_of_probes_and_stages_are_unique_and_needs_exist():
    from gfattach.probes.codes import all_stages

    names = [probe.name for stage in all_stages() for probe in stage.probes]
    assert len(names) == len(set(names))
    for stage in all_stages():
        subject = stage.probes[0].name.partition(".")[0]  # two stages may ask of one thing
        for probe in stage.probes:
            assert probe.name.startswith(f"{subject}.")
            assert all(code.startswith(f"{subject}.") for code in probe.codes)
            assert set(probe.needs) <= set(names)
            assert probe.seconds <= 180


def test_a_defect_is_a_sentence_and_a_traceback_only_on_request(capsys, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("made to fail")

    monkeypatch.setattr("gfattach.operator.site.show_site", broken)
    code, _, err = run(capsys, "site", "show")
    assert code == ExitCode.FAILED
    assert "a defect of gfattach: ZeroDivisionError: made to fail" in err
    monkeypatch.setenv(main.DEBUG_VARIABLE, "1")
    with pytest.raises(ZeroDivisionError):
        main.run(["site", "show"])


def test_site_show_names_each_value_and_its_source(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("BAZEL_REMOTE_CACHE", "grpc://cache.example:9092")
    (tmp_path / "gfattach.toml").write_text('[nix]\nsubstituter = "https://nix.example/main"\n')
    _, out, _ = run(capsys, "site", "show", "--workspace", str(tmp_path))
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "grpc://cache.example:9092" in lines["cache.endpoint"]
    assert lines["cache.endpoint"].endswith("from the variable BAZEL_REMOTE_CACHE")
    assert lines["nix.substituter"].endswith(f"from {tmp_path}/gfattach.toml")
    assert lines["cache.upload"].endswith("from the default")


def test_every_command_that_a_hint_names_exists():
    """A hint is the next command: one that is not there sends a person the wrong way."""
    import ast
    import re
    from pathlib import Path

    import gfattach

    named = {}
    for path in Path(gfattach.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                for command in re.findall(r"(?:: |`)gfattach ([a-z][a-z-]+)", node.value):
                    named.setdefault(command, path.name)
    assert len(named) >= 5
    assert {name: file for name, file in named.items() if name not in COMMANDS} == {}


def test_a_document_of_what_ends_a_command_before_its_work_names_the_command(capsys, tmp_path):
    code, out, _ = run(capsys, "status", "--watch", "--output", "json", "--workspace", str(tmp_path))
    made = json.loads(out)
    jsonschema.validate(made, SCHEMA)
    assert (code, made["command"], made["error"]["code"]) == (2, "status", "agent.none")
