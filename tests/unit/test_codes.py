"""Every code that a user can meet has one meaning, and every meaning belongs to a code that is given."""

import json

from gfattach.cli import main
from gfattach.codes import execution
from gfattach.codes.catalogue import groups
from gfattach.codes.exits import FILE
from gfattach.codes.steps import STEPS
from gfattach.contract.model import codes as contract
from gfattach.core.errors import ExitCode
from gfattach.credential.codes import CODES as TOKENS
from gfattach.inputs.codes import CODES as INPUTS
from gfattach.probes.codes import all_codes
from gfattach.proof.measure import CODES as PHASES
from gfattach.site.lint import CODES as LINT
from tests.harness.recording.exits import errors_given, exits, findings_given

ENTRIES = [entry for group in groups() for entry in group.codes]
MEANINGS = {entry.code: entry for entry in ENTRIES}
REFUSALS = {*contract.REFUSALS, *contract.NO_EXECUTOR}


def test_every_code_of_an_error_has_a_meaning_and_the_exit_code_of_its_class():
    assert len(errors_given()) > 150
    assert set(errors_given()) - set(MEANINGS) == set()
    assert FILE.read_text() == exits(), "make it anew: python -m tests.harness.recording.exits"


def test_every_code_of_a_finding_has_a_meaning():
    assert findings_given(probes=False) - set(MEANINGS) == set()
    assert findings_given(probes=True) - set(all_codes()) == set()


def test_every_meaning_belongs_to_a_code_that_something_gives():
    errors = {code for code, entry in MEANINGS.items() if entry.exit_code is not None} - REFUSALS
    assert errors - set(errors_given()) == set()
    findings = {*STEPS, *LINT, *PHASES, *TOKENS, *INPUTS, *contract.HAZARDS, *execution.FINDINGS}
    assert findings - findings_given(probes=False) - set(errors_given()) == set()


def test_every_code_of_the_contract_has_the_exit_code_of_what_it_is():
    exits = {code: MEANINGS[code].exit_code for code in {*REFUSALS, *contract.ERRORS}}
    assert {exits[code] for code in REFUSALS} == {ExitCode.REFUSED}
    assert None not in exits.values()


def test_no_code_has_two_meanings():
    codes = [entry.code for entry in ENTRIES]
    assert sorted(code for code in set(codes) if codes.count(code) > 1) == []


def test_a_meaning_is_a_clause_without_a_full_stop():
    assert [
        entry for entry in ENTRIES if not entry.meaning or entry.meaning[-1] in ".!" or "\n" in entry.meaning
    ] == []


def test_the_topic_shows_every_code_with_its_meaning_under_a_title(capsys):
    assert main.run(["help", "codes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for group in groups():
        start = lines.index(f"{group.title[0].upper()}{group.title[1:]}")
        shown = lines[start + 1 : start + 1 + len(group.codes)]
        for line, entry in zip(shown, group.codes, strict=True):
            number = "-" if entry.exit_code is None else str(int(entry.exit_code))
            assert line.split(maxsplit=2) == [entry.code, number, entry.meaning]


def test_programs_get_the_codes_as_json(capsys):
    assert main.run(["help", "codes", "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [entry for entries in document["result"]["codes"].values() for entry in entries] == [
        entry.as_json() for entry in ENTRIES
    ]
