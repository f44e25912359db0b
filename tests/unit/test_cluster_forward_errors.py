"""Whose refusal an answer to a port-forward is: the API server's are Status objects, a kubelet's are not."""

from __future__ import annotations

import json

import pytest

from gfattach.cluster.wire.forward_errors import upgrade_error
from gfattach.cluster.wire.http import Response


def answer(status: int, body: bytes, content_type: str = "") -> Response:
    return Response(status, {"content-type": content_type} if content_type else {}, body)


def status_object(code: int, reason: str, message: str) -> bytes:
    found = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return json.dumps(found | {"reason": reason, "code": code}).encode()


PLAIN = "text/plain; charset=utf-8"

#: What kubelets and what stands for them answer, which the API server hands on as it is.
OF_A_KUBELET = {
    "the API server's certificate is not taken": (401, b"Unauthorized\n", PLAIN),
    "the same without a type": (401, b"Unauthorized", ""),
    "the API server lacks nodes/proxy": (
        403,
        b"Forbidden (user=kube-apiserver-kubelet-client, verb=create, resource=nodes, subresource=proxy)",
        PLAIN,
    ),
    "the same as nobody": (
        403,
        b"Forbidden (user=system:anonymous, verb=create, resource=nodes, subresource(s)=[proxy])",
        "",
    ),
    "a virtual kubelet": (404, b"404 page not found\n", PLAIN),
    "a virtual kubelet that knows the verb": (501, b"not implemented\n", PLAIN),
    "a virtual kubelet with another verb": (405, b"Method Not Allowed\n", PLAIN),
    "one that cannot be reached": (
        500,
        status_object(500, "InternalError", "error dialing backend: dial tcp 10.0.0.5:10250: i/o timeout"),
        "application/json",
    ),
    "one behind a tunnel that is down": (
        503,
        status_object(503, "ServiceUnavailable", "error dialing backend: No agent available"),
        "application/json",
    ),
}


@pytest.mark.parametrize("case", OF_A_KUBELET)
def test_a_kubelets_refusal_is_not_told_as_the_users(case):
    error = upgrade_error("api:6443", "nix-cache/bazel-0", "nix-cache", answer(*OF_A_KUBELET[case]))
    assert error.kind == "kubelet"
    assert "node of pod nix-cache/bazel-0" in error.fact
    assert not any("log in" in hint or "can-i" in hint for hint in error.hints)


OF_THE_API_SERVER = {
    "a credential that ended": (401, status_object(401, "Unauthorized", "Unauthorized"), "unauthorized"),
    "a right that is missing": (
        403,
        status_object(
            403,
            "Forbidden",
            'pods "bazel-0" is forbidden: User "jo" cannot create resource "pods/portforward"',
        ),
        "forbidden",
    ),
    "a right that goes unnamed": (
        403,
        status_object(403, "Forbidden", 'pods "bazel-0" is forbidden: '),
        "forbidden",
    ),
    "a pod that is gone": (404, status_object(404, "NotFound", 'pods "bazel-0" not found'), "gone"),
    "a Status without its kind": (401, b'{"message": "Unauthorized", "code": 401}', "unauthorized"),
}


@pytest.mark.parametrize("case", OF_THE_API_SERVER)
def test_the_api_servers_own_refusal_is_the_users(case):
    status, body, kind = OF_THE_API_SERVER[case]
    error = upgrade_error("api:6443", "nix-cache/bazel-0", "nix-cache", answer(status, body))
    assert error.kind == kind
    assert "***" not in error.fact


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<!DOCTYPE html><HTML>log in</HTML>", ""), (b"sorry", "text/html"), (b"<html>", PLAIN)],
)
def test_a_page_for_people_is_neithers(status, body, content_type):
    error = upgrade_error("api:6443", "ns/p", "ns", answer(status, body, content_type))
    assert error.kind in ("unauthorized", "upgrade")


def test_the_word_of_a_refusal_survives_what_takes_secrets_out():
    from gfattach.core.redact import redact

    error = upgrade_error(
        "api:6443", "ns/p", "ns", answer(401, status_object(401, "Unauthorized", "Unauthorized"))
    )
    assert redact(error.fact) == "api:6443 refuses the credential (Unauthorized)"
