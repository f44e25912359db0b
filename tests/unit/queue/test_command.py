"""`gfattach queue` over a server of recorded objects: what it prints, what it asks, how it ends."""

import json
import re

import pytest

from gfattach.cli import main
from gfattach.core.errors import ExitCode
from gfattach.queue import run
from tests.harness.arc import scenarios
from tests.harness.arc.objects import Fleet
from tests.harness.arc.scenarios import LABEL, REPOSITORY, SCENARIOS
from tests.harness.arc.snapshots import KINDS
from tests.unit.queue.conftest import document

#: What two looks take is asked for beside the watch.
CASES = [(code, make) for code, makes in SCENARIOS.items() for make in makes if make().before is None]


def words_of(question):
    words = [question.label]
    if question.repository:
        words += ["--repo", question.repository]
    if question.run:
        words += ["--run", str(question.run)]
    if question.queued:
        words += ["--queued-since", question.queued.isoformat()]
    return words


@pytest.mark.parametrize(("code", "make"), CASES, ids=[f"{c}-{m.__name__}" for c, m in CASES])
def test_the_command_names_each_cause_first(ask, code, make):
    scenario = make()
    exit_code, out, _ = ask(scenario.fleet, *words_of(scenario.question), "--output", "json")
    (answer,) = document(out)["answers"]
    first = answer["cause"] or answer["possible"][0]
    assert (exit_code, first["code"]) == (ExitCode.GOOD, code)


def test_the_first_line_is_the_verdict_and_then_come_cause_holders_and_what_github_knows(ask):
    scenario = scenarios.one_holder()
    code, out, err = ask(scenario.fleet, LABEL)
    lines = out.splitlines()
    assert code == 0 and lines[0] == "tinyland-nix (tinyland-inc): at capacity"
    titles = [line for line in lines if re.fullmatch(r"[a-z ]+:", line)]
    assert titles[:4] == ["cause:", "also seen:", "held by:", "capacity:"]
    assert titles[-2:] == ["ruled out:", "not in the cluster:"]
    assert "tinyland-inc/site" in out and "gh api repos/tinyland-inc/site/actions/runs/100/jobs" in out
    assert "read" in err


def test_a_label_of_two_owners_has_an_answer_for_each(ask):
    fleet, first = scenarios.fleet_of(maximum=1)
    scenarios.busy(fleet, first, REPOSITORY)
    fleet.scale_set(
        "great-falls-tool-bus-nix", title=LABEL, url="https://github.com/Great-Falls-Tool-Bus", maximum=4
    )
    _, out, _ = ask(fleet, LABEL)
    assert "tinyland-nix (tinyland-inc): at capacity" in out
    assert "tinyland-nix (great-falls-tool-bus): idle: no demand seen here" in out
    _, out, _ = ask(fleet, LABEL, "--repo", "great-falls-tool-bus/infra")
    assert out.splitlines()[0] == "tinyland-nix (great-falls-tool-bus): idle: no demand seen here"


def test_without_a_label_every_one_is_answered(ask):
    fleet, _ = scenarios.fleet_of()
    for name in ("tinyland-nix-heavy", "tinyland-nix-kvm"):
        fleet.scale_set(name)
    _, out, _ = ask(fleet, "--output", "json")
    assert [each["label"] for each in document(out)["answers"]] == [
        LABEL,
        "tinyland-nix-heavy",
        "tinyland-nix-kvm",
    ]


def test_a_run_leads_to_the_labels_whose_runners_have_its_jobs(ask):
    fleet, _ = scenarios.fleet_of()
    heavy = fleet.scale_set("tinyland-nix-heavy")
    fleet.runner(heavy, repository=REPOSITORY, run=99)
    _, out, _ = ask(fleet, "--repo", REPOSITORY, "--run", "99", "--output", "json")
    assert [each["label"] for each in document(out)["answers"]] == ["tinyland-nix-heavy"]


@pytest.mark.parametrize(
    ("plural", "field"),
    [("autoscalingrunnersets", "scale"), ("ephemeralrunners", "runners"), ("pods", "pods")],
)
def test_what_may_not_be_listed_is_unknown_by_name(ask, plural, field):
    def deny(server):
        server.denied = {
            (plural, None),
            (plural, "arc-runners"),
            (plural, "default"),
            (plural, "arc-systems"),
        }

    code, out, _ = ask(scenarios.idle().fleet, LABEL, prepare=deny)
    assert code == ExitCode.UNPROVED
    assert re.match(rf"tinyland-nix.*: unknown: may not list {plural}", out.splitlines()[0])


def test_a_namespace_is_read_where_the_cluster_may_not_be(ask):
    def deny(server):
        server.denied = {(resource.plural, None) for resource, _, _ in KINDS.values()}

    scenario = scenarios.all_busy()
    code, out, _ = ask(scenario.fleet, LABEL, "--runner-namespace", "arc-runners", prepare=deny)
    assert code == 0 and out.startswith("tinyland-nix (tinyland-inc): at capacity")
    assert "nodes: unknown" in out and "may not list pods in all namespaces" in out


