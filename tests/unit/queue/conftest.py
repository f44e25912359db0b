"""The command over a server of recorded objects."""

import json
from pathlib import Path

import jsonschema
import pytest

from gfattach.cli import main
from tests.harness.arc.server import serving

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/queue-v1.json").read_text())


@pytest.fixture
def ask(capsys, tmp_path, monkeypatch):
    """Asks a cluster of these objects: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def asking(fleet, *words, prepare=lambda server: None):
        with serving(fleet) as server:
            prepare(server)
            code = main.run(["queue", *words, "--kubeconfig", str(server.kubeconfig(tmp_path))])
            assert all(method == "GET" for method, _ in server.asked)
            assert not any("secret" in path.lower() for _, path in server.asked)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return asking


def document(out):
    """The command's part of a document, which fits its schema."""
    made = json.loads(out)["result"]
    jsonschema.validate(made, SCHEMA)
    return made
