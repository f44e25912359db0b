"""The Services that are to be forwarded, and the pods behind them."""

from __future__ import annotations

from gfattach.cluster.api.endpoint_selection import none_ready, shown
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.objects import living
from gfattach.cluster.api.pod_state import worst
from gfattach.cluster.api.services import Survey, survey
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Probe, ok, warn
from gfattach.core.quote import word
from gfattach.probes.cluster.subject import ClusterInquiry, ClusterSubject, failure, until

_CODES = {
    "cluster.service.ok": "every Service is there, and its pods are ready",
    "cluster.service.partly": "some pods behind a Service are not ready",
    "cluster.service.by-pods": "the EndpointSlices may not be read: ready pods are found by their labels",
    "cluster.service.missing": "there is no such Service",
    "cluster.service.port": "the Service has no such port",
    "cluster.service.external": "the Service is an alias of a name outside",
    "cluster.service.selectorless": "the Service selects no pods",
    "cluster.service.pods.none": "no pod behind the Service is ready",
    "cluster.service.failed": "the Service could not be read",
}


async def _surveys(subject: ClusterSubject, deadline: Deadline) -> list[Survey | BaseException]:
    import asyncio

    api = subject.api
    asked = (survey(api, service, deadline, with_pods=True) for service in subject.services)
    return await asyncio.gather(*asked, return_exceptions=True)


def _ask_service(inquiry: ClusterInquiry) -> Finding:
    subject = inquiry.subject
    found: list[Survey] = []
    for answer in run_sync(_surveys(subject, until(inquiry, "services"))):
        if isinstance(answer, ClusterError):
            return _not_there(answer)
        if isinstance(answer, BaseException):
            raise answer
        if not answer.choice.ready:
            return _not_there(none_ready(answer.service, answer.port, answer.pods, answer.choice.total))
        found.append(answer)
    return _there(subject, found)


def _not_there(error: ClusterError) -> Finding:
    why = "a forward leads to a ready pod of the Service: there is none to lead to"
    if error.code in _CODES:
        return failure(error.code, error, why)
    why = "a forward leads to a ready pod of the Service: it cannot be known which"
    return failure("cluster.service.failed", error, why, "ask by hand: kubectl get services,endpointslices")


def _there(subject: ClusterSubject, found: list[Survey]) -> Finding:
    pods = {
        shown(route): [[pod.namespace, pod.name, pod.port] for pod in answer.choice.ready]
        for route, answer in zip(subject.services, found, strict=True)
    }
    said = ", ".join(
        f"{name}: {len(answer.choice.ready)} of {_total(answer)} pods ready"
        for name, answer in zip(pods, found, strict=True)
    )
    for answer in found:
        if answer.by_pods:
            namespace = answer.service.namespace
            return warn(
                "cluster.service.by-pods",
                f"{said}; by the pods' labels, since endpointslices may not be read in {namespace}",
                "what an operator takes out of a Service by its EndpointSlices is forwarded to all the same",
                f"ask for that right: kubectl -n {word(namespace)} auth can-i list endpointslices",
                pods=pods,
            )
    for answer in found:
        bad = worst(answer.pods or ())
        if bad is not None and len(answer.choice.ready) < _total(answer):
            return warn(
                "cluster.service.partly",
                f"{said}; {bad[0].name}: {bad[1]}",
                "the forward leads to a pod that is ready; with that one gone there may be none",
                f"see more: kubectl -n {word(bad[0].namespace)} describe pod {word(bad[0].name)}",
                pods=pods,
            )
    return ok("cluster.service.ok", said, pods=pods)


def _total(answer: Survey) -> int:
    return answer.choice.total if answer.pods is None else len(living(answer.pods))


SERVICE = Probe(
    "cluster.service",
    "is there a ready pod behind each Service",
    _ask_service,
    _CODES,
    ("cluster.rights",),
    seconds=5.0,
)
