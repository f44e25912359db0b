"""The names by which tokens are kept: host names, without scheme and port."""

from __future__ import annotations

import re

from gfattach.core.errors import CredentialError

#: A host name or an IPv4 address (RFC 1123), or an IPv6 address without its brackets.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?|[0-9a-f:]{2,39}(?:%[a-z0-9_.-]{1,20})?")

#: A REAPI cell of the organisation: these ask for a token that the platform puts into the pod.
_CELL = re.compile(r"gf-reapi-cell.*|.*\.gf-rbe\.svc(?:\..*)?")


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
    """Whether `host` is a REAPI cell, `gf-reapi-cell*` or `*.gf-rbe.svc*`."""
    return _CELL.fullmatch(host) is not None


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine: where the listeners of forwards are."""
    return host == "localhost" or host == "::1" or re.fullmatch(r"127(?:\.\d{1,3}){3}", host) is not None
