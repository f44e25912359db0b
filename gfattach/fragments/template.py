"""Renders the templates of the fragments: texts with placeholders, made of paragraphs.

The templates lie in `templates/` beside the package in a source checkout, and in
`_templates/` within it once installed. A line that holds `${name}` is
written only when `name` has a value; a paragraph whose lines were all left out takes its
comment with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

from gfattach.core.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent.parent


def render(name: str, values: Mapping[str, str | None]) -> str:
    """The template `name` with its placeholders filled in.

    Raises UsageError when gfattach was installed without its templates.
    """
    paragraphs = _read(name).strip("\n").split("\n\n")
    return "\n\n".join(text for each in paragraphs if (text := _paragraph(each, values))) + "\n"


def _paragraph(text: str, values: Mapping[str, str | None]) -> str:
    lines: list[str] = []
    asked, written = 0, 0
    for line in text.split("\n"):
        template = Template(line)
        names = template.get_identifiers()
        if any(values[name] is None for name in names):
            asked += 1
            continue
        if names:
            asked, written = asked + 1, written + 1
        lines.append(template.substitute(values))
    return "\n".join(lines) if written or not asked else ""


def _read(name: str) -> str:
    for directory in (_PACKAGE / "_templates", _PACKAGE.parent / "templates"):
        try:
            return (directory / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
    raise UsageError(
        f"the template {name} is not where gfattach was installed",
        "install it again: pip install --force-reinstall gfattach",
        code="fragment.template",
    )
