"""Stage "certificates" of a real API server, whose clients show certificates or do not."""

from dataclasses import replace

import pytest

from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.resolve import resolve
from gfattach.deadline import Deadline
from gfattach.engine import Run
from gfattach.finding import Status
from gfattach.probes.certificates import stage_of
from gfattach.probes.certificates_subject import Purpose, of_api_server
from gfattach.tls.context import verifying


@pytest.fixture
def connection(cluster):
    return resolve(ClusterRef((cluster.kubeconfig,)), Deadline.after(10))


def ask(connection):
    subject = of_api_server(connection, identified=True)
    found = Run().stage(stage_of(Purpose.API_SERVER), subject).findings
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
