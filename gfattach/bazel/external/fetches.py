"""Reads the `fetch` events of an event file: each URL that Bazel really went to the network for.

A hit of the repository cache or of a distdir makes none (Bazel 3 and later), so that an event file without
one is the proof that nothing was fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.core.files import storage_error


class Fetches(Struct, frozen=True):
    """Each URL that was asked for, and whether that succeeded; `options` are the effective ones, in order."""

    urls: Mapping[str, bool]
    options: tuple[str, ...]

    def values(self, *names: str) -> tuple[str, ...]:
        """What the options `names` were given, in order."""
        wanted = tuple(f"--{name}=" for name in names)
        return tuple(each.partition("=")[2] for each in self.options if each.startswith(wanted))


def read_fetches(path: Path) -> Fetches:
    """The fetches in the event file at `path`; a missing or cut-off one says as much as it holds.

    Raises StorageError.
    """
    urls: dict[str, bool] = {}
    options: tuple[str, ...] = ()
    try:
        with path.open("rb") as file:
            for line in file:
                if b'"fetch"' not in line and b'"optionsParsed"' not in line:
                    continue
                try:
                    event = json.loads(line)
                    asked = event["id"].get("fetch")
                except (ValueError, KeyError, AttributeError, TypeError):
                    continue  # cut off, or no event
                if isinstance(asked, dict) and isinstance(asked.get("url"), str):
                    said = event.get("fetch")
                    good = isinstance(said, dict) and bool(said.get("success"))
                    urls[asked["url"]] = urls.get(asked["url"], False) or good
                elif isinstance(parsed := event.get("optionsParsed"), dict):
                    options = tuple(str(each) for each in parsed.get("cmdLine", ()))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise storage_error("read", path, error) from error
    return Fetches(urls, options)
