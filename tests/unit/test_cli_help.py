"""Help: of a command, of a group, of a topic, for people and for programs, and for who mistyped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from gfattach.cli import main
from gfattach.cli.help.command import TOPICS
from gfattach.cli.registry import COMMANDS
from gfattach.codes.catalogue import groups
from gfattach.core.errors import EXIT_CODE_MEANING, ExitCode
from gfattach.site.settings import SETTINGS

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/report-v1.json").read_text())


def run(capsys, *args):
    code = main.run(args)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize("words", [[], ["site"], ["credential"]])
def test_who_names_no_command_has_the_whole_help_on_stderr_and_wrong_usage(capsys, words):
    _, helped, _ = run(capsys, *words, "--help")
    assert "Commands:" in helped
    assert run(capsys, *words) == (ExitCode.USAGE, "", helped)


@pytest.mark.parametrize("group", ["site", "credential"])
def test_what_a_command_of_a_group_does_is_said_whole(capsys, group):
    _, helped, _ = run(capsys, group, "--help")
    assert "..." not in helped.partition("Commands:")[2]


@pytest.mark.parametrize(
    "words", [*([name] for name in COMMANDS), ["site", "publish"], ["credential", "get"]]
)
def test_help_of_a_command_is_what_the_command_itself_shows(capsys, words):
    if words == ["site"]:  # the topic of that name comes first, and leads on
        assert "gfattach site --help" in run(capsys, "help", "site")[1]
        return
    assert run(capsys, "help", *words) == run(capsys, *words, "--help")


@pytest.mark.parametrize("words", [["cods"], ["site", "shwo"], ["up", "now"], ["cache.port.refusd"]])
def test_help_of_what_there_is_not_names_the_topics_and_leads_to_the_commands(capsys, words):
    code, out, err = run(capsys, "help", *words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.splitlines() == [
        f"gfattach: there is no command, topic or code {' '.join(words)!r}",
        "  topics: exit-codes, site, codes",
        "  commands: gfattach --help",
        "  codes: gfattach help codes",
        "  see: gfattach help --help",
    ]


def test_a_mistyped_command_is_answered_with_the_one_that_may_be_meant(capsys):
    code, _, err = run(capsys, "statsu")
    assert code == ExitCode.USAGE
    assert err.splitlines()[:2] == [
        "gfattach: there is no command 'statsu'",
        "  did you mean: gfattach status",
    ]
    assert "did you mean" not in run(capsys, "zzz")[2]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_is_a_document_for_programs(capsys, topic):
    code, out, err = run(capsys, "help", topic, "-o", "json")
    made = json.loads(out)
    jsonschema.validate(made, SCHEMA)
    assert (code, err, made["command"], made["exit_code"]) == (0, "", "help", 0)
    assert [*made["result"]] == [{"exit-codes": "exit_codes", "site": "settings"}.get(topic, topic)]


def test_exit_codes_and_settings_are_whole_for_programs_too(capsys):
    numbers = json.loads(run(capsys, "help", "exit-codes", "-o", "json")[1])["result"]["exit_codes"]
    assert {each["exit"]: each["meaning"] for each in numbers} == EXIT_CODE_MEANING
    settings = json.loads(run(capsys, "help", "site", "-o", "json")[1])["result"]["settings"]
    assert [each["key"] for each in settings] == [setting.key for setting in SETTINGS]


def test_what_is_no_topic_is_not_there_for_programs(capsys):
    code, out, err = run(capsys, "help", "up", "-o", "json")
    assert (code, json.loads(out)["error"]["code"]) == (ExitCode.USAGE, "usage")
    assert err.startswith("gfattach: only topics and codes are there as JSON: exit-codes, site, codes")


@pytest.mark.parametrize(
    ("typed", "completed"), [("st", "status"), ("site pu", "publish"), ("up --tr", "--trial")]
)
def test_a_shell_completes_commands_and_options(typed, completed):
    words = f"gfattach {typed}"
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "from gfattach.cli.main import run; run([])"],
        env={**os.environ, "_GFATTACH_COMPLETE": "bash_complete", **asked},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"plain,{completed}\n", "")


@pytest.mark.parametrize(
    ("code", "number"), [("cache.port.refused", None), ("prove.nothing", 2), ("usage", 2)]
)
def test_one_code_is_explained_to_people_and_to_programs(capsys, code, number):
    ended, out, err = run(capsys, "help", code)
    entry = {"code": code, "meaning": all_meanings()[code], "exit": number}
    assert (ended, err, out.splitlines()[0]) == (0, "", f"{code}: {entry['meaning']}")
    assert any(line.endswith(f"ends with: {number}") for line in out.splitlines()) is (number is not None)
    made = json.loads(run(capsys, "help", code, "--output", "json")[1])
    jsonschema.validate(made, SCHEMA)
    shown = made["result"]["code"]
    assert shown["page"] == f"docs/codes.md#{code.replace('.', '')}"
    assert {name: shown[name] for name in entry} == entry


def all_meanings():
    return {entry.code: entry.meaning for group in groups() for entry in group.codes}


@pytest.mark.parametrize("option", ["--output", "--workspace", "-v"])
def test_an_option_before_the_command_is_answered_with_its_place(capsys, option):
    code, _, err = run(capsys, option, "json", "status")
    assert code == ExitCode.USAGE
    assert f"  options of a command stand behind it: gfattach COMMAND {option}" in err.splitlines()
    assert "stand behind it" not in run(capsys, "status", "--nonsense")[2]
