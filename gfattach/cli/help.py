"""`gfattach help TOPIC`: what belongs to no single command."""

from __future__ import annotations

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
    """Every code that a finding can have."""
    from gfattach.probes.codes import all_codes

    yield "Codes of findings. They are stable: scripts may rely on them."
    for code, meaning in all_codes().items():
        yield f"  {code:<34} {meaning}"


TOPICS = {"exit-codes": exit_codes, "site": site, "codes": codes}


@click.command("help")
@click.argument("topic", type=click.Choice(list(TOPICS)), required=False)
@click.pass_context
def help_(ctx: click.Context, topic: str | None) -> None:
    """Show a topic: exit-codes, site or codes."""
    if topic is None:
        click.echo(ctx.find_root().get_help())
        click.echo(f"\nTopics of help: {', '.join(TOPICS)}")
        return
    for line in TOPICS[topic]():
        click.echo(line)
