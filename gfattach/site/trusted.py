"""What a site has this machine trust: keys, authorities and addresses, each with the source that says it.

Who may write the operator's ConfigMap decides what ends up in builds, also later. So what became trusted is
named, a change since the last attach has to be accepted, and an endpoint on this machine's own loopback,
which reaches what other users run here, is not taken from there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from msgspec import Struct

from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import RefusedError
from gfattach.site.site import OPTION, PROFILE_SOURCE, Site, as_raw

#: The settings that decide what is trusted, with what each is for a user.
KEYS: Mapping[str, str] = {
    "cache.endpoint": "the Bazel cache",
    "cache.service": "the Service of the Bazel cache",
    "cache.namespace": "the namespace of the Bazel cache",
    "cache.service_port": "the port of the Bazel cache",
    "cache.ca_file": "the authority of the Bazel cache",
    "cache.ca_data": "the authority of the Bazel cache",
    "nix.substituter": "the substituter",
    "nix.service": "the Service of the substituter",
    "nix.namespace": "the namespace of the substituter",
    "nix.service_port": "the port of the substituter",
    "nix.ca_file": "the authority of the substituter",
    "nix.ca_data": "the authority of the substituter",
    "nix.public_keys": "the keys that sign for the substituter",
}

_DIALLED = (("cache.endpoint", "cache.service"), ("nix.substituter", "nix.service"))


class Trusted(Struct, frozen=True):
    """One setting: its value as one line of text, and the source that says it."""

    key: str
    value: str
    source: str

    def __str__(self) -> str:
        return f"{KEYS[self.key]}: {self.value} (from {self.source})"

    @property
    def published(self) -> bool:
        """Whether the operator's ConfigMap says it."""
        return self.source.startswith(PROFILE_SOURCE)


def trusted(site: Site) -> tuple[Trusted, ...]:
    """What `site` has this machine trust, in the order of KEYS; no defaults."""
    found = ((key, site.values.get(key)) for key in KEYS)
    return tuple(
        Trusted(key, _line(as_raw(value.value)), value.source)
        for key, value in found
        if value is not None and value.value and value.source != "the default"
    )


def named(found: tuple[Trusted, ...]) -> tuple[Trusted, ...]:
    """Those of `found` that the user did not give on the command line."""
    return tuple(item for item in found if item.source != OPTION)


def changes(before: tuple[Trusted, ...], after: tuple[Trusted, ...]) -> tuple[str, ...]:
    """What the ConfigMap says otherwise than `before`, a line each, with old and new."""
    old, new = ({item.key: item for item in each} for each in (before, after))
    return tuple(
        f"{KEYS[key]} ({key}): before {_said(old.get(key))}; now {_said(new.get(key))}"
        for key in KEYS
        if _value(old.get(key)) != _value(new.get(key))
        and any(item is not None and item.published for item in (old.get(key), new.get(key)))
    )


def demand_accepted(before: tuple[Trusted, ...], after: tuple[Trusted, ...]) -> None:
    """Raise RefusedError (`site.changed`) where the ConfigMap says otherwise than `before`."""
    if found := changes(before, after):
        raise RefusedError(
            "what the operator's ConfigMap has this machine trust has changed since the last attach",
            *found,
            "if the operator says that this is right: gfattach up --accept-site",
            "to go on as it was, do nothing: what was attached before is left as it was",
            code="site.changed",
        )


def demand_no_loopback(site: Site) -> None:
    """Raise RefusedError (`site.loopback`) where the ConfigMap has something on this machine dialled."""
    for key, service in _DIALLED:
        endpoint = site.get(key)
        said = site.source(key)
        if endpoint is None or site.get(service) is not None or not said.startswith(PROFILE_SOURCE):
            continue
        if on_loopback(endpoint):
            raise RefusedError(
                f"{said} names {endpoint.url} as {KEYS[key]}: that is on this machine's own loopback, where "
                "whatever runs here listens",
                f"if that is meant, say it yourself: an option, or {key} in your own gfattach.toml",
                "or accept what the operator says: gfattach up --accept-site",
                code="site.loopback",
            )


def on_loopback(endpoint: Endpoint) -> bool:
    """Whether the host of `endpoint` is this machine itself by its name or address."""
    host = endpoint.host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def as_json(found: tuple[Trusted, ...]) -> list[dict[str, str]]:
    """For the record, and for programs."""
    return [{"key": item.key, "value": item.value, "source": item.source} for item in found]


def from_json(document: object) -> tuple[Trusted, ...]:
    """The reverse of `as_json`. Raises TypeError and ValueError for what is none."""
    if not isinstance(document, list):
        raise TypeError("not a list")
    return tuple(_items(document))


def _items(document: list[object]) -> Iterator[Trusted]:
    for item in document:
        if not isinstance(item, dict) or item.get("key") not in KEYS:
            raise ValueError("no setting that is trusted")
        values = (item["key"], item.get("value"), item.get("source"))
        if not all(isinstance(value, str) for value in values):
            raise TypeError("a value of another type")
        yield Trusted(*map(str, values))


def _value(item: Trusted | None) -> str | None:
    return None if item is None else item.value


def _said(item: Trusted | None) -> str:
    return "nothing" if item is None else f"{item.value} (from {item.source})"


def _line(value: object) -> str:
    """A value as one line; an authority's text by its digest."""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    if "\n" in text:
        import hashlib

        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text
