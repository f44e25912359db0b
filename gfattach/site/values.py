"""What each kind of setting may be: from the raw value of a file, an option or a variable.

Every function takes the raw value and what an error calls it, and raises UsageError.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gfattach.contract.rules.endpoint import stale_host
from gfattach.core.endpoint import Endpoint, parse_endpoint
from gfattach.core.errors import UsageError
from gfattach.core.quote import steering, visible

#: RFC 1123 label and RFC 1035 label, as Kubernetes asks them of namespaces and of Services, and the
#: subdomain that it asks of other objects (kubernetes.io, "Object Names and IDs").
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")

#: IANA_SVC_NAME (RFC 6335 section 5.1): what a port of a Service may be called, apart from its length.
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_PORT_NAME_LENGTH = 15

#: A key of a Nix cache. Its name stands in nix.conf, where white space parts words and `#` begins a comment.
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}:[A-Za-z0-9+/]{43}=")

#: Characters of a value that a message shows.
_SHOWN = 80

#: Possessive, so that a text which is none costs no more than one that is.
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]++-----END CERTIFICATE-----", re.ASCII
)


def text(value: Any, key: str) -> str:
    """A text of one line. What is published is shown on terminals: nothing in it may steer one."""
    said = _string(value, key)
    if steering(said) or re.search(r"[\t\n]", said):
        raise UsageError(
            f"{key} holds a control character, or a mark that changes how text is read",
            "write it as one line of plain text",
        )
    return said


def _string(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} is a text, not {_kind(value)}")
    return value


def endpoint(value: Any, key: str) -> Endpoint:
    """An endpoint of a Bazel cache."""
    return _current(parse_endpoint(_string(value, key), what=key), key)


def http_endpoint(value: Any, key: str) -> Endpoint:
    """An endpoint of a Nix cache."""
    return _current(parse_endpoint(_string(value, key), what=key, schemes=("http", "https")), key)


def _current(found: Endpoint, key: str) -> Endpoint:
    _refuse_stale(found.url, key)
    return found


def _refuse_stale(said: str, key: str) -> None:
    host = stale_host(said)
    if host is not None:
        raise UsageError(
            f"{key} names {host}, a retired service",
            "an address like this comes from an old document; ask the operator where the cache is now",
            code="site.stale",
        )


def namespace(value: Any, key: str) -> str:
    """The name of a namespace."""
    return _named(value, key, _LABEL, "namespace", "small letters, digits and hyphens, at most 63")


def service(value: Any, key: str) -> str:
    """The name of a Service."""
    return _named(
        value, key, _SERVICE, "name of a Service", "a small letter first, then digits and hyphens too"
    )


def object_name(value: Any, key: str) -> str:
    """The name of a ConfigMap."""
    return _named(value, key, _SUBDOMAIN, "name of a ConfigMap", "small letters, digits, hyphens and dots")


def _named(value: Any, key: str, pattern: re.Pattern[str], what: str, rule: str) -> str:
    said = text(value, key)
    if not pattern.fullmatch(said):
        raise UsageError(f"{key} is {shown(said)}, which is no {what}", f"it is made of {rule}")
    _refuse_stale(said, key)
    return said


def service_port(value: Any, key: str) -> str:
    """A port of a Service, by name or number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    said = text(value, key)
    if said.isascii() and said.isdigit():
        if not 1 <= int(said[:6]) <= 65535:
            raise UsageError(f"{key} is {said[:12]}, which is no port", "a port is a number from 1 to 65535")
        return str(int(said))
    if len(said) > _PORT_NAME_LENGTH or not _PORT_NAME.fullmatch(said):
        raise UsageError(
            f"{key} is {shown(said)}, which is no port",
            "it is a number, or the name of a port of the Service, such as grpc",
        )
    return said


def file(value: Any, key: str) -> Path:
    """A file's path, from the root or from ~."""
    try:
        path = Path(text(value, key)).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{key} begins at the home of a user whom nobody knows: {shown(value)}") from error
    if not path.is_absolute():
        raise UsageError(f"{key} is a relative path: {shown(str(path))}", "write it from the root, or from ~")
    return path


