"""What the user may do where the Services are, and what an operator applies where it is not enough."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from gfattach.agent.model.spec import PodUpstream
from gfattach.cluster.api import reviews
from gfattach.cluster.api.client import Api, ApiError
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.reviews import Right
from gfattach.cluster.api.services import survey
from gfattach.cluster.wire.portforward import open_channel
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Probe, fail, ok, skip, warn
from gfattach.core.quote import word
from gfattach.probes.cluster.subject import ClusterInquiry, ClusterSubject, until

_RBAC = "rbac.authorization.k8s.io"
_DISCOVERY = "discovery.k8s.io"

#: What a forward needs in a namespace, as the rules of a Role.
RULES: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["services", "pods", "configmaps"], "verbs": ["get", "list"]},
    {"apiGroups": [_DISCOVERY], "resources": ["endpointslices"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
]

#: What publishing a site needs.
PUBLISH_RULES: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch"]},
]

#: Short words that no YAML reads as anything else.
_PLAIN = frozenset(("get", "list", "pods", "Role", "User", "List", "v1"))

#: The version from which on a websocket to a pod's port takes the verb create too.
CREATE_SINCE = (1, 35)

_CODES = {
    "cluster.rights.ok": "the user may do all that a forward needs",
    "cluster.rights.partial": "the user may do what a forward needs, and not all that explains a failure",
    "cluster.rights.tried": "the API server says that a right is missing, and what needs it works",
    "cluster.rights.missing": "a forward needs a right that the user does not have",
    "cluster.rights.unknown": "the API server does not say what the user may do",
    "cluster.rights.nowhere": "no Service is to be forwarded",
}


def role(
    namespace: str, user: str, rules: list[dict[str, list[str]]] = RULES, name: str = "gfattach"
) -> list[dict[str, Any]]:
    """The Role `name` with `rules`, which let `user` forward to pods in `namespace`, and its RoleBinding."""
    words = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:200]
    head = {"apiVersion": f"{_RBAC}/v1"}
    subject = {"apiGroup": _RBAC, "kind": "User", "name": user}
    return [
        {
            **head,
            "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": rules,
        },
        {
            **head,
            "kind": "RoleBinding",
            "metadata": {"name": f"{name}-{words or 'user'}", "namespace": namespace},
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [subject],
        },
    ]


def role_hints(namespaces: Iterable[str], user: str) -> list[str]:
    """For each namespace the command of an operator, with what it applies as YAML in one line."""
    return [_granted(role(namespace, user)) for namespace in namespaces]


def _granted(items: list[dict[str, Any]]) -> str:
    document = {"apiVersion": "v1", "kind": "List", "items": items}
    return f"an operator grants it: kubectl apply -f - <<<{word(flow(document))}"


def flow(value: Any) -> str:
    """`value` as YAML in flow form; quoted is only what could be read otherwise."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    text = str(value)
    # YAML 1.1 has words for yes and no; none of them is as long as this.
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9/.-]{5,}", text) or text in _PLAIN
    return text if plain else json.dumps(text)


def _rights(namespace: str, services: Iterable[str] = ()) -> tuple[Right, ...]:
    """What a forward to `services` needs, by name where there is one; without any, what finding them
    needs.
    """
    named = [Right(namespace, "get", "services", name=name) for name in services]
    return (
        *(named or (Right(namespace, "get", "services"), Right(namespace, "list", "services"))),
        Right(namespace, "list", "endpointslices", _DISCOVERY),
        Right(namespace, "list", "pods"),
        Right(namespace, "get", "pods/portforward"),
        Right(namespace, "create", "pods/portforward"),
    )


async def _ask(api: Api, rights: Sequence[Right], deadline: Deadline) -> tuple[list[Right], tuple[int, int]]:
    """The rights of these that the user does not have, and the API server's version."""
    import asyncio

    version, *answers = await asyncio.gather(
        reviews.version(api, deadline),
        *(reviews.allowed(api, right, deadline) for right in rights),
        return_exceptions=True,
    )
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    missing = [right for right, answer in zip(rights, answers, strict=True) if answer is False]
    return missing, version if isinstance(version, tuple) else CREATE_SINCE


def needed(missing: Sequence[Right], version: tuple[int, int]) -> list[Right]:
    """Those of the missing rights without which no forward can be; the others only explain, or help."""
    found = []
    for right in missing:
        # The pods themselves tell which are ready where their EndpointSlices may not be read.
        by_pods = Right(right.namespace, "list", "pods") not in missing
        old = version < CREATE_SINCE and right.verb == "create"
        helps = (right.verb, right.resource) in (("list", "services"), ("list", "pods"))
        if not helps and not old and not (right.resource == "endpointslices" and by_pods):
            found.append(right)
    return found


def refused(api: Api, namespace: str, user: str, error: ApiError, deadline: Deadline) -> ClusterError:
    """What the 403 `error` for a Service of `namespace` comes to: every right that `user` lacks there, and
    the Role that grants them; `error` itself where the API server does not say which those are.
    """
    other = "or, if the caches are in another namespace: gfattach up --namespace NAMESPACE"
    hints = (*role_hints([namespace], user or "USER"), other)
    return _lacking(api, _rights(namespace), user, error, hints, deadline)


