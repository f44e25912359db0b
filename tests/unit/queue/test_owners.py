"""`gfattach queue --owners`: two gates and the labels of workflows, from evidence with date and source."""

import json

import pytest

from gfattach.core.errors import ExitCode
from tests.harness.arc import scenarios
from tests.harness.arc.documents import ago
from tests.harness.arc.scenarios import LABEL, REPOSITORY
from tests.unit.queue.conftest import document

WORKFLOW = """
on: push
jobs:
  build:
    runs-on: [self-hosted, tinyland-nix]
    steps: []
  old:
    runs-on: chapel-nix
  hosted:
    runs-on: ubuntu-24.04
  other:
    runs-on: {group: x, labels: great-falls}
  ours:
    runs-on: tinyland-site-nix
  gone:
    runs-on: tinyland-nixx
  matrix:
    strategy: {matrix: {where: [tinyland-nix, macos-14]}}
    runs-on: ${{ matrix.where }}
  computed:
    runs-on: ${{ inputs.where }}
  third:
    runs-on: blacksmith-4vcpu-ubuntu-2204
  called:
    uses: ./.github/workflows/other.yml
"""


@pytest.fixture
def fleet():
    made, _ = scenarios.fleet_of()
    made.scale_set("tinyland-site-nix")
    made.scale_set("great-falls", url="https://github.com/Great-Falls-Tool-Bus")
    return made


def job(name=REPOSITORY, group="tinyland", labels=(LABEL,), age=86400, runner=7):
    return {
        "jobs": [
            {
                "runner_id": runner,
                "runner_group_name": group,
                "labels": list(labels),
                "completed_at": ago(age),
                "html_url": f"https://github.com/{name}/actions/runs/5/job/6",
            }
        ]
    }


@pytest.fixture
def scored(ask, tmp_path, fleet):
    """The row of one repository, with a checkout and a receipt."""

    def scoring(receipt=None, *words, name=REPOSITORY):
        receipts = []
        if receipt is not None:
            (tmp_path / "receipt.json").write_text(json.dumps(receipt))
            receipts = ["receipt.json"]
        (tmp_path / "site/.github/workflows").mkdir(parents=True, exist_ok=True)
        (tmp_path / "site/.github/workflows/ci.yml").write_text(WORKFLOW)
        (tmp_path / "owners.toml").write_text(
            f'[[repository]]\nname = "{name}"\ncheckout = "site"\nreceipts = {json.dumps(receipts)}\n'
        )
        code, out, _ = ask(fleet, "--owners", "owners.toml", "--output", "json", *words)
        assert code == ExitCode.GOOD
        (row,) = document(out)["rows"]
        return row

    return scoring


def test_a_repository_with_a_scale_set_and_a_receipt_can_get_a_runner(scored):
    row = scored(job())
    assert (row["ready"], row["registered"]["value"], row["admitted"]["value"]) == ("yes", "yes", "yes")
    assert row["admitted"]["source"] == "receipt.json" and row["admitted"]["at"].startswith("2026-11-29")
    assert row["registered"]["source"].startswith("http://127.0.0.1")


def test_without_a_receipt_admission_is_unknown_and_the_command_that_makes_one_is_named(scored):
    row = scored()
    assert (row["ready"], row["admitted"]["value"]) == ("unknown", "unknown")
    assert f"gh api repos/{REPOSITORY}/actions/runs/RUN/jobs > receipt.json" in row["admitted"]["note"]


@pytest.mark.parametrize(
    "receipt",
    [
        job(group="Default"),
        job(group="GitHub Actions"),
        job(name="tinyland-inc/other"),
        job(labels=("ubuntu-latest",)),
        job(runner=0),
        {"jobs": []},
    ],
    ids=["default", "hosted", "another repository", "another label", "no runner", "no job"],
)
def test_what_shows_nothing_of_a_group_is_no_receipt(scored, receipt):
    assert scored(receipt)["admitted"]["value"] == "unknown"


