"""Where a site's values come from, in this order: options, the environment contract,
`gfattach.toml` in the workspace, the user's configuration, the defaults. The first that
says a thing decides it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gfattach.errors import UsageError
from gfattach.files import read_bytes
from gfattach.paths import config_directory
from gfattach.site.settings import BY_KEY, SETTINGS
from gfattach.site.site import Site, Value

FILE_NAME = "gfattach.toml"

#: A site's file is written by hand: one that is larger was not.
FILE_BYTES = 256 * 1024


def load_site(options: Mapping[str, Any], environment: Mapping[str, str], workspace: Path | None) -> Site:
    """The site for these options (values by setting key, None when not given).

    Raises UsageError, naming the file and key, for anything that cannot be used.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = [
        ("an option", {key: value for key, value in options.items() if value is not None}),
        *_environment_layers(environment),
        *((str(path), read_site_file(path)) for path in site_files(workspace)),
    ]
    values: dict[str, Value] = {}
    for setting in SETTINGS:
        for source, layer in layers:
            if setting.key in layer:
                label = setting.key if source == "an option" else f"{setting.key} (from {source})"
                values[setting.key] = Value(setting.parse(layer[setting.key], label), source)
                break
        else:
            if setting.default is not None:
                values[setting.key] = Value(setting.default, "the default")
    return Site(values)


def site_files(workspace: Path | None) -> Iterable[Path]:
    """The files that may describe a site, the strongest first; they need not exist."""
    if workspace is not None:
        yield workspace / FILE_NAME
    yield config_directory() / FILE_NAME


def read_site_file(path: Path) -> dict[str, Any]:
    """The raw values in `path` by setting key; {} when there is no such file. Raises UsageError."""
    content = read_bytes(path)
    if content is None:
        return {}
    if len(content) > FILE_BYTES:
        raise UsageError(f"{path} is {len(content)} bytes long; a site's file has at most {FILE_BYTES}")
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}", "see: gfattach help site") from error
    return _flatten(tables, path)


def _flatten(tables: Mapping[str, Any], path: Path) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for table, entries in tables.items():
        if not isinstance(entries, dict):
            raise UsageError(f"{path}: {table} stands outside of any table", "see: gfattach help site")
        for name, value in entries.items():
            key = f"{table}.{name}"
            if key not in BY_KEY:
                near = [known for known in BY_KEY if known.split(".")[0] == table]
                hint = f"in [{table}] there are: {', '.join(k.split('.')[1] for k in near)}" if near else None
                raise UsageError(f"{path}: there is no setting {key}", hint or "see: gfattach help site")
            flat[key] = value
    return flat


def _environment_layers(environment: Mapping[str, str]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for setting in SETTINGS:
        if setting.variable and environment.get(setting.variable):
            yield f"the variable {setting.variable}", {setting.key: environment[setting.variable]}
    server = environment.get("ATTIC_SERVER", "").rstrip("/")
    if server:
        cache = environment.get("ATTIC_CACHE") or "main"
        yield "the variables ATTIC_SERVER and ATTIC_CACHE", {"nix.substituter": f"{server}/{cache}"}
