"""Stages "cluster" and "services": for every code a cause that is real, with a real API server."""

import ast
import json
import shlex
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from gfattach.cluster import kubeconfig
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig import in_cluster
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.probes.cluster.stage import SERVICE_STAGE, STAGE, ClusterSubject
from gfattach.probes.cluster.subject import STAGE_SECONDS
from tests.harness.cluster.manifests import NAMESPACE, POD, SERVICE
from tests.harness.cluster.probes.cases_files import BROKEN, CONTEXT_CASES, CREDENTIAL_CASES, KUBECONFIG_CASES
from tests.harness.cluster.probes.cases_reach import (
    CLOCK_CASES,
    IDENTITY_CASES,
    PROFILE_CASES,
    REACH_CASES,
    TLS_CASES,
)
from tests.harness.cluster.probes.cases_services import (
    CACHE_CASES,
    RIGHTS_CASES,
    SERVICE_CASES,
    UPGRADE_CASES,
)
from tests.harness.cluster.probes.kubeconfigs import GRPC, HTTP, SECRET, Bench
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.faulty_servers import Authority

#: No run of both stages may take longer, whatever is silent.
LONGEST_SECONDS = 30.0


@pytest.fixture(scope="module")
def bench(cluster, tmp_path_factory):
    directories = [tmp_path_factory.mktemp(name) for name in ("files", "ours", "theirs")]
    return Bench(cluster, directories[0], Authority(directories[1]), Authority(directories[2]))


CASES = [
    *KUBECONFIG_CASES,
    *CONTEXT_CASES,
    *CREDENTIAL_CASES,
    *REACH_CASES,
    *TLS_CASES,
    *CLOCK_CASES,
    *IDENTITY_CASES,
    *PROFILE_CASES,
    *RIGHTS_CASES,
    *SERVICE_CASES,
    *UPGRADE_CASES,
    *CACHE_CASES,
]

#: Earned by tests of their own, below.
BY_OTHER_TESTS = {"cluster.kubeconfig.pod", "cluster.credential.plugin-silent", "cluster.tls.none"}

SERVICE_PROBES = {probe.name for probe in SERVICE_STAGE.probes}


def ask(subject, *, services=True):
    """What both stages find."""
    run = Run()
    run.stage(STAGE, subject)
    if services:
        run.stage(SERVICE_STAGE, subject.serving(*subject.services))
    return run.report().findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}: {case.name}")
def test_each_cause_is_named_by_its_code_with_what_to_do(case, bench):
    made = case.make(bench)
    services = any(case.code.startswith(f"{name}.") for name in SERVICE_PROBES)
    with nullcontext(made) if isinstance(made, ClusterSubject) else made as subject:
        before = time.monotonic()
        findings = ask(subject, services=services)
        took = time.monotonic() - before
    seen = {name: f"{finding.code}: {finding.seen}" for name, finding in findings.items()}
    found = [finding for finding in findings.values() if finding.code == case.code]
    assert found, json.dumps(seen, indent=1)
    assert case.said in found[0].seen
    failed = [finding.code for finding in findings.values() if finding.failed]
    assert len(failed) <= 1, f"one cause is one failure: what depends on it is not asked: {seen}"
    assert not any(finding.code.startswith("engine.") and finding.failed for finding in findings.values()), (
        seen
    )
    for finding in findings.values():
        if finding.status in (Status.WARN, Status.FAIL):
            assert finding.why and finding.hints, finding
        assert finding.seen and "\n" not in finding.seen
    assert SECRET not in repr(findings) and SECRET not in repr(subject)
    json.dumps({name: dict(finding.data) for name, finding in findings.items()})
    assert took < LONGEST_SECONDS


def test_every_declared_code_is_earned_by_a_case_above():
    declared = {code for stage in (STAGE, SERVICE_STAGE) for probe in stage.probes for code in probe.codes}
    earned = {case.code for case in CASES} | BY_OTHER_TESTS
    assert declared == earned, (declared - earned, earned - declared)


def test_every_probe_fails_or_warns_for_two_causes_or_more(bench):
    """Counted in causes, and not in codes."""
    fine = {
        "found",
        "pod",
        "selected",
        "held",
        "none",
        "open",
        "trusted",
        "unchecked",
        "same",
        "known",
        "hidden",
    }
    fine |= {"valid", "absent", "enough", "nowhere", "ready", "answers"}
    for stage in (STAGE, SERVICE_STAGE):
        for probe in stage.probes:
            causes = [c for c in CASES if c.code in probe.codes and c.code.rpartition(".")[2] not in fine]
            assert len(causes) >= 2, probe.name


def codes_in_the_sources():
    """What the resolver can say, as its sources have it."""
    directory = Path(kubeconfig.__file__).parent
    for name, prefix in (("credentials", ""), ("exec_plugin", "plugin-"), ("trust", "")):
        for node in ast.walk(ast.parse((directory / f"{name}.py").read_text())):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_fault", "PemError")
            if named and isinstance(node.args[1], ast.Constant):  # type: ignore[attr-defined]
                yield f"cluster.credential.{prefix}{node.args[1].value}"  # type: ignore[attr-defined, str-bytes-safe]
    for path in directory.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            given = (
                isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant)
            )
            if given and node.value.value.split(".")[1] in ("kubeconfig", "context", "credential"):  # type: ignore[attr-defined]
                yield node.value.value  # type: ignore[attr-defined]


