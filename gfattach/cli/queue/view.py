"""What `gfattach queue` came to: exit code, the command's part of the document, lines, pages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gfattach.cli.execute import Outcome
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.queue.audit.audit import Audit
    from gfattach.queue.model.question import Question
    from gfattach.queue.model.world import World
    from gfattach.queue.owners.scoreboard import Scoreboard
    from gfattach.queue.run import Looked
    from gfattach.queue.views.outline import Page


class Shown(Struct, frozen=True):
    """How it is shown: `html` is the file of a page, None for none; `github` adds to the step summary, and
    `lines` says whether any are printed."""

    html: Path | None
    markdown: bool
    github: bool
    lines: bool


def answered(looked: Looked, question: Question, shown: Shown) -> Outcome:
    """The answers to a question."""
    from gfattach.queue.views.answers import page
    from gfattach.queue.views.document import answers_document

    pages = [page(each, question) for each in looked.answers]
    document = answers_document(looked.answers, question, looked.world.snapshot)
    return _outcome(looked.exit_code, document, pages, looked.world, shown)


def audited(found: Audit, world: World, shown: Shown) -> Outcome:
    """All that is amiss."""
    from gfattach.queue.run import audit_exit
    from gfattach.queue.views.audits import page
    from gfattach.queue.views.document import audit_document

    return _outcome(audit_exit(found), audit_document(found, world.snapshot), [page(found)], world, shown)


def scored(found: Scoreboard, world: World, shown: Shown) -> Outcome:
    """The scoreboard of owners."""
    from gfattach.queue.views.document import head
    from gfattach.queue.views.owners import owners_document, page

    document = {**head("owners", world.snapshot), **owners_document(found)}
    return _outcome(ExitCode.GOOD, document, [page(found)], world, shown)


def look_lines(looked: Looked) -> list[str]:
    """A look of a watch, each line with the time of the API server's clock."""
    return [f"{each.at:%H:%M:%S}  {each.headline}: {each.summary}" for each in looked.answers]


def look_document(looked: Looked, question: Question) -> dict[str, Any]:
    """The same for programs."""
    from gfattach.core.redact import redacted
    from gfattach.queue.views.document import answers_document

    made: dict[str, Any] = redacted(answers_document(looked.answers, question, looked.world.snapshot))
    return made


def _outcome(
    code: ExitCode, document: dict[str, Any], pages: Sequence[Page], world: World, shown: Shown
) -> Outcome:
    if shown.html is not None:
        from gfattach.core.files import write_atomic
        from gfattach.queue.views.html import html

        text = html(pages, "gfattach queue", world.now, world.snapshot.server)
        write_atomic(shown.html, text.encode())
    if shown.github:
        _add_to_summary(pages)
    return Outcome(code, document, [*_lines(pages, shown.markdown)] if shown.lines else ())


def _lines(pages: Sequence[Page], as_markdown: bool) -> Iterator[str]:
    if as_markdown:
        from gfattach.queue.views.markdown import markdown

        for page in pages:
            yield from markdown(page).splitlines()
        return
    from gfattach.queue.views.text import lines

    for number, page in enumerate(pages):
        if number:
            yield ""
        yield from lines(page)


def _add_to_summary(pages: Sequence[Page]) -> None:
    """What GitHub shows of a step, besides the table that every command adds."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if not summary:
        return
    from gfattach.core.files import storage_error
    from gfattach.core.redact import redact
    from gfattach.queue.views.markdown import markdown

    try:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(redact("\n".join(markdown(page) for page in pages)) + "\n")
    except OSError as failure:
        raise storage_error("write", Path(summary), failure) from failure
