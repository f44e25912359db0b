"""What the tests of whole commands share: a machine of their own, with nothing of this one's."""

import pytest

from tests.harness.machine.developer import make_machine
from tests.harness.machine.nixes import each_nix, real_files, untouched  # noqa: F401, fixtures


@pytest.fixture(scope="session", autouse=True)
def machines_nix():
    """Holds all of a session to it: no store, nix.conf or netrc of the real machine is made or changed."""
    before = real_files()
    yield
    assert real_files() == before


@pytest.fixture
def machine(tmp_path):
    """A machine for one test; whatever it attached is detached at its end."""
    made = make_machine(tmp_path)
    yield made
    if made.kept_in_state() - {"key"} or made.processes():  # most attach nothing
        made.run("down")
    assert made.processes() == []
