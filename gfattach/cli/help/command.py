"""`gfattach help [COMMAND | TOPIC | CODE]`: how a command is used, and what belongs to no single command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import click
from msgspec import Struct

from gfattach.cli.registry import COMMANDS


def exit_codes() -> Iterator[str]:
    """The table of exit codes."""
    from gfattach.core.errors import EXIT_CODE_MEANING

    yield "Every command ends with one of these:"
    for code, meaning in EXIT_CODE_MEANING.items():
        yield f"  {int(code):>3}  {meaning}"


def exit_codes_for_programs() -> dict[str, Any]:
    """The same for programs."""
    from gfattach.core.errors import EXIT_CODE_MEANING

    return {"exit_codes": [{"exit": int(code), "meaning": said} for code, said in EXIT_CODE_MEANING.items()]}


def site() -> Iterator[str]:
    """The settings of a site."""
    from gfattach.site.allow import FILE_NAME
    from gfattach.site.settings import SETTINGS

    yield f"A site is described by {FILE_NAME} in the workspace or in the user's configuration."
    yield "Options and the variables named below come before the files; what an operator published in the"
    yield "cluster comes behind them. No secret belongs in it. More: docs/site.md."
    yield "The command of that name: gfattach site --help."
    table = ""
    for setting in SETTINGS:
        name, _, key = setting.key.partition(".")
        if name != table:
            table = name
            yield f"\n[{name}]"
        yield f"{key:<14} {setting.meaning}" + (f" (variable {setting.variable})" if setting.variable else "")


def site_for_programs() -> dict[str, Any]:
    """The same for programs: a setting's key, what it means, and the variable that says it too."""
    from gfattach.site.settings import SETTINGS

    return {
        "settings": [
            {"key": setting.key, "meaning": setting.meaning, "variable": setting.variable or None}
            for setting in SETTINGS
        ]
    }


def codes() -> Iterator[str]:
    """Every code that a finding or an error can have."""
    from gfattach.codes.catalogue import groups

    yield "Codes of findings and of errors. They are stable: scripts may rely on them."
    yield "The number is what a command ends with that ends in an error of this code (gfattach help"
    yield "exit-codes); a dash is a code of findings alone, and a finding that failed ends with 1."
    for group in groups():
        yield f"\n{group.title[0].upper()}{group.title[1:]}"
        for entry in group.codes:
            number = "-" if entry.exit_code is None else int(entry.exit_code)
            yield f"  {entry.code:<36} {number:>3}  {entry.meaning}"


def codes_for_programs() -> dict[str, Any]:
    """The same for programs: the groups by their titles."""
    from gfattach.codes.catalogue import groups

    return {"codes": {group.title: [entry.as_json() for entry in group.codes] for group in groups()}}


class Topic(Struct, frozen=True):
    """What belongs to no single command: its lines, and its part of the document."""

    lines: Callable[[], Iterator[str]]
    for_programs: Callable[[], dict[str, Any]]


def of_code(code: str) -> Topic | None:
    """What one code means, if there is such a code."""
    from gfattach.codes.catalogue import groups
    from gfattach.codes.examples import address, examples

    found = [(group.title, entry) for group in groups() for entry in group.codes if entry.code == code]
    if not found:
        return None
    title, entry = found[0]
    lines = [f"{code}: {entry.meaning}", f"  among: {title}"]
    if entry.exit_code is not None:
        lines.append(f"  a command that ends in this error ends with: {int(entry.exit_code)}")
    example = examples().get(code)
    if example is not None:
        lines += ["  an example:", f"    {example.seen}"]
        lines += [f"    {line}" for line in example.why.splitlines()]
        lines += [f"    > {line}" for hint in example.hints for line in hint.splitlines()]
    shown = None if example is None else {"seen": example.seen, "why": example.why, "hints": example.hints}
    document = {**entry.as_json(), "page": address(code), "example": shown}
    return Topic(lambda: iter(lines), lambda: {"code": document})


TOPICS = {
    "exit-codes": Topic(exit_codes, exit_codes_for_programs),
    "site": Topic(site, site_for_programs),
    "codes": Topic(codes, codes_for_programs),
}


@click.command("help")
@click.argument("words", metavar="[COMMAND | TOPIC | CODE]", nargs=-1)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to show it; JSON: a topic or a code.",
)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...], output: str) -> None:
    """Show how COMMAND is used, a topic (exit-codes, site, codes), or what the CODE of a finding means."""
    topic = TOPICS.get(words[0]) if len(words) == 1 else None
    if topic is None and len(words) == 1 and words[0] not in COMMANDS:
        topic = of_code(words[0])
    if output == "json":
        if topic is None:
            raise click.UsageError(f"only topics and codes are there as JSON: {', '.join(TOPICS)}")
        from gfattach.core.errors import ExitCode
        from gfattach.report.document import document

        click.echo(json.dumps(document("help", None, ExitCode.GOOD, topic.for_programs()), indent=2))
    elif topic is not None:
        for line in topic.lines():
            click.echo(line)
    else:
        click.echo(_of_command(ctx.find_root(), words))
        if not words:
            click.echo(f"\nTopics of help: {', '.join(TOPICS)}")


def _of_command(found: click.Context, words: tuple[str, ...]) -> str:
    """The help of the command that `words` name, below the command of `found`."""
    for word in words:
        command = found.command.get_command(found, word) if isinstance(found.command, click.Group) else None
        if command is None:
            raise click.UsageError(
                f"there is no command, topic or code {' '.join(words)!r}\n"
                f"topics: {', '.join(TOPICS)}\ncommands: gfattach --help\ncodes: gfattach help codes"
            )
        found = click.Context(command, found, word)
    return found.get_help()
