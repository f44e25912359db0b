"""`gfattach help TOPIC`: what belongs to no single command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click


def exit_codes() -> Iterator[str]:
    """The table of exit codes."""
    from gfattach.errors import EXIT_CODE_MEANING

    yield "Every command ends with one of these:"
    for code, meaning in EXIT_CODE_MEANING.items():
        yield f"  {int(code):>3}  {meaning}"


def site() -> Iterator[str]:
    """The settings of a site."""
    from gfattach.site.load import FILE_NAME
    from gfattach.site.settings import SETTINGS

    yield f"A site is described by {FILE_NAME} in the workspace or in the user's configuration."
    yield "Options and the variables named below come before the files; what an operator published in the"
    yield "cluster comes behind them. No secret belongs in it. More: docs/site.md."
    table = ""
    for setting in SETTINGS:
        name, _, key = setting.key.partition(".")
        if name != table:
            table = name
            yield f"\n[{name}]"
        yield f"{key:<14} {setting.meaning}" + (f" (variable {setting.variable})" if setting.variable else "")


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


def codes_as_json() -> str:
    """The same for programs: the groups by their titles."""
    from gfattach.codes.catalogue import groups

    document = {group.title: [entry.as_json() for entry in group.codes] for group in groups()}
    return json.dumps({"codes": document}, indent=2)


TOPICS = {"exit-codes": exit_codes, "site": site, "codes": codes}


@click.command("help")
@click.argument("topic", type=click.Choice(list(TOPICS)), required=False)
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How to show it; JSON: codes alone."
)
@click.pass_context
def help_(ctx: click.Context, topic: str | None, output: str) -> None:
    """Show a topic: exit-codes, site or codes."""
    if output == "json":
        if topic != "codes":
            raise click.UsageError("only the codes are there as JSON: gfattach help codes --output json")
        click.echo(codes_as_json())
        return
    if topic is None:
        click.echo(ctx.find_root().get_help())
        click.echo(f"\nTopics of help: {', '.join(TOPICS)}")
        return
    for line in TOPICS[topic]():
        click.echo(line)
