"""Stage "certificates" of a real API server, whose clients show certificates or do not."""

import base64

import pytest
import yaml
from msgspec.structs import replace

from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.probes.certificates.stage import stage_of
from gfattach.probes.certificates.subject import of_api_server
from gfattach.tls.context import verifying
from gfattach.tls.purpose import Purpose
from tests.harness.certificates.pki import Pki
from tests.harness.cluster.developer import developer_machine


@pytest.fixture
def connection(cluster):
    return resolve(ClusterRef((cluster.kubeconfig,)), Deadline.after(10))


def ask(connection):
    found = Run().stage(stage_of(Purpose.API_SERVER), of_api_server(connection)).findings  # type: ignore[misc]
    return {name.rpartition(".")[2]: finding for name, finding in found.items()}


def test_the_api_server_of_a_kubeconfig_is_trusted_by_name_and_date(connection):
    found = ask(connection)
    assert found["validity"].data["days_left"] > 14
    assert [finding.status for finding in found.values()] == [Status.OK] * len(found)
    assert found["handshake"].data["version"] == "TLSv1.3"


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"server_name": "other.test"}, "certificates.name.other"),
        ({"tls": verifying()}, "certificates.trust.authority-missing"),
    ],
)
def test_what_a_kubeconfig_gets_wrong_is_named(connection, change, first):
    found = ask(replace(connection, **change))
    bad = [finding.code for finding in found.values() if finding.status is Status.FAIL]
    assert bad[0] == first


@pytest.mark.parametrize(
    ("setting", "error", "cause", "says"),
    [
        ("certificate-authority-data", "cluster.tls.untrusted", "trust.authority-missing", "is not trusted"),
        ("tls-server-name", "cluster.tls.name", "name.other", "other.test"),
    ],
)
def test_up_says_of_a_certificate_that_it_does_not_take_all_that_can_be_seen(
    cluster, tmp_path, setting, error, cause, says
):
    machine = developer_machine(tmp_path / "m", cluster)
    stranger = Pki(tmp_path, "a stranger")
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    [entry] = document["clusters"]
    pem = base64.b64encode(stranger.ca.read_bytes()).decode()
    entry["cluster"][setting] = {"tls-server-name": "other.test"}.get(setting, pem)
    written = tmp_path / "kubeconfig"
    written.write_text(yaml.safe_dump(document))
    machine.variables["KUBECONFIG"] = str(written)
    said = machine.json("up", code=1)
    assert said["error"]["code"] == error
    stages = {stage["name"]: stage["findings"] for stage in said["stages"]}
    failed = [f for f in stages["server-tls"] if f["status"] == "fail"]
    assert failed[0]["code"] == f"certificates.{cause}"
    assert failed[0]["hints"] and says in failed[0]["seen"]


def test_a_certificate_that_passes_is_not_looked_at_twice(cluster, tmp_path):
    machine = developer_machine(tmp_path / "m", cluster)
    said = machine.json("up", "--cache-service", "no-such-service", code=1)
    assert "server-tls" not in [stage["name"] for stage in said["stages"]]
