"""`gfattach rbe`: remote execution, from manifest to claim. Its commands are loaded when they are called."""

from __future__ import annotations

import importlib

import click

from gfattach.cli.main import Group

#: In the order in which help lists them: where each is, and what it does in one line.
COMMANDS: dict[str, tuple[str, str]] = {
    "lint": ("gfattach.cli.rbe.lint:lint", "every fault of the eligibility manifest, with its line"),
    "target": (
        "gfattach.cli.rbe.target:target",
        "proved, candidate, blocked or not listed, and the boundary",
    ),
    "prove": ("gfattach.cli.rbe.prove:prove", "a forced execution, with negative controls and evidence"),
    "verify": ("gfattach.cli.rbe.verify:verify", "check evidence offline, or a proof result"),
    "coverage": ("gfattach.cli.rbe.coverage:coverage", "the toolchain table, made from evidence alone"),
    "claims": ("gfattach.cli.rbe.claims:claims", "what documents claim beyond manifest and evidence"),
}


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=_Commands)
def rbe() -> None:
    """May this target be built remotely, was it, and what exactly does that prove?

    A remote cache hit is no remote execution, and a proof is of one target: nothing here generalises.
    """
