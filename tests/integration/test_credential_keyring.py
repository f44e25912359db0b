"""A keyring whose backend does more than it is asked for."""

import json

import pytest

from tests.integration.conftest import make_machine
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
