"""Stand-ins for Nix at the process boundary: scripts that crash, hang, or answer as told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gfattach.nix.program import Nix

VERSION = "2.31.1"


def fake_nix(directory: Path, body: str, version: str = VERSION) -> Nix:
    """A Nix that says `version` and otherwise runs `body`, with its arguments in "$@"."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "nix"
    banner = f'if [ "$1" = --version ]; then echo "nix (Nix) {version}"; exit 0; fi\n'
    path.write_text(f"#!/bin/sh\n{banner}{body}\n")
    path.chmod(0o755)
    return Nix(path, version)


def script(path: Path, body: str) -> Path:
    """A program that runs `body`."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def showing(directory: Path, settings: dict[str, Any], then: str = "exit 0", version: str = VERSION) -> Nix:
    """A Nix that shows these settings, and runs `then` for everything else."""
    directory.mkdir(parents=True, exist_ok=True)
    shown = directory / "settings.json"
    shown.write_text(json.dumps({name: {"value": value} for name, value in settings.items()}))
    body = f'if [ "$1 $2" = "config show" ]; then cat "{shown}"; exit 0; fi\n{then}'
    return fake_nix(directory, body, version)
