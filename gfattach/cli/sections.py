"""Options of a command in sections, so that the help of a large command can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

#: The section of options that name none, and the order of the others behind it.
_FIRST = "Options"


class SectionedOption(click.Option):
    """An option that names the section of the help that it stands in."""

    def __init__(self, *args: Any, section: str = _FIRST, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose help lists its options by section, in the order of the first option of each."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One definition list a section; what belongs to no section comes first, --help with it."""
        sections: dict[str, list[tuple[str, str]]] = {_FIRST: []}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(parameter, "section", _FIRST), []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def option(
    section: str, *words: str, **attributes: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`click.option` in a section of the help."""
    return click.option(*words, cls=SectionedOption, section=section, **attributes)
