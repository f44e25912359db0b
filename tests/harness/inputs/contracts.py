"""Contracts for the tests, made of what an upstream has."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gfattach.bazel.external.distdir import file_names
from gfattach.inputs.contract.document import SCHEMA, Contract
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.input import Input, Kind


def checksum(content: bytes, algorithm: str = "sha256") -> Checksum:
    """The checksum of `content`."""
    return Checksum(algorithm, hashlib.new(algorithm, content).digest())


def archive(name: str, content: bytes, *urls: str, algorithm: str = "sha256", **more: Any) -> Input:
    """An archive with that content, at these URLs."""
    return Input(name, Kind.ARCHIVE, urls, checksum(content, algorithm), files=file_names(urls), **more)


def write(path: Path, *inputs: Input, targets: tuple[str, ...] = ("//...",)) -> Path:
    """A contract of these inputs at `path`."""
    document = Contract(inputs, targets).as_json()
    assert document["schema"] == SCHEMA
    path.write_text(json.dumps(document))
    return path
