"""The names by which tokens are kept: host names, without scheme and port."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gfattach.core.errors import CredentialError

#: A host name or an IPv4 address (RFC 1123), or an IPv6 address without its brackets.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?|[0-9a-f:]{2,39}(?:%[a-z0-9_.-]{1,20})?")

#: A REAPI cell, as a cluster's own DNS names its Services (kubernetes.io, "DNS for Services and Pods"): these
#: ask for a token that the platform puts into the pod. Nothing may stand behind: a longer name is anybody's.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_IN_CLUSTER = r"\.gf-rbe\.svc(?:\.cluster\.local)?"
_CELL = re.compile(rf"gf-reapi-cell(?:-{_LABEL})?(?:{_IN_CLUSTER})?|{_LABEL}{_IN_CLUSTER}")


#: Variables of the contract by which a user names the endpoints of builds.
_NAMING = ("BAZEL_REMOTE_CACHE", "BAZEL_REMOTE_EXECUTOR", "BAZEL_REMOTE_EXECUTOR_CACHE")


def host_of(text: str) -> str:
    """The host that `text` names: a host, `host:port`, or a URL whose host it is, in lower case.

    Raises CredentialError, which does not repeat a text that might be a secret.
    """
    rest = text.strip().partition("://")[2] or text.strip()
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if authority.startswith("["):
        host = authority[1:].partition("]")[0]
    else:
        name, _, port = authority.rpartition(":")
        host = name if ":" not in name and port.isdecimal() else authority
    host = host.lower().rstrip(".")
    if not _HOST.fullmatch(host):
        raise CredentialError(
            "what is named is no host",
            "name one: gfattach credential login cache.example",
            code="credential.host",
        )
    return host


def port_of(text: str) -> int | None:
    """The port that `text` (as for `host_of`) names; None where it names none."""
    rest = text.strip().partition("://")[2] or text.strip()
    found = re.search(r":(\d{1,5})\Z", re.split(r"[/?#]", rest, maxsplit=1)[0])
    return int(found[1]) if found else None


def is_cell(host: str) -> bool:
    """Whether `host` is called as a REAPI cell is: `gf-reapi-cell` or `gf-reapi-cell-NAME`, alone or in the
    namespace `gf-rbe`, or another Service of that namespace.
    """
    return _CELL.fullmatch(host) is not None


def is_vouched_cell(host: str, environ: Mapping[str, str]) -> bool:
    """Whether `host` is a cell that the user names in the environment, exactly, or that only the cluster
    around this process can be asked for.

    A name alone says nothing of who answers to it: a repository or a ConfigMap may choose it.
    """
    if not is_cell(host):
        return False
    if host.endswith((".gf-rbe.svc", ".gf-rbe.svc.cluster.local")) and environ.get("KUBERNETES_SERVICE_HOST"):
        return True
    return any(host == _named(environ.get(name, "")) for name in _NAMING)


def _named(said: str) -> str:
    try:
        return host_of(said) if said else ""
    except CredentialError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine: where the listeners of forwards are."""
    return host == "localhost" or host == "::1" or re.fullmatch(r"127(?:\.\d{1,3}){3}", host) is not None
