"""A keyring whose backend does more than it is asked for."""

import json
from pathlib import Path

import pytest

from tests.harness.machine.developer import make_machine
from tests.integration.test_credential_command import CANARY, Shell


@pytest.fixture
def gfattach(tmp_path):
    return Shell(make_machine(tmp_path))


def test_what_a_keyring_prints_is_no_part_of_any_answer(gfattach):
    """Not of Bazel's, which would be no JSON any more, nor of what a person sees."""
    done = gfattach("login", "cache.example", stdin=CANARY, keyring="Printing")
    assert done.returncode == 0 and CANARY not in (done.stdout + done.stderr).decode()
    question = '{"uri": "https://cache.example/"}'
    for _ in range(2):
        answer = gfattach("get", stdin=question, keyring="Printing")
        assert json.loads(answer.stdout) == {"headers": {"Authorization": [f"Bearer {CANARY}"]}}
        assert answer.stderr == b""
    shown = gfattach("status", "--output", "json", keyring="Printing")
    assert json.loads(shown.stdout)["result"] and CANARY not in shown.stdout.decode()


def note(gfattach):
    return Path(gfattach.machine.environment["XDG_STATE_HOME"], "gfattach", "credentials", "index.json")


def test_the_keyring_that_took_a_token_is_asked_for_it_and_no_other_is_looked_for(gfattach):
    """Though nothing names it any more: to find out which one a machine has takes longer than the rest."""
    ring = str(gfattach.machine.root / "keyring.json")
    question = '{"uri": "https://cache.example/"}'
    assert gfattach("login", "cache.example", stdin=CANARY, keyring="Working").returncode == 0
    noted = json.loads(note(gfattach).read_text())["hosts"]["cache.example"]
    assert noted["backend"] == "tests.harness.machine.keyrings.Working"
    answer = gfattach("get", stdin=question, TEST_KEYRING=ring)
    assert json.loads(answer.stdout) == {"headers": {"Authorization": [f"Bearer {CANARY}"]}}
    assert gfattach("logout", "cache.example", TEST_KEYRING=ring).returncode == 0
    assert json.loads((gfattach.machine.root / "keyring.json").read_text()) == {}


def test_a_keyring_that_is_named_comes_before_the_one_that_took_the_token(gfattach):
    gfattach("login", "cache.example", stdin=CANARY, keyring="Working")
    done = gfattach("get", stdin='{"uri": "https://cache.example/"}', keyring="Locked")
    assert done.returncode == 1 and b"locked" in done.stderr


@pytest.mark.parametrize("backend", ["no.such.Keyring", "json.JSONDecoder", "x", 7, None])
def test_where_the_one_that_took_it_is_no_more_a_keyring_is_looked_for_as_at_first(gfattach, backend):
    gfattach("login", "cache.example", stdin=CANARY, keyring="Working")
    path = note(gfattach)
    noted = json.loads(path.read_text())
    noted["hosts"]["cache.example"]["backend"] = backend
    path.write_text(json.dumps(noted))
    done = gfattach("get", stdin='{"uri": "https://cache.example/"}')
    assert done.returncode == 1 and b"this machine has no keyring" in done.stderr
    ring = str(gfattach.machine.root / "keyring.json")
    assert gfattach(
        "get", stdin='{"uri": "https://cache.example/"}', keyring="Working", TEST_KEYRING=ring
    ).stdout
