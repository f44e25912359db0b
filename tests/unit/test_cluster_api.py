"""What an API server's answers come to: objects, refusals with its own words, and everything else."""

import asyncio
import gc
import json
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gfattach.cluster.api import loop as background
from gfattach.cluster.api import reviews
from gfattach.cluster.api.client import Api, ApiError, path_of, read
from gfattach.cluster.api.fields import MESSAGE_LIMIT
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.reviews import Right
from gfattach.cluster.api.services import ReadyPod, ready_pods, survey
from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.cluster.wire.http import Response
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Inquiry
from gfattach.probes.cluster.rights import RULES, needed, role_hints
from gfattach.probes.cluster.subject import SERVICE_STAGE_SECONDS, STAGE_SECONDS, ClusterSubject, until
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.budget import budget


def answer(body, status=200, kind="application/json"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {"content-type": kind}, content)


def refusal(status, **said):
    return answer({"kind": "Status", "status": "Failure", "code": status, **said}, status)


# answers


def test_an_object_is_returned_as_it_is():
    assert read(answer({"kind": "Service", "spec": {}})) == {"kind": "Service", "spec": {}}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "missing"),
        (409, "failed"),
        (500, "failed"),
        (302, "failed"),
    ],
)
def test_a_refusal_carries_its_status_and_the_server_s_own_words(status, code):
    message = 'services "x" is forbidden: User "jo" cannot get resource "services" in the namespace "n"'
    with pytest.raises(ApiError) as caught:
        read(refusal(status, reason="Because", message=message))
    error = caught.value
    assert (error.status, error.reason, error.message) == (status, "Because", message)
    assert error.code == f"cluster.api.{code}"
    assert error.fact == f"the API server answered {status}: {message}" and error.hints


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            answer(b"<html>log in</html>", 200, "text/html; charset=utf-8"),
            "a web page, of a proxy or a login",
        ),
        (answer(b"[1, 2]"), "application/json that is no JSON object: [1, 2]"),
        (answer(b""), "an answer without content"),
        (answer(b"\xff\x00\x1b[2J", kind=""), "an answer of no type that is no JSON object"),
    ],
)
def test_what_is_no_object_is_named(response, said):
    with pytest.raises(ClusterError) as caught:
        read(response)
    assert caught.value.code == "cluster.api.unreadable" and said in caught.value.fact
    assert caught.value.fact.isprintable()


def test_plain_http_to_a_tls_port_is_the_kubeconfigs_address_and_said_so():
    """The words are those of Go's server, which answers so with the status 400."""
    with pytest.raises(ApiError) as caught:
        read(answer(b"Client sent an HTTP request to an HTTPS server.\n", 400, ""))
    assert (
        caught.value.fact
        == "the API server speaks TLS, and the kubeconfig's address of it begins with http://"
    )
    assert caught.value.hints[0].startswith("write https:// there: kubectl config set-cluster")


def test_a_refusal_of_something_before_the_server_says_what_came():
    with pytest.raises(ApiError) as caught:
        read(answer(b"<html>bad gateway</html>", 502, "text/html"))
    assert caught.value.fact == (
        "the API server answered 502: a web page, of a proxy or a login that stands before the API server"
    )


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=30),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["kind", "message", "reason", "x"]), inner, max_size=4)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.integers(200, 599),
    st.text(max_size=30),
)
@example(b"[" * 100_000, 200, "")
@example(b'{"kind": "Status", "message": {"a": ["\\u001b"]}}', 403, "\x1b[2J")
def test_any_answer_is_an_object_or_an_error_in_one_line(body, status, kind):
    try:
        found = read(Response(status, {"content-type": kind}, body))
    except ClusterError as error:
        assert error.fact.isprintable() and len(error.fact) <= MESSAGE_LIMIT + 100
    else:
        assert isinstance(found, dict) and status < 300


def test_a_path_is_quoted():
    assert path_of("n", "services", "a/b") == "/api/v1/namespaces/n/services/a%2Fb"
    assert path_of("n", "pods", labelSelector="a=b,c/d=e") == (
        "/api/v1/namespaces/n/pods?labelSelector=a%3Db%2Cc%2Fd%3De"
    )


# a server


def api_at(port):
    return Api(ClusterConnection("127.0.0.1", port, "nix-cache"))


def soon():
    return Deadline.after(5)


