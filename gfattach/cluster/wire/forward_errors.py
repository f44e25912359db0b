"""Why a forward to a pod was not opened, or ended: the codes `cluster.forward.*`."""

from __future__ import annotations

import json

from gfattach.cluster.wire.http import Response
from gfattach.core.errors import ClusterError
from gfattach.core.quote import word

#: Every code, without its prefix, with its meaning.
FORWARD_CODES = {
    "refused": "the node could not connect to the port in the pod, or that connection failed",
    "upgrade": "something on the way does not let a websocket through",
    "unauthorized": "the credential is refused, or has expired",
    "forbidden": "the user may not forward to pods",
    "gone": "the pod is not there any more",
    "kubelet": "the API server cannot reach the pod's node, or the node's kubelet refuses it",
    "lost": "an open forward was cut",
}


class ChannelError(ClusterError):
    """A forward was not opened, or did not end in an orderly way. `kind` is a key of FORWARD_CODES."""

    def __init__(self, kind: str, fact: str, *hints: str) -> None:
        super().__init__(fact, *hints, code=f"cluster.forward.{kind}")
        self.kind = kind


def lost(pod: str, said: str) -> ChannelError:
    """An open forward to `pod` ("namespace/name") was cut."""
    return ChannelError("lost", f"the forward to pod {pod} was lost: {said}")


def refused(pod: str, port: int, text: str) -> ChannelError:
    """What came on the error channel of a forward to `pod`."""
    said = " ".join(text.split())
    namespace, _, name = pod.partition("/")
    if "connection refused" in said:
        return ChannelError(
            "refused",
            f"nothing listens on port {port} of pod {pod}",
            f"look at it: kubectl logs -n {word(namespace)} {word(name)}",
        )
    return ChannelError("refused", f"the forward to port {port} of pod {pod} failed: {said}")


def upgrade_error(authority: str, pod: str, namespace: str, answer: Response) -> ChannelError:
    """What an answer to the upgrade other than 101 comes to."""
    said, message = _status_message(answer), _message(answer)
    status = answer.status
    if said is None and answer.body and status in (401, 403, 404, 405, 501) and not _is_page(answer):
        return _of_the_kubelet(pod, status, message)
    if status == 401:
        return ChannelError("unauthorized", f"{authority} refuses the credential ({message})")
    if status == 403 and said is not None:
        return _forbidden(pod, namespace, message)
    if status == 404 and said is not None:
        return ChannelError("gone", f"pod {pod} is gone: {message}")
    if status >= 500 and "error dialing backend" in message:
        return ChannelError(
            "kubelet",
            f"the API server cannot reach the node of pod {pod}: {message}",
            "look at the node: kubectl get nodes",
        )
    if status in (200, 400, 426) or "upgrade" in message.lower():
        return ChannelError(
            "upgrade",
            f"something before {authority} strips the websocket upgrade (HTTP {status}: {message})",
            "a proxy or load balancer on the way has to pass Upgrade headers on",
        )
    return ChannelError("upgrade", f"{authority} did not open the forward (HTTP {status}: {message})")


def _of_the_kubelet(pod: str, status: int, message: str) -> ChannelError:
    """A refusal that is no Status object: the API server hands on what the node's kubelet answers as it is
    (apimachinery, upgradeaware.go), always with a text, and its own refusals are Status objects.
    """
    namespace, _, name = pod.partition("/")
    node = f"see which node it is: kubectl get pod -n {word(namespace)} {word(name)} -o wide"
    if status in (401, 403):
        return ChannelError(
            "kubelet",
            f"the kubelet on the node of pod {pod} refuses the API server (HTTP {status}: {message})",
            "an operator has to mend it: the kubelet does not take the API server's client certificate, or "
            "that lacks the right nodes/proxy",
            node,
        )
    return ChannelError(
        "kubelet",
        f"the kubelet on the node of pod {pod} forwards no ports (HTTP {status}: {message})",
        "a virtual kubelet does not as a rule: have the cache run on another node, or dial it directly",
        node,
    )


def _is_page(answer: Response) -> bool:
    """Whether a proxy or a login answered with a page for people."""
    return b"<html" in answer.body[:1000].lower() or "html" in answer.headers.get("content-type", "")


def _forbidden(pod: str, namespace: str, message: str) -> ChannelError:
    """Forwarding takes the verbs get and, since Kubernetes 1.35, create; a missing create goes unnamed.

    The message is then `pods "NAME" is forbidden: ` and ends there.
    """
    verb = "create" if message.rstrip().endswith("is forbidden:") else "get"
    if "pods/portforward" not in message and verb == "get":
        return ChannelError("forbidden", f"the forward to pod {pod} is forbidden: {message}")
    return ChannelError(
        "forbidden",
        f"the user may not {verb} pods/portforward in namespace {namespace}",
        f"ask for it: kubectl auth can-i {word(verb)} pods/portforward -n {word(namespace)}",
        'the role needs: resources ["pods/portforward"], verbs ["get", "create"]',
    )


def _status_message(answer: Response) -> str | None:
    """The message of a Status object; None for an answer that is none."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("kind", "Status") != "Status":
        return None
    message = document.get("message")
    return " ".join(message.split(" ")) if isinstance(message, str) else None


def _message(answer: Response) -> str:
    """A Status object's message, or the beginning of whatever came."""
    if (said := _status_message(answer)) is not None:
        return said
    text = " ".join(answer.body.decode("utf-8", "replace").split())
    return (text[:200] or "no text").strip()
