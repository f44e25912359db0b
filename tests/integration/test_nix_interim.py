"""A site whose operator says that the store below its Nix cache is there for the time being: who is told."""

import pytest

from tests.harness.cluster.agents import nix
from tests.harness.machine.developer import findings
from tests.harness.machine.nixes import private_environment, real_nix

__all__ = ["nix"]

pytestmark = pytest.mark.nix

SAID = "its store is interim_only: for reading alone, and what it holds may go"


@pytest.mark.parametrize("store", ["interim_only", "durable"])
def test_up_and_status_say_it_in_their_text_and_as_a_finding(machine, nix, store):
    real_nix()
    private = private_environment(machine.root / "nix")
    machine.variables |= {name: value for name, value in private.items() if name.startswith("NIX_")}
    machine.write_site(
        f'[nix]\nsubstituter = "http://127.0.0.1:{nix.port}"\npublic_keys = ["{nix.public_key}"]\n'
        f'object_store = "{store}"\n'
    )
    for command in (("up", "--no-bazel"), ("status",)):
        done = machine.run(*command)
        assert done.returncode == 0, done.stderr
        assert (SAID in done.stdout) is (store == "interim_only")
        document = machine.json(*command)
        found = findings(document)
        wanted = "substituter.store.interim" if store == "interim_only" else "substituter.store.ok"
        assert found["substituter.store"]["code"] == wanted
