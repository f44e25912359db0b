"""What is asked of an executor before anything is sent to it: each code by a real server that earns it."""

import grpc
import pytest

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.probes.execution.stage import STAGE
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.target import CacheTarget
from tests.harness.caches.reapi_server import Faults, capable, reapi
from tests.harness.execution.justbuild import justbuild


def ask(url):
    finding = Run().stage(STAGE, CacheTarget(parse_endpoint(url))).findings["execution.capabilities"]
    return finding.code, finding.failed


def executing(digest):
    """Capabilities of a server that executes actions named by `digest`."""
    made = capable()
    made.execution_capabilities.CopyFrom(pb.ExecutionCapabilities(digest_function=digest, exec_enabled=True))
    return made


def test_a_server_that_executes(tmp_path):
    with justbuild(tmp_path) as server:
        assert ask(server.url) == ("execution.ok", False)


@pytest.mark.parametrize(
    ("capabilities", "code"),
    [
        (capable(), "execution.disabled"),
        (executing(pb.DigestFunction.BLAKE3), "execution.digest"),
    ],
)
def test_a_server_that_cannot_be_sent_bazels_actions(capabilities, code):
    with reapi(Faults(capabilities=capabilities)) as (port, _):
        assert ask(f"grpc://127.0.0.1:{port}") == (code, True)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "execution.refused"),
        (grpc.StatusCode.UNAUTHENTICATED, "execution.refused"),
        (grpc.StatusCode.INTERNAL, "execution.failed"),
    ],
)
def test_a_server_that_does_not_say_what_it_can(status, code):
    with reapi(Faults(failing={"GetCapabilities": status})) as (port, _):
        assert ask(f"grpc://127.0.0.1:{port}") == (code, True)


def test_every_code_is_earned_here():
    earned = {"ok", "disabled", "digest", "http", "unreachable", "refused", "failed"}
    assert {*STAGE.probes[0].codes} == {f"execution.{name}" for name in earned}


def test_an_address_of_another_protocol():
    assert ask("http://127.0.0.1:8080") == ("execution.http", True)


def test_nothing_that_listens():
    assert ask("grpc://127.0.0.1:9") == ("execution.unreachable", True)
