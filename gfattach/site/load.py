"""Where a site's values come from, in this order: options, the environment contract,
`gfattach.toml` in the workspace, the user's configuration, the ConfigMap that the operator
published, the defaults. The first that says a thing decides it.

Settings that mean something together are decided together: whoever names where a cache is decides
all of it, and nothing weaker adds a Service to an endpoint, or a port to a Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gfattach.core.errors import RefusedError, UsageError
from gfattach.core.files import read_bytes
from gfattach.core.paths import config_directory
from gfattach.core.trust.ownership import doubt
from gfattach.site.allow import FILE_NAME, demand_site
from gfattach.site.document import raw_values, read_tables
from gfattach.site.settings import BY_KEY, SETTINGS
from gfattach.site.site import OPTION, Site, Value

#: What is decided together: by the strongest source that says one of the first; the rest belongs to it.
_TOGETHER: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("cache.endpoint", "cache.service"), ("cache.service_port", "cache.namespace")),
    (("nix.substituter", "nix.service"), ("nix.service_port", "nix.namespace", "nix.cache")),
    (("cache.ca_file", "cache.ca_data"), ()),
    (("nix.ca_file", "nix.ca_data"), ()),
)

_Layer = tuple[str, Mapping[str, Any]]


def load_site(
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    workspace: Path | None,
    profile: tuple[str, Mapping[str, Any]] | None = None,
    *,
    look_only: bool = False,
) -> Site:
    """The site for these options (values by setting key, None when not given).

    `profile` is what `parse_profile` gave, and what a value's source is called. `look_only` is for those who
    show or judge a site and never go by it: others need the workspace's file to be allowed. Raises
    UsageError, naming the source and the key, for anything that cannot be used, and RefusedError
    (`site.unallowed`, `trust.file`).
    """
    came_with: list[bytes] = []
    layers: list[_Layer] = [
        (OPTION, {key: value for key, value in options.items() if value is not None}),
        *_environment_layers(environment),
        *_file_layers(workspace, came_with),
        *([] if profile is None else [profile]),
    ]
    reach = _reach(layers)
    values: dict[str, Value] = {}
    for setting in SETTINGS:
        for source, layer in layers[: reach.get(setting.key, len(layers))]:
            if setting.key in layer:
                label = f"{setting.key} (from {source})"
                if source == OPTION:
                    label = setting.key if setting.option is None else f"option {setting.option}"
                values[setting.key] = Value(setting.read(layer[setting.key], label), source)
                break
        else:
            if setting.default is not None:
                values[setting.key] = Value(setting.default, "the default")
    site = Site(values)
    _check_authorities(site)
    if workspace is not None and not look_only:
        demand_site(workspace, *came_with)
    return site


def read_alone(values: Mapping[str, Any], source: str) -> Site:
    """The site that one source describes by itself, from its raw values: no defaults. Raises UsageError."""
    site = Site(
        {key: Value(BY_KEY[key].read(raw, f"{key} (from {source})"), source) for key, raw in values.items()}
    )
    _check_authorities(site)
    return site


def site_files(workspace: Path | None) -> Iterable[Path]:
    """The files that may describe a site, the strongest first; they need not exist."""
    if workspace is not None:
        yield workspace / FILE_NAME
    yield config_directory() / FILE_NAME


def _file_layers(workspace: Path | None, came_with: list[bytes]) -> Iterable[_Layer]:
    """The layers of the files; what the workspace's one holds is put into `came_with`."""
    for path in site_files(workspace):
        content = read_bytes(path)
        if content is None:
            continue
        values = raw_values(read_tables(content, str(path)), str(path))
        if path.parent == workspace:
            came_with.append(content)
        elif reason := doubt(path):
            raise RefusedError(
                f"{path} {reason}, so another user may decide what it says",
                "make it yours alone, or have XDG_CONFIG_HOME name a directory that is",
                code="trust.file",
            )
        yield str(path), values


def read_site_file(path: Path) -> dict[str, Any]:
    """The raw values in `path` by setting key; {} when there is no such file. Raises UsageError."""
    content = read_bytes(path)
    return {} if content is None else raw_values(read_tables(content, str(path)), str(path))


def _reach(layers: Sequence[_Layer]) -> dict[str, int]:
    """How many layers a setting may come from, for those that are decided together with others."""
    reach: dict[str, int] = {}
    for deciding, belonging in _TOGETHER:
        for index, (_, layer) in enumerate(layers):
            if any(key in layer for key in deciding):
                reach.update(dict.fromkeys((*deciding, *belonging), index + 1))
                break
    return reach


def _check_authorities(site: Site) -> None:
    for section in ("cache", "nix"):
        file, data = f"{section}.ca_file", f"{section}.ca_data"
        if site.get(file) is not None and site.get(data) is not None:
            raise UsageError(
                f"{file} and {data} are both said (from {site.source(data)})", "say one of the two"
            )


def _environment_layers(environment: Mapping[str, str]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for setting in SETTINGS:
        if setting.variable and environment.get(setting.variable):
            yield f"the variable {setting.variable}", {setting.key: environment[setting.variable]}
    server = environment.get("ATTIC_SERVER", "").rstrip("/")
    if server:
        cache = environment.get("ATTIC_CACHE") or "main"
        yield "the variables ATTIC_SERVER and ATTIC_CACHE", {"nix.substituter": f"{server}/{cache}"}
