"""Stage "cache", where no real socket on this machine can show it."""

import socket

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Inquiry
from gfattach.net.sniff import SniffResult, WireProtocol
from gfattach.probes.cache.protocol import judge_sniff
from gfattach.probes.cache.stage import STAGE
from gfattach.reapi.target import CacheTarget
from gfattach.tls.inspection import Inspection

CACHE = CacheTarget(Endpoint("grpcs", "cache.example", 443))


def ask(name, target):
    [probe] = [probe for probe in STAGE.probes if probe.name == name]
    return probe.ask(Inquiry(target, Deadline.after(1), {}))


def test_packets_that_vanish_are_a_silent_port(monkeypatch):
    """No address on this machine drops packets, so the socket's own verdict is given here."""

    def vanish(*args, **options):
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "connect", vanish)
    finding = ask("cache.port", CacheTarget(Endpoint("grpc", "192.0.2.1", 9092)))
    assert finding.code == "cache.port.silent" and finding.failed and finding.why and finding.hints


def test_a_name_server_that_is_down_is_not_a_wrong_name(monkeypatch):
    def fail(*args, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    finding = ask("cache.resolve", CACHE)
    assert finding.code == "cache.resolve.unanswered" and finding.failed and finding.why and finding.hints


def test_without_a_name_nothing_else_is_asked(monkeypatch):
    def fail(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    findings = Run().stage(STAGE, CACHE).findings
    assert findings["cache.resolve"].code == "cache.resolve.unknown"
    asked = {name for name, finding in findings.items() if finding.code != "engine.needs"}
    assert asked == {"cache.resolve"}


def test_a_path_is_kept_for_http_and_left_out_for_grpc():
    target = CacheTarget(Endpoint("http", "cache.example", 8080, "/bazel"))
    assert judge_sniff(target, SniffResult(WireProtocol.HTTP2)).hints == ("use grpc://cache.example:8080",)
    encrypted = judge_sniff(
        target, SniffResult(WireProtocol.TLS, tls=Inspection("cache.example", alpn="http/1.1"))
    )
    assert encrypted.hints == ("use https://cache.example:8080/bazel",)
