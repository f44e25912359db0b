"""What a trial call comes to for Bazels that cannot be had here, stood in for at the process boundary."""

import sys

import pytest
from msgspec.structs import replace

from gfattach.bazel.capabilities.transport import Call, remembered
from gfattach.core.deadline import Deadline
from gfattach.core.finding import Status
from gfattach.probes.bazel.transport import TRANSPORT_CODES, judge_socket, judge_transport
from tests.harness.machine.fake_bazel import fake_bazel

#: Makes a call over TLS to 127.0.0.1, and by a unix socket fails as 5.3.0 does, before its call.
LIKE_5_3_0 = f"""
case "$command$*" in
  build*--remote_proxy=unix*)
    echo 'ERROR: Failed to query remote execution capabilities: UNAUTHENTICATED: Failed computing' \\
      'credential metadata' >&2
    exit 34 ;;
  build*) exec {sys.executable} - "$@" <<'EOF'
import socket, ssl, sys
said = dict(option.lstrip("-").partition("=")[::2] for option in sys.argv[1:])
host, _, port = said["remote_cache"].removeprefix("grpcs://").rpartition(":")
context = ssl.create_default_context(cafile=said["tls_certificate"])
context.set_alpn_protocols(["h2"])
with socket.create_connection((host, int(port))) as plain:
    with context.wrap_socket(plain, server_hostname=host) as session:
        session.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + b"\\0\\0\\0\\4\\0\\0\\0\\0\\0")
        session.sendall(b"\\0\\0\\1\\1\\5\\0\\0\\0\\1" + b"\\x83")
        session.recv(100)
sys.exit(34)
EOF
  ;;
esac
"""


def judge(tmp_path, body, *, by_socket=True, seconds=30.0):
    bazel = fake_bazel(tmp_path / "bazel", body)
    return judge_transport(bazel, by_socket, tmp_path / "work", tmp_path / "a.json", Deadline.after(seconds))


def test_a_bazel_that_fails_on_sockets_before_its_call_is_told_from_one_without_tls(tmp_path):
    found = judge(tmp_path, LIKE_5_3_0)
    assert (found.code, found.status) == ("bazel.transport.no-socket", Status.FAIL)
    assert "Failed computing credential metadata" in found.seen
    assert (found.data["tls"], found.data["socket"]) == (True, False)
    assert any("--allow-plaintext-loopback" in hint for hint in found.hints)


def test_without_a_socket_the_same_bazel_will_do_and_is_not_tried_twice(tmp_path):
    bazel = fake_bazel(tmp_path / "bazel", LIKE_5_3_0)
    codes = [
        judge_transport(bazel, False, tmp_path / "work", tmp_path / "a.json", Deadline.after(30)).code
        for _ in range(2)
    ]
    assert codes == ["bazel.transport.ok", "bazel.transport.before"]
    assert remembered(bazel, Call.SOCKET, tmp_path / "a.json") is None


def test_a_failure_is_tried_anew(tmp_path):
    assert judge(tmp_path, "exit 37").code == "bazel.transport.no-tls"
    assert judge(tmp_path, LIKE_5_3_0).code == "bazel.transport.no-socket"


@pytest.mark.parametrize("ending", ["sleep 30", "exit 37"])
def test_a_trial_that_does_not_end_is_no_answer_and_one_that_crashes_is(ending, tmp_path):
    found = judge(tmp_path, f'case "$command" in build) {ending} ;; esac', seconds=1.0)
    expected = "unanswered" if ending.startswith("sleep") else "no-tls"
    assert found.code == f"bazel.transport.{expected}"
    assert found.code in TRANSPORT_CODES and found.hints


#: Makes a call in plaintext by the unix socket that it is told of.
BY_SOCKET = f"""
case "$command$*" in
  build*--remote_proxy=unix*) echo tried >> "$(dirname "$0")/tries"; exec {sys.executable} - "$@" <<'EOF'
import socket, sys
said = dict(option.lstrip("-").partition("=")[::2] for option in sys.argv[1:])
assert said["remote_cache"].startswith("grpc://")
with socket.socket(socket.AF_UNIX) as plain:
    plain.connect(said["remote_proxy"].removeprefix("unix:"))
    plain.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + b"\\0\\0\\0\\4\\0\\0\\0\\0\\0")
    plain.sendall(b"\\0\\0\\1\\1\\5\\0\\0\\0\\1" + b"\\x83")
    plain.recv(100)
sys.exit(34)
EOF
  ;;
esac
"""


def ask_socket(bazel, tmp_path, seconds=30.0):
    found = judge_socket(bazel, tmp_path / "work", tmp_path / "a.json", Deadline.after(seconds))
    assert found.code in TRANSPORT_CODES and found.status is Status.OK
    return found.code, found.data["socket"]


def test_a_bazel_whose_plaintext_call_arrives_by_a_socket_goes_by_it_and_is_not_tried_twice(tmp_path):
    bazel = fake_bazel(tmp_path / "bazel", BY_SOCKET)
    answers = [ask_socket(bazel, tmp_path) for _ in range(2)]
    assert answers == [("bazel.transport.socket", True)] * 2
    assert (tmp_path / "tries").read_text() == "tried\n"


@pytest.mark.parametrize("body", [LIKE_5_3_0, 'case "$command" in build) exit 37 ;; esac'])
def test_a_bazel_whose_call_does_not_arrive_goes_by_the_port_and_is_not_tried_twice(body, tmp_path):
    bazel = fake_bazel(tmp_path / "bazel", f'echo "$command" >> "$(dirname "$0")/calls"\n{body}')
    assert ask_socket(bazel, tmp_path) == ("bazel.transport.port", False)
    calls = (tmp_path / "calls").read_text()
    assert "build" in calls
    assert ask_socket(bazel, tmp_path) == ("bazel.transport.port", False)
    assert (tmp_path / "calls").read_text() == calls


def test_a_build_without_natives_is_not_called_and_one_that_hangs_is_asked_again(tmp_path):
    bazel = fake_bazel(tmp_path / "bazel", 'case "$command" in build) sleep 30 ;; esac')
    assert ask_socket(replace(bazel, native_transport=False), tmp_path) == ("bazel.transport.port", False)
    assert not (tmp_path / "a.json").exists()
    assert ask_socket(bazel, tmp_path, 1.0) == ("bazel.transport.port", False)
    assert remembered(bazel, Call.PLAINTEXT_SOCKET, tmp_path / "a.json") is None