def files(value: Any, key: str) -> tuple[Path, ...]:
    """Several paths, as a list or parted by colons as the contract's variable has them."""
    said = [each for each in value.split(":") if each] if isinstance(value, str) else value
    if not isinstance(said, list | tuple):
        raise UsageError(f"{key} is a list of paths, not {_kind(value)}")
    return tuple(file(each, key) for each in said)


def stores(value: Any, key: str) -> tuple[str, ...]:
    """Names of stores."""
    if not isinstance(value, list | tuple):
        raise UsageError(f"{key} is a list of names of stores, not {_kind(value)}")
    rule = "small letters, digits, hyphens and dots"
    return tuple(_named(each, key, _SUBDOMAIN, "name of a store", rule) for each in value)


def input_authorities(value: Any, key: str) -> tuple[str, ...]:
    """Kinds of places that hold external inputs."""
    known = ("repository-cache", "distdir", "mirror")
    if not isinstance(value, list | tuple) or any(each not in known for each in value):
        raise UsageError(f"{key} is {shown(value)}", f"it is a list of: {', '.join(known)}")
    return tuple(value)


def days(value: Any, key: str) -> int:
    """A number of days."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 366:
        raise UsageError(f"{key} is {shown(value)}", "it is a number of days, from 1 to 366")
    return value


def certificates(value: Any, key: str) -> str:
    """PEM text of certificates and nothing else, in the form in which a file holds them."""
    said = _string(value, key)
    found = _CERTIFICATE.findall(said)
    if not found:
        raise UsageError(
            f"{key} holds no certificate", "it is PEM text: -----BEGIN CERTIFICATE-----, and so on"
        )
    if _CERTIFICATE.sub("", said).strip():
        raise UsageError(
            f"{key} holds something besides certificates",
            "leave the blocks from BEGIN CERTIFICATE to END CERTIFICATE, and nothing around them",
        )
    import ssl

    pem = "\n".join(found) + "\n"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(
            f"{key} holds a certificate that cannot be read", "copy it anew from its file"
        ) from error
    return pem


def upload(value: Any, key: str) -> str:
    """Whether a lane may write."""
    if value not in ("never", "trusted"):
        raise UsageError(f"{key} is {shown(value)}", 'it may be "never" (the default) or "trusted"')
    return str(value)


def object_store(value: Any, key: str) -> str:
    """What the store below a Nix cache promises."""
    if value not in ("interim_only", "durable"):
        raise UsageError(f"{key} is {shown(value)}", 'it may be "interim_only" or "durable"')
    return str(value)


def cache_path(value: Any, key: str) -> str:
    """The path of a binary cache on its server, without slashes at its ends; "" for the root."""
    said = text(value, key).strip("/")
    if not re.fullmatch(r"([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?", said) or {".", ".."} & set(
        said.split("/")
    ):
        raise UsageError(
            f"{key} is {shown(said)}, which is no path of a binary cache",
            "it is the last part of the substituter's address: main in https://HOST/main",
        )
    return said


def public_keys(value: Any, key: str) -> tuple[str, ...]:
    """Public keys of a Nix cache."""
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list | tuple) or not all(isinstance(item, str) for item in keys):
        raise UsageError(f"{key} is a list of texts, not {_kind(value)}")
    names = [item for text in keys for item in text.split()]
    for item in names:
        if not _PUBLIC_KEY.fullmatch(item):
            raise UsageError(
                f"{key} holds {shown(item)}, which is no public key",
                "a public key is NAME:BASE64, as nix-store --generate-binary-cache-key writes it; NAME is "
                "made of letters, digits, dots, hyphens, underscores and plus signs",
            )
    return tuple(names)


def store_path(value: Any, key: str) -> str:
    """A store path."""
    said = text(value, key)
    if not re.fullmatch(r"/nix/store/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]{1,211}", said):
        raise UsageError(f"{key} is {shown(said)}, which is no store path")
    return said


def shown(value: Any) -> str:
    """The raw value for a message, cut short, as it is written."""
    said = visible(repr(value))
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"


def _kind(value: Any) -> str:
    return {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a table"}.get(
        type(value), type(value).__name__
    )