SERVICE_PATH = path_of("nix-cache", "services", "bazel-cache")
SLICES_PATH = path_of(
    "nix-cache",
    "endpointslices",
    group="apis/discovery.k8s.io/v1",
    labelSelector="kubernetes.io/service-name=bazel-cache",
)
PODS_PATH = path_of("nix-cache", "pods", labelSelector="app=bazel-cache", limit="1000")
SERVICE = {
    "metadata": {"namespace": "nix-cache", "name": "bazel-cache"},
    "spec": {
        "selector": {"app": "bazel-cache"},
        "ports": [{"name": "grpc", "port": 9092, "targetPort": "grpc"}],
    },
}
SLICE = {
    "endpoints": [
        {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "a", "namespace": "nix-cache"}}
    ],
    "ports": [{"name": "grpc", "port": 19092}],
}
POD = {
    "metadata": {"namespace": "nix-cache", "name": "b"},
    "spec": {"containers": [{"ports": [{"name": "grpc", "containerPort": 29092}]}]},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def page(document, status=200):
    return status, "application/json", json.dumps(document).encode()


def forbidden(message="no"):
    return page({"kind": "Status", "message": message}, 403)


class TheWay:
    namespace, service, port = "nix-cache", "bazel-cache", "grpc"


def asked(pages, question):
    """What `question` of an API comes to, and the paths that were asked for."""
    heard = []
    with faults.http(pages, heard=heard) as port:
        found = background.run_sync(question(api_at(port)))
    return found, [path for _, path, _ in heard]


def test_two_questions_lead_to_the_ready_pods():
    pages = {SERVICE_PATH: page(SERVICE), SLICES_PATH: page({"items": [SLICE]})}
    found, paths = asked(pages, lambda api: ready_pods(api, TheWay(), soon()))
    assert found == [ReadyPod("nix-cache", "a", 19092)]
    assert sorted(paths) == sorted([SERVICE_PATH, SLICES_PATH])


def test_the_pods_are_read_where_the_slices_may_not_be_and_that_is_said():
    pages = {SERVICE_PATH: page(SERVICE), SLICES_PATH: forbidden(), PODS_PATH: page({"items": [POD]})}
    found, _ = asked(pages, lambda api: survey(api, TheWay(), soon()))
    assert found.by_pods and found.choice.ready == (ReadyPod("nix-cache", "b", 29092),)


def test_where_neither_may_be_read_the_refusal_of_the_slices_is_the_answer():
    pages = {
        SERVICE_PATH: page(SERVICE),
        SLICES_PATH: forbidden("not the slices"),
        PODS_PATH: forbidden("nor the pods"),
    }
    with pytest.raises(ApiError, match="403: not the slices"):
        asked(pages, lambda api: ready_pods(api, TheWay(), soon()))


def test_no_ready_pod_is_explained_by_the_pods():
    unready = POD | {"status": {"phase": "Pending"}}
    pages = {
        SERVICE_PATH: page(SERVICE),
        SLICES_PATH: page({"items": []}),
        PODS_PATH: page({"items": [unready]}),
    }
    with pytest.raises(ClusterError, match="0 of 1 pods ready behind nix-cache/bazel-cache: Pending"):
        asked(pages, lambda api: ready_pods(api, TheWay(), soon()))
    with pytest.raises(ClusterError, match="why is not known: pods may not be read"):
        asked(pages | {PODS_PATH: forbidden()}, lambda api: ready_pods(api, TheWay(), soon()))


def test_a_service_that_is_not_there_is_named_whatever_the_slices_say():
    pages = {SERVICE_PATH: page({"kind": "Status", "message": "not found"}, 404), SLICES_PATH: forbidden()}
    with pytest.raises(ClusterError, match="there is no Service bazel-cache in namespace nix-cache"):
        asked(pages, lambda api: ready_pods(api, TheWay(), soon()))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({"major": "1", "minor": "36"}, (1, 36)),
        ({"major": "1", "minor": "27+"}, (1, 27)),
        ({"major": "", "minor": "x"}, (0, 0)),
        ({}, (0, 0)),
    ],
)
def test_a_version_is_two_numbers_whatever_a_vendor_adds(version, expected):
    found, _ = asked({"/version": page(version)}, lambda api: reviews.version(api, soon()))
    assert found == expected


def test_a_server_that_is_silent_keeps_nobody_beyond_the_deadline():
    with faults.talking(faults.silent) as port, pytest.raises(ClusterError, match="no answer"):
        run_sync(api_at(port).get("/version", Deadline.after(0.3)))


def test_an_answer_without_end_is_cut_off():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with faults.talking(faults.saying(head + b" " * (9 * 1024 * 1024))) as port:
        with pytest.raises(ClusterError, match="larger than"):
            run_sync(api_at(port).get("/version", soon()))


