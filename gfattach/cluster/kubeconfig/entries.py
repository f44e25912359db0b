"""What a kubeconfig holds, typed: clusters, users, contexts, and what one context comes to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from gfattach.core.value import Redacted


class Cluster(Redacted, frozen=True):
    """A cluster's entry. Paths are absolute; `exec_config` is what plugins are handed, as JSON."""

    REDACTED: ClassVar = frozenset({"proxy_url"})

    name: str
    origin: Path
    server: str = ""
    tls_server_name: str = ""
    insecure: bool = False
    authority: Path | None = None
    authority_data: bytes = b""
    proxy_url: str = ""
    exec_config: Any = None


class Exec(Redacted, frozen=True):
    """The plugin that hands out a user's credential. `command` is absolute where it has a slash."""

    REDACTED: ClassVar = frozenset({"args", "env"})

    command: str
    api_version: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class User(Redacted, frozen=True):
    """A user's entry. What is secret is in no repr."""

    REDACTED: ClassVar = frozenset({"certificate_data", "key_data", "token", "password", "auth_config"})

    name: str
    origin: Path
    certificate: Path | None = None
    certificate_data: bytes = b""
    key: Path | None = None
    key_data: bytes = b""
    token: str = ""
    token_file: Path | None = None
    username: str = ""
    password: str = ""
    impersonate: str = ""
    impersonate_uid: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    auth_provider: str | None = None
    auth_config: tuple[tuple[str, str], ...] = ()
    exec: Exec | None = None


class Context(Struct, frozen=True):
    """A context's entry: the names of a cluster and a user, and a namespace."""

    name: str
    origin: Path
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class Kubeconfig(Redacted, frozen=True):
    """Several files as one; `files` in the order in which the first wins."""

    REDACTED: ClassVar = frozenset({"users"})

    files: tuple[Path, ...]
    current_context: str = ""
    contexts: Mapping[str, Context] = {}
    clusters: Mapping[str, Cluster] = {}
    users: Mapping[str, User] = {}

    @property
    def where(self) -> str:
        """The files, for a sentence."""
        return ", ".join(str(file) for file in self.files)


class Entries(Struct, frozen=True):
    """What a context stands for. `user` None for a context that names no user."""

    context: Context
    cluster: Cluster
    user: User | None
    namespace: str
