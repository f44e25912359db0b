"""The profile: a site as its operator publishes it, in a ConfigMap of the cluster.

Its one entry `gfattach.toml` holds the same text as the file of that name. What concerns one machine
only (a kubeconfig, the path of a file) cannot stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.site.document import raw_values, read_tables
from gfattach.site.settings import BY_KEY, SETTINGS
from gfattach.site.site import PROFILE_SOURCE, Site, as_raw

#: The entry of the ConfigMap.
ENTRY = "gfattach.toml"

#: What the ConfigMap says of itself, for those who list them.
LABELS = {"app.kubernetes.io/name": "gfattach", "app.kubernetes.io/component": "site"}


def profile_name(namespace: str, name: str) -> str:
    """What a value's source is called when it is this ConfigMap."""
    return f"{PROFILE_SOURCE}{namespace}/{name}"


def parse_profile(data: Any, source: str) -> dict[str, Any]:
    """The raw values by setting key in a ConfigMap's `data`, as `read_site_file` gives those of a file.

    `source` is what errors call it (`profile_name`). Raises UsageError, naming the key.
    """
    text = data.get(ENTRY) if isinstance(data, Mapping) else None
    if not isinstance(text, str):
        raise UsageError(
            f"{source} has no entry {ENTRY}",
            "an operator writes it with: gfattach site publish",
            code="site.profile.entry",
        )
    values = raw_values(read_tables(text.encode("utf-8", "surrogatepass"), source), source)
    for key, value in values.items():
        if BY_KEY[key].local:
            raise local_error(key, source)
        BY_KEY[key].read(value, f"{key} (from {source})")
    return values


def local_error(key: str, source: str) -> UsageError:
    """What is said of a setting that concerns one machine only, in a profile."""
    hint = "it belongs in the file of the machine that it concerns"
    if key.endswith(".ca_file"):
        hint = f"write the authority itself, as {key.removesuffix('_file')}_data"
    return UsageError(f"{source}: {key} concerns one machine only", hint, code="site.profile.local")


def render_profile(site: Site, *, namespace: str, name: str) -> dict[str, Any]:
    """The manifest of the ConfigMap that says what `site` says, `cluster.*` apart.

    Values that are no more than defaults are left out, so that a later default reaches everyone. Raises
    UsageError for a value that concerns one machine only: give `with_inline_authorities(site)`.
    """
    import tomli_w

    source = profile_name(namespace, name)
    tables: dict[str, dict[str, Any]] = {}
    for setting in SETTINGS:
        value = site.get(setting.key)
        table, _, entry = setting.key.partition(".")
        if value is None or value == setting.default or table == "cluster":
            continue
        if setting.local:
            raise local_error(setting.key, source)
        tables.setdefault(table, {})[entry] = as_raw(value)
    text = tomli_w.dumps(tables, multiline_strings=True)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "data": {ENTRY: text},
    }


def with_inline_authorities(site: Site) -> Site:
    """The site with the content of each authority's file in place of its path.

    Raises UsageError for a file that is missing or holds anything but certificates.
    """
    values = dict(site.values)
    for section in ("cache", "nix"):
        found = values.pop(f"{section}.ca_file", None)
        if found is None:
            continue
        content = read_bytes(found.value)
        if content is None:
            raise UsageError(
                f"there is no file {found.value}", f"{section}.ca_file (from {found.source}) names it"
            )
        key = f"{section}.ca_data"
        raw = content.decode("ascii", "replace")
        values[key] = replace(found, value=BY_KEY[key].read(raw, f"{found.value}, for {key},"))
    return replace(site, values=values)
