"""Rules for one endpoint: how it is written, whether it is this machine, whether it is retired."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gfattach.contract.model.codes import SCRIPT_DOES_NOT_KNOW, SCRIPT_REFUSED
from gfattach.contract.model.display import shown_endpoint
from gfattach.contract.model.terms import Reading, Reason, refuse
from gfattach.contract.model.variables import ENDPOINT_VARIABLES, value_of
from gfattach.core.endpoint import EndpointError, is_localhost, parse_endpoint

#: Names of retired services. The field's scripts look for them anywhere in an endpoint.
_STALE = re.compile(r"attic-cache-dev|fuzzy-dev|attic\.dev-cluster|attic\.tinyland", re.IGNORECASE)

_SCHEME = re.compile(r"(grpc|grpcs|http|https)://")

#: The spellings of this machine that the field's scripts know.
_KNOWN_LOCALHOST = ("localhost", "127.0.0.1", "0.0.0.0")

ENV_HINT = 'take the environment of your attachment: eval "$(gfattach env)"'


def stale_host(text: str) -> str | None:
    """The name of a retired service, where `text` holds one."""
    found = _STALE.search(text)
    return None if found is None else found.group()


def has_placeholder(text: str) -> bool:
    """Whether `text` holds an unexpanded variable. The field looks for `${` and `}`."""
    return "${" in text or "}" in text


def endpoint_rules(reading: Reading) -> Iterator[Reason]:
    """What is wrong with each endpoint, whatever the others are."""
    for name in ENDPOINT_VARIABLES:
        if value := reading.value(name):
            yield from _written(name, value)
            yield from _this_machine(reading, name, value)
    for name in (*ENDPOINT_VARIABLES, "ATTIC_SERVER", "NIX_CONFIG"):
        yield from _given_up(reading.environment, name)


def _written(name: str, value: str) -> Iterator[Reason]:
    seen = shown_endpoint(value)
    if has_placeholder(value):
        yield refuse(
            "contract.endpoint.placeholder",
            name,
            f"{name} is {seen}, with an unexpanded ${{...}}",
            "Bazel would take the placeholder for a host",
            f"write the value itself: export {name}=grpc://HOST:PORT",
            ENV_HINT,
        )
        return
    if _SCHEME.match(value) is None:
        yield refuse(
            "contract.endpoint.scheme",
            name,
            f"{name} is {seen}, and does not begin with grpc://, grpcs://, http:// or https://",
            "the scheme says which protocol is spoken, and it is compared in lower case",
            f"write it out: export {name}=grpc://HOST:PORT",
            ENV_HINT,
        )
        return
    try:
        parse_endpoint(value)
    except EndpointError as error:
        yield refuse(
            error.code.replace("endpoint.", "contract.endpoint.", 1),
            name,
            f"{name} is {seen}: {error.fact}",
            "an endpoint is a scheme, a host and a port; Bazel would fail later, and say less",
            *error.hints,
            f"write it anew: export {name}=grpc://HOST:PORT",
        )


def _this_machine(reading: Reading, name: str, value: str) -> Iterator[Reason]:
    allowed = reading.value("GF_BAZEL_ALLOW_LOCALHOST_PROOF")
    if allowed == "true":
        return
    try:
        host = parse_endpoint(value).host
    except EndpointError:
        return
    if not is_localhost(host):
        return
    said = "is not set" if not allowed else "is something else than true"
    script = re.sub(r"[/:].*", "", value.partition("://")[2], flags=re.DOTALL)
    yield refuse(
        "contract.endpoint.localhost",
        name,
        f"{name} is {shown_endpoint(value)}, which is this machine, "
        f"and GF_BAZEL_ALLOW_LOCALHOST_PROOF {said}",
        "a cache on this machine proves nothing of the shared one, unless it is a forward that is meant",
        ENV_HINT,
        "or say that it is meant: export GF_BAZEL_ALLOW_LOCALHOST_PROOF=true",
        script_exit=SCRIPT_REFUSED if script in _KNOWN_LOCALHOST else SCRIPT_DOES_NOT_KNOW,
    )


def _given_up(environment: Mapping[str, str], name: str) -> Iterator[Reason]:
    host = stale_host(value_of(environment, name))
    if host is not None:
        yield refuse(
            "contract.endpoint.stale",
            name,
            f"{name} names {host}, a retired service",
            "an address like this comes from an old document; nothing answers there that should be trusted",
            f"unset {name}",
            ENV_HINT,
        )
