"""A workspace that came from somebody hostile, with harmless stand-ins for what it is after.

Its `.gfattach/` is as an earlier gfattach would have believed it: a record whose agent's directory is a tree
of the user's, a journal that names the user's files, registrations that name one, a kubeconfig whose plugin
leaves a mark, and endpoints at which nobody may call.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = "evil:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@dataclass
class Hostile:
    """`workspace`, and what may come to no harm: `precious` files, a `mark` that nobody leaves, `server`."""

    workspace: Path
    precious: Path
    mark: Path
    server: socket.socket

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def harm(self) -> list[str]:
        """What has come to harm; nothing, where all is well."""
        found = []
        for name, content in _PRECIOUS.items():
            path = self.precious / name
            if not path.is_file() or path.read_bytes() != content:
                found.append(f"{path} was changed or removed")
        if {path for path in self.precious.rglob("*") if path.is_file()} != {
            self.precious / name for name in _PRECIOUS
        }:
            found.append(f"something was written into {self.precious}")
        if self.mark.exists():
            found.append("a program of the workspace was run")
        with contextlib.suppress(BlockingIOError):
            self.server.accept()
            found.append("the host that the workspace names was contacted")
        return found


_PRECIOUS = {"file": b"mine\n", "guarded": b"full\n", "tree/a": b"a\n", "tree/below/b": b"b\n"}


@contextlib.contextmanager
def hostile_workspace(root: Path) -> Iterator[Hostile]:
    """A hostile workspace below `root`; git does not know it yet."""
    workspace, precious = root / "cloned", root / "precious"
    workspace.mkdir()
    for name, content in _PRECIOUS.items():
        (precious / name).parent.mkdir(parents=True, exist_ok=True)
        (precious / name).write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        made = Hostile(workspace, precious, root / "mark", server)
        _write(made)
        yield made


def _write(made: Hostile) -> None:
    home = made.workspace / ".gfattach"
    home.mkdir(mode=0o700)
    (made.workspace / "WORKSPACE").touch()
    plugin = made.workspace / "plugin.sh"
    plugin.write_text(f"#!/bin/sh\ntouch {made.mark}\n")
    plugin.chmod(0o755)
    (made.workspace / "kubeconfig").write_text(json.dumps(_kubeconfig(made, plugin)))
    (home / "attachment.json").write_text(json.dumps(record(made)))
    (home / "journal.json").write_text(json.dumps(journal(made)))
    (home / "originals").mkdir()
    (home / "registrations.json").write_text(
        json.dumps({"version": 1, "registrations": [registration(made, home / "attachment.json")]})
    )
    (home / "bazelrc").write_text(f"build --remote_cache=grpc://127.0.0.1:{made.port}\n")


def record(made: Hostile) -> dict[str, Any]:
    """A record as it was written, with every place that it can name somebody else's."""
    cache = f"grpc://127.0.0.1:{made.port}"
    return {
        "schema": 1,
        "gfattach": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
        "kind": "forward",
        "cache": {
            **{"endpoint": cache, "instance_name": "", "may_write": False, "ca_file": None},
            **{"certificate": None, "key": None, "socket": None, "real_host": "cache.example"},
        },
        "substituter": {
            **{"endpoint": f"http://127.0.0.1:{made.port}/main", "public_keys": [KEY], "ca_file": None},
            **{
                "probe_path": "/nix/store/x",
                "signed_path": None,
                "object_store": None,
                "real_host": "nix.example",
            },
        },
        "fragments": {"bazelrc": str(made.precious / "file"), "nix.conf": str(made.precious / "guarded")},
        "links": [str(made.precious / "file")],
        "trial": str(made.precious / "tree"),
        "agent": str(made.precious / "tree"),
        "cluster": {"files": [str(made.workspace / "kubeconfig")], "context": None, "namespace": None},
        "first_hit": None,
    }


def journal(made: Hostile) -> dict[str, Any]:
    """A journal that would remove one file and restore another to what the workspace brings along."""
    written = [hashlib.sha256(content).hexdigest() for content in _PRECIOUS.values()]
    entry = {"before": None, "mode": None, "written": written, "directories": [str(made.precious)]}
    return {
        "schema": 1,
        "changes": [{**entry, "path": str(made.precious / name)} for name in ("file", "guarded", "tree/a")],
    }


def registration(made: Hostile, record_path: Path) -> dict[str, Any]:
    """A registration whose guarded file is the user's."""
    guarded = {"path": str(made.precious / "guarded"), "forward": "f", "full": "full\n", "empty": "emptied\n"}
    return {"record": str(record_path), "forwards": [], "guarded": [guarded]}


def _kubeconfig(made: Hostile, plugin: Path) -> dict[str, Any]:
    entry = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": f"https://127.0.0.1:{made.port}"}}],
        "users": [{"name": "x", "user": {"exec": entry}}],
    }
