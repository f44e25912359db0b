"""Tells the organisation's proof result from other documents; what verifies one is loaded for it alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What the document says that it is, and its file in a directory.
KIND = "gf-reapi-proof-result"
NAME = "proof-result.json"


def is_result(document: Mapping[str, Any]) -> bool:
    """Whether a document is a proof result, of whichever version."""
    return document.get("kind") == KIND or "countable_remote_execution" in document
