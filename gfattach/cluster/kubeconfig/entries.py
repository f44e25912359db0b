"""What a kubeconfig holds, typed: clusters, users, contexts, and what one context comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cluster:
    """A cluster's entry. Paths are absolute; `exec_config` is what plugins are handed, as JSON."""

    name: str
    origin: Path
    server: str = ""
    tls_server_name: str = ""
    insecure: bool = False
    authority: Path | None = None
    authority_data: bytes = b""
    proxy_url: str = field(default="", repr=False)
    exec_config: Any = None


@dataclass(frozen=True)
class Exec:
    """The plugin that hands out a user's credential. `command` is absolute where it has a slash."""

    command: str
    api_version: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


@dataclass(frozen=True)
class User:
    """A user's entry. What is secret is in no repr."""

    name: str
    origin: Path
    certificate: Path | None = None
    certificate_data: bytes = field(default=b"", repr=False)
    key: Path | None = None
    key_data: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    impersonate: str = ""
    impersonate_uid: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    auth_provider: str | None = None
    auth_config: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    exec: Exec | None = None


@dataclass(frozen=True)
class Context:
    """A context's entry: the names of a cluster and a user, and a namespace."""

    name: str
    origin: Path
    cluster: str = ""
    user: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class Kubeconfig:
    """Several files as one; `files` in the order in which the first wins."""

    files: tuple[Path, ...]
    current_context: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """The files, for a sentence."""
        return ", ".join(str(file) for file in self.files)


@dataclass(frozen=True)
class Entries:
    """What a context stands for. `user` None for a context that names no user."""

    context: Context
    cluster: Cluster
    user: User | None
    namespace: str