def test_evidence_goes_stale_by_age(scored):
    row = scored(job(age=20 * 86400))
    assert row["admitted"]["stale"] and row["ready"] == "unknown"
    row = scored(job(age=20 * 86400), "--stale-after", "30")
    assert not row["admitted"]["stale"] and row["ready"] == "yes"


def test_a_receipt_may_be_written_down_in_a_form_of_its_own(scored):
    row = scored(
        {
            "schema": "gfattach.receipt/1", "repository": REPOSITORY, "runner_group_name": "tinyland",
            "labels": [LABEL], "observed_at": ago(60), "source": "gh api",
        }
    )  # fmt: skip
    assert row["admitted"]["value"] == "yes" and row["admitted"]["source"] == "receipt.json (gh api)"


def test_an_owner_without_a_scale_set_gets_no_runner(scored):
    row = scored(name="Jesssullivan/blog")
    assert (row["ready"], row["registered"]["value"]) == ("no", "no")
    assert "no scale set of Jesssullivan" in row["registered"]["note"]


def test_labels_of_workflows_are_judged(scored):
    kinds = {each["label"]: (each["kind"], each["instead"]) for each in scored()["labels"]}
    assert kinds == {
        "self-hosted": ("self-hosted", None),
        "tinyland-nix": ("served", None),
        "chapel-nix": ("fossil", "tinyland-nix"),
        "ubuntu-24.04": ("hosted", None),
        "great-falls": ("elsewhere", None),
        "tinyland-site-nix": ("project", "nix"),
        "tinyland-nixx": ("unserved", "tinyland-nix"),
        "macos-14": ("hosted", None),
        "${{ inputs.where }}": ("expression", None),
        "blacksmith-4vcpu-ubuntu-2204": ("third-party", None),
    }


def test_a_workflow_that_cannot_be_read_is_told(scored, tmp_path):
    (tmp_path / "site/.github/workflows").mkdir(parents=True)
    (tmp_path / "site/.github/workflows/bad.yml").write_text("jobs: [\n")
    (unread,) = scored()["unread"]
    assert unread["file"] == ".github/workflows/bad.yml" and unread["why"]


def test_the_scoreboard_is_a_table_and_markdown_too(ask, fleet, tmp_path):
    (tmp_path / "owners.txt").write_text(f"# ours\n{REPOSITORY}\nhttps://github.com/Jesssullivan/blog.git\n")
    _, out, _ = ask(fleet, "--owners", "owners.txt", "--markdown")
    assert "| repository | ready |" in out and "| Jesssullivan/blog | no |" in out
    assert "stale after 14 days" in out


def test_without_a_file_those_whose_jobs_run_are_looked_at(ask):
    _, out, _ = ask(scenarios.all_busy().fleet, "--owners", "--output", "json")
    assert [each["repository"] for each in document(out)["rows"]] == ["tinyland-inc/other", REPOSITORY]


def test_whether_an_owner_is_served_is_unknown_where_scale_sets_may_not_be_listed(ask, fleet, tmp_path):
    def deny(server):
        server.denied = {("autoscalingrunnersets", each) for each in (None, "arc-runners", "default")}

    (tmp_path / "owners.txt").write_text(REPOSITORY)
    _, out, _ = ask(fleet, "--owners", "owners.txt", "--output", "json", prepare=deny)
    (row,) = document(out)["rows"]
    assert row["registered"]["value"] == "unknown" and "may not list" in row["registered"]["note"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "queue.owners.file"),
        ("[[repository]]\nname = 3", "queue.owners.file"),
        ("[[repository]]\nname =", "queue.owners.file"),
        ('[[repository]]\nname = "a/b"\nreceipts = 3', "queue.owners.file"),
        ('[[repository]]\nname = "a/b"\nreceipts = ["gone"]', "queue.owners.receipt"),
        ('[[repository]]\nname = "a/b"\nreceipts = ["owners"]', "queue.owners.receipt"),
        ("not a repository", "queue.repository"),
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_usage(ask, fleet, tmp_path, content, code):
    (tmp_path / "owners").write_text(content)
    exit_code, out, _ = ask(fleet, "--owners", "owners", "--output", "json")
    assert exit_code == ExitCode.USAGE and json.loads(out)["error"]["code"] == code
