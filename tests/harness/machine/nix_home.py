"""A home with a Nix that is as a test says, and what the probes of Nix find there.

A module that uses `machine` or `daemon` imports these fixtures by name.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, Stage
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import STAGE, NixSubject
from gfattach.probes.nix.subject import END_SECONDS
from tests.harness.machine.fake_nix import showing

URL = "http://127.0.0.1:8123/main"
KEY = "team-1:YlVMkO4uByIAZeB8im8KP4qkmlGLegZglf53WwLkeJY="
TARGET = SubstituterTarget(parse_endpoint(URL), (KEY,))

#: The settings of a Nix that reads the fragment and is otherwise as it came.
SETTINGS = {
    "connect-timeout": 5,
    "download-attempts": 2,
    "narinfo-cache-negative-ttl": 60,
    "netrc-file": "/nonexistent/netrc",
    "require-sigs": True,
    "stalled-download-timeout": 30,
    "store": "local",
    "substitute": True,
    "substituters": ["https://cache.nixos.org/", URL],
    "trusted-public-keys": [KEY],
    "trusted-substituters": [],
}


class Machine:
    """A home, and a Nix whose settings are `SETTINGS` but for those that a test changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir()
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.home)}

    def ask(
        self, target: SubstituterTarget | None = TARGET, then: str = "exit 0", **settings
    ) -> dict[str, Finding]:
        """What every probe finds, by name; an underscore in a setting's name stands for a hyphen."""
        changed = {name.replace("_", "-"): value for name, value in settings.items()}
        nix = showing(self.root / "bin", {**SETTINGS, **changed}, then)
        return self.probe(NixSubject(program=str(nix.path), target=target, environ={}))

    def probe(self, subject: NixSubject, stage: Stage[NixSubject] = STAGE) -> dict[str, Finding]:
        subject = replace(subject, environ={**self.environ, **(subject.environ or {})})
        return dict(Run().stage(stage, subject).findings)


def hurried(name: str) -> Stage:
    """The stage, with little time for the probe `name` alone: those that it needs have theirs."""
    probes = (replace(p, seconds=END_SECONDS + 0.5) if p.name == name else p for p in STAGE.probes)
    return replace(STAGE, probes=tuple(probes))


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def daemon(tmp_path_factory):
    """Something that accepts connections in a daemon's place."""
    path = tmp_path_factory.mktemp("d") / "s"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        yield f"unix://{path}"
