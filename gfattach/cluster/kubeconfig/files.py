"""kubeconfig files: which are read, and how they merge.

The rules are kubectl's: the first file that names a thing decides it, and files of a KUBECONFIG list may be
missing or empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from gfattach.cluster.kubeconfig.bounded import read_bounded
from gfattach.cluster.kubeconfig.document import config_of
from gfattach.cluster.kubeconfig.entries import Kubeconfig
from gfattach.cluster.kubeconfig.yamltext import YamlError, parse
from gfattach.core.errors import ClusterError
from gfattach.core.quote import word

Entry = TypeVar("Entry")

#: A kubeconfig of a thousand clusters with their certificates is about this large.
FILE_BYTES = 4 * 1024 * 1024


def read_files(files: tuple[Path, ...]) -> Kubeconfig:
    """The merged content of `files`. Raises ClusterError (cluster.kubeconfig.*)."""
    read = [_read(file) for file in files]
    if all(config is None for config in read):
        raise ClusterError(
            f"the kubeconfig {', '.join(map(str, files))} is empty",
            "name another with --kubeconfig or KUBECONFIG",
            code="cluster.kubeconfig.empty",
        )
    configs = [config for config in read if config is not None]
    return Kubeconfig(
        files,
        next((config.current_context for config in configs if config.current_context), ""),
        _first_wins([config.contexts for config in configs]),
        _first_wins([config.clusters for config in configs]),
        _first_wins([config.users for config in configs]),
    )


def _first_wins(tables: list[Mapping[str, Entry]]) -> dict[str, Entry]:
    return {name: entry for table in reversed(tables) for name, entry in table.items()}


def _read(file: Path) -> Kubeconfig | None:
    """One file; None when it says nothing."""
    try:
        content = read_bounded(file, FILE_BYTES)
    except FileNotFoundError:
        raise ClusterError(
            f"the kubeconfig {file} does not exist",
            "name an existing one with --kubeconfig or KUBECONFIG",
            code="cluster.kubeconfig.missing",
        ) from None
    except OSError as error:
        raise ClusterError(
            f"the kubeconfig {file} cannot be read: {(error.strerror or str(error)).lower()}",
            f"look at it: ls -ld {word(file)}",
            code="cluster.kubeconfig.unreadable",
        ) from None
    except ValueError as error:
        raise ClusterError(
            f"the kubeconfig {file} is {error}",
            f"look at it: ls -l {word(file)}",
            code="cluster.kubeconfig.large",
        ) from None
    try:
        document = parse(content)
    except YamlError as error:
        line = "" if error.line is None else f" (line {error.line})"
        raise ClusterError(
            f"the kubeconfig {file} is not YAML{line}: {error.problem}",
            f"see: kubectl config view --kubeconfig {word(file)}",
            code="cluster.kubeconfig.yaml",
        ) from None
    if document is None:
        return None
    return config_of(document, file)