# which rights are needed

GET, CREATE = (Right("n", verb, "pods/portforward") for verb in ("get", "create"))
SLICES, PODS = Right("n", "list", "endpointslices", "discovery.k8s.io"), Right("n", "list", "pods")


@pytest.mark.parametrize(
    ("missing", "version", "expected"),
    [
        ([GET], (1, 36), [GET]),
        ([CREATE], (1, 36), [CREATE]),
        ([CREATE], (1, 35), [CREATE]),
        ([CREATE], (1, 34), []),  # a websocket takes get alone
        ([SLICES], (1, 36), []),  # the pods themselves tell
        ([PODS], (1, 36), []),
        ([SLICES, PODS], (1, 36), [SLICES]),
        ([Right("n", "list", "services")], (1, 36), []),
        ([Right("n", "get", "services")], (1, 36), [Right("n", "get", "services")]),
        # another namespace's pods do not tell of this one's
        ([SLICES, PODS, Right("m", "list", "endpointslices", "discovery.k8s.io")], (1, 36), [SLICES]),
    ],
)
def test_a_right_is_needed_where_no_other_takes_its_place(missing, version, expected):
    assert needed(missing, version) == expected


@pytest.mark.parametrize(
    "word", ["yes", "NO", "null", "1e3", "a: b", "it's", "#x", "", "0x1f", "developer", "jo@x.y"]
)
def test_a_role_says_the_same_to_a_shell_and_to_yaml(word):
    [hint] = role_hints([word], word)
    words = shlex.split(hint.partition("kubectl ")[2])
    applied, binding = yaml.safe_load(words[-1].removeprefix("<<<"))["items"]
    assert applied["metadata"]["namespace"] == binding["subjects"][0]["name"] == word
    assert applied["rules"] == RULES and binding["roleRef"]["name"] == applied["metadata"]["name"]


def test_the_role_in_the_documentation_is_the_one_in_the_hints():
    text = (Path(__file__).parents[2] / "docs" / "site.md").read_text()
    documents = [yaml.safe_load(part.partition("```")[0]) for part in text.split("```yaml")[1:]]
    roles = {
        document["metadata"]["name"]: document for document in documents if document.get("kind") == "Role"
    }
    assert roles["gfattach"]["rules"] == RULES


# how long

STAGES = ("cluster", STAGE_SECONDS), ("services", SERVICE_STAGE_SECONDS)


@pytest.mark.parametrize(("stage", "seconds"), STAGES)
def test_a_probe_s_time_ends_with_its_own_deadline_or_with_its_stage(stage, seconds):
    subject = ClusterSubject(ref=ClusterRef(), environ={})
    brief = until(Inquiry(subject, Deadline.after(1), {}), stage)
    whole = until(Inquiry(subject, Deadline.after(600), {}), stage)
    assert 0.5 < brief.remaining() < 1
    assert seconds - 1 < whole.remaining() < seconds
    again = until(Inquiry(subject.serving(), Deadline.after(600), {}), stage)
    assert again == whole, "the stage's time runs from its first question"


def test_both_stages_together_are_over_in_half_a_minute():
    assert STAGE_SECONDS + SERVICE_STAGE_SECONDS < 30


# the loop in the background


def test_threads_ask_at_the_same_time_over_one_loop():
    seen = set()

    async def meet():
        seen.add(threading.get_ident())
        await asyncio.sleep(0.05)

    threads = [threading.Thread(target=lambda: background.run_sync(meet())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(seen) == 1 and threading.get_ident() not in seen


def test_an_error_reaches_who_asked():
    async def broken():
        raise ClusterError("no")

    with pytest.raises(ClusterError, match="no"):
        background.run_sync(broken())


def test_what_belongs_to_a_forgotten_owner_is_closed():
    class Owner:
        pass

    closed = threading.Event()
    owner = Owner()
    background.when_gone(owner, closed.set)
    del owner
    gc.collect()
    assert closed.wait(5)


def test_a_process_ends_quietly_and_at_once_whatever_still_waits():
    script = (
        "import asyncio, threading, time\n"
        "from gfattach.cluster.api import loop as background\n"
        "threading.Thread(target=lambda: background.run_sync(asyncio.sleep(60)), daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", script],
        capture_output=True,
        text=True,
        timeout=budget(30),
        check=True,
    )
    assert "pending" not in done.stderr and "ResourceWarning" not in done.stderr
    assert time.monotonic() - before < budget(10)
