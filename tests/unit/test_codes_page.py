"""The page of codes: made by its command, with examples that were really seen."""

import re
import subprocess
import sys
from pathlib import Path

from gfattach.cli import main
from gfattach.codes.catalogue import groups
from gfattach.codes.examples import anchor, examples

PAGE = Path(__file__).parents[2] / "docs/codes.md"
CODES = [entry.code for group in groups() for entry in group.codes]

#: What would be of the machine that recorded the examples.
PRIVATE = re.compile(r"/root\b|/work\b|/tmp/w\b|pytest-of|gfattach-home-|\.cache/gfattach-tests|\.venv")


def test_the_page_is_what_its_command_makes_now():
    made = subprocess.run(
        [sys.executable, "-m", "gfattach.codes.page"], capture_output=True, text=True, check=True
    )
    assert made.stdout == PAGE.read_text(encoding="utf-8")


def test_more_than_half_of_the_codes_have_an_example_that_was_seen():
    """The others get theirs with the next `pytest --record-codes`."""
    assert sum(code in examples() for code in CODES) > len(CODES) / 2


def test_there_is_no_example_of_a_code_that_is_none():
    assert sorted(examples().keys() - set(CODES)) == []


def test_nothing_of_the_machine_that_recorded_them_is_in_the_examples():
    texts = {code: "\n".join((made.seen, made.why, *made.hints)) for code, made in examples().items()}
    assert {code: text for code, text in texts.items() if PRIVATE.search(text)} == {}


def test_no_example_says_in_its_second_line_what_its_first_has_said():
    """A clause of three words and more."""
    twice = {
        code: sorted(both)
        for code, made in examples().items()
        if (both := _clauses(made.seen) & _clauses(made.why))
    }
    assert twice == {}


def _clauses(text: str) -> set[str]:
    return {
        clause
        for part in re.split(r"[:;,()]\s|\s\(", text)
        if len((clause := part.strip().lower()).split()) > 2
    }


def test_every_code_has_a_heading_of_its_own():
    headings = re.findall(r"^### (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == CODES
    assert len({anchor(code) for code in CODES}) == len(CODES)


def test_help_shows_what_the_page_shows(capsys):
    example = examples()["cache.port.refused"]
    assert main.run(["help", "cache.port.refused"]) == 0
    shown = capsys.readouterr().out
    assert example.seen in shown and example.hints[0].splitlines()[0] in shown
