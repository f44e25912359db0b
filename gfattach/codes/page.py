"""The page of codes, `docs/codes.md`: `python -m gfattach.codes.page > docs/codes.md` makes it."""

from __future__ import annotations

from collections.abc import Iterator

from gfattach.codes.catalogue import Code, groups
from gfattach.codes.examples import examples

_HEAD = """\
# Codes

Every finding and every error has a code, which is stable: scripts may rely on it. Of each: what was seen, why
it matters (the cause, where the fact does not say it), an example as it was recorded in a run of the tests,
and what to do. `gfattach help CODE` shows the same. This page is made by `python -m gfattach.codes.page`.
"""


def page() -> Iterator[str]:
    """The lines of the page."""
    yield from _HEAD.splitlines()
    for group in groups():
        yield f"\n## {group.title[0].upper()}{group.title[1:]}"
        for entry in group.codes:
            yield f"\n### {entry.code}\n"
            yield from code_lines(entry)


def code_lines(entry: Code) -> Iterator[str]:
    """One code in Markdown: what was seen, the example, why, the fix."""
    end = "" if entry.exit_code is None else f" A command that ends in it ends with {int(entry.exit_code)}."
    yield f"{entry.meaning[0].upper()}{entry.meaning[1:]}.{end}"
    example = examples().get(entry.code)
    if example is None:
        return
    yield "\n```text"
    yield example.seen
    yield from (f"  {line}" for line in example.why.splitlines())
    for hint in example.hints:
        first, *others = hint.splitlines() or [""]
        yield f"> {first}"
        yield from (f"  {line}" for line in others)
    yield "```"


if __name__ == "__main__":
    for line in page():
        print(line)
