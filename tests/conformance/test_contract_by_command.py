"""Each refusal of the contract as a developer meets it: the command in a shell of a row of the table."""

import json
import os

import pytest

from gfattach.cli import main
from gfattach.contract.model.codes import REFUSALS
from tests.conformance.test_contract import BEYOND_THE_ENVIRONMENT, ROWS, TABLE

#: For each code, the first row that it refuses.
SHOWN = {code: row for row in reversed(ROWS) for code in row["codes"]}


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Runs `gfattach contract` in the shell and the workspace of a row: its exit code, and its document."""

    def run(row):
        for name in set(os.environ) - {"PATH"}:
            monkeypatch.delenv(name)
        shell = {"HOME": str(tmp_path), **TABLE["base"][row["base"]], **row.get("env", {})}
        for name, value in shell.items():
            monkeypatch.setenv(name, value)
        workspace = tmp_path / "workspace"
        workspace.mkdir()
        (workspace / "WORKSPACE").touch()
        if "manifest" in row:
            manifest = {"enrollment": {"substrateMode": row["manifest"]}}
            (workspace / "tinyland.repo.json").write_text(json.dumps(manifest))
        monkeypatch.chdir(workspace)
        code = main.run(["contract", "--output", "json", *(["--strict"] if row.get("strict") else [])])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("code", sorted(set(REFUSALS) - BEYOND_THE_ENVIRONMENT))
def test_the_command_refuses_with(code, command):
    row = SHOWN[code]
    exit_code, document = command(row)
    reasons = document["result"]["reasons"]
    codes = [reason["code"] for reason in reasons]
    assert (exit_code, [each for each in codes if each not in BEYOND_THE_ENVIRONMENT]) == (3, row["codes"])
    assert all(reason["seen"] and reason["why"] and reason["hints"] for reason in reasons)
