"""Labels that the workflow files of a checkout ask for: `runs-on` of every job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.cluster.kubeconfig.yamltext import YamlError, parse
from gfattach.core.errors import StorageError
from gfattach.core.files import read_bytes

#: Files of one checkout, and bytes of one file, that are read.
FILES = 200
BYTES = 512 * 1024

_MATRIX = re.compile(r"\$\{\{\s*matrix\.([\w-]{1,100})\s*\}\}")


class Asked(Struct, frozen=True):
    """A label that a job asks for; `file` is relative to the checkout."""

    label: str
    file: str
    job: str


class Unread(Struct, frozen=True):
    """A workflow file that could not be read, and why."""

    file: str
    why: str


def labels_of(checkout: Path) -> Iterator[Asked | Unread]:
    """Every label of every job, in the order of files; what cannot be read is told, and no error."""
    directory = checkout / ".github" / "workflows"
    try:
        files = sorted(each for each in directory.iterdir() if each.suffix in (".yml", ".yaml"))
    except OSError as error:
        yield Unread(".github/workflows", (error.strerror or str(error)).lower())
        return
    for file in files[:FILES]:
        shown = f".github/workflows/{file.name}"
        try:
            content = read_bytes(file) or b""
            document = parse(content) if len(content) <= BYTES else None
        except StorageError as error:
            yield Unread(shown, error.fact)
            continue
        except YamlError as error:
            yield Unread(shown, f"{error.problem}" + (f" in line {error.line}" if error.line else ""))
            continue
        if len(content) > BYTES:
            yield Unread(shown, f"larger than {BYTES} bytes")
            continue
        jobs = document.get("jobs") if isinstance(document, Mapping) else None
        for name, job in jobs.items() if isinstance(jobs, Mapping) else ():
            if isinstance(job, Mapping):
                yield from (Asked(label, shown, str(name)) for label in _labels(job))


def _labels(job: Mapping[str, Any]) -> list[str]:
    said = job.get("runs-on")
    if isinstance(said, Mapping):
        said = said.get("labels")
    found = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return [label for each in found if isinstance(each, str) for label in _resolved(each, job)]


def _resolved(label: str, job: Mapping[str, Any]) -> list[str]:
    """A label that is a value of the job's own matrix as what it can be; anything else as it is."""
    found = _MATRIX.fullmatch(label.strip())
    strategy = job.get("strategy")
    matrix = strategy.get("matrix") if isinstance(strategy, Mapping) else None
    values = matrix.get(found[1]) if found is not None and isinstance(matrix, Mapping) else None
    if isinstance(values, list) and values and all(isinstance(each, str) for each in values):
        return values
    return [label]
