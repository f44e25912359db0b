"""One kubeconfig's document: its entries with their types, or what is wrong with which field.

The format is v1 of `Config`. Paths are relative to the file that names them, unknown fields are passed over
and fields of the wrong kind are errors.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gfattach.cluster.kubeconfig.entries import Cluster, Context, Exec, Kubeconfig, User
from gfattach.core.errors import ClusterError
from gfattach.core.quote import word

Entry = TypeVar("Entry")


#: The extension of a cluster that exec plugins are handed.
EXEC_EXTENSION = "client.authentication.k8s.io/exec"


def config_of(document: Any, file: Path) -> Kubeconfig:
    """What `document` says, which was read from `file`. Raises ClusterError (cluster.kubeconfig.*)."""
    return _Reader(file).config(document)


class _Reader:
    """Gives the entries of one file their types. Every error names file and field, and never a value."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._directory = file.absolute().parent

    def config(self, document: Any) -> Kubeconfig:
        if not isinstance(document, dict):
            raise ClusterError(
                f"the kubeconfig {self._file} is not a mapping, but {_kind(document)}",
                "it should hold clusters, users and contexts",
                code="cluster.kubeconfig.mapping",
            )
        kind, version = self._text(document, "kind", ""), self._text(document, "apiVersion", "")
        if kind not in ("", "Config") or version not in ("", "v1"):
            raise ClusterError(
                f"the kubeconfig {self._file} is of another kind: {kind or '-'} {version or '-'}",
                "a kubeconfig is of kind Config, apiVersion v1",
                code="cluster.kubeconfig.kind",
            )
        return Kubeconfig(
            (self._file,),
            self._text(document, "current-context", ""),
            self._named(document, "contexts", "context", self._context),
            self._named(document, "clusters", "cluster", self._cluster),
            self._named(document, "users", "user", self._user),
        )

    def _named(
        self,
        document: dict[str, Any],
        table: str,
        inner: str,
        read: Callable[[str, dict[str, Any], str], Entry],
    ) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for place, item in self._mappings(document, table, ""):
            name = self._text(item, "name", place)
            if name in found:
                raise ClusterError(
                    f"{self._file} has {name!r} twice under {table}",
                    f"rename or remove one of the two in {self._file}",
                    code="cluster.kubeconfig.twice",
                )
            found[name] = read(name, self._mapping(item, inner, place), f"{place}.{inner}")
        return found

    def _context(self, name: str, entry: dict[str, Any], at: str) -> Context:
        texts = (self._text(entry, key, at) for key in ("cluster", "user", "namespace"))
        return Context(name, self._file, *texts)

    def _cluster(self, name: str, entry: dict[str, Any], at: str) -> Cluster:
        extensions = {
            self._text(item, "name", place): item.get("extension")
            for place, item in self._mappings(entry, "extensions", at)
        }
        return Cluster(
            name,
            self._file,
            self._text(entry, "server", at),
            self._text(entry, "tls-server-name", at),
            self._flag(entry, "insecure-skip-tls-verify", at),
            self._path(entry, "certificate-authority", at),
            self._data(entry, "certificate-authority-data", at),
            self._text(entry, "proxy-url", at),
            extensions.get(EXEC_EXTENSION),
        )

    def _user(self, name: str, entry: dict[str, Any], at: str) -> User:
        extra = self._mapping(entry, "as-user-extra", at)
        provider, of_provider = self._mapping(entry, "auth-provider", at), f"{at}.auth-provider"
        settings = self._mapping(provider, "config", of_provider)
        return User(
            name,
            self._file,
            self._path(entry, "client-certificate", at),
            self._data(entry, "client-certificate-data", at),
            self._path(entry, "client-key", at),
            self._data(entry, "client-key-data", at),
            self._text(entry, "token", at),
            self._path(entry, "tokenFile", at),
            self._text(entry, "username", at),
            self._text(entry, "password", at),
            self._text(entry, "as", at),
            self._text(entry, "as-uid", at),
            self._texts(entry, "as-groups", at),
            tuple((_sound(key), self._texts(extra, key, f"{at}.as-user-extra")) for key in extra),
            None if entry.get("auth-provider") is None else self._text(provider, "name", of_provider),
            tuple((_sound(key), self._text(settings, key, f"{of_provider}.config")) for key in settings),
            self._exec(entry, at),
        )

    def _exec(self, entry: dict[str, Any], at: str) -> Exec | None:
        if entry.get("exec") is None:
            return None
        found, at = self._mapping(entry, "exec", at), f"{at}.exec"
        command = self._text(found, "command", at)
        return Exec(
            os.path.normpath(self._directory / command) if "/" in command else command,
            self._text(found, "apiVersion", at),
            self._texts(found, "args", at),
            tuple(
                (self._text(item, "name", place), self._text(item, "value", place))
                for place, item in self._mappings(found, "env", at)
            ),
            self._text(found, "installHint", at),
            self._flag(found, "provideClusterInfo", at),
            self._text(found, "interactiveMode", at),
        )

    def _typed(
        self, entry: dict[str, Any], key: str, at: str, kind: type[Any], otherwise: Any, be: str
    ) -> Any:
        value = entry.get(key)
        if value is None:
            return otherwise
        if not isinstance(value, kind):
            raise self._wrong(f"{at}.{key}".strip("."), f"is {_kind(value)}, and has to be {be}")
        return value

    def _text(self, entry: dict[str, Any], key: str, at: str) -> str:
        return _sound(self._typed(entry, key, at, str, "", "text (put it in quotes)"))

    def _flag(self, entry: dict[str, Any], key: str, at: str) -> bool:
        flag: bool = self._typed(entry, key, at, bool, False, "true or false")
        return flag

    def _mapping(self, entry: dict[str, Any], key: str, at: str) -> dict[str, Any]:
        mapping: dict[str, Any] = self._typed(entry, key, at, dict, {}, "a mapping")
        return mapping

    def _mappings(self, entry: dict[str, Any], key: str, at: str) -> list[tuple[str, dict[str, Any]]]:
        """The items of a list of mappings, each with its place; an item that is null is an empty one."""
        found = []
        for number, item in enumerate(self._typed(entry, key, at, list, [], "a list")):
            place = f"{at}.{key}[{number}]".strip(".")
            if not isinstance(item, dict | None):
                raise self._wrong(place, f"is {_kind(item)}, and has to be a mapping")
            found.append((place, item or {}))
        return found

    def _texts(self, entry: dict[str, Any], key: str, at: str) -> tuple[str, ...]:
        items = self._typed(entry, key, at, list, [], "a list")
        for item in items:
            if not isinstance(item, str | None):
                raise self._wrong(
                    f"{at}.{key}", f"holds {_kind(item)}, and has to hold text (put it in quotes)"
                )
        return tuple(_sound(item or "") for item in items)

    def _path(self, entry: dict[str, Any], key: str, at: str) -> Path | None:
        text = self._text(entry, key, at)
        if "\0" in text:
            raise self._wrong(f"{at}.{key}", "is no path")
        return self._directory / text if text else None

    def _data(self, entry: dict[str, Any], key: str, at: str) -> bytes:
        text = self._text(entry, key, at)
        try:
            return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
        except (binascii.Error, ValueError):
            raise self._wrong(f"{at}.{key}", "is not base64") from None

    def _wrong(self, field: str, fact: str) -> ClusterError:
        return ClusterError(
            f"{self._file}: {field} {fact}",
            f"see: kubectl config view --kubeconfig {word(self._file)}",
            code="cluster.kubeconfig.field",
        )


def _sound(text: str) -> str:
    """Text without halves of characters, which JSON can hold and no program can be given."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"
