"""What the doctor says of a workspace's manifest of remote execution and of its contract of inputs."""

import json

from tests.harness.inputs.contracts import archive, write
from tests.harness.machine.developer import findings


def of(document, stage):
    [found] = [each for each in document["stages"] if each["name"] == stage]
    return found["status"], [each["code"] for each in found["findings"]]


def test_what_a_workspace_does_not_have_is_skipped_with_the_reason(machine):
    document = machine.json("doctor", "--no-nix", "--only", "rbe", "--only", "inputs")
    assert of(document, "rbe") == ("skip", ["rbe.manifest.none"])
    assert of(document, "inputs") == ("skip", ["inputs.contract.none"])


def test_every_fault_of_a_manifest_is_told(machine):
    (machine.workspace / "config").mkdir()
    manifest = machine.workspace / "config/rbe-target-eligibility.json"
    manifest.write_text(json.dumps({"schema_version": 2}))
    status, codes = of(machine.json("doctor", "--no-nix", "--only", "rbe", code=1), "rbe")
    assert status == "fail" and {"rbe.lint.schema", "rbe.lint.owner"} <= set(codes)
    manifest.write_text("{")
    assert of(machine.json("doctor", "--no-nix", "--only", "rbe", code=1), "rbe") == (
        "fail",
        ["rbe.manifest.unreadable"],
    )


def test_a_contract_of_inputs_is_counted_and_a_damaged_one_is_the_cause(machine):
    file = write(machine.workspace / "gfattach-inputs.json", archive("one", b"1", "https://a.example/1"))
    found = findings(machine.json("doctor", "--no-nix", "--only", "inputs"))["inputs.contract"]
    assert found["code"] == "inputs.contract.read" and found["seen"] == "1 input"
    file.write_text(json.dumps({"schema": "another"}))
    document = machine.json("doctor", "--no-nix", "--only", "inputs", code=1)
    assert document["result"]["verdict"]["roots"] == ["inputs.contract"]
    assert of(document, "inputs") == ("fail", ["inputs.contract.format"])
