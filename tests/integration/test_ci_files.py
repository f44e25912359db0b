"""The files for CI: valid by the schemas that are published, and their shell steps, run as a runner would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
SMOKE = yaml.safe_load((ROOT / ".github/workflows/smoke.yml").read_text())


@pytest.mark.parametrize(
    ("file", "schema", "more"),
    [
        ("action.yml", "vendor.github-actions", ()),
        (".github/workflows/smoke.yml", "vendor.github-workflows", ()),
        ("ci/gitlab.yml", "vendor.gitlab-ci", ("--data-transform", "gitlab-ci")),
    ],
)
def test_it_is_valid_by_the_published_schema(file, schema, more):
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", schema, *more, str(ROOT / file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_the_workflow_uses_is_pinned_and_it_may_only_read():
    uses = [step["uses"] for step in SMOKE["jobs"]["smoke"]["steps"] if "uses" in step]
    assert all(use == "./" or len(use.rpartition("@")[2]) == 40 for use in uses)
    assert SMOKE["permissions"] == {"contents": "read"}
    assert SMOKE["jobs"]["smoke"]["timeout-minutes"] <= 30
    assert SMOKE["jobs"]["smoke"]["runs-on"] == "${{ inputs.runs-on }}"


@pytest.fixture
def step(machine):
    """Runs the action's shell step with these inputs; the process, its outputs, and the summary."""
    place = machine.root / "action"
    (place / "ci").mkdir(parents=True)
    shutil.copy(ROOT / "ci/first_hit.py", place / "ci")
    (place / "dev.py").write_text(
        f"import os, sys; os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'gfattach', *sys.argv[1:]])"
    )
    [shell] = [each for each in ACTION["runs"]["steps"] if "run" in each]

    def run(**inputs):
        files = {name: machine.root / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")}
        for file in files.values():
            file.write_text("")
        given = {name: str(field.get("default", "")) for name, field in ACTION["inputs"].items()} | inputs
        environment = machine.environment | {f"INPUT_{name.upper()}": said for name, said in given.items()}
        environment |= {name: str(file) for name, file in files.items()}
        environment |= {"GITHUB_ACTION_PATH": str(place), "RUNNER_TEMP": str(machine.root / "tmp")}
        done = subprocess.run(
            ["bash", "-c", shell["run"]],
            cwd=machine.workspace,
            env=environment,
            capture_output=True,
            text=True,
        )
        said = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return done, said, files["GITHUB_STEP_SUMMARY"].read_text(), files["GITHUB_ENV"].read_text()

    return run


def test_a_diagnosis_that_fails_fails_the_step_with_annotations_and_a_summary(step):
    done, outputs, summary, _ = step(command="doctor", arguments="--no-nix\n--cache\ngrpc://127.0.0.1:1")
    assert done.returncode == 1 and outputs["exit-code"] == "1"
    assert "::error title=cache.port cache.port.refused::" in done.stdout
    assert "### gfattach doctor" in summary
    assert json.loads(Path(outputs["report"]).read_text())["command"] == "doctor"
    assert outputs["first-hit-seconds"] == ""


def test_an_attach_tells_its_first_hit_and_hands_its_environment_on(step):
    done, outputs, _, environment = step(
        command="up", arguments="--trial\n--no-bazel\n--no-nix", environment="true"
    )
    assert done.returncode == 0, done.stderr
    assert float(outputs["first-hit-seconds"]) > 0
    assert "BAZEL_REMOTE_CACHE" in environment


@pytest.mark.parametrize("command", ["env; touch x", "credential", ""])
def test_another_command_is_refused_and_nothing_of_it_is_run(step, machine, command):
    done, outputs, _, _ = step(command=command)
    assert (done.returncode, outputs) == (2, {})
    assert not (machine.workspace / "x").exists()


def test_arguments_are_words_and_never_code(step, machine):
    done, _, _, _ = step(command="status", arguments="$(touch x)\n; touch x")
    assert done.returncode != 0 and not (machine.workspace / "x").exists()


def test_the_job_for_gitlab_is_a_shell_script_that_reads(tmp_path):
    job = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text())[".gfattach"]
    [script] = job["script"]
    done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")
