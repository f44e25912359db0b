"""docs/contract.md says all there is: every variable, every code, and nothing that is gone."""

import re
from pathlib import Path

import pytest

from gfattach.codes.errors import ERRORS
from gfattach.codes.exits import exit_codes
from gfattach.contract import environment
from gfattach.contract.consumer import PROFILES
from gfattach.contract.model import codes
from gfattach.contract.model.terms import ProfileState, Substrate
from gfattach.contract.model.variables import VARIABLES
from gfattach.contract.nix_state import NixState
from gfattach.contract.rules.endpoint import stale_host

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
#: Who writes codes of the contract: the package, and the verb that takes its environment on.
WRITERS = (*(ROOT / "gfattach/contract").rglob("*.py"), ROOT / "gfattach/attach/environment.py")
SOURCES = {path: path.read_text(encoding="utf-8") for path in WRITERS}

MEANINGS = {
    **{code: refusal.meaning for code, refusal in {**codes.REFUSALS, **codes.NO_EXECUTOR}.items()},
    **codes.HAZARDS,
    **codes.ERRORS,
}

#: Codes of running Bazel and of proofs, with their meaning and exit code.
RUNNING = {
    code: (meaning, exit_codes()[code])
    for code, meaning in ERRORS.items()
    if code.startswith(("bazel.", "prove."))
}


def rows(first):
    return [line for line in PAGE.splitlines() if line.startswith(f"| `{first}` |")]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_a_variable_is_described_with_its_meaning_and_what_it_may_be(variable):
    (row,) = rows(variable.name)
    assert variable.meaning in row
    assert variable.allowed in row
    assert variable.default in row


@pytest.mark.parametrize("code", MEANINGS)
def test_a_code_is_described_with_its_meaning_and_how_scripts_exit(code):
    (row,) = rows(code)
    assert MEANINGS[code] in row
    refusal = codes.REFUSALS.get(code) or codes.NO_EXECUTOR.get(code)
    assert refusal is None or row.endswith(f"| {refusal.script_exit} |")


def test_the_page_names_no_code_that_does_not_exist():
    named = set(re.findall(r"`((?:contract|hazard)\.[a-z.-]+)`", PAGE))
    assert named == set(MEANINGS)


@pytest.mark.parametrize("code", RUNNING)
def test_a_code_of_running_bazel_or_of_a_proof_is_described_with_its_exit_code(code):
    (row,) = rows(code)
    meaning, exit_code = RUNNING[code]
    assert row == f"| `{code}` | {meaning} | {int(exit_code)} |"


def test_the_page_names_no_code_of_a_run_that_does_not_exist():
    assert set(re.findall(r"^\| `((?:bazel|prove)\.[a-z.-]+)`", PAGE, re.MULTILINE)) == set(RUNNING)


def test_every_code_that_the_sources_write_is_in_a_table():
    written = {
        code
        for path, text in SOURCES.items()
        if path.name != "codes.py"
        for code in re.findall(r'"((?:contract|hazard)\.[a-z.-]+[a-z])"', text)
    }
    assert written <= set(MEANINGS)
    assert set(codes.ERRORS) | set(codes.HAZARDS) | set(codes.NO_EXECUTOR) <= written


def test_the_refusals_of_the_variables_are_the_refusals_that_there_are():
    named = {code for variable in VARIABLES for code in variable.refusals}
    assert named <= set(codes.REFUSALS)
    assert set(codes.REFUSALS) - named == {"contract.manifest.unknown", "contract.manifest.mode"}


@pytest.mark.parametrize(
    "name",
    [
        *Substrate,
        *ProfileState,
        *PROFILES,
        *NixState,
        environment.MEMORY,
        environment.FILE_MEMORY,
        environment.SAVED,
    ],
)
def test_a_name_that_people_will_meet_is_explained(name):
    assert name in PAGE


def test_the_services_that_were_given_up_are_named():
    named = [name for name in re.findall(r"`([a-z.-]+)`", PAGE) if stale_host(name)]
    assert set(named) == {"attic-cache-dev", "fuzzy-dev", "attic.dev-cluster", "attic.tinyland"}
