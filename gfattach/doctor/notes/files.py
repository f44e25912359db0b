"""The files of notes: `YYYY-MM-DD-SLUG.md` with the run's JSON beside it, and the index of the directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gfattach.core.errors import RefusedError, UsageError
from gfattach.core.files import read_bytes, storage_error, write_atomic
from gfattach.core.quote import command
from gfattach.doctor.notes.note import headline_seconds, markdown, slug
from gfattach.report.text import seconds

#: Where notes are kept in a workspace.
DIRECTORY = Path("docs/field-notes")

_INDEX = "README.md"
_BEGIN, _END = "<!-- notes: made by gfattach -->", "<!-- end of notes -->"


def write_note(workspace: Path, document: Mapping[str, Any]) -> Path:
    """Write a scrubbed document and its note, and bring the index up to date; the note's path.

    A note of the same name is written anew: it is the same run, or the day's later one under that title.
    Raises StorageError, and RefusedError (`note.elsewhere`) where a link leads out of the workspace.
    """
    note = document["result"]["note"]
    directory = workspace / DIRECTORY
    real = Path(os.path.realpath(directory))
    if not real.is_relative_to(os.path.realpath(workspace)):
        raise RefusedError(
            f"{directory} leads to {real}, out of the workspace, and nothing is written there",
            f"see what leads there: {command('ls', '-ld', directory.parent, directory)}",
            code="note.elsewhere",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("make the directory", directory, error) from error
    path = directory / f"{note['date']}-{slug(note['title'])}.md"
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_atomic(path.with_suffix(".json"), text.encode(), mode=0o644)
    write_atomic(path, markdown(document).encode(), mode=0o644)
    write_index(directory)
    return path


def read_run(path: Path) -> dict[str, Any]:
    """A recorded run: a document of `report-v1.json`. Raises UsageError for anything else, StorageError."""
    content = read_bytes(path)
    if content is None:
        raise UsageError(f"{path} does not exist", "record one: gfattach doctor --output json > run.json")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}", code="note.unreadable") from error
    if not isinstance(document, dict) or document.get("schema") != "gfattach.report/1":
        said = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise UsageError(
            f"{path} is no recorded run of gfattach, but {said!r}",
            "record one: gfattach doctor --output json > run.json",
            code="note.unreadable",
        )
    return document


@contextmanager
def taken_as_run(path: Path) -> Iterator[None]:
    """What is read of the run at `path` meanwhile may be anything: UsageError where it is no whole run."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path} is no whole run of gfattach: {type(error).__name__}: {error}",
            "record one: gfattach doctor --output json > run.json",
            code="note.unreadable",
        ) from error


def write_index(directory: Path) -> None:
    """Bring the table of notes in the directory's README up to date; what else is in it stays."""
    file = directory / _INDEX
    before = (read_bytes(file) or b"# Field notes\n").decode("utf-8")
    table = "\n".join([_BEGIN, "", *_rows(directory), "", _END])
    start, end = before.find(_BEGIN), before.find(_END)
    if 0 <= start < end:
        after = before[:start] + table + before[end + len(_END) :]
    else:
        after = f"{before.rstrip()}\n\n{table}\n"
    if after != before:
        write_atomic(file, after.encode(), mode=0o644)


def _rows(directory: Path) -> Iterator[str]:
    yield "| date | note | what came of it | time to first cache hit |"
    yield "|---|---|---|---|"
    for path in sorted(directory.glob("*.json"), reverse=True):
        try:
            with taken_as_run(path):
                row = _row(path, read_run(path))
        except UsageError:
            continue  # what lies there need not be a note
        if row is not None:
            yield row


def _row(path: Path, document: Mapping[str, Any]) -> str | None:
    note = document["result"].get("note")
    if note is None:
        return None
    figures = ", ".join(f"{name} {seconds(span)}" for name, span in headline_seconds(document).items())
    ended = "good" if document["exit_code"] == 0 else f"exit code {document['exit_code']}"
    return f"| {note['date']} | [{note['title']}]({path.stem}.md) | {ended} | {figures or '-'} |"
