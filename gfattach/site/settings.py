"""Every setting of a site: its key in `gfattach.toml`, what it may be, and what it means.

The table is the one place that knows the keys. Documentation, `gfattach site show` and the
reader are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfattach.endpoint import Endpoint, parse_endpoint
from gfattach.errors import UsageError


@dataclass(frozen=True)
class Setting:
    """`key` is `table.name` as in the file; `parse` takes the raw value and the key, raising UsageError.

    `variable` is the environment variable of the contract that says the same.
    """

    key: str
    parse: Callable[[Any, str], Any]
    meaning: str
    variable: str | None = None
    default: Any = None


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} is a text, not {_kind(value)}")
    return value


def _endpoint(value: Any, key: str) -> Endpoint:
    return parse_endpoint(_text(value, key), what=key)


def _http_endpoint(value: Any, key: str) -> Endpoint:
    return parse_endpoint(_text(value, key), what=key, schemes=("http", "https"))


def _file(value: Any, key: str) -> Path:
    path = Path(_text(value, key)).expanduser()
    if not path.is_absolute():
        raise UsageError(f"{key} is a relative path: {path}", "write it from the root, or from ~")
    return path


def _upload(value: Any, key: str) -> str:
    if value not in ("never", "trusted"):
        raise UsageError(f"{key} is {value!r}", 'it may be "never" (the default) or "trusted"')
    return str(value)


def _public_keys(value: Any, key: str) -> tuple[str, ...]:
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list | tuple) or not all(isinstance(item, str) for item in keys):
        raise UsageError(f"{key} is a list of texts, not {_kind(value)}")
    names = [item for text in keys for item in text.split()]
    for item in names:
        if not re.fullmatch(r"[^:\s]+:[A-Za-z0-9+/]{43}=", item):
            raise UsageError(
                f"{key} holds {item!r}, which is no public key",
                "a public key is NAME:BASE64, as nix-store --generate-binary-cache-key writes it",
            )
    return tuple(names)


def _store_path(value: Any, key: str) -> str:
    text = _text(value, key)
    if not re.fullmatch(r"/nix/store/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]{1,211}", text):
        raise UsageError(f"{key} is {text!r}, which is no store path")
    return text


def _kind(value: Any) -> str:
    return {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a table"}.get(
        type(value), type(value).__name__
    )


SETTINGS: tuple[Setting, ...] = (
    Setting("site.name", _text, "what people call this site", default="unnamed"),
    Setting(
        "cache.endpoint",
        _endpoint,
        "the Bazel remote cache: grpc://, grpcs://, http:// or https://",
        variable="BAZEL_REMOTE_CACHE",
    ),
    Setting(
        "cache.instance",
        _text,
        "the REAPI instance name",
        variable="BAZEL_REMOTE_INSTANCE_NAME",
        default="",
    ),
    Setting("cache.ca_file", _file, "a PEM file with the authority that signed the cache's certificate"),
    Setting(
        "cache.upload",
        _upload,
        'whether this lane may write to the cache: "never", or "trusted" and an option at each use',
        default="never",
    ),
    Setting("nix.substituter", _http_endpoint, "the Nix binary cache: http:// or https://, with its path"),
    Setting(
        "nix.public_keys",
        _public_keys,
        "the keys that sign it, NAME:BASE64 each",
        variable="ATTIC_PUBLIC_KEY",
        default=(),
    ),
    Setting("nix.signed_path", _store_path, "an input-addressed store path that the operator published"),
    Setting("nix.ca_file", _file, "a PEM file with the authority that signed the substituter's certificate"),
    Setting(
        "executor.endpoint",
        _endpoint,
        "a remote executor of this site: never used, and refused where a cache is proved",
        variable="BAZEL_REMOTE_EXECUTOR",
    ),
)

BY_KEY = {setting.key: setting for setting in SETTINGS}