def test_the_probes_declare_all_that_the_resolver_can_say():
    declared = {code for probe in STAGE.probes for code in probe.codes}
    found = set(codes_in_the_sources())
    found = {code for code in found if code.split(".")[1] in ("kubeconfig", "context", "credential")}
    assert len(found) > 25 and found <= declared, found - declared


# all is well


def test_a_healthy_cluster_passes_everything_at_once(bench):
    with bench.profile('[cache]\ninstance = "main"\n') as subject:
        findings = ask(subject)
    assert {finding.status for finding in findings.values()} == {Status.OK}, findings
    assert findings["cluster.identity"].data["user"] == "developer"
    assert findings["cluster.profile"].data["profile"] == {"gfattach.toml": '[cache]\ninstance = "main"\n'}
    context = findings["cluster.context"].data
    assert (context["context"], context["cluster"], context["user"], context["namespace"]) == (
        "bed",
        "bed",
        "developer",
        NAMESPACE,
    )
    assert findings["cluster.service"].data["pods"] == {
        "nix-cache/bazel-cache:grpc": [[NAMESPACE, POD, 9092]],
        "nix-cache/bazel-cache:http": [[NAMESPACE, POD, 8080]],
    }


def test_all_questions_together_take_no_time_that_a_person_notices(bench):
    times = []
    for _ in range(5):
        before = time.monotonic()
        ask(bench.config())
        times.append(time.monotonic() - before)
    assert min(times) < 0.5, times


def test_in_a_pod_its_service_account_is_taken(bench, monkeypatch):
    account = bench.directory / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(bench.token())
    (account / "namespace").write_text(NAMESPACE)
    (account / "ca.crt").write_bytes(bench.cluster.ca.read_bytes())
    monkeypatch.setattr(in_cluster, "SERVICE_ACCOUNT", account)
    host, _, port = bench.cluster.server.removeprefix("https://").rpartition(":")
    environ = bench.environ(KUBERNETES_SERVICE_HOST=host, KUBERNETES_SERVICE_PORT=port)
    findings = ask(ClusterSubject(ref=ClusterRef(), services=(GRPC, HTTP), environ=environ))
    assert findings["cluster.kubeconfig"].code == "cluster.kubeconfig.pod"
    assert findings["cluster.identity"].seen.endswith("system:serviceaccount:nix-cache:gfattach-tests")
    assert not any(finding.failed for finding in findings.values())


def test_without_tls_no_certificate_is_asked_for(bench):
    with faults.talking(faults.saying(BROKEN)) as port:
        findings = ask(bench.at(f"http://127.0.0.1:{port}"), services=False)
    assert findings["cluster.tls"].code == "cluster.tls.none"


# what an operator applies


def test_the_role_in_the_hints_is_all_that_is_missing(bench):
    """Applied as it stands, it makes the same questions pass."""
    subject = bench.limited("newcomer")
    before = ask(subject)["cluster.rights"]
    assert before.code == "cluster.rights.missing"
    [hint] = before.hints
    words = shlex.split(hint.partition("kubectl ")[2])
    applied = yaml.safe_load(words[-1].removeprefix("<<<"))["items"]
    assert [item["kind"] for item in applied] == ["Role", "RoleBinding"]
    for item in applied:
        bench.cluster.apply(item)
    end = time.monotonic() + 10
    after = before
    while after.code != "cluster.rights.ok" and time.monotonic() < end:
        time.sleep(0.05)
        findings = ask(bench.read(subject.ref.kubeconfigs[0]))
        after = findings["cluster.rights"]
    assert not any(finding.failed for finding in findings.values()), after


def test_a_pod_that_does_not_open_gives_way_to_one_that_does(bench):
    """The first pod is gone, and the EndpointSlice still names it."""
    bench.cluster.create_pod("second")
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{SERVICE}-bed"
    first, second = bench.cluster.admin.get(slices)["endpoints"]
    gone = first | {"targetRef": first["targetRef"] | {"name": "gone"}}
    bench.cluster.admin.merge(slices, {"endpoints": [gone, second]})
    findings = ask(bench.config())
    assert findings["cluster.upgrade"].code == "cluster.upgrade.ok"
    assert findings["cluster.cache"].code == "cluster.cache.ok"


def test_a_plugin_that_hangs_is_ended_before_the_stage_is(bench):
    before = time.monotonic()
    finding = ask(bench.plugin("echo waiting for a browser >&2; sleep 60"), services=False)[
        "cluster.credential"
    ]
    assert finding.code == "cluster.credential.plugin-silent"
    assert finding.seen.endswith(": waiting for a browser")
    assert time.monotonic() - before < STAGE_SECONDS


def test_a_server_that_is_slow_at_everything_keeps_nobody_beyond_the_stages(bench):
    """Each answer comes within its probe's time; the probe that needs two in a row says that one is late."""

    def slowly(head):
        time.sleep(2.5)

    with bench.between(slowly) as subject:
        before = time.monotonic()
        findings = ask(subject)
        took = time.monotonic() - before
    assert took < LONGEST_SECONDS
    assert not any(finding.code == "engine.deadline" for finding in findings.values())
    [failed] = [finding for finding in findings.values() if finding.failed]
    assert "no answer" in failed.seen
