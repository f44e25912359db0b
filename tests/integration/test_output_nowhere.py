"""Output that can go nowhere is said to, and is no defect of the program."""

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")


def into_full(machine, *args, stdin=""):
    with FULL.open("w") as full:
        return subprocess.run(
            [sys.executable, "-m", "gfattach", *args],
            cwd=machine.workspace,
            env=machine.environment,
            input=stdin,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.mark.parametrize(
    "args", [("contract",), ("contract", "--output", "json"), ("credential", "status"), ("help", "codes")]
)
def test_a_full_disk_is_named_in_one_line(machine, args):
    done = into_full(machine, *args)
    assert done.returncode == 1
    assert done.stderr == "gfattach: stdout cannot be written: no space left on device\n"


def test_bazel_is_told_why_its_helper_gave_no_answer(machine):
    done = into_full(machine, "credential", "get", stdin='{"uri": "https://cache.example/"}')
    assert done.returncode == 1
    assert done.stderr.startswith("gfattach: stdin or stdout failed: no space left on device\n")


def test_a_summary_of_github_that_cannot_be_written_is_an_error_that_names_it(machine):
    machine.variables["GITHUB_STEP_SUMMARY"] = str(machine.root)
    done = machine.run("contract", "--output", "github")
    assert f"cannot write {machine.root}: is a directory" in done.stderr and "defect" not in done.stderr