def publishing_refused(api: Api, namespace: str, error: ApiError, deadline: Deadline) -> ClusterError:
    """As `refused`, for a 403 where a ConfigMap of `namespace` was to be written."""
    try:
        user = run_sync(reviews.whoami(api, deadline)).name
    except ClusterError:
        user = ""
    rights = [Right(namespace, verb, "configmaps") for verb in PUBLISH_RULES[0]["verbs"]]
    hint = _granted(role(namespace, user or "USER", PUBLISH_RULES, "gfattach-publish"))
    return _lacking(api, rights, user, error, (hint,), deadline)


def _lacking(
    api: Api, rights: Sequence[Right], user: str, error: ApiError, hints: Sequence[str], deadline: Deadline
) -> ClusterError:
    """The error for those of `rights`, all in one namespace, that `user` lacks; else `error` itself."""
    try:
        missing, _ = run_sync(_ask(api, rights, deadline))
    except ClusterError:
        missing = []
    if not missing:
        return error
    shown = ", ".join(right.what for right in missing)
    return ClusterError(
        f"{user or 'this user'} may not {shown} in namespace {missing[0].namespace}",
        *hints,
        code="cluster.rights.missing",
    )


async def _lacked(
    subject: ClusterSubject, rights: Sequence[Right], deadline: Deadline
) -> tuple[list[Right], list[Right]]:
    """The rights of these that the user does not have, and those of them that no forward can do without."""
    missing, version = await _ask(subject.api, rights, deadline)
    return missing, needed(missing, version)


async def _refused(subject: ClusterSubject, needs: Sequence[Right], deadline: Deadline) -> list[Right]:
    """Those of `needs` whose deed is refused when it is tried: a review knows of no names that come later,
    nor of who else decides. What fails for another reason was not refused.
    """
    refused: list[Right] = []
    for route in subject.services:
        mine = [
            right
            for right in needs
            if right.namespace == route.namespace and right.name in ("", route.service)
        ]
        if mine and await _is_refused(subject, route, mine, deadline):
            refused += [right for right in mine if right not in refused]
    return refused


async def _is_refused(
    subject: ClusterSubject, route: PodUpstream, needs: Sequence[Right], deadline: Deadline
) -> bool:
    try:
        found = await survey(subject.api, route, deadline)
        if found.choice.ready and any(right.resource == "pods/portforward" for right in needs):
            pod = found.choice.ready[0]
            channel = await open_channel(subject.connection, pod.namespace, pod.name, pod.port, deadline)
            channel.close()
    except ClusterError as error:
        return (
            isinstance(error, ApiError) and error.status == 403
        ) or error.code == "cluster.forward.forbidden"
    return False


def _ask_rights(inquiry: ClusterInquiry) -> Finding:
    subject = inquiry.subject
    namespaces = sorted({service.namespace for service in subject.services})
    if not namespaces:
        return skip("cluster.rights.nowhere", "no Service is to be forwarded: no right is needed")
    rights = [
        right
        for namespace in namespaces
        for right in _rights(
            namespace, [each.service for each in subject.services if each.namespace == namespace]
        )
    ]
    try:
        missing, needs = run_sync(_lacked(subject, rights, until(inquiry, "services")))
        if needs and subject.show_another(Deadline.after(subject.renewal_seconds)):
            missing, needs = run_sync(_lacked(subject, rights, until(inquiry, "services")))
    except ClusterError as error:
        return warn(
            "cluster.rights.unknown",
            f"what this user may do is not known: {error.fact}",
            "should the forward be refused, this would have said why",
            *(
                f"ask by hand: kubectl -n {word(name)} auth can-i create pods/portforward"
                for name in namespaces
            ),
        )
    user = inquiry.known("cluster.identity", "user") or subject.connection.user or "USER"
    where = " and ".join(namespaces)
    if not missing:
        return ok("cluster.rights.ok", f"{user} may read Services and forward to pods in {where}")
    refused_needs = run_sync(_refused(subject, needs, until(inquiry, "services"))) if needs else []
    shown = "; ".join(str(right) for right in refused_needs or needs or missing)
    hints = role_hints(sorted({right.namespace for right in missing}), user)
    data = {"missing": [str(right) for right in missing], "needed": [str(right) for right in refused_needs]}
    if refused_needs:
        why = "a forward asks for the Service, finds a ready pod, and opens a connection to its port"
        return fail("cluster.rights.missing", f"{user} may not {shown}", why, *hints, **data)
    if needs:
        why = (
            "it may be granted for some names alone, or by another authority; what the review says may change"
        )
        seen = f"the API server says that {user} may not {shown}; it was tried, and was not refused"
        return warn("cluster.rights.tried", seen, why, *hints, **data)
    why = "forwards work; what keeps a pod from being ready may stay unsaid, and Services unfound"
    return warn("cluster.rights.partial", f"{user} may not {shown}", why, *hints, **data)


RIGHTS = Probe(
    "cluster.rights",
    "may we forward to pods",
    _ask_rights,
    _CODES,
    ("cluster.identity",),
    seconds=5.0,
    longer=lambda subject: subject.renewal_seconds and subject.renewal_seconds + 5.0,
)
