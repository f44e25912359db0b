"""A command that goes on and prints a document a line does so for its error too."""

import json

import jsonschema
import pytest

from tests.harness.machine.developer import ROOT

SCHEMA = json.loads((ROOT / "docs/schema/report-v1.json").read_text())


@pytest.mark.parametrize("route", [("status", "--watch"), ("logs", "--follow"), ("logs", "-f")])
@pytest.mark.parametrize(("more", "code"), [((), "agent.none"), (("--nonsense",), "usage")])
def test_the_error_of_what_goes_on_is_one_line(machine, route, more, code):
    done = machine.run(*route, *more, "-o", "json")
    [line] = done.stdout.splitlines()
    document = json.loads(line)
    jsonschema.validate(document, SCHEMA)
    assert (done.returncode, document["error"]["code"]) == (2, code)