def test_a_credential_that_is_refused_is_an_error_and_no_verdict(ask, monkeypatch):
    from tests.harness.arc.server import _Handler

    monkeypatch.setattr(_Handler, "do_GET", lambda self: self._status(401, "Unauthorized", "Unauthorized"))
    code, out, err = ask(scenarios.idle().fleet, LABEL)
    assert code == ExitCode.FAILED and out == "" and "the API server answered 401" in err


def test_a_cluster_without_the_controller_s_kinds_serves_nothing_and_says_so(ask):
    def bare(server):
        server.absent = {
            "autoscalingrunnersets",
            "autoscalinglisteners",
            "ephemeralrunnersets",
            "ephemeralrunners",
        }

    code, out, _ = ask(Fleet(), LABEL, prepare=bare)
    assert code == 0 and out.startswith("tinyland-nix: not served")
    assert "the API server knows no kind of the Actions Runner Controller" in out


def test_lists_are_paged_and_go_on_when_their_beginning_is_forgotten(ask):
    fleet, found = scenarios.fleet_of(maximum=700)
    for number in range(600):
        fleet.runner(found, repository=f"tinyland-inc/{number % 7}", pod=number % 2 == 0)
    sizes = []

    def expire(server):
        server.expire = 1
        sizes.append(server)

    _, out, _ = ask(fleet, LABEL, "--output", "json", prepare=expire)
    (answer,) = document(out)["answers"]
    assert answer["pressure"]["capacity"]["current"] == 600
    assert sizes[0].largest == 250 and sizes[0].expire == 0


def test_words_of_the_cluster_reach_no_terminal_and_no_page_unescaped(ask, tmp_path):
    fleet, found = scenarios.fleet_of()
    fleet.runner(
        found, phase="Failed", reason="InvalidPod", message="bad \x1b[31m<script>alert(1)</script>", pod=False
    )
    _, out, err = ask(fleet, LABEL, "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert "\x1b" not in out + err + page
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_the_page_needs_nothing_else(ask, tmp_path):
    ask(scenarios.one_holder().fleet, LABEL, "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>") and "at capacity" in page
    assert "http://127.0.0.1" in page and "src=" not in page and "href=" not in page


def test_github_gets_an_annotation_and_a_summary(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    _, out, _ = ask(scenarios.one_holder().fleet, LABEL, "--output", "github")
    assert "::warning title=queue.1 queue.slots.one-holder::tinyland-nix (tinyland-inc)" in out
    summary = (tmp_path / "summary.md").read_text()
    assert "### tinyland-nix (tinyland-inc): at capacity" in summary and "| repository | runners |" in summary


def test_markdown_is_shown_where_it_is_asked_for(ask):
    _, out, _ = ask(scenarios.one_holder().fleet, LABEL, "--markdown")
    assert out.startswith("### tinyland-nix (tinyland-inc): at capacity\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--audit", "--watch"], "queue.question"),
        (["--audit", LABEL], "queue.question"),
        (["--run", "5"], "queue.question"),
        (["--watch", "--html", "x.html"], "queue.question"),
        (["--repo", "nothing"], "queue.repository"),
        ([LABEL, "--queued-since", "yesterday"], "queue.time"),
        (["--owners", "gone.txt"], "queue.owners.file"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage(ask, words, code):
    exit_code, out, _ = ask(Fleet(), *words, "--output", "json")
    assert exit_code == ExitCode.USAGE and json.loads(out)["error"]["code"] == code


def test_rights_are_printed_for_the_namespaces_that_are_named(capsys):
    import yaml

    assert main.run(["queue", "--rbac", "--runner-namespace", "ci"]) == 0
    cluster, runners, controllers = yaml.safe_load_all(capsys.readouterr().out)
    assert [cluster["kind"], runners["metadata"]["namespace"], controllers["metadata"]["namespace"]] == [
        "ClusterRole", "ci", "arc-systems",
    ]  # fmt: skip
    for role in (cluster, runners, controllers):
        assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list"}
        assert not any("secrets" in rule["resources"] for rule in role["rules"])


def test_a_repository_that_nothing_serves_is_told_what_is(ask):
    code, out, _ = ask(scenarios.idle().fleet, "--repo", "Jesssullivan/blog")
    assert code == 0 and out.startswith("Jesssullivan/blog (Jesssullivan): not served\n")
    assert "served are: tinyland-nix" in out


def test_a_missing_right_to_list_service_accounts_makes_no_unserved_label_unknown(ask):
    def deny(server):
        server.denied = {("serviceaccounts", None), ("serviceaccounts", "arc-runners")}

    code, out, _ = ask(scenarios.idle().fleet, "nothing", prepare=deny)
    assert code == 0 and out.startswith("nothing: not served\n")


def test_a_server_that_asks_to_be_asked_again_is(ask):
    def late(server):
        server.late = 5

    code, out, _ = ask(scenarios.idle().fleet, LABEL, prepare=late)
    assert code == 0 and "idle" in out.splitlines()[0]


def test_a_server_that_asks_so_without_end_is_an_error(ask, monkeypatch):
    monkeypatch.setattr(run, "LOOK_SECONDS", 3.0)

    def late(server):
        server.late = 10_000

    code, out, err = ask(scenarios.idle().fleet, LABEL, prepare=late)
    assert code == ExitCode.FAILED and out == "" and "Too large resource version" in err
