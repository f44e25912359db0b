"""Stage "certificates": for every code an endpoint, files or trust stores that earn it."""

import pytest
from msgspec.structs import replace

from gfattach.cluster.connection import ClusterConnection
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.net.proxy import Proxy
from gfattach.net.route import to_socket
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.certificates.stage import STAGE, stage_of
from gfattach.probes.certificates.subject import of_api_server, of_cache, of_substituter
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.tls.context import verifying
from gfattach.tls.purpose import Purpose
from tests.harness.certificates.authorities import NAME, ask, bench, endpoint
from tests.harness.certificates.cases import CASES
from tests.harness.certificates.pki import answering, others, pki, server_context

__all__ = ["bench", "others", "pki"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("gfattach.net.inspect.TALK_SECONDS", 1.0)
    monkeypatch.setattr("gfattach.net.inspect.WORD_SECONDS", 0.4)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=c.marks) for c in CASES])
def test_the_cause_comes_first(case, bench, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case.environ(bench).items():
        monkeypatch.setenv(name, value)
    with case.server(bench) as port:
        found = ask(endpoint(bench, port, **case.subject(bench)))
    codes = [finding.code for finding in found.values()]
    assert set(case.codes) <= set(codes), codes
    bad = [f for f in found.values() if f.status in (Status.FAIL, Status.WARN)]
    assert not [f for f in found.values() if f.code.startswith("engine.d")], codes
    if case.good:
        assert bad == []
        return
    assert bad[0].code == case.codes[0], codes
    assert case.says in bad[0].seen
    assert bad[0].why and bad[0].hints
    assert "s3cret" not in str(found)


def test_every_declared_code_is_earned():
    earned = {code for case in CASES for code in case.codes}
    declared = {code for probe in STAGE.probes for code in probe.codes}
    assert declared - earned == set()


def test_a_cache_target_is_asked_through_its_socket_with_its_name(pki, tmp_path):
    path = tmp_path / "s"
    target = CacheTarget(parse_endpoint(f"grpcs://{NAME}:9092"), tls=TlsFiles(ca_file=pki.ca), socket=path)
    with answering(server_context(pki.issue(NAME), alpn=("h2",)), path=path):
        found = ask(of_cache(target))
    assert found["handshake"].data["alpn"] == "h2"
    assert found["trust"].data["anchor"]["subject"] == "CN=root of the tests"
    assert all(finding.status is Status.OK for finding in found.values())


def test_a_substituter_is_verified_as_nix_would(pki, tmp_path):
    endpoint = parse_endpoint(f"https://{NAME}/main")
    target = SubstituterTarget(endpoint)
    path = tmp_path / "s"
    environ = {"NIX_SSL_CERT_FILE": str(pki.ca)}
    with answering(server_context(pki.issue(NAME)), path=path):
        found = ask(of_substituter(target, route=to_socket(path), environ=environ))
    assert "Bazel" not in found["stores"].seen and "stores" not in found["stores"].data
    assert all(finding.status is Status.OK for finding in found.values())


def test_an_api_server_is_asked_with_the_context_of_its_connection(pki):
    with answering(server_context(pki.issue("kubernetes"))) as port:
        connection = ClusterConnection(
            "127.0.0.1", port, "default", tls=verifying(pki.ca), server_name="kubernetes"
        )
        found = ask(of_api_server(connection))
    assert found["name"].code == "certificates.name.ok"
    assert all(finding.status is Status.OK for finding in found.values())
    assert of_api_server(replace(connection, proxy=Proxy("https", "127.0.0.1", 1))) is None
    for scheme in ("http", "socks5"):
        by = of_api_server(replace(connection, proxy=Proxy(scheme, "127.0.0.1", 1, "user", "s3cret")))
        assert by is not None and "s3cret" not in repr(by)


def test_one_run_asks_several_endpoints_and_keeps_them_apart(pki, others, bench):
    run = Run()
    with bench.serve() as good, bench.serve(others.issue(NAME)) as bad:
        for purpose, port in ((Purpose.CACHE, good), (Purpose.SUBSTITUTER, bad)):
            run.stage(stage_of(purpose), endpoint(bench, port, purpose=purpose))
    assert run.findings["certificates.cache.trust"].status is Status.OK
    assert run.findings["certificates.substituter.trust"].code == "certificates.trust.authority-missing"
