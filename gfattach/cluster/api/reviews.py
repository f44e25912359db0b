"""What is asked of an API server besides its objects: who am I, may I, which version, what time is it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from gfattach.cluster.api.client import Api, ApiError, path_of, read
from gfattach.cluster.api.fields import foreign, mapping, one_line, text
from gfattach.core.deadline import Deadline

_AUTHENTICATION = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_AUTHORIZATION = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

#: How a 403 names the user: `... is forbidden: User "jo" cannot create resource ...`.
_USER = re.compile(r'User "(.{1,253}?)" cannot')


class Right(Struct, frozen=True):
    """A verb on a resource in a namespace; `group` is "" for core, `resource` may have a subresource, and
    `name` is that of the one object that is meant, "" for any.
    """

    namespace: str
    verb: str
    resource: str
    group: str = ""
    name: str = ""

    @property
    def what(self) -> str:
        """`get services bazel-cache`."""
        return f"{self.verb} {self.resource}{f' {self.name}' if self.name else ''}"

    def __str__(self) -> str:
        """`get pods/portforward in namespace nix-cache`."""
        return f"{self.what} in namespace {self.namespace}"


class Person(Struct, frozen=True):
    """Whom the API server takes this client for; `known` False: it is some user, and will not say which."""

    name: str
    known: bool = True


class Clock(Struct, frozen=True):
    """The API server's clock: how many seconds it is before this machine's; None where it says nothing.

    `uncertainty` is how many seconds that may be wrong: an HTTP date has whole seconds, and an answer takes
    time.
    """

    ahead: float | None
    uncertainty: float


async def whoami(api: Api, deadline: Deadline) -> Person:
    """Whom the API server takes this client for. Raises ApiError, 401 for nobody that it knows.

    SelfSubjectReview is there since Kubernetes 1.28, for everybody unless an operator took it away.
    """
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await api.post(_AUTHENTICATION, review, deadline)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        if not error.reason:  # no Status object: an API server before 1.28, or any web server
            await confirm(api, deadline)
        # A refusal comes after the credentials were accepted, and names the user.
        named = _USER.search(error.message)
        return Person(one_line(named[1]), True) if named else Person("", False)
    if answer.get("kind") != "SelfSubjectReview":
        raise foreign("it answers a review with something else")
    name = text(mapping(mapping(answer, "status"), "userInfo"), "username")
    return Person(one_line(name), bool(name))


async def allowed(api: Api, right: Right, deadline: Deadline) -> bool:
    """Whether this client has that right. Raises ApiError where the question itself is refused."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "namespace": right.namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.post(_AUTHORIZATION, review, deadline)
    return mapping(answer, "status").get("allowed") is True


async def confirm(api: Api, deadline: Deadline) -> None:
    """Make sure that an API server answers: by a resource or a Status object, and by nothing else.

    Raises ClusterError (cluster.api.unreadable) where another server does, and ApiError.
    """
    response = await api.respond("GET", "/version", deadline)
    try:
        said = read(response)
    except ApiError as error:
        if error.reason:
            return
        raise foreign(f"it answers /version with {response.status}") from error
    if "gitVersion" not in said and said.get("kind") != "Status":
        raise foreign("its /version names no version")


async def version(api: Api, deadline: Deadline) -> tuple[int, int]:
    """The API server's version, (1, 36); (0, 0) where it cannot be read. Raises ApiError."""
    answer = await api.get("/version", deadline)
    numbers = [re.match(r"\d{1,4}", text(answer, key)) for key in ("major", "minor")]
    major, minor = (int(found[0]) if found else 0 for found in numbers)
    return major, minor


async def clock(api: Api, deadline: Deadline) -> Clock:
    """How the API server's clock stands to this machine's, from the Date of an answer of any status."""
    from email.utils import parsedate_to_datetime

    before = datetime.now(UTC)
    response = await api.respond("GET", "/version", deadline)
    after = datetime.now(UTC)
    took = (after - before).total_seconds()
    try:
        said = parsedate_to_datetime(response.headers.get("date", ""))
    except (ValueError, TypeError):
        return Clock(None, took)
    if said.tzinfo is None:
        said = said.replace(tzinfo=UTC)
    middle = before + (after - before) / 2
    # The date is cut to whole seconds: on the average half of one is missing.
    return Clock((said - middle).total_seconds() + 0.5, took / 2 + 0.5)


async def config_map(api: Api, namespace: str, name: str, deadline: Deadline) -> Mapping[str, Any]:
    """The `data` of a ConfigMap. Raises ApiError, 404 where there is none."""
    answer = read(await api.respond("GET", path_of(namespace, "configmaps", name), deadline))
    return mapping(answer, "data")
