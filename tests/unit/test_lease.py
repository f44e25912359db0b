"""How long an agent stays without use is a time."""

import json

import pytest

from gfattach.cli import main


@pytest.mark.parametrize("hours", ["nan", "NaN", "0", "-1", "inf", "soon"])
def test_a_lease_is_a_number_of_hours(capsys, hours):
    assert main.run(["up", "--lease", hours, "-o", "json"]) == 2
    assert "--lease" in json.loads(capsys.readouterr().out)["error"]["fact"]
