"""The decision table of the environment contract: every row comes out as it says."""

import tomllib
from pathlib import Path

import pytest

from gfattach.contract.model.codes import REFUSALS
from gfattach.contract.substrate import classify

TABLE = tomllib.loads((Path(__file__).parent / "contract.toml").read_text(encoding="utf-8"))
ROWS = TABLE["row"]

#: What only the disk or the site can tell stands in no environment.
BEYOND_THE_ENVIRONMENT = {"contract.inject.missing", "contract.reapi-token.missing", "contract.upload.site"}


def judge(row):
    environment = {**TABLE["base"][row["base"]], **row.get("env", {})}
    declared = row.get("manifest")
    manifest = None if declared is None else {"enrollment": {"substrateMode": declared}}
    return classify(environment, manifest=manifest, strict=row.get("strict", False))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["what"])
def test_the_verdict_on(row):
    verdict = judge(row)
    assert [reason.code for reason in verdict.reasons] == row["codes"]
    assert verdict.substrate == row["substrate"]
    assert verdict.accepted == (not row["codes"])
    assert verdict.exit_code == (3 if row["codes"] else 0)
    assert verdict.script_exit_code == row["script"]
    assert verdict.status_line == f"Status: {row['substrate']}"


def test_the_table_has_rows_enough_and_no_row_twice():
    cases = [(str(row.get("env")), row["base"], row.get("strict"), row.get("manifest")) for row in ROWS]
    assert len(ROWS) >= 120
    assert sorted({case for case in cases if cases.count(case) > 1}) == []


def test_every_code_of_an_environment_has_a_row():
    named = {code for row in ROWS for code in row["codes"]}
    assert named == set(REFUSALS) - BEYOND_THE_ENVIRONMENT
